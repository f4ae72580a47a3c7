-- The stored log: every kept message of a distributed room, appended before anybody sees it (G3), read back after a
-- restart. An archive store of its own, since mod_muc_mam may be absent, disabled for a room, or expire its messages.

local st = require "util.stanza";
local jid_join = require "util.jid".join;
local jid_node = require "util.jid".node;
local jid_resource = require "util.jid".resource;
local time_now = require "util.time".now;
local storagemanager = require "core.storagemanager";

return function (dmuc)
	local log = {};
	dmuc.log = log;

	local with = "dmuc";
	local store = module:open_store("dmuc_log", "archive");
	if not store or not store.append then
		error("mod_dmuc needs a storage with archives for the store dmuc_log, as \"internal\" or \"sql\" (see its README)", 0);
	end
	-- How many messages of one room the storage takes, whatever dmuc_log_max_messages says; nil for any number.
	local _, driver_name = storagemanager.get_driver(module.host, "dmuc_log");
	local item_limit = module:get_option_number("storage_archive_item_limit", driver_name == "internal" and 10000 or nil);
	-- How many it has: [node] = number.
	local counts = {};

	local function trim(node, keep)
		local ok, err = store:delete(node, { truncate = keep });
		if ok then
			counts[node] = math.min(counts[node] or keep, keep);
		else
			module:log("warn", "The stored messages of %s@%s could not be trimmed: %s", node, module.host, err);
		end
	end

	-- Makes room before the limit is reached, and only when everything that has been seen is stored: what goes is
	-- remembered in the snapshot alone.
	local trimming = {};
	local function make_room(node)
		if trimming[node] then return; end
		trimming[node] = true;
		module:add_timer(0, function ()
			trimming[node] = nil;
			dmuc.lifecycle.store(jid_join(node, module.host));
			trim(node, math.floor(item_limit * 0.9));
		end);
	end

	local function append(node, stanza)
		local when = math.floor(time_now()); -- whole seconds, for every version; the order is that of appending
		local ok, err = store:append(node, nil, stanza, when, with);
		if not ok and err == "quota-limit" then
			trim(node, math.floor(item_limit * 0.9));
			ok, err = store:append(node, nil, stanza, when, with);
		end
		counts[node] = (counts[node] or 0) + 1;
		if item_limit and counts[node] > item_limit - 100 then make_room(node); end
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

	-- Leaves nothing of a message but that there was one. Rare, and worth looking for.
	function log.blank(room_jid, stanza_id)
		local node = jid_node(room_jid);
		local items = store.set and store:find(node, {});
		if not items then return; end
		for key, stanza in items do
			local event = stanza:get_child("event", dmuc.xmlns_ours);
			if event and event.attr.id == stanza_id then
				stanza:maptags(function (tag)
					local xmlns = tag.attr.xmlns;
					return (xmlns == dmuc.xmlns_ours or xmlns == dmuc.stanzas.xmlns_occupant_id) and tag or nil;
				end);
				local ok, err = store:set(node, key, stanza);
				if not ok then
					module:log("error", "A moderated message in %s is still in its stored log: %s", room_jid, err);
				end
				return;
			end
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
		local count = 0;
		for _, stanza in items do
			count = count + 1;
			local event = stanza:get_child("event", dmuc.xmlns_ours);
			local occupant_id = stanza:get_child("occupant-id", dmuc.stanzas.xmlns_occupant_id);
			-- Of the room itself: that a message is moderated.
			local moderate = not jid_resource(stanza.attr.from) and stanza:get_child("moderate", dmuc.xmlns_ours);
			if event then
				entries[#entries + 1] = {
					nick = jid_resource(stanza.attr.from);
					id = stanza.attr.id;
					lang = stanza.attr["xml:lang"];
					occupant_id = occupant_id and occupant_id.attr.id;
					stanza_id = event.attr.id;
					origin = event.attr.origin; inc = event.attr.inc; seq = event.attr.seq; at = event.attr.at;
					payload = moderate and tostring(moderate) or dmuc.stanzas.payload(stanza, room_jid);
				};
			end
		end
		counts[jid_node(room_jid)] = count;
		return entries;
	end

	-- Drops what was appended first.
	function log.trim(action)
		trim(jid_node(action.room), action.keep);
	end

	-- The room is not distributed any more, or not yet.
	function log.forget(room_jid)
		local node = jid_node(room_jid);
		counts[node] = nil;
		store:delete(node, {});
	end
end
