-- One address: a user of this server goes on using the address of the room they know, and this server's instance serves them.
--
-- What they send to another instance's address, as soon as everything on their side has seen it, goes to the room here; what
-- comes back carries the address that their session used before anything on their side sees it (docs/ADDRESSES.md). Which
-- addresses a room has is the engine's to say: those that have proven to be an instance. Which of them a session uses is kept
-- with the session (books.lib.lua).

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local time_now = require "util.time".now;

-- How long after somebody has joined here another instance, in which they were, is told that they have left it: it should have
-- heard before, by way of this one, that they are here.
local farewell_after = 3;

return function (dmuc)
	local serving = {};
	dmuc.serving = serving;

	local inside, addresses, fanout = dmuc.prosody, dmuc.addresses, dmuc.fanout;
	local stanzas, books = dmuc.stanzas, dmuc.books;
	local bare_of, clients = addresses.bare_of, inside.clients;
	local xmlns_muc, xmlns_muc_user = stanzas.xmlns_muc, stanzas.xmlns_muc_user;
	local is_on = dmuc.served_hosts[1] ~= nil;

	-- [address of another instance] = the room here: one look, however many rooms there are. The first one that has it.
	local room_at = {};
	local known = {}; -- [room here] = { [address of another instance] = true }
	local is_over = {}; -- [room here] = true: destroyed, and its tombstone answers

	-- Stanzas that have their address already.
	local is_done = setmetatable({}, { __mode = "k" });
	-- Stanzas for the room here that came to another address.
	local is_diverted = setmetatable({}, { __mode = "k" });
	-- The last stanzas for another instance from somebody who was in it.
	local is_farewell = setmetatable({}, { __mode = "k" });

	-- The room here that is meant by an address that somebody wrote, which may be its own.
	function serving.meant(address)
		return room_at[address] or known[address] and address or nil;
	end

	-- For what people write in a room (addresses.reword): its address here for every one it has.
	function serving.own_words(room, stanza)
		if not known[room.jid] then return stanza; end
		local others = known[room.jid];
		return addresses.reword(stanza, function (bare) return others[bare] and room.jid or nil; end);
	end

	module:hook("muc-private-message", function (event) serving.own_words(event.room, event.stanza); end, -10);

	local function is_join(stanza)
		return stanza.name == "presence" and stanza.attr.type == nil and jid_resource(stanza.attr.to) ~= nil
			and stanza:get_child("x", xmlns_muc) ~= nil;
	end

	local function nick_of(session, room_jid)
		local room = dmuc.get_room(room_jid);
		local in_room = room and room:get_occupant_jid(session.full_jid);
		return in_room and jid_resource(in_room) or nil;
	end

	-- Whether somebody is in the room, so that a refusal is not one to join.
	local function settle_refusal(session, room_jid, address)
		if not nick_of(session, room_jid) then return books.close(session, room_jid); end
		books.refused(session, room_jid, address);
	end

	-- Tells a session that it is out of the room at one of its addresses.
	local function send_out(session, address, nick)
		local out = st.presence({ type = "unavailable"; from = address.."/"..nick; to = session.full_jid })
			:tag("x", { xmlns = xmlns_muc_user }):tag("item", { affiliation = "none"; role = "none" }):up()
			:tag("status", { code = "110" }):up():up();
		is_done[out] = true;
		inside.deliver(out);
	end

	-- A session leaves by one of the addresses by which it is in, and stays by the others. Returns whether that was so.
	local function leave_one(session, room_jid, address)
		if not books.has_others(session, room_jid, address) then return false; end
		local nick = nick_of(session, room_jid);
		books.remove(session, room_jid, address);
		if nick then send_out(session, address, nick); end
		return true;
	end

	-- Tells another instance that somebody has left it.
	local function say_farewell(session, address)
		local place = books.take_owed(session, address, time_now());
		if not place or not session.full_jid then return; end
		local leave = st.presence({ type = "unavailable"; from = session.full_jid; to = place });
		is_farewell[leave] = true;
		inside.process(session, leave);
	end

	local function has_status(x, code)
		return x:get_child_with_attr("status", nil, "code", code) ~= nil;
	end

	-- Whether a room's stanza says something of the receiver's own place in it: then it is noted (seen).
	function serving.is_of_book(stanza)
		if stanza.name == "presence" then
			local x = stanza:get_child("x", xmlns_muc_user);
			return x ~= nil and has_status(x, "110");
		end
		return stanza.attr.type == "groupchat" and stanzas.is_subject_change(stanza) and true or false;
	end

	-- What a room sends of a session's own place in it opens and closes the book.
	function serving.seen(session, room_jid, stanza)
		if stanza.name ~= "presence" then return books.has_joined(session, room_jid); end
		if stanza.attr.type == "unavailable" then
			if not has_status(stanza:get_child("x", xmlns_muc_user), "303") then books.close(session, room_jid); end
			return;
		end
		for _, address in ipairs(books.joining(session, room_jid) or books.addresses(session, room_jid) or {}) do
			books.comes_back(session, address, time_now() + farewell_after - 0.5); -- if it was there: its join here held
			if books.is_owed(session, address) then
				module:add_timer(farewell_after, function () say_farewell(session, address); end);
			end
		end
	end

	-- In: what a user sends --

	-- What a room answers directly, in the address of that question.
	local function answer(session, room_jid, address)
		return function (reply, on)
			if type(reply) ~= "table" then return on(reply); end
			if session and reply.name == "presence" and reply.attr.type == "error" then settle_refusal(session, room_jid, address); end
			if session and reply.name == "iq" then books.answered(session, room_jid, reply.attr.id); end
			return on(address ~= room_jid and addresses.outward(reply, room_jid, address) or reply);
		end;
	end

	-- A tombstone does not answer any more. Nothing changes for a room that lives.
	function serving.let_go(room_jid)
		if is_over[room_jid] then serving.take({ room = room_jid; addresses = {}; gone = true }); end
	end

	-- A tombstone answers as long as there is one: then the name is free.
	local function is_forgotten(room_jid)
		if not is_over[room_jid] then return false; end
		local room = dmuc.get_room(room_jid);
		if room and inside.is_destroyed(room) and (inside.locked_until(room) or 0) >= os.time() then return false; end
		dmuc.tombstones.forget(room_jid);
		serving.let_go(room_jid);
		return true;
	end

	-- A tombstone stands in for what cannot be asked: there may be another room at that address.
	local function may_be_again(room_jid, address)
		if not is_over[room_jid] then return false; end
		local state = dmuc.ask("link", jid_host(address));
		return state ~= "down" and state ~= "suspect";
	end

	-- Nobody has answered there. Of links without rooms nobody knows that before.
	local function ask_tombstone(session, room_jid, address, bounce)
		local nick = jid_resource(bounce.attr.from);
		if not nick or is_forgotten(room_jid) then return; end
		local join = st.presence({ from = session.full_jid; to = room_jid.."/"..nick; id = bounce.attr.id })
			:tag("x", { xmlns = xmlns_muc }):up();
		is_diverted[join] = true;
		inside.process(inside.stand_in(session, answer(session, room_jid, address)), join);
		return true;
	end

	-- Before mod_s2s (-1, -10) sends it, and when all others on the user's side have seen where it is to go.
	local function divert(event)
		local stanza, origin = event.stanza, event.origin;
		local address = bare_of(stanza.attr.to);
		local room_jid = room_at[address];
		-- Without an origin it is an answer to what came from there.
		if not room_jid or not origin or is_farewell[stanza] then return; end
		local session = clients[stanza.attr.from];
		-- One that is ending is none of them any more, and leaves everything.
		local sender = session or origin.full_jid == stanza.attr.from and origin or nil;
		room_jid = sender and books.room_of(sender, address) or room_jid;
		if is_forgotten(room_jid) or may_be_again(room_jid, address) then return; end
		if sender and books.is_there(sender, address) and not is_join(stanza) then return; end
		local name, type = stanza.name, stanza.attr.type;
		if session then
			if name == "presence" and type == "unavailable" then
				if leave_one(session, room_jid, address) then return true; end
			elseif name == "presence" and type == nil and jid_resource(stanza.attr.to) then
				books.add(session, room_jid, address, nick_of(session, room_jid) ~= nil, is_join(stanza));
			elseif name == "iq" and (type == "get" or type == "set") then
				books.asks(session, room_jid, address, stanza.attr.id);
			elseif name == "message" then
				books.uses(session, room_jid, address);
			end
		end
		local copy = addresses.inward(stanza, address, room_jid);
		is_diverted[copy] = true;
		inside.process(inside.stand_in(origin, answer(session, room_jid, address)), copy);
		return true;
	end

	-- The room's own address is one of those of a session that has several.
	if is_on then
		module:hook("presence/full", function (event)
			local stanza = event.stanza;
			if is_diverted[stanza] then return; end
			local session, room_jid = clients[stanza.attr.from], bare_of(stanza.attr.to);
			if not session or not known[room_jid] or not books.addresses(session, room_jid) then return; end
			if stanza.attr.type == "unavailable" then
				if leave_one(session, room_jid, room_jid) then return true; end
			elseif stanza.attr.type == nil and is_join(stanza) then
				books.add(session, room_jid, room_jid, true, true);
				event.origin = inside.stand_in(event.origin, answer(session, room_jid, room_jid));
			end
		end, 1000);
		for _, name in ipairs { "message/bare"; "message/full" } do
			module:hook(name, function (event)
				local stanza = event.stanza;
				if is_diverted[stanza] then return; end
				local session, room_jid = clients[stanza.attr.from], bare_of(stanza.attr.to);
				if session and known[room_jid] then books.uses(session, room_jid, room_jid); end
			end, 1000);
		end
	end

	-- Back: what a user gets --

	-- What is routed to one session, under each of its addresses.
	local function under(event, session, room_jid, list)
		local stanza, is_own = event.stanza, false;
		for _, address in ipairs(list) do
			if address == room_jid then is_own = true; end
		end
		for i, address in ipairs(list) do
			if address ~= room_jid then
				local copy = addresses.outward(stanza, room_jid, address);
				if i == 1 and not is_own then
					event.stanza = copy;
				else
					inside.deliver(copy);
				end
			end
		end
		if serving.is_of_book(stanza) then serving.seen(session, room_jid, stanza); end
	end

	local function to_session(event, session, room_jid)
		local stanza = event.stanza;
		local name, type = stanza.name, stanza.attr.type;
		if name == "iq" and (type == "result" or type == "error") then
			local address = books.answered(session, room_jid, stanza.attr.id);
			if address and address ~= room_jid then event.stanza = addresses.outward(stanza, room_jid, address); end
			if address then return; end
		end
		if name == "message" and type ~= "groupchat" then serving.watch_copies(session.full_jid); end
		local list = books.addresses(session, room_jid);
		if not list then return; end
		if name == "iq" or name == "message" and type ~= "groupchat" then
			list = { books.current(session, room_jid) };
		else
			list = books.joining(session, room_jid) or list;
		end
		return under(event, session, room_jid, list);
	end

	-- An invitation goes to whoever it is for: by the address at which it is in already.
	local function to_user(event, room_jid)
		local stanza = event.stanza;
		local address = serving.in_use(stanza.attr.to, room_jid);
		if address and address ~= room_jid then event.stanza = addresses.outward(stanza, room_jid, address); end
	end

	-- While an address is served here, nothing from there reaches whom it is served to: it would speak for people whose home is
	-- here. It may be that of an instance in which somebody still is, for all it knows; or is in fact, until a join here holds.
	local function from_there(event, address)
		local stanza, to = event.stanza, event.stanza.attr.to;
		local session = clients[to];
		if not session then
			for _, other in ipairs(jid_resource(to) and {} or inside.sessions_of(to)) do
				if books.is_served(other, address) then return true; end
			end
			return;
		end
		if not books.is_served(session, address) then return; end
		if event.origin and inside.is_bounce(event.origin) then
			books.farewell_bounced(session, address, stanza.attr.from);
		else
			say_farewell(session, address);
		end
		return true;
	end

	-- Whether a session has sent a presence to a room, as whoever is in it has.
	local function has_asked(session, address)
		for place in pairs(session.directed or {}) do
			if bare_of(place) == address then return true; end
		end
		return false;
	end

	-- Who is in another instance itself: it has said so.
	local function note_place(event, session)
		local stanza = event.stanza;
		local x = stanza:get_child("x", xmlns_muc_user);
		if not x or not has_status(x, "110") or has_status(x, "303") then return; end -- of a new nick its next presence follows
		local address = bare_of(stanza.attr.from);
		if stanza.attr.type ~= nil then return books.note_place(session, address, nil); end
		if dmuc.ask("is_peer", jid_host(address)) and has_asked(session, address) then
			books.note_place(session, address, stanza.attr.from);
		end
	end

	-- Above everything that looks at it: blocking (100), archives (0), copies (-0.5). Never changed itself: the next occupant gets
	-- the same stanza.
	local function back(event)
		local stanza = event.stanza;
		if fanout.is_broadcast(stanza) or is_done[stanza] then return; end
		local from, to = stanza.attr.from, stanza.attr.to;
		if not from or not to then return; end
		local address = bare_of(from);
		if known[address] or inside.is_of_service(event.origin) then
			local session = clients[to];
			if session then return to_session(event, session, address); end
			if stanza.name == "message" and not jid_resource(to) then return to_user(event, address); end
			return;
		end
		if room_at[address] and from_there(event, address) then
			module:log("debug", "Nothing from %s reaches %s, to whom that address is served here", address, to);
			return true;
		end
		local session = stanza.name == "presence" and event.origin and clients[to];
		if not session then return; end
		if inside.is_bounce(event.origin) then
			local room_jid = stanza.attr.type == "error" and room_at[address];
			return is_over[room_jid] and ask_tombstone(session, room_jid, address, stanza) or nil;
		end
		if inside.is_from_there(event.origin) then note_place(event, session); end
	end

	-- Invitations --

	-- The address by which a user is in the room here, or nil.
	function serving.in_use(user, room_jid)
		local found;
		for _, session in ipairs(inside.sessions_of(jid_bare(user))) do
			local address = books.current(session, room_jid);
			if not address and nick_of(session, room_jid) then address = room_jid; end
			if address and (not found or address < found) then found = address; end
		end
		return found;
	end

	-- The end of a session, before anybody is told of it: afterwards nobody is left who could tell the other instances.
	local function before_end(event)
		local session = event.session;
		for _, place in ipairs(books.take_places(session)) do
			local leave = st.presence({ type = "unavailable"; from = session.full_jid; to = place });
			is_farewell[leave] = true;
			inside.process(session, leave);
		end
	end

	-- Copies for further sessions (XEP-0280), which no event shows --

	local xmlns_carbons = "urn:xmpp:carbons:2";
	local function copied(stanza, session)
		local direction = stanza.name == "message" and stanza.tags and stanza.tags[1];
		if not direction or direction.attr.xmlns ~= xmlns_carbons then return stanza; end
		local forwarded = direction:get_child("forwarded", "urn:xmpp:forward:0");
		local message = forwarded and forwarded:get_child("message", "jabber:client");
		local jid = message and message.attr[direction.name == "sent" and "to" or "from"];
		local address = jid and bare_of(jid);
		local room_jid = address and serving.meant(address);
		if not room_jid or books.room_of(session, address) then return stanza; end
		local other = books.current(session, room_jid) or nick_of(session, room_jid) and room_jid;
		if not other or other == address then return stanza; end
		return addresses.carbon(stanza, address, other);
	end

	-- A session that was resumed forgets its filters.
	function serving.watch_copies(user)
		for _, session in ipairs(inside.sessions_of(jid_bare(user))) do inside.watch(session, copied); end
	end

	local function before_copies(event)
		local to, origin = event.stanza.attr.to, event.origin;
		if to and origin and origin.full_jid and serving.meant(bare_of(to)) then serving.watch_copies(origin.full_jid); end
	end

	-- What the engine says --

	-- Who uses an address that is one no more is told that they are out: their client joins where the room is now.
	local function dismiss(session, room_jid, is_left)
		local list = books.addresses(session, room_jid);
		for _, address in ipairs(list and { table.unpack(list) } or {}) do
			if not is_left[address] and address ~= room_jid and not leave_one(session, room_jid, address) then
				local nick = nick_of(session, room_jid);
				local leave = st.presence({ type = "unavailable"; from = session.full_jid; to = room_jid.."/"..(nick or "") });
				is_diverted[leave] = true;
				if nick then inside.process(inside.origin(), leave); end
				books.close(session, room_jid);
			end
		end
	end

	-- Among several rooms that have an address, one that is no tombstone; of those always the same.
	local function next_room(address)
		local found;
		for room_jid, others in pairs(known) do
			if others[address] then
				local is_same = not found or not is_over[found] == not is_over[room_jid];
				if not found or is_same and room_jid < found or not is_same and is_over[found] then found = room_jid; end
			end
		end
		return found;
	end

	-- Another room has that address already: an instance is one of one room, so somebody does not tell the truth. Who administers
	-- this is told once of each service, however often it does that.
	local has_warned = {};
	local function clashes(room_jid, address, is_gone)
		local owner = room_at[address];
		if not owner or owner == room_jid or is_over[owner] then return false; end
		if not is_gone and not (known[room_jid] or {})[address] then
			local service = jid_host(address);
			module:log(has_warned[service] and "debug" or "warn", "%s says that it is an instance of %s; it stays one of %s",
				address, room_jid, owner);
			has_warned[service] = true;
		end
		return true;
	end

	-- All addresses of a room's other instances, whenever they change.
	function serving.take(action)
		if not is_on then return; end
		local room_jid, is_left = action.room, {};
		-- Its tombstone goes on.
		if is_over[room_jid] and not action.addresses[1] and not action.gone then return; end
		for _, address in ipairs(action.addresses) do is_left[address] = true; end
		local before = known[room_jid] or {};
		local has_gone = false;
		for address in pairs(before) do
			if not is_left[address] then has_gone = true; end
		end
		for _, session in pairs(has_gone and clients or {}) do dismiss(session, room_jid, is_left); end
		for address in pairs(is_left) do
			if not clashes(room_jid, address, action.gone) then room_at[address] = room_jid; end
		end
		known[room_jid] = next(is_left) and is_left or nil;
		if is_over[room_jid] and not action.gone then dmuc.tombstones.forget(room_jid); end -- there is a room of that name again
		is_over[room_jid] = action.gone and next(is_left) and true or nil;
		for address in pairs(before) do
			if room_at[address] == room_jid and not is_left[address] then room_at[address] = next_room(address); end
		end
	end

	local function listen(host)
		local events = inside.users_of(host);
		if not events then return; end
		module:hook_object_event(events, "route/remote", divert, 1000);
		for _, name in ipairs { "presence/full"; "message/full"; "iq/full"; "message/bare" } do
			module:hook_object_event(events, name, back, 1000);
		end
		module:hook_object_event(events, "resource-unbind", before_end, 1000);
		module:hook_object_event(events, "pre-message/full", before_copies, 1000);
		module:hook_object_event(events, "pre-message/bare", before_copies, 1000);
	end
	for _, host in ipairs(dmuc.served_hosts) do listen(host); end
	module:hook_global("host-activated", function (name)
		for _, host in ipairs(dmuc.served_hosts) do
			if host == name then listen(host); end
		end
	end);

	-- The room has no other instances any more, and people here are about to be told.
	function serving.close(room_jid)
		serving.take({ room = room_jid; addresses = {} });
	end

	-- Of the other instances of a room.
	function serving.addresses(room_jid)
		local list = {};
		for address in pairs(known[room_jid] or {}) do list[#list + 1] = address; end
		return list;
	end

	-- The engine outlives a reload, and so do books: those of whom this configuration does not serve are closed.
	function serving.start()
		for _, room_jid in ipairs(dmuc.ask("rooms")) do
			serving.take({ room = room_jid; addresses = dmuc.ask("addresses", room_jid) });
		end
		local is_served = {};
		for _, host in ipairs(dmuc.served_hosts) do is_served[host] = true; end
		for _, session in pairs(clients) do
			for _, room_jid in ipairs(books.rooms(session)) do
				if jid_host(room_jid) == module.host then
					dismiss(session, room_jid, is_served[session.host] and known[room_jid] or {});
				end
			end
		end
	end

	function serving.stop()
		for _, session in pairs(clients) do inside.unwatch(session, copied); end
	end
end
