-- The stored log: every kept message of a distributed room, appended before anybody sees it (G3), read back after a
-- restart. An archive store of its own, since mod_muc_mam may be absent, disabled for a room, or expire its messages.

local st = require "util.stanza";
local jid_join = require "util.jid".join;
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
	-- How many messages of one room the storage takes, whatever dmuc_log_max_messages says; nil for any number.
	local is_internal = dmuc.prosody.driver_of("dmuc_log") == "internal";
	local item_limit = module:get_option_number("storage_archive_item_limit", is_internal and 10000 or nil);
	-- How many it has: [node] = number.
	local counts = {};

	local storage = dmuc.storage;

	local function trim(node, keep)
		local ok, err = storage.write(store, "delete", node, { truncate = keep });
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

	local queue = dmuc.retrying.queue("log", function (node, item)
		local function append()
			return storage.write(store, "append", node, nil, item.stanza, item.when, with);
		end
		local ok, err = append();
		if not ok and err == "quota-limit" and item_limit then
			trim(node, math.floor(item_limit * 0.9));
			ok, err = append();
		end
		if not ok then return false, err; end
		counts[node] = (counts[node] or 0) + 1;
		if item_limit and counts[node] > item_limit - 100 then make_room(node); end
		return true;
	end);

	-- About how many bytes a stanza has in memory.
	local function size_of(stanza)
		local size = 200;
		for _, child in ipairs(stanza) do
			size = size + (type(child) == "string" and #child or size_of(child));
		end
		return size;
	end
	log.size_of = size_of;

	-- Appends a message. The stanza is as the room shows it; event has id, origin, inc, seq and at.
	function log.append(room_jid, stanza, event)
		local stored = st.clone(stanza);
		stored.attr.to = nil;
		stored:add_direct_child(st.stanza("event", {
			xmlns = dmuc.xmlns_ours;
			id = event.id; origin = event.origin; inc = event.inc; seq = event.seq; at = event.at;
		}));
		-- In whole seconds, for every version; the order is that of appending.
		queue:put(jid_node(room_jid), { stanza = stored; when = math.floor(time_now()) }, #event.id + size_of(stored));
	end

	-- Leaves nothing of a message but that there was one. Rare, and worth looking for.
	function log.blank(room_jid, stanza_id)
		local node = jid_node(room_jid);
		local function is_it(stanza)
			local event = stanza:get_child("event", dmuc.xmlns_ours);
			return event ~= nil and event.attr.id == stanza_id;
		end
		local function blank(stanza)
			return stanza:maptags(function (tag)
				local xmlns = tag.attr.xmlns;
				return (xmlns == dmuc.xmlns_ours or xmlns == dmuc.stanzas.xmlns_occupant_id) and tag or nil;
			end);
		end
		for _, item in ipairs(queue:items(node)) do
			if is_it(item.stanza) then blank(item.stanza); end
		end
		if not store.set then return; end
		local found_key, found;
		local ok, items = storage.read(store, "find", node, {});
		local err = not ok and items or nil;
		if ok then
			ok, err = storage.each(function (key, stanza)
				if is_it(stanza) then found_key, found = key, stanza; end
			end, items);
		end
		if ok and found then
			ok, err = storage.replace(store, node, found_key, blank(found));
		end
		if ok == nil or err ~= nil then
			module:log("error", "A moderated message in %s is still in its stored log: %s", room_jid, err);
		end
	end

	-- Every stored message, and those that wait to be stored, in order: each a table for the engine. nil and the error if
	-- they cannot be read.
	function log.read(room_jid)
		local node = jid_node(room_jid);
		local entries, count = {}, 0;
		local function take(stanza)
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
		local ok, items = storage.read(store, "find", node, {});
		if not ok then return nil, items; end
		local err;
		ok, err = storage.each(function (_, stanza)
			count = count + 1;
			take(stanza);
		end, items);
		if not ok then return nil, err; end
		for _, item in ipairs(queue:items(node)) do take(item.stanza); end
		counts[node] = count;
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
		queue:forget(node);
		local ok, err = storage.write(store, "delete", node, {});
		if not ok then module:log("warn", "The stored messages of %s could not be deleted: %s", room_jid, err); end
	end
end
