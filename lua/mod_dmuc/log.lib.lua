-- The stored log: every kept message of a distributed room, appended before anybody sees it (G3), read back after a
-- restart. An archive store of its own, since mod_muc_mam may be absent, disabled for a room, or expire its messages.
--
-- It is kept in segments, each an archive of its own named room/number, so that every driver reads, replaces and drops a
-- part of it for the price of that part. A message is one element with its children as text: nothing here looks into them.

local st = require "util.stanza";
local jid_join = require "util.jid".join;
local jid_node = require "util.jid".node;
local jid_resource = require "util.jid".resource;
local sha1 = require "util.hashes".sha1;
local time_now = require "util.time".now;

-- What a segment holds at most: about as much as a page of a resynchronisation.
local max_messages, max_bytes = 200, 256 * 1024;

return function (dmuc)
	local log = {};
	dmuc.log = log;

	local store = module:open_store("dmuc_log", "archive");
	if not store or not store.append then
		error("mod_dmuc needs a storage with archives for the store dmuc_log, as \"internal\" or \"sql\" (see its README)", 0);
	end
	local states = module:open_store("dmuc");
	local storage, inside = dmuc.storage, dmuc.prosody;
	-- The internal driver takes no more of one archive.
	local item_limit = module:get_option_number("storage_archive_item_limit");
	local per_segment = math.max(1, math.min(max_messages, item_limit or max_messages));

	-- Which segments there are: [node] = { first, last, counts, prints, bytes }, counts and prints by segment as far as they
	-- are known, bytes of the last one. Segment 0 is a log as earlier versions kept it: one archive, named as the room.
	local books = {};

	-- Where the message is that was looked for last, with its room and id: who moderates one needs it several times.
	local last_found;

	local function name_of(node, number)
		return number == 0 and node or node.."/"..number;
	end

	-- By what a message is looked for: four bytes for each of a segment, one after the other.
	local function print_of(id)
		return sha1(id):sub(1, 4);
	end

	-- Goes through a segment, or what of it has this id: visit(key, stanza). Returns true; or false and the error.
	local function each_in(node, number, visit, id)
		-- What an item is stored "with" drivers find without looking into the others. Earlier versions had no use for it.
		local ok, items = storage.read(store, "find", name_of(node, number), { with = number > 0 and id or nil });
		if not ok then return false, items; end
		if not items then return true; end
		return storage.each(visit, items);
	end

	local function id_of(stanza)
		if stanza.name == "logged" then return stanza.attr.id; end
		local event = stanza:get_child("event", dmuc.xmlns_ours); -- of an earlier version
		return event and event.attr.id;
	end

	-- Reads a segment and notes what is in it.
	local function study(book, node, number, visit)
		local count, prints = 0, {};
		local ok, err = each_in(node, number, function (key, stanza)
			count = count + 1;
			local id = id_of(stanza);
			if id then prints[#prints + 1] = print_of(id); end
			if visit then visit(key, stanza); end
		end);
		if not ok then return nil, err; end
		book.counts[number], book.prints[number] = count, table.concat(prints);
		return count;
	end

	-- The lowest and highest number of what is there, where nothing else tells.
	local function search(node)
		local first, last;
		local ok, users, state = storage.read(store, "users");
		if not ok then return nil, users; end
		local err;
		ok, err = storage.each(function (user)
			local number = user == node and 0 or user:sub(1, #node + 1) == node.."/" and tonumber(user:sub(#node + 2));
			if number then first, last = math.min(first or number, number), math.max(last or number, number); end
		end, users, state);
		if not ok then return nil, err; end
		return first or 1, last or 0;
	end

	-- nil and the error if the storage is away. What has to be read for that is visited: visit(key, stanza).
	local function book_of(node, visit)
		if books[node] then return books[node]; end
		local ok, stored = storage.read(states, "get", node);
		local known = ok and stored and stored.log;
		local book = { counts = {}; prints = {} };
		if known then
			book.first, book.last = known.first, known.last;
		else
			book.first, book.last = search(node);
			if not book.first then return nil, book.last; end
		end
		-- What was begun since that was stored.
		while known do
			local count, err = study(book, node, book.last + 1, visit);
			if not count then return nil, err; end
			if count == 0 then break; end
			book.last = book.last + 1;
		end
		books[node] = book;
		return book;
	end

	local function begin_segment(book)
		book.last = book.last + 1;
		book.counts[book.last], book.prints[book.last], book.bytes = 0, "", 0;
	end

	local queue = dmuc.retrying.queue("log", function (node, item)
		local book, err = book_of(node);
		if not book then return false, err; end
		local count = book.last >= book.first and book.bytes and book.counts[book.last];
		-- Of a segment from before a restart it need not be known how much it has.
		if not count or count >= per_segment or book.bytes >= max_bytes then
			begin_segment(book);
			-- Of what is before it no more than this is read when the room comes back after a crash.
			module:add_timer(0, function () dmuc.lifecycle.store(jid_join(node, module.host)); end);
		end
		local function append()
			return storage.write(store, "append", name_of(node, book.last), nil, item.stanza, item.when, item.stanza.attr.id);
		end
		local ok;
		ok, err = append();
		if not ok and err == "quota-limit" and book.counts[book.last] > 0 then
			begin_segment(book);
			ok, err = append();
		end
		if not ok then return false, err; end
		item.segment = book.last;
		return true;
	end, false, function (node, item)
		local book, segment = books[node], item.segment;
		book.counts[segment] = book.counts[segment] + 1;
		book.prints[segment] = book.prints[segment]..print_of(item.stanza.attr.id);
		if segment == book.last then book.bytes = book.bytes + item.size; end
		-- From now on it need not be in memory.
		dmuc.note("message_stored", jid_join(node, module.host), item.stanza.attr.id);
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

	-- A message as it is appended: what a queue takes (together.lib.lua). The stanza is as the room shows it; event has id, origin,
	-- inc, seq and at; payload is its children as text, where the caller has them.
	function log.part(room_jid, stanza, event, payload)
		local occupant_id = stanza:get_child("occupant-id", dmuc.stanzas.xmlns_occupant_id);
		local nick = jid_resource(stanza.attr.from);
		-- Of the room itself: that a message is moderated.
		local moderate = not nick and stanza:get_child("moderate", dmuc.xmlns_ours);
		local stored = st.stanza("logged", {
			xmlns = dmuc.xmlns_ours;
			id = event.id; origin = event.origin; inc = event.inc; seq = event.seq; at = event.at;
			nick = nick; message = stanza.attr.id; ["xml:lang"] = stanza.attr["xml:lang"];
			occupant = occupant_id and occupant_id.attr.id;
		}):text(moderate and tostring(moderate) or payload or dmuc.stanzas.payload(stanza, room_jid));
		local size = #event.id + size_of(stored);
		-- In whole seconds, for every version; the order is that of appending.
		local item = { stanza = stored; when = math.floor(time_now()); size = size };
		return { queue = queue; node = jid_node(room_jid); item = item; size = size };
	end

	-- Appends a message.
	function log.append(...)
		local part = log.part(...);
		queue:put(part.node, part.item, part.size);
	end

	function log.database()
		return inside.database_of(store);
	end

	-- What is left of a message: that there was one, and whose.
	local function blank(stanza)
		if stanza.name == "logged" then return st.stanza("logged", stanza.attr); end
		return stanza:maptags(function (tag)
			local xmlns = tag.attr.xmlns;
			return (xmlns == dmuc.xmlns_ours or xmlns == dmuc.stanzas.xmlns_occupant_id) and tag or nil;
		end);
	end

	-- Where a message is stored: the segment, its key there, and the stanza. nil if it is not; nil and the error if that
	-- cannot be read.
	local function find(node, id)
		if last_found and last_found.node == node and last_found.id == id then
			return last_found.number, last_found.key, last_found.stanza;
		end
		local book, err = book_of(node);
		if not book then return nil, err; end
		local print = print_of(id);
		for number = book.last, book.first, -1 do
			if not book.prints[number] or book.prints[number]:find(print, 1, true) then
				local found_key, found;
				local ok, problem = each_in(node, number, function (key, stanza)
					if id_of(stanza) == id then found_key, found = key, stanza; end
				end, id);
				if not ok then return nil, problem; end
				if found then
					last_found = { node = node; id = id; number = number; key = found_key; stanza = found };
					return number, found_key, found;
				end
			end
		end
	end

	-- Leaves nothing of a message but that there was one.
	function log.blank(room_jid, id)
		local node = jid_node(room_jid);
		for _, item in ipairs(queue:items(node)) do
			if id_of(item.stanza) == id then item.stanza = blank(item.stanza); end
		end
		if not store.set then return; end
		local number, key, stanza = find(node, id);
		local ok, err = true, not number and key or nil;
		last_found = nil;
		if number then ok, err = storage.replace(store, name_of(node, number), key, blank(stanza)); end
		if ok == nil or err ~= nil then
			module:log("error", "A moderated message in %s is still in its stored log: %s", room_jid, err);
		end
	end

	local function entry_of(stanza, room_jid)
		local attr = stanza.attr;
		if stanza.name == "logged" then
			return {
				nick = attr.nick; id = attr.message; lang = attr["xml:lang"]; occupant_id = attr.occupant; stanza_id = attr.id;
				origin = attr.origin; inc = attr.inc; seq = attr.seq; at = attr.at; payload = stanza:get_text() or "";
			};
		end
		-- As earlier versions stored it: what the room had shown.
		local event = stanza:get_child("event", dmuc.xmlns_ours);
		if not event then return; end
		local occupant_id = stanza:get_child("occupant-id", dmuc.stanzas.xmlns_occupant_id);
		local nick = jid_resource(attr.from);
		local moderate = not nick and stanza:get_child("moderate", dmuc.xmlns_ours);
		return {
			nick = nick; id = attr.id; lang = attr["xml:lang"]; occupant_id = occupant_id and occupant_id.attr.id;
			stanza_id = event.attr.id; origin = event.attr.origin; inc = event.attr.inc; seq = event.attr.seq; at = event.attr.at;
			payload = moderate and tostring(moderate) or dmuc.stanzas.payload(stanza, room_jid);
		};
	end

	-- For a list of entries: take(key, stanza) adds one. What only waits to be stored has no key.
	local function taker(entries, room_jid)
		return function (key, stanza)
			local entry = entry_of(stanza, room_jid);
			if not entry then return; end
			entry.is_stored = key ~= nil;
			entries[#entries + 1] = entry;
		end
	end

	-- The messages of one segment, in order: each a table for the engine. nil and the error if they cannot be read.
	function log.segment(room_jid, number)
		local node, entries = jid_node(room_jid), {};
		local book, err = book_of(node);
		if not book then return nil, err; end
		local count, problem = study(book, node, number, taker(entries, room_jid));
		if not count then return nil, problem; end
		return entries;
	end

	-- Looks for messages by their ids, in one segment with each call of what it returns. That returns those found there, each a
	-- table for the engine; nil when all have been found or nothing is left to look into; nil and the error if it cannot be read.
	function log.search(room_jid, ids)
		local node, wanted = jid_node(room_jid), {};
		for _, id in ipairs(ids) do wanted[id] = print_of(id); end
		local number;
		local function may_have_some(prints)
			if not prints then return true; end
			for _, print in pairs(wanted) do
				if prints:find(print, 1, true) then return true; end
			end
			return false;
		end
		return function ()
			local book, err = book_of(node);
			if not book then return nil, err; end
			number = number or book.first;
			while number <= book.last and next(wanted) do
				if may_have_some(book.prints[number]) then
					local entries = {};
					local take = taker(entries, room_jid);
					local function visit(key, stanza)
						local id = id_of(stanza);
						if not id or not wanted[id] then return; end
						wanted[id] = nil;
						take(key, stanza);
					end
					local ok;
					if book.prints[number] then
						ok, err = each_in(node, number, visit);
					else
						ok, err = study(book, node, number, visit);
					end
					if not ok then return nil, err; end
					number = number + 1;
					return entries;
				end
				number = number + 1;
			end
		end
	end

	-- What the engine knows of a message that it has not in memory becomes the whole of it. nil if it is not stored; nil and the
	-- error if it cannot be read.
	function log.complete(room_jid, known, entry)
		if not entry then
			local number, err, stanza = find(jid_node(room_jid), known.stanza_id);
			if not number then return nil, err; end
			entry = entry_of(stanza, room_jid);
		end
		entry.time, entry.moderated = known.time, known.moderated;
		if known.is_gone then entry.payload = ""; end
		return entry;
	end

	-- What was appended since `place` was noted (log.place), in order, and perhaps some from before; and the numbers of the
	-- first and last segment that were not read, or nil if everything was. nil and the error if it cannot be read.
	function log.tail(room_jid, place)
		local node = jid_node(room_jid);
		local entries = {};
		local take = taker(entries, room_jid);
		if books[node] or not place or not place.count or place.last < place.first then return log.read(room_jid); end
		local is_read, err = each_in(node, place.last, take);
		if not is_read then return nil, err; end
		-- What the storage has lost is missing from now on, not only when all has been read.
		if #entries < place.count then return log.read(room_jid); end
		local count = #entries;
		local book, problem = book_of(node, take);
		if not book then return nil, problem; end
		book.counts[place.last] = count;
		if count == 0 and book.last == place.last then book.prints[book.last], book.bytes = "", 0; end
		for _, item in ipairs(queue:items(node)) do take(nil, item.stanza); end
		if place.last == place.first then return entries; end
		return entries, place.first, place.last - 1;
	end

	-- Every stored message, and those that wait to be stored, in order: each a table for the engine. nil and the error if
	-- they cannot be read.
	function log.read(room_jid)
		local node = jid_node(room_jid);
		local entries = {};
		local take = taker(entries, room_jid);
		local book, err = book_of(node);
		if not book then return nil, err; end
		for number = book.first, book.last do
			local count, problem = study(book, node, number, take);
			if not count then return nil, problem; end
		end
		for _, item in ipairs(queue:items(node)) do take(nil, item.stanza); end
		return entries;
	end

	-- Drops what was appended first.
	function log.trim(action)
		local node, left = jid_node(action.room), action.keep;
		local book, err = book_of(node);
		local ok = book ~= nil;
		last_found = nil;
		local number = book and book.last or 0;
		while ok and number >= book.first do
			local count = book.counts[number];
			if not count then count, err = study(book, node, number); end
			if not count then
				ok = false;
			elseif left <= 0 then
				ok, err = storage.write(store, "delete", name_of(node, number), {});
				if ok then book.counts[number], book.prints[number] = 0, ""; end
			elseif count > left then
				ok, err = storage.write(store, "delete", name_of(node, number), { truncate = left });
				if ok then book.counts[number] = left; end
			end
			left = left - (count or 0);
			number = number - 1;
		end
		while ok and book.first < book.last and book.counts[book.first] == 0 do
			book.counts[book.first], book.prints[book.first] = nil, nil;
			book.first = book.first + 1;
		end
		if not ok then module:log("warn", "The stored messages of %s could not be trimmed: %s", action.room, err); end
	end

	-- Which segments there are, for whoever stores what is known of the room; nil if that is not known.
	function log.place(room_jid)
		local book = book_of(jid_node(room_jid));
		if not book then return; end
		local count = book.counts[book.last] or book.last < book.first and 0 or nil;
		-- With those that wait: what is lost of them is noticed as well.
		return { first = book.first; last = book.last; count = count and count + #queue:items(jid_node(room_jid)) };
	end

	-- The server stops: what was said since the rooms were stored begins no room's next start. Calls store(room_jid) of each
	-- room that has to be stored anew.
	function log.settle(store_room)
		for node, book in pairs(books) do
			if book.bytes and book.counts[book.last] > 0 then
				begin_segment(book);
				store_room(jid_join(node, module.host));
			end
		end
	end

	-- Over a reload of this module: what is known of the segments need not be read again.
	function log.save()
		return books;
	end
	function log.restore(saved)
		for node, book in pairs(saved) do books[node] = book; end
	end

	-- The room is not distributed any more, or not yet.
	function log.forget(room_jid)
		local node = jid_node(room_jid);
		queue:forget(node);
		last_found = nil;
		local book, err = books[node], nil;
		local first, last = book and book.first, book and book.last;
		if not book then first, last = search(node); end
		books[node] = nil;
		if not first then err = last; end
		for number = first or 1, first and last or 0 do
			local ok, problem = storage.write(store, "delete", name_of(node, number), {});
			if not ok then err = problem; end
		end
		if err then module:log("warn", "The stored messages of %s could not be deleted: %s", room_jid, err); end
	end
end
