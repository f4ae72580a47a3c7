-- Does what the engine says: one function per kind of action.

local st = require "util.stanza";
local jid_host = require "util.jid".host;
local unpack = table.unpack or unpack; -- luacheck: ignore 113

return function (dmuc)
	local presence, groupchat, requests, lifecycle, forms = dmuc.presence, dmuc.groupchat, dmuc.requests, dmuc.lifecycle, dmuc.forms;
	local prosody, turns = dmuc.prosody, dmuc.turns;

	-- The room of an action, which is in memory and distributed.
	local function room_of(action)
		local room = dmuc.get_room(action.room);
		return room and room._dmuc and room or nil;
	end

	-- Runs on the room, if it is there.
	local function on_room(perform)
		return function (action)
			local room = room_of(action);
			if room then return perform(room, action); end
		end
	end

	-- The same of a room that may have been parked until now.
	local function on_any(perform)
		return function (action)
			local room = dmuc.get_room(action.room);
			if room then return perform(room, action); end
		end
	end

	local actions = {
		call = function (action) action.work(); end;
		send_iq = requests.send;
		send_presence = presence.send;
		send_groupchat = groupchat.send;
		send_subject = groupchat.send_subject;
		send_moderation = dmuc.moderation.send;
		hide_message = on_room(dmuc.moderation.hide);
		restore_message = on_room(dmuc.moderation.restore);
		perform_act = requests.perform;
		act_answered = requests.act_answered;
		show_voice_request = on_room(dmuc.voice.show);
		send_invitation = function (action) return dmuc.invitations.send(room_of(action), action); end;
		deliver_decline = on_room(dmuc.invitations.decline);
		apply_list = on_room(function (room, action) dmuc.listing.take(room, action.entries); end);
		show_occupant = on_room(presence.show);
		hide_occupant = on_room(presence.hide);
		add_message = on_room(groupchat.add);
		rename = on_room(function (room, action) presence.rename(room, action.nick, action.new_nick); end);
		destroy = on_any(function (room, action) lifecycle.destroy(room, action.venue, action.reason, action.password); end);
		close = on_any(function (room, action) lifecycle.close(room, action.source, action.reason); end);
		park = dmuc.parked.begin;
		unpark = dmuc.parked.finish;
		store = function (action) lifecycle.store(action.room); end;
		trim_log = dmuc.log.trim;
		private_done = dmuc.private.done;
		private_failed = dmuc.private.failed;
		overridden = on_room(dmuc.links.overridden);
		reset_link = function (action) dmuc.links.reset(action.service); end;
		slow_down = function (action) dmuc.pace.slow_down(action.service, action.pause_ms / 1000); end;
	};

	function actions.apply_settings(action)
		local is_new = not dmuc.get_room(action.room);
		local room, err = lifecycle.make_shadow(action.room);
		if not room then
			module:log("error", "The shadow %s of %s cannot be made: %s", action.room, action.source, err);
			dmuc.tell("destroyed", action.room);
			return;
		end
		if is_new then module:log("info", "%s is an instance of %s now", action.room, action.source); end
		if action.salt then prosody.set_salt(room, action.salt); end
		room._dmuc.source, prosody.kept(room).dmuc_source = action.source, action.source;
		local was_open = room:get_whois() == "anyone";
		forms.apply(room, action.form);
		lifecycle.reopen(room);
		-- Other instances may have heard of it first, and have told whom people here were not to see yet.
		if not was_open and room:get_whois() == "anyone" then presence.reveal(room); end
	end

	actions.apply_subject = on_room(function (room, action)
		local from = action.nick and room.jid.."/"..action.nick or room.jid;
		local had_from, had = room:get_subject();
		if (had or "") == action.text and (action.text == "" or had_from == from) then return; end
		prosody.own.set_subject(room, from, action.text);
		room:save();
	end);

	-- A message from the room to the owners who are here.
	function dmuc.tell_owners(room, text)
		room:broadcast(st.message({ from = room.jid; type = "groupchat" }, text), function (_, occupant)
			return room:get_affiliation(occupant.bare_jid) == "owner";
		end);
	end

	-- What does not fit into what instances tell each other. Of a peer only administrators can do something about it.
	local function unfit(action)
		if action.peer ~= module.host then
			return module:log("warn", "%s: something that %s told of this room was left out here: %s", action.room, action.peer, action.what);
		end
		local text = ("something of this room cannot be taken as it is, and was cut or left out: %s"):format(action.what);
		module:log("warn", "%s: %s", action.room, text);
		local room = room_of(action);
		if room and room._dmuc.is_source then dmuc.tell_owners(room, "Other servers: "..text); end
	end

	-- What owners who are here, and the log, are told; and the line of the log if it happens to several rooms at once.
	local notices = {
		replicated = { "info", "%s has an instance of this room now: %s", "%s has instances of %d rooms now" };
		unsupported = {
			"warn", "%s does not support distributed rooms (XEP-0281); this room has no instance there",
			"%s does not support distributed rooms (XEP-0281); %d rooms have no instance there";
		};
		refused = { "warn", "%s refused an instance of this room: %s", "%s refused instances of %d rooms: %s" };
		unreachable = {
			"warn", "%s cannot be reached; it is tried again until it answers",
			"%s cannot be reached; it is tried again until it answers: %d rooms have no instance there yet";
		};
		too_many_peerhosts = {
			"warn", "%s gets no instance of this room: it has as many as it may",
			"%s gets no instance of %d rooms: they have as many as they may";
		};
		not_named = {
			"debug", "%s is not among the services any more that this room is shared with: its people have left",
			"%s is not among the services any more that %d rooms are shared with: its people have left";
		};
		gap = {
			"warn", "%s has forgotten messages that were said there meanwhile: %s of them are not known here",
			"%s has forgotten messages that were said there meanwhile, in %d rooms: %s of them are not known here";
		};
		differs = {
			"warn", "%s and this service were told different words under one number by %s; those of the room's source count",
			"%s and this service were told different words under one number in %d rooms; those of the rooms' sources count";
		};
	};
	-- What two services should have alike and have not: the peer, by how much, and what to do.
	local function minutes(ms)
		local n = math.floor(ms / 60000 + 0.5);
		return n == 1 and "a minute" or n.." minutes";
	end
	local unlike = {
		clock_ahead = function (action)
			return ("the clock of %s is %s ahead of the one here: until one of them is set right (NTP), times shown here, and the order "
				.."of what is said while the link is down, are wrong"):format(action.peer, minutes(action.ms));
		end;
		clock_behind = function (action)
			return ("the clock of %s is %s behind the one here: until one of them is set right (NTP), times shown here, and the order "
				.."of what is said while the link is down, are wrong"):format(action.peer, minutes(action.ms));
		end;
		takes_less = function (action)
			return ("messages of more than %d bytes do not arrive at %s, and this service takes up to %d: set dmuc_max_stanza_size alike "
				.."at both"):format(action.theirs, action.peer, action.ours);
		end;
	};

	-- One line of the log, whatever the number of rooms; owners read it in their room.
	local function differs(action)
		local text = unlike[action.notice](action);
		local line = text:sub(1, 1):upper()..text:sub(2);
		dmuc.tally.room("warn", action.notice.." "..action.peer, action.room, text, function (count)
			return ("%s; this concerns %d rooms"):format(line, count);
		end);
		local room = room_of(action);
		if room then dmuc.tell_owners(room, line); end
	end

	function actions.notice(action)
		if unlike[action.notice] then return differs(action); end
		if action.notice == "split_began" or action.notice == "split_ended" then
			return dmuc.links.notice(room_of(action), action);
		end
		if action.notice == "unfit" then return unfit(action); end
		if action.notice == "not_named" then dmuc.parked.warn(); end
		if action.notice == "gap" then dmuc.links.measure_gap(action.messages); end
		local level, text, of_many = unpack(notices[action.notice]);
		local reason = action.error_text or action.error_condition;
		text = dmuc.links.with_cause(text:format(action.peer, action.shadow or action.messages or reason), action.cause);
		local key = table.concat({ action.notice; action.peer; reason or action.cause }, " ");
		dmuc.tally.room(level, key, action.room, text, function (count, messages)
			local line = of_many:format(action.peer, count, action.messages and messages or reason);
			return dmuc.links.with_cause(line, action.cause);
		end, action.messages);
		local room = room_of(action);
		if not room or action.notice == "replicated" then return; end
		dmuc.tell_owners(room, text);
	end

	function dmuc.perform(action)
		return actions[action.kind](action);
	end

	local function to_service(action)
		return "to "..jid_host(action.to);
	end

	local function of_nick(action)
		return presence.lane(action.room, action.nick);
	end

	local function of_list(action)
		return "list of "..action.room;
	end

	local function of_settings(action)
		return "settings of "..action.room;
	end

	-- Which actions have to stay in order among themselves, even if a hook of another module waits in one of them: those
	-- for one occupant, one list, one peer ... Of the others each stands for itself.
	local lanes = {
		send_iq = to_service;
		send_presence = to_service;
		send_groupchat = to_service;
		send_subject = to_service;
		send_moderation = to_service;
		show_occupant = of_nick;
		hide_occupant = of_nick;
		rename = of_nick;
		add_message = function (action) return groupchat.lane(action.room, action.id); end;
		restore_message = function (action) return groupchat.lane(action.room, action.id); end;
		hide_message = function (action) return groupchat.lane(action.room, action.moderation.id); end;
		apply_list = of_list;
		apply_settings = of_settings;
		apply_subject = function (action) return "subject of "..action.room; end;
		perform_act = function (action) return "acts of "..action.actor.." in "..action.room; end;
	};
	-- What does not need the room.
	local is_for_nobody_here = {
		call = true; store = true; trim_log = true; private_done = true; private_failed = true; reset_link = true; notice = true;
		send_iq = true; send_presence = true; send_groupchat = true; send_subject = true; send_moderation = true;
	};
	-- Rooms that are being made: until that is done everything for them waits for it.
	local is_in_the_making = {};

	function dmuc.lane_of(action)
		local kind, room_jid = action.kind, action.room;
		if is_in_the_making[room_jid] and not is_for_nobody_here[kind] then
			if turns.is_busy(of_settings(action)) then return of_settings(action); end
			is_in_the_making[room_jid] = nil;
		end
		if kind == "apply_settings" and not room_of(action) then is_in_the_making[room_jid] = true; end
		return lanes[kind] and lanes[kind](action);
	end
end
