-- By which addresses a session is in a room here (serving.lib.lua): kept with the session, and so over resumptions and reloads of
-- this module. There is a book for each room that a session has joined by another address than the room's own.

-- How many questions of one session are remembered, at least: those that are older find the address in use.
local max_asked = 100;
-- In how many other instances themselves a session is, at most, for all that is kept of it.
local max_there = 1000;

return function (dmuc)
	local books = {};
	dmuc.books = books;

	local inside = dmuc.prosody;

	-- What is kept with a session:
	--   rooms = { [room] = book };
	--   there = { [address] = its place in another instance itself };
	--   owed = { [address] = { place, time } of an instance that is to be told that the session has left it };
	--   told = { [address] = place }, once that was done;
	--   asked, asked_before = { [room and id] = address }, asked_count: see books.asks.
	local function all(session, field)
		local known = inside.kept_with(session);
		if not known[field] then known[field] = {}; end
		return known[field];
	end

	-- A list of addresses, with joining = the one that is just being joined, current = the one used last.
	local function book(session, room_jid)
		local known = inside.known_of(session);
		local rooms = known and known.rooms;
		return rooms and rooms[room_jid];
	end

	local function index_of(list, address)
		for i, other in ipairs(list or {}) do
			if other == address then return i; end
		end
	end

	-- Those by which a session is in the room, or nil: then it is the room's own, if any.
	books.addresses = book;

	-- The rooms for which there are any.
	function books.rooms(session)
		local known, list = inside.known_of(session), {};
		for room_jid in pairs(known and known.rooms or {}) do list[#list + 1] = room_jid; end
		return list;
	end

	function books.has(session, room_jid, address)
		return index_of(book(session, room_jid), address) ~= nil;
	end

	-- The room in which a session goes by this address, or nil.
	function books.room_of(session, address)
		local known = inside.known_of(session);
		for room_jid, list in pairs(known and known.rooms or {}) do
			if index_of(list, address) then return room_jid; end
		end
	end

	function books.has_others(session, room_jid, address)
		local list = book(session, room_jid);
		return index_of(list, address) ~= nil and #list > 1;
	end

	-- Notes an address; is_in: the session is in the room already; is_join: what a join brings is for this one alone.
	function books.add(session, room_jid, address, is_in, is_join)
		local list = book(session, room_jid);
		if not list then
			list = { is_in and room_jid or nil };
			all(session, "rooms")[room_jid] = list;
		end
		if not index_of(list, address) then
			list[#list + 1] = address;
			list.is_new = address;
		end
		list.current = address;
		if is_join then list.joining = address; end
	end

	function books.close(session, room_jid)
		local known = inside.known_of(session);
		if known and known.rooms then known.rooms[room_jid] = nil; end
	end

	function books.remove(session, room_jid, address)
		local list = book(session, room_jid);
		local i = index_of(list, address);
		if not i then return; end
		table.remove(list, i);
		list.joining = nil;
		if list.current == address then list.current = list[1]; end
		if not list[1] or list[1] == room_jid and not list[2] then books.close(session, room_jid); end
	end

	-- What a join brings has come.
	function books.has_joined(session, room_jid)
		local list = book(session, room_jid);
		if list then list.joining, list.is_new = nil, nil; end
	end

	-- Somebody who is in was refused something by that address: a further join, or another nick.
	function books.refused(session, room_jid, address)
		local list = book(session, room_jid);
		if not list then return; end
		list.joining = nil;
		if list.is_new == address then books.remove(session, room_jid, address); end
	end

	-- For whom a stanza is that is for this session alone, as a list, or nil if for all of its addresses.
	function books.joining(session, room_jid)
		local list = book(session, room_jid);
		return list and list.joining and { list.joining };
	end

	function books.current(session, room_jid)
		local list = book(session, room_jid);
		return list and (list.current or list[1]);
	end

	function books.uses(session, room_jid, address)
		local list = book(session, room_jid);
		if index_of(list, address) then list.current = address; end
	end

	-- Questions, whose answers may come in another turn, and to who is not in the room.
	function books.asks(session, room_jid, address, id)
		if not id then return; end
		local known = inside.kept_with(session);
		if not known.asked or known.asked_count >= max_asked then
			known.asked_before, known.asked, known.asked_count = known.asked, {}, 0;
		end
		known.asked[room_jid.."\0"..id] = address;
		known.asked_count = known.asked_count + 1;
	end

	-- By which address that was asked, or nil.
	function books.answered(session, room_jid, id)
		local known = inside.known_of(session);
		if not known or not known.asked or not id then return nil; end
		local key = room_jid.."\0"..id;
		local of = known.asked[key] and known.asked or known.asked_before or known.asked;
		local address = of[key];
		of[key] = nil;
		return address;
	end

	-- Places in other instances themselves --

	local function of(session, field, address)
		local known = inside.known_of(session);
		return known and known[field] and known[field][address];
	end

	function books.is_there(session, address)
		return of(session, "there", address) ~= nil;
	end

	-- Whether a session goes by this address here, and not in the instance itself, which it leaves only when its join here holds.
	function books.is_served(session, address)
		return books.room_of(session, address) ~= nil and not books.is_there(session, address);
	end

	-- An instance has said that the session is in it, at that place, or no more.
	function books.note_place(session, address, place)
		if not books.is_there(session, address) then
			if not place then return; end
			local count = 0;
			for _ in pairs(all(session, "there")) do count = count + 1; end
			if count >= max_there then return; end
		end
		all(session, "there")[address] = place;
	end

	-- The session has joined here: the other instance has to be told if it was there, and not before that time.
	function books.comes_back(session, address, time)
		if not books.is_there(session, address) then return; end
		local there = all(session, "there");
		all(session, "owed")[address] = { place = there[address]; time = time };
		there[address] = nil;
	end

	-- All places in other instances themselves, as far as these know; afterwards there are none.
	function books.take_places(session)
		local known, list = inside.known_of(session), {};
		if not known then return list; end
		for _, owed in pairs(known.owed or {}) do list[#list + 1] = owed.place; end
		for _, place in pairs(known.there or {}) do list[#list + 1] = place; end
		known.owed, known.there = nil, nil;
		return list;
	end

	function books.is_owed(session, address)
		return of(session, "owed", address) ~= nil;
	end

	-- The place that the other instance is told of now, if it is to be told.
	function books.take_owed(session, address, now)
		local owed = of(session, "owed", address);
		if not owed or now < owed.time then return nil; end
		all(session, "owed")[address] = nil;
		all(session, "told")[address] = owed.place;
		return owed.place;
	end

	-- It was not reached: it is told when it first says something.
	function books.farewell_bounced(session, address, place)
		if of(session, "told", address) == place then all(session, "owed")[address] = { place = place; time = 0 }; end
	end
end
