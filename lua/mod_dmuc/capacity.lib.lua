-- How many occupants a distributed room takes (XEP-0045 section 7.2.9), counted over all instances.
--
-- Prosody's own rooms have no such limit. Here every instance enforces it by the occupants it knows: in a split those
-- behind the dead link count as long as they are listed. What comes about on both sides of a split stays after it; then
-- nobody gets in until there is room again.

local st = require "util.stanza";

return function (dmuc)
	local kept = dmuc.prosody.kept;
	local field_name = "muc#roomconfig_maxusers";
	local choices = { 10, 20, 30, 50, 100, 200, 500, 1000 };

	local function options_of(current)
		local options, is_listed = {}, false;
		for _, number in ipairs(choices) do
			local is_current = number == current;
			is_listed = is_listed or is_current;
			options[#options + 1] = { value = tostring(number); label = tostring(number); default = is_current };
		end
		if current and not is_listed then
			table.insert(options, 1, { value = tostring(current); label = tostring(current); default = true });
		end
		options[#options + 1] = { value = "none"; label = "No limit"; default = current == nil };
		return options;
	end

	-- After other modules, one of which may have a limit of its own.
	module:hook("muc-config-form", function (event)
		if not dmuc.role(event.room.jid) then return; end
		for _, field in ipairs(event.form) do
			if field.name == field_name then return; end
		end
		table.insert(event.form, {
			name = field_name;
			type = "list-single";
			label = "Maximum number of occupants";
			desc = "Counted over all services that have an instance of this room. Owners and admins get in always";
			options = options_of(kept(event.room).dmuc_max_users);
		});
	end, -90);

	module:hook("muc-config-submitted/"..field_name, function (event)
		local room, value = event.room, event.value;
		if not dmuc.role(room.jid) then return; end
		local number = tonumber(value);
		-- As mod_muc does with values it does not know, anything else changes nothing.
		if value ~= "none" and not (number and number >= 1 and number % 1 == 0 and number < 2^31) then return; end
		number = number and math.floor(number);
		if kept(room).dmuc_max_users == number then return; end
		kept(room).dmuc_max_users = number;
		event.status_codes["104"] = true;
	end);

	-- After the checks of who may come in at all.
	module:hook("muc-occupant-pre-join", function (event)
		local room, stanza = event.room, event.stanza;
		local limit = room._dmuc and kept(room).dmuc_max_users;
		if not limit or room:get_occupant_by_nick(event.occupant.nick) then return; end
		local affiliation = room:get_affiliation(stanza.attr.from);
		if affiliation == "owner" or affiliation == "admin" then return; end
		local count = 0;
		for _ in pairs(dmuc.prosody.occupants(room)) do count = count + 1; end
		if count < limit then return; end
		event.origin.send(st.error_reply(stanza, "wait", "service-unavailable", "The room has as many occupants as it takes", room.jid));
		return true;
	end, -25);
end
