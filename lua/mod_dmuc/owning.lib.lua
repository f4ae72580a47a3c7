-- Ad-hoc commands (XEP-0050) of a distributed room, for its owners, at every instance: which services hold it, and who decides for
-- it. What only the source does, a shadow has it do in the owner's name.

local array = require "util.array";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_prep = require "util.jid".prep;
local promise = require "util.promise";

return function (dmuc)
	local dialogs, forms, inside, requests = dmuc.dialogs, dmuc.forms, dmuc.prosody, dmuc.requests;
	local prefix = dmuc.xmlns_ours.."#";
	local xmlns_info = "http://jabber.org/protocol/disco#info";
	local xmlns_items = "http://jabber.org/protocol/disco#items";

	local by_name, services = {}, { [module.host] = { overview = dmuc.overview; steering = dmuc.steering } };
	for _, command in ipairs(dmuc.commands) do by_name[command.name] = command; end

	-- Orders --

	local function log(context, what, service)
		module:log("info", "%s, an owner of %s, ordered: %s%s", jid_bare(context.from), context.room.jid, what, service and " "..service or "");
	end

	-- What is for this instance to do.
	local function order(context, what, service, text)
		local verdict, _, _, problem = dmuc.feed("order", what, context.room.jid, service);
		if verdict ~= "done" then return nil, problem or "This room is not distributed here any more"; end
		log(context, what, service);
		return { info = text };
	end

	local no_answer = {
		["remote-server-not-found"] = true; ["remote-server-timeout"] = true;
	};
	-- What only the source does: here, or there in the owner's name. work(act) is done provisionally, if that is possible.
	local function asked_of_source(context, act, text, hold)
		local room = context.room;
		act.actor_nick, act.actor_jid = requests.actor_of(room, context.from);
		return promise.new(function (resolve, reject)
			requests.act(room, act, {
				answer = function (_, condition, why)
					if not condition then return resolve({ info = text }); end
					if no_answer[condition] and not why then why = "The source of the room, "..room._dmuc.source..", cannot be reached"; end
					reject({ text = why or "The source of the room refuses this: "..condition });
				end;
			}, function (actor)
				hold(actor);
				resolve({ info = text.." It holds here until the source can be asked" });
			end);
		end);
	end

	local steered = { replicate = "replicate"; retract = "retract"; hand_over = "hand-over" };
	local function steer(context, what, service, text)
		service = jid_prep(service);
		if not service or service:find("[@/]") then return nil, "This is not the name of a service"; end
		text = text:format(service);
		if context.room._dmuc.is_source then return order(context, what, service, text); end
		log(context, what, service);
		return asked_of_source(context, { steer = steered[what]; service = service }, text);
	end

	-- Choices --

	local function overview_of(context)
		return dmuc.overview.room(context.room.jid);
	end

	local function choice(name, label, options)
		return { name = name; type = "list-single"; label = label; required = true; options = options };
	end

	local function step(title, instructions, options, none)
		if not options[1] then return nil, none; end
		return { title = title; instructions = instructions; fields = { choice("service", "Service", options) } };
	end

	local states = {
		refused = "refused"; wanted = "wanted"; ["setting-up"] = "being set up"; ["out-of-reach"] = "out of reach";
		behind = "catching up"; agreed = "in step";
	};

	-- Those with an instance, as far as is_meant(instance) says: the service, and how it is.
	local function holders(context, is_meant)
		local options = array();
		for _, instance in ipairs(overview_of(context).instances) do
			if is_meant(instance) then
				local service = jid_host(instance.instance);
				options:push({ value = service; label = ("%s (%s)"):format(service, states[instance.state]) });
			end
		end
		return options;
	end

	local function to_give(_, context)
		local title = "Give a service an instance of this room";
		local words = "People of that service get the room at their own server. One that refused or was taken out, is asked again.";
		if not context.room._dmuc.is_source then
			return { title = title; instructions = words; fields = {
				{ name = "service"; type = "text-single"; label = "Name of the service"; required = true };
			} };
		end
		local options, known = array(), {};
		for _, option in ipairs(holders(context, function () return true; end)) do known[option.value] = option; end
		for _, link in ipairs(dmuc.overview.links()) do
			options:push(known[link.peer] or { value = link.peer; label = link.peer.." (no instance)" });
		end
		return step(title, words, options, "This service shares rooms with nobody");
	end

	local function to_take(_, context)
		return step("Take a service out of this room",
			"Its instance is closed: what was said stays there as history, and its people are invited to the source. "
			.."It is not asked again until somebody gives it an instance.",
			holders(context, function (instance) return not instance.is_source; end), "No other service has an instance of this room");
	end

	local function to_hand(_, context)
		local voters, here = {}, module.host;
		for _, voter in ipairs((dmuc.ask("succession", context.room.jid))) do voters[voter] = true; end
		local options = holders(context, function (instance) return voters[instance.instance] and not instance.is_source; end);
		if voters[context.room.jid] and not context.room._dmuc.is_source then
			options:push({ value = here; label = here.." (this service)" });
		end
		return step("Hand this room over",
			"The instance there decides about the room from then on: its configuration, its list of affiliations, its subject. "
			.."Nothing is lost.",
			 options, "No other instance of this room votes, and only a voter can be its source");
	end

	local function to_follow(_, context)
		return step("Follow another source",
			"If that instance says that it is the source, it is believed. "
			.."What is decided here and not known there is offered to it.",
			 holders(context, function () return true; end), "No other service has an instance of this room");
	end

	local function voters_step(_, context)
		local field = forms.voters_field(context.room);
		field.name = "voters";
		local _, words = dmuc.ask("succession", context.room.jid);
		return { title = "Name the voters of this room"; instructions = words..". "..field.desc; fields = { field } };
	end

	local function name_voters(values, context)
		local room, list = context.room, values.voters or {};
		local form = forms.voters_form(list);
		local done = "The voters of this room are named";
		if not room._dmuc.is_source then
			return asked_of_source(context, { form = form }, done, function (actor)
				forms.provisionally(room, actor, function () forms.submit(room, context.from, form); end);
			end);
		end
		local problem = dmuc.ask("voters_problem", room.jid, list);
		if problem then return nil, problem; end
		local reply = forms.submit(room, context.from, form);
		if reply and reply.attr.type == "error" then
			local _, condition, text = reply:get_error();
			return nil, text or condition;
		end
		return { info = done };
	end

	local function confirmation()
		return {
			title = "Take this room over by force"; instructions = dmuc.commands.may_be_lost;
			fields = {
				{
					name = "sure"; type = "list-single"; label = "Do you want that?"; required = true; value = "no";
					options = { { value = "no"; label = "No" }; { value = "force"; label = "Yes, by force" } };
				};
			};
		};
	end

	-- Commands --

	local function is_shadow(room) return not room._dmuc.is_source; end
	local function is_voter(room)
		for _, voter in ipairs((dmuc.ask("succession", room.jid))) do
			if voter == room.jid then return true; end
		end
		return false;
	end
	local function has_voters(room) return (dmuc.ask("succession", room.jid))[2] ~= nil; end
	local function anywhere() return true; end

	local function ago(seconds)
		return seconds and ("%.0f s ago"):format(seconds) or "-";
	end

	local function services_of(_, context)
		local room, rows, agreed = overview_of(context), {}, 0;
		rows[1] = { module.host; room.role; "this service"; tostring(room.occupants); "-"; "-" };
		for i, instance in ipairs(room.instances) do
			local state = states[instance.state];
			if instance.state == "agreed" then agreed = agreed + 1; end
			if instance.refused_for then state = ("%s (%s)"):format(state, instance.refused_for); end
			rows[i + 1] = {
				jid_host(instance.instance); instance.is_source and "source" or "shadow"; state; tostring(instance.occupants);
				ago(instance.agreed_ago); ago(instance.answered_ago);
			};
		end
		local lines = { room.succession };
		for _, service in ipairs(room.retracted) do table.insert(lines, service.." was taken out"); end
		if room.offers > 0 then table.insert(lines, ("%d changes made here wait for the source"):format(room.offers)); end
		return {
			info = ("%d of %d other instances in step"):format(agreed, #room.instances); lines = lines; rows = rows;
			head = { "Service"; "Role"; "State"; "People"; "Agreed"; "Answered" };
		};
	end

	local function succession_of(_, context)
		local room = overview_of(context);
		local lines = { ("Source: %s, term %d"):format(jid_host(room.source), room.term); room.succession };
		local rows = {};
		for i, voter in ipairs(room.voters) do
			local how = voter == room.room and "this service" or "unknown";
			for _, instance in ipairs(room.instances) do
				if instance.instance == voter then how = states[instance.state]; end
			end
			rows[i] = { jid_host(voter); voter == room.source and "source" or "voter"; how };
		end
		return { info = room.succession; lines = lines; head = { "Service"; "Role"; "State" }; rows = rows };
	end

	local function steering(what, text)
		return function (values, context) return steer(context, what, values.service, text); end;
	end

	local commands = {
		{
			node = prefix.."services"; name = "Services of this room"; is_for = anywhere; steps = {};
			finish = services_of;
		};
		{
			node = prefix.."sync"; name = "Compare this room with its other instances now"; is_for = anywhere; steps = {};
			finish = function (_, context)
				return order(context, "sync", nil, "It is compared with its other instances now, and what is missing is pulled");
			end;
		};
		{
			node = prefix.."diff"; name = "Compare what the instances of this room have"; is_for = anywhere; steps = {};
			finish = function (_, context)
				local data, problem = by_name.diff.get(services, context.room.jid);
				if not data then return nil, problem; end
				return data:next(function (found)
					for _, one in ipairs(found.differences) do one.instance = jid_host(one.instance); end
					return dialogs.collect(by_name.diff, found);
				end);
			end;
		};
		{
			node = prefix.."replicate"; name = "Give a service an instance of this room, or try again"; is_for = anywhere; steps = { to_give };
			finish = steering("replicate", "%s is asked to hold an instance of this room");
		};
		{
			node = prefix.."retract"; name = "Take a service out of this room"; is_for = anywhere; steps = { to_take };
			finish = steering("retract", "%s has no instance of this room any more: what is there is closed as soon as it can be told");
		};
		{
			node = prefix.."succession"; name = "Who decides for this room"; is_for = anywhere; steps = {};
			finish = succession_of;
		};
		{
			node = prefix.."voters"; name = "Name the voters of this room"; is_for = anywhere; steps = { voters_step };
			finish = name_voters;
		};
		{
			node = prefix.."hand-over"; name = "Hand this room over to another service"; is_for = has_voters; steps = { to_hand };
			finish = steering("hand_over", "The room is handed over to %s as soon as everything is known there");
		};
		{
			node = prefix.."take-over"; name = "Take this room over, since its source is gone"; steps = {};
			is_for = function (room) return is_shadow(room) and is_voter(room); end;
			finish = function (_, context)
				return order(context, "take_over", nil, "Votes are asked for: this service decides about the room as soon as most voters agree");
			end;
		};
		{
			node = prefix.."force"; name = "Take this room over by force"; steps = { confirmation };
			is_for = function (room) return is_shadow(room) and is_voter(room); end;
			finish = function (values, context)
				if values.sure ~= "force" then return { info = "Nothing was changed" }; end
				return order(context, "force", nil, "This service decides about the room from now on");
			end;
		};
		{
			node = prefix.."follow"; name = "Follow another source"; is_for = has_voters; steps = { to_follow };
			finish = function (values, context)
				return order(context, "follow", values.service, ("The instance at %s is followed"):format(values.service));
			end;
		};
	};
	local by_node = {};
	for _, command in ipairs(commands) do by_node[command.node] = command; end

	-- Requests --

	-- The distributed room that is asked, and whether by an owner of it.
	local function room_of(event)
		local room_jid = event.stanza.attr.to;
		local role = dmuc.role(room_jid);
		if role ~= "source" and role ~= "shadow" then return; end
		local room = dmuc.get_room(room_jid);
		if not room or not room._dmuc or inside.is_destroyed(room) then return; end
		return room, room:get_affiliation(event.stanza.attr.from) == "owner";
	end

	module:hook("iq-set/bare/"..dialogs.xmlns..":command", function (event)
		local command = by_node[event.stanza.tags[1].attr.node];
		local room, is_owner = room_of(event);
		if not room then return; end
		if not command then return dialogs.unknown(event); end
		if not is_owner then return dialogs.forbid(event); end
		return dialogs.run(event, command, { room = room });
	end, 10);

	module:hook("iq-get/bare/"..xmlns_items..":query", function (event)
		if event.stanza.tags[1].attr.node ~= dialogs.xmlns then return; end
		local room, is_owner = room_of(event);
		if not room then return; end
		local allowed = {};
		for _, command in ipairs(is_owner and commands or {}) do
			if command.is_for(room) then table.insert(allowed, command); end
		end
		return dialogs.send_list(event, allowed);
	end, 10);

	module:hook("iq-get/bare/"..xmlns_info..":query", function (event)
		local node = event.stanza.tags[1].attr.node;
		if node ~= dialogs.xmlns and not by_node[node] then return; end
		local room, is_owner = room_of(event);
		if not room then return; end
		if node == dialogs.xmlns then return dialogs.send_info(event, "Commands of this room", "command-list"); end
		if not is_owner then return dialogs.forbid(event); end
		return dialogs.send_info(event, by_node[node].name, "command-node");
	end, 10);

	module:hook("muc-disco#info", function (event)
		local room = event.room;
		if not event.form or not room._dmuc or room:get_affiliation(event.stanza.attr.from) ~= "owner" then return; end
		event.reply:tag("feature", { var = dialogs.xmlns }):up();
	end);
end
