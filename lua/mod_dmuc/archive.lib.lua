-- Messages of distributed rooms in mod_muc_mam's archive, under the id all instances share (G5).
--
-- They are appended in the order and with the time of arrival, never inserted into the past: a client that pages with
-- after-id misses nothing (XEP-0313 section 3.1).

local st = require "util.stanza";
local datetime = require "util.datetime";
local jid_node = require "util.jid".node;
local new_cache = require "util.cache".new;
local time_now = require "util.time".now;
local storagemanager = require "core.storagemanager";
local datamanager = storagemanager.olddm;

return function (dmuc)
	local archiving = {};
	dmuc.archiving = archiving;

	local store_name, with = "muc_log", "message<groupchat";
	local store = module:open_store(store_name, "archive");
	local cleanup = module:open_store(store_name.."_cleanup", "map");
	local log_all_rooms = module:get_option_boolean("muc_log_all_rooms", false);
	local log_by_default = module:get_option_boolean("muc_log_by_default", true);
	local _, driver_name = storagemanager.get_driver(module.host, store_name);
	local is_internal = driver_name == "internal";
	-- After how many seconds mod_muc_mam drops messages.
	local function expiry()
		local default = "1w";
		if module.get_option_period then return module:get_option_period("muc_log_expires_after", default); end
		local given = module:get_option_string("muc_log_expires_after", default):lower();
		local day = 86400;
		local units = { d = day, w = 7 * day, m = 31 * day, y = 365.2425 * day };
		local number, unit = given:match("(%d+)%s*([dwmy]?)");
		return number and tonumber(number) * (units[unit] or 1) or math.huge;
	end
	local expires_after = expiry() or math.huge;
	local item_limit = module:get_option_number("storage_archive_item_limit", 10000);
	local item_counts = new_cache(1000);
	local cleaned_dates = new_cache(1000);

	local function is_enabled(room)
		if not store.append or not prosody.hosts[module.host].modules.muc_mam then return false; end
		if log_all_rooms then return true; end
		local enabled = room._data.archiving;
		if enabled == nil then return log_by_default; end
		return enabled;
	end

	-- The internal driver rewrites the whole file for an item with a given key. What it stores is a list of
	-- preserialized stanzas, to which one more can be appended, within the limit it sets itself.
	local function append_internal(node, id, stanza, when)
		local count = item_counts:get(node);
		if not count then
			local items = datamanager.list_load(node, module.host, store_name);
			count = items and #items or 0;
		end
		if count >= item_limit then
			store:delete(node, { truncate = math.floor(item_limit * 0.99) });
			count = math.floor(item_limit * 0.99);
		end
		local item = st.preserialize(st.clone(stanza));
		item.key, item.when, item.with = id, when, with;
		item.attr.stamp = datetime.datetime(when);
		local ok, err = datamanager.list_append(node, module.host, store_name, item);
		if ok then item_counts:set(node, count + 1); end
		return ok, err;
	end

	-- The ids of the newest archived messages, as a set; nil if the room is not archived.
	function archiving.newest_ids(room, max)
		if not is_enabled(room) then return; end
		local ids = {};
		local items = store:find(jid_node(room.jid), { reverse = true; limit = max });
		if not items then return; end
		for id in items do ids[id] = true; end
		return ids;
	end

	-- Puts something else in the place of an archived message; returns whether it was there. Also where the archive is
	-- switched off by now: what it has from before is of the room, too.
	function archiving.replace(room, id, stanza)
		if not store.set or not prosody.hosts[module.host].modules.muc_mam then return false; end
		local ok, err = store:set(jid_node(room.jid), id, stanza);
		if not ok and err and err ~= "item-not-found" then
			module:log("error", "Could not replace an archived message in %s: %s", room.jid, err);
		end
		return ok and true or false;
	end

	-- An archived message by its id.
	function archiving.get(room, id)
		if not store.find or not prosody.hosts[module.host].modules.muc_mam then return; end
		local items = store:find(jid_node(room.jid), { key = id; limit = 1 });
		if not items then return; end
		for key, stanza in items do
			if key == id then return stanza; end
		end
	end

	-- Whether a message of this time would be in the archive still, if it ever was.
	function archiving.is_current(time)
		return time > time_now() - expires_after;
	end

	-- Stores a message before it is reflected (G3).
	function archiving.append(room, id, stanza)
		if not is_enabled(room) then return; end
		local node, when = jid_node(room.jid), dmuc.stanzas.time(time_now());
		local stored = stanza;
		if room:get_whois() == "anyone" then
			-- As mod_muc_mam does: who it was, where everybody may know.
			local occupant = room._occupants[stanza.attr.from];
			local jid = occupant and dmuc.rooms.real_jid(room, occupant);
			if jid then
				stored = st.clone(stanza);
				stored:add_direct_child(st.stanza("x", { xmlns = dmuc.stanzas.xmlns_muc_user })
					:tag("item", { affiliation = room:get_affiliation(jid) or "none"; role = occupant.role or "none"; jid = jid }));
			end
		end
		local ok, err;
		if is_internal then
			ok, err = append_internal(node, id, stored, when);
		else
			ok, err = store:append(node, id, stored, when, with);
			if not ok and err == "quota-limit" and store.caps and store.caps.truncate then
				store:delete(node, { truncate = math.floor(item_limit * 0.99) });
				ok, err = store:append(node, id, stored, when, with);
			end
		end
		if not ok then
			module:log("error", "Could not archive a message in %s: %s", room.jid, err);
			return;
		end
		-- What lets mod_muc_mam expire it.
		local date = datetime.date();
		if cleaned_dates:get(node) ~= date and not (store.caps and store.caps.wildcard_delete) then
			if cleanup:set(date, node, true) then cleaned_dates:set(node, date); end
		end
	end
end
