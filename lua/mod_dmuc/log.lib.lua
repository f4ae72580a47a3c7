-- The stored log: every kept message of a distributed room, appended before anybody sees it (G3), read back after a
-- restart. An archive store of its own, since mod_muc_mam may be absent, disabled for a room, or expire its messages.

local st = require "util.stanza";
local jid_node = require "util.jid".node;
local jid_resource = require "util.jid".resource;
local time_now = require "util.time".now;

return function (dmuc)
	local log = {};
	dmuc.log = log;

	local with = "dmuc";
	local store = module:open_store("dmuc_log", "archive");
	if not store or not store.append then
		error("mod_dmuc needs a storage with archives for the store dmuc_log, as \"internal\" or \"sql\" (see its README)", 0);
	end
	local item_limit = module:get_option_number("storage_archive_item_limit", 10000);

	local function append(node, stanza)
		local when = dmuc.stanzas.time(time_now());
		local ok, err = store:append(node, nil, stanza, when, with);
		if not ok and err == "quota-limit" then
			-- The storage takes no more than this, whatever dmuc_log_max_messages says. What goes has been seen.
			dmuc.lifecycle.store(node.."@"..module.host);
			store:delete(node, { truncate = math.floor(item_limit * 0.9) });
			ok, err = store:append(node, nil, stanza, when, with);
		end
		return ok, err;
	end

	-- Appends a message. The stanza is as the room shows it; event has id, origin, inc, seq and at.
	function log.append(room_jid, stanza, event)
		local stored = st.clone(stanza);
		stored.attr.to = nil;
		stored:add_direct_child(st.stanza("event", {
			xmlns = dmuc.xmlns_ours;
			id = event.id; origin = event.origin; inc = event.inc; seq = event.seq; at = event.at;
		}));
		local ok, err = append(jid_node(room_jid), stored);
		if not ok then
			module:log("error", "A message in %s could not be stored and would not survive a restart: %s", room_jid, err);
		end
	end

	-- Every stored message, in the order in which they were appended: each a table for the engine.
	function log.read(room_jid)
		local entries = {};
		local items, err = store:find(jid_node(room_jid), {});
		if not items then
			module:log("error", "The stored messages of %s cannot be read: %s", room_jid, err);
			return entries;
		end
		for _, stanza in items do
			local event = stanza:get_child("event", dmuc.xmlns_ours);
			local occupant_id = stanza:get_child("occupant-id", dmuc.stanzas.xmlns_occupant_id);
			if event then
				entries[#entries + 1] = {
					nick = jid_resource(stanza.attr.from);
					id = stanza.attr.id;
					occupant_id = occupant_id and occupant_id.attr.id;
					stanza_id = event.attr.id;
					origin = event.attr.origin; inc = event.attr.inc; seq = event.attr.seq; at = event.attr.at;
					payload = dmuc.stanzas.payload(stanza, room_jid);
				};
			end
		end
		return entries;
	end

	-- Drops what was appended first.
	function log.trim(action)
		local ok, err = store:delete(jid_node(action.room), { truncate = action.keep });
		if not ok then
			module:log("warn", "The stored messages of %s could not be trimmed: %s", action.room, err);
		end
	end

	-- The room is not distributed any more.
	function log.forget(room_jid)
		store:delete(jid_node(room_jid), {});
	end
end
