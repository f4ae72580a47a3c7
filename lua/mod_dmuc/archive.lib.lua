-- Messages of distributed rooms in mod_muc_mam's archive, under the id all instances share (G5). A stanza-id by the room
-- is on exactly what is there under that id (XEP-0313 section 4.1.2), as in an ordinary room.
--
-- They are appended in the order and with the time of arrival, never inserted into the past: a client that pages with
-- after-id misses nothing (XEP-0313 section 3.1).

local st = require "util.stanza";
local datetime = require "util.datetime";
local jid_node = require "util.jid".node;
local new_cache = require "util.cache".new;
local time_now = require "util.time".now;

return function (dmuc)
	local archiving = {};
	dmuc.archiving = archiving;

	local inside = dmuc.prosody;
	local store_name, with = "muc_log", "message<groupchat";
	local store = module:open_store(store_name, "archive");
	local cleanup = module:open_store(store_name.."_cleanup", "map");
	local log_all_rooms = module:get_option_boolean("muc_log_all_rooms", false);
	local log_by_default = module:get_option_boolean("muc_log_by_default", true);
	local is_internal = inside.driver_of(store_name) == "internal";
	-- After how many seconds mod_muc_mam drops messages.
	local expires_after = inside.period("muc_log_expires_after", "1w") or math.huge;
	local item_limit = module:get_option_number("storage_archive_item_limit", 10000);
	local item_counts = new_cache(1000);
	local cleaned_dates = new_cache(1000);
	-- What archives are known to have or not: [node] = cache of [id] = whether it is there.
	local known = new_cache(200);
	local max_known = 1000;

	local function has_archive()
		return store.append and store.find and inside.has_module("muc_mam");
	end

	local function known_of(node)
		local ids = known:get(node);
		if not ids then
			ids = new_cache(max_known);
			known:set(node, ids);
		end
		return ids;
	end

	local function is_enabled(room)
		if not has_archive() then return false; end
		if log_all_rooms then return true; end
		local enabled = inside.is_archiving(room);
		if enabled == nil then return log_by_default; end
		return enabled;
	end

	-- Makes room for more.
	local function truncate(node)
		dmuc.storage.write(store, "delete", node, { truncate = math.floor(item_limit * 0.99) });
		known:set(node, nil);
	end

	-- The internal driver rewrites the whole file for an item with a given key. What it stores is a list of
	-- preserialized stanzas, to which one more can be appended, within the limit it sets itself.
	local function append_internal(node, id, stanza, when)
		local count = item_counts:get(node);
		if not count then
			local items, err = inside.load_list(node, store_name);
			if not items and err then return nil, err; end
			count = items and #items or 0;
		end
		if count >= item_limit then
			truncate(node);
			count = math.floor(item_limit * 0.99);
		end
		local ok, err = inside.append_to_archive(node, store_name, stanza, id, when, with);
		if ok then item_counts:set(node, count + 1); end
		return ok, err;
	end

	local queue = dmuc.retrying.queue("archive", function (node, item)
		local function append()
			if is_internal then return dmuc.storage.attempt(append_internal, node, item.id, item.stanza, item.when); end
			return dmuc.storage.write(store, "append", node, item.id, item.stanza, item.when, with);
		end
		local ok, err = append();
		if not ok and err == "quota-limit" and store.caps and store.caps.truncate then
			truncate(node);
			ok, err = append();
		end
		if not ok then return false, err; end
		return true;
	end, false, function (node, item)
		known_of(node):set(item.id, true);
		-- What lets mod_muc_mam expire it.
		local date = datetime.date();
		if cleaned_dates:get(node) ~= date and not (store.caps and store.caps.wildcard_delete) then
			if dmuc.storage.write(cleanup, "set", date, node, true) then cleaned_dates:set(node, date); end
		end
	end);
	-- mod_muc_mam drops the archive then.
	module:hook("muc-room-destroyed", function (event)
		local node = jid_node(event.room.jid);
		queue:forget(node);
		known:set(node, nil);
		item_counts:set(node, nil);
	end);

	-- Notes which ids a query finds; returns them as a set, or nil if the archive cannot be read.
	local function look_up(room, query)
		local ids, cache = {}, known_of(jid_node(room.jid));
		local ok, items = dmuc.storage.read(store, "find", jid_node(room.jid), query);
		ok = ok and dmuc.storage.each(function (id)
			ids[id] = true;
			cache:set(id, true);
		end, items);
		return ok and ids or nil;
	end

	-- The ids of the newest archived messages, as a set; nil if the room is not archived.
	function archiving.newest_ids(room, max)
		return is_enabled(room) and look_up(room, { reverse = true; limit = max }) or nil;
	end

	-- Which of these messages (stanza_id, time) the archive has, as a set of ids. Also where it is switched off by now.
	function archiving.those(room, entries)
		local found = {};
		if not has_archive() then return found; end
		local cache, open = known_of(jid_node(room.jid)), {};
		for _, entry in ipairs(entries) do
			local id = entry.stanza_id;
			local is_there = cache:get(id);
			-- What is old enough to have been dropped since is looked for anew.
			if is_there == nil or is_there and not archiving.is_current(entry.time) then
				open[#open + 1] = id;
			elseif is_there then
				found[id] = true;
			end
		end
		if not open[1] then return found; end
		-- Most of them are among the newest ones, and those are found without going through all of them.
		local ids = look_up(room, { reverse = true; limit = 2 * #open });
		local missing = {};
		for _, id in ipairs(open) do
			if ids and ids[id] then
				found[id] = true;
			else
				missing[#missing + 1] = id;
			end
		end
		if store.caps and store.caps.ids and missing[1] then
			ids = look_up(room, { ids = missing });
		else
			ids = {};
			for _, id in ipairs(missing) do
				local one = ids and look_up(room, { key = id; limit = 1 });
				if ids and one then ids[id] = one[id]; else ids = nil; end
			end
		end
		if not ids then return found; end -- nothing is known, and nothing promised
		for _, id in ipairs(missing) do
			found[id] = ids[id];
			cache:set(id, ids[id] or false);
		end
		return found;
	end

	-- Whether the archive has a message (stanza_id, time).
	function archiving.has(room, entry)
		return archiving.those(room, { entry })[entry.stanza_id] or false;
	end

	-- Puts something else in the place of an archived message; returns whether it was there. Also where the archive is
	-- switched off by now: what it has from before is of the room, too.
	function archiving.replace(room, id, stanza)
		for _, item in ipairs(queue:items(jid_node(room.jid))) do
			if item.id == id then
				item.stanza = stanza;
				return true;
			end
		end
		if not store.set or not has_archive() then return false; end
		local was_there, err = dmuc.storage.replace(store, jid_node(room.jid), id, stanza);
		if was_there == nil then
			module:log("error", "Could not replace an archived message in %s: %s", room.jid, err);
		end
		return was_there or false;
	end

	-- An archived message by its id.
	function archiving.get(room, id)
		if not has_archive() then return; end
		local ok, items = dmuc.storage.read(store, "find", jid_node(room.jid), { key = id; limit = 1 });
		local found;
		if ok then
			dmuc.storage.each(function (key, stanza)
				if key == id then found = stanza; end
			end, items);
		end
		return found;
	end

	-- Whether a message of this time would be in the archive still, if it ever was.
	function archiving.is_current(time)
		return time > time_now() - expires_after;
	end

	-- Stores a message before it is reflected (G3), or with the others of a batch (together.lib.lua). Returns whether the archive
	-- has it under its id.
	function archiving.append(room, id, stanza, batch)
		if not is_enabled(room) then return false; end
		-- In whole seconds, with which every version can do something; the order is that of appending.
		local node, when = jid_node(room.jid), math.floor(time_now());
		local stored = stanza;
		if room:get_whois() == "anyone" then
			-- As mod_muc_mam does: who it was, where everybody may know.
			local occupant = inside.occupants(room)[stanza.attr.from];
			local jid = occupant and dmuc.rooms.real_jid(room, occupant);
			if jid then
				stored = st.clone(stanza);
				stored:add_direct_child(st.stanza("x", { xmlns = dmuc.stanzas.xmlns_muc_user })
					:tag("item", { affiliation = room:get_affiliation(jid) or "none"; role = occupant.role or "none"; jid = jid }));
			end
		end
		local item = { id = id; stanza = stored; when = when };
		local part = { queue = queue; node = node; item = item; size = dmuc.log.size_of(stored) };
		local is_written;
		if batch then is_written = dmuc.together.add(batch, part); else is_written = dmuc.together.archive(stanza, part); end
		-- As it is now: what is broadcast changes.
		if not is_written then item.stanza = st.clone(stored); end
		return is_written;
	end

	function archiving.database()
		return inside.database_of(store);
	end
end
