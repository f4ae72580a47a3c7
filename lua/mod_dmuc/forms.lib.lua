-- Room configuration: out of a room as a form, and into a room as if its owner had submitted it.

local dataforms = require "util.dataforms";
local new_cache = require "util.cache".new;
local jid_host = require "util.jid".host;
local st = require "util.stanza";

return function (dmuc)
	local forms = {};
	dmuc.forms = forms;

	local inside = dmuc.prosody;

	local form_type = "http://jabber.org/protocol/muc#roomconfig";
	local field_name = "muc#roomconfig_distributed";
	local voters_name = "{"..dmuc.xmlns_ours.."}voters";
	local persistent_name = "muc#roomconfig_persistentroom";

	-- Who asks when nobody does.
	local itself = inside.itself;

	local function has_field(form, var)
		return form:get_child_with_attr("field", nil, "var", var) ~= nil;
	end

	local function set_boolean(form, var, value)
		if has_field(form, var) then return; end
		form:tag("field", { var = var }):text_tag("value", value and "1" or "0"):up();
	end

	-- Numbers are written as whole ones.
	local has_fractions = { ["xs:double"] = true; ["xs:decimal"] = true; ["xs:dateTime"] = true };
	local function whole(field)
		local value = field.value;
		if type(value) ~= "number" or value % 1 == 0 or has_fractions[field.datatype] then return field; end
		return setmetatable({ value = math.floor(value) }, { __index = field });
	end

	local warned = new_cache(1000); -- [room and field]

	-- One field as a room writes it. What another module has put there may not be writable at all, and must not cost the
	-- others.
	local function written(room, field)
		local ok, form = pcall(function () return dataforms.new({ whole(field) }):form(); end);
		if ok then return form.tags; end
		local name = tostring(field.name);
		if not warned:get(room.jid.."/"..name) then
			warned:set(room.jid.."/"..name, true);
			module:log("warn", "The field %s of %s cannot be written, and other instances do not get it: %s", name, room.jid, form);
		end
		return {};
	end

	-- What every instance follows: all of the form but the question whether it is distributed. Nil and why if the room has
	-- none.
	function forms.get(room)
		local ok, layout = pcall(room.get_form_layout, room, itself);
		if not ok then return nil, "The form of the room cannot be made: "..tostring(layout); end
		local form = st.stanza("x", { xmlns = "jabber:x:data"; type = "form" });
		for _, field in ipairs(layout) do
			for _, tag in ipairs(written(room, field)) do
				local var = tag.name == "field" and tag.attr.var;
				-- Once owners have named voters, that nobody is named says something, too.
				local is_left = var == field_name or var == voters_name and not inside.kept(room).dmuc_voters;
				if var and not is_left then form:add_direct_child(tag); end
			end
		end
		-- Left out of the form of somebody who may not choose them.
		set_boolean(form, "muc#roomconfig_publicroom", room:get_public());
		set_boolean(form, persistent_name, true);
		return dmuc.stanzas.sound(tostring(form));
	end

	local function fields_of(form)
		local fields = {};
		for field in dmuc.stanzas.parse(form):childtags("field") do
			local values = {};
			for value in field:childtags("value") do values[#values + 1] = value:get_text() or ""; end
			fields[field.attr.var] = table.concat(values, "\n");
		end
		return fields;
	end

	-- Runs work that changes the configuration of a shadow whose source is out of reach, and tells the engine what it
	-- changed: only that is offered to the source later.
	function forms.provisionally(room, actor, work)
		local was = forms.get(room);
		local result = dmuc.turns.within(room, { provisional = actor }, work);
		local changed = forms.get(room);
		if not was or not changed then return result; end -- which the log says
		local before = fields_of(was);
		local form, after = dmuc.stanzas.parse(changed), fields_of(changed);
		form:maptags(function (tag)
			local var = tag.name == "field" and tag.attr.var;
			if var and var ~= "FORM_TYPE" and after[var] == before[var] then return nil; end
			return tag;
		end);
		dmuc.tell("settings", room.jid, tostring(form), actor.nick, actor.jid);
		return result;
	end

	-- The room was saved: tell the engine, once for any number of changes.
	function forms.changed(room)
		if room._dmuc.is_settings_due then return; end
		room._dmuc.is_settings_due = true;
		dmuc.turns.next(function ()
			-- One after the other: what is told last is what is last.
			dmuc.turns.run("form of "..room.jid, function ()
				if not room._dmuc then return; end
				room._dmuc.is_settings_due = nil;
				local form, problem = forms.get(room);
				if form then
					dmuc.tell("settings", room.jid, form);
				else
					module:log("warn", "The configuration of %s does not reach other instances: %s", room.jid, problem);
				end
			end);
		end);
	end

	local function value_of(form, var)
		for field in form:childtags("field") do
			if field.attr.var == var then return field:get_child_text("value"); end
		end
	end

	-- Submits a form on behalf of an actor. Returns the answer: an IQ of type result or error.
	function forms.submit(room, actor, xml)
		local form = dmuc.stanzas.parse(xml);
		form.attr.type = "submit";
		local answer;
		local origin = inside.origin(function (reply) answer = reply; end);
		local stanza = st.iq({ type = "set"; from = actor; to = room.jid; id = "dmuc" })
			:query("http://jabber.org/protocol/muc#owner"):add_child(form);
		room:process_form(origin, stanza);
		return answer;
	end

	-- The source's configuration, which this instance follows.
	local function apply(room, xml)
		local form = dmuc.stanzas.parse(xml);
		if not has_field(form, voters_name) then inside.kept(room).dmuc_voters = nil; end
		forms.submit(room, itself, xml);
		local public = value_of(form, "muc#roomconfig_publicroom");
		if public then room:set_public(public == "1" or public == "true"); end
		room:set_persistent(true);
		room:save(true);
	end

	function forms.apply(room, xml)
		return dmuc.turns.within(room, { takes_form = true }, apply, room, xml);
	end

	-- What only the source can decide: a shadow's form says so instead of offering it.
	local at_the_source = {
		[field_name] = { "1"; "Whether this room is distributed is decided at its source, %s" };
		[persistent_name] = { "1"; "An instance of a distributed room is persistent; whether the room is, is decided at its source, %s" };
	};

	-- Error type, condition and text if a form that is submitted at a shadow cannot be passed on. What it has of the
	-- source's own and is so already is taken out.
	function forms.check_at_shadow(room, form)
		local is_configuration, problem = false, nil;
		form:maptags(function (tag)
			if tag.name ~= "field" then return tag; end
			local value, decided = tag:get_child_text("value"), at_the_source[tag.attr.var];
			if tag.attr.var == "FORM_TYPE" then is_configuration = value == form_type; end
			if not decided then return tag; end
			if value ~= decided[1] and value ~= "true" then problem = decided[2]:format(room._dmuc.source); end
			return nil;
		end);
		if not is_configuration then
			return "cancel", "bad-request", "Form is not of type room configuration"; -- as mod_muc says it
		end
		if problem then return "modify", "not-acceptable", problem; end
	end

	module:hook("muc-config-form", function (event)
		local room, form = event.room, event.form;
		if not room._dmuc or room._dmuc.is_source then return; end
		for i = #form, 1, -1 do
			if form[i].name == persistent_name then table.remove(form, i); end
		end
		for _, name in ipairs { field_name, persistent_name } do
			table.insert(form, { type = "fixed"; value = at_the_source[name][2]:format(room._dmuc.source) });
		end
	end, -100);

	-- The choice in the configuration form (XEP-0281 section 3.1).
	module:hook("muc-config-form", function (event)
		local room = event.room;
		local role = dmuc.role(room.jid);
		if not dmuc.offer_choice or role == "shadow" then return; end
		local is_distributed = role == "source";
		if not role and dmuc.default_distributed and inside.locked_until(room) then is_distributed = true; end
		table.insert(event.form, {
			name = field_name;
			type = "boolean";
			label = "Distribute Room Across Multiple Services?";
			desc = "People on the services this one peers with get an instance of the room at their own server, "
				.."which goes on when the connection between the servers fails";
			value = is_distributed;
		});
	end, 100-20);

	module:hook("muc-config-submitted/"..field_name, function (event)
		-- Anything but a yes or a no is no answer.
		if not dmuc.offer_choice or type(event.value) ~= "boolean" then return; end
		local room = event.room;
		local is_source = dmuc.role(room.jid) == "source";
		local kept = inside.kept(room);
		kept.dmuc_chosen = true;
		if kept.dmuc_distributed == nil then kept.dmuc_distributed = is_source; end
		if event.value ~= is_source then
			event.status_codes["104"] = true;
			dmuc.lifecycle.schedule(room, event.value);
		end
	end);

	-- Who votes on who follows the source --

	local function services_of(voters)
		local services = {};
		for i, voter in ipairs(voters) do services[i] = jid_host(voter); end
		return services;
	end

	-- The services that owners have named. By whom it is decided otherwise is no part of it: who submits a form as it was must not
	-- have chosen whoever voted when it was asked for.
	local function named(room)
		return inside.kept(room).dmuc_voters or {};
	end

	function forms.voters_field(room)
		local _, _, eligible = dmuc.ask("succession", room.jid);
		local value, options, known = named(room), {}, {};
		for _, list in ipairs { eligible, value } do
			for _, service in ipairs(list) do
				if not known[service] then options[#options + 1] = { value = service; label = service }; end
				known[service] = true;
			end
		end
		return {
			name = voters_name; type = "list-multi"; label = "Services That Vote on Who Follows the Source";
			desc = "With three or more, most of them decide who follows when the source dies. With nothing chosen it is as the source's "
				.."service has it.";
			options = options; value = value;
		};
	end

	function forms.voters_form(services)
		local form = st.stanza("x", { xmlns = "jabber:x:data"; type = "submit" })
			:tag("field", { var = "FORM_TYPE"; type = "hidden" }):text_tag("value", form_type):up()
			:tag("field", { var = voters_name; type = "list-multi" });
		for _, service in ipairs(services) do form:text_tag("value", service); end
		return tostring(form:reset());
	end

	-- What is wrong with the voters that a form names, in words, or nil.
	function forms.voters_problem(room_jid, form)
		for field in form:childtags("field") do
			if field.attr.var == voters_name then
				local services = {};
				for value in field:childtags("value") do services[#services + 1] = value:get_text() or ""; end
				return dmuc.ask("voters_problem", room_jid, services);
			end
		end
	end

	module:hook("muc-config-form", function (event)
		local room = event.room;
		if not room._dmuc then return; end
		if event.actor == itself then
			local kept = inside.kept(room).dmuc_voters;
			table.insert(event.form, { name = voters_name; type = "list-multi"; label = voters_name; value = kept });
			return;
		end
		table.insert(event.form, forms.voters_field(room));
		local _, words = dmuc.ask("succession", room.jid);
		table.insert(event.form, { type = "fixed"; value = words });
	end, -101);

	local function is_same_set(a, b)
		local known, count = {}, 0;
		for _, item in ipairs(a) do known[item] = true; end
		for _, item in ipairs(b) do
			if not known[item] then return false; end
			count = count + 1;
		end
		return count == #a;
	end

	module:hook("muc-config-submitted/"..voters_name, function (event)
		local room, services = event.room, event.value or {};
		if not room._dmuc then return; end
		local kept = inside.kept(room);
		if event.actor == itself then
			kept.dmuc_voters = services;
			return;
		end
		-- The source votes in any case, and when it was the source as well.
		local source = jid_host(room._dmuc.is_source and room.jid or room._dmuc.source);
		local has_source = not services[1];
		for _, service in ipairs(services) do has_source = has_source or service == source; end
		if not has_source then table.insert(services, 1, source); end
		if is_same_set(named(room), services) then return; end
		kept.dmuc_voters = services;
		event.status_codes["104"] = true;
	end);

	-- The voters of a room, as members may see them.
	function forms.voters(room)
		return services_of((dmuc.ask("succession", room.jid)));
	end

	forms.voters_name = voters_name;
	forms.form_type = form_type;
end
