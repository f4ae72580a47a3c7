-- What a room tells many becomes text once, not once per recipient: most of what a broadcast costs.
--
-- Every hook and every filter still sees the stanza. Only the last filter of a session, after all others, hands out
-- the text in its place, and only if what reaches it is the very stanza that is being broadcast, unchanged but for its
-- 'to'. Sessions that never hear a distributed room are not touched.

local filters = require "util.filters";
local xml_escape = require "util.stanza".xml_escape;

return function (dmuc)
	local fanout = {};
	dmuc.fanout = fanout;

	local inside = dmuc.prosody;
	local full_sessions, own = inside.clients, inside.own;

	-- What goes to several, as far as is known: [stanza] = { post, times } and, from the second time on, attr = attributes but 'to',
	-- count = their number, nodes, head, tail. The first is for one recipient only, for all we know.
	local broadcasts = setmetatable({}, { __mode = "k" });
	-- Functions by which sessions send, once ours stands last among the filters, and in the place of Prosody's: a resumed stream
	-- (XEP-0198) brings new ones.
	local fitted = setmetatable({}, { __mode = "k" });

	-- The element and those in it, each with how many children it has: { element, number, … }.
	local function list(element, nodes)
		local n = #nodes;
		nodes[n + 1], nodes[n + 2] = element, #element;
		for _, tag in ipairs(element.tags) do list(tag, nodes); end
		return nodes;
	end

	-- Notes how a stanza is before anybody has seen this copy of it.
	local function record(stanza, broadcast)
		local attr, count = {}, 0;
		for name, value in next, stanza.attr do
			if name ~= "to" then attr[name], count = value, count + 1; end
		end
		broadcast.attr, broadcast.count, broadcast.nodes = attr, count, list(stanza, {});
	end

	-- Whether it has the same attributes, and children have neither come nor gone, at any depth.
	local function is_unchanged(stanza, broadcast)
		local attr, left, nodes = broadcast.attr, broadcast.count, broadcast.nodes;
		for name, value in next, stanza.attr do
			if name ~= "to" then
				if attr[name] ~= value then return false; end
				left = left - 1;
			end
		end
		if left ~= 0 then return false; end
		for i = 1, #nodes, 2 do
			if #nodes[i] ~= nodes[i + 1] then return false; end
		end
		return true;
	end

	-- The text around the value of 'to'. Attributes come before children, and no value has an unescaped quote.
	local function split(stanza)
		local attr = stanza.attr;
		local to = attr.to;
		attr.to = "";
		local text = tostring(stanza);
		attr.to = to;
		local _, quote = text:find(" to=''", 1, true);
		return text:sub(1, quote - 1), text:sub(quote);
	end

	local function last(stanza)
		local broadcast = broadcasts[stanza];
		if not broadcast or not broadcast.attr or not is_unchanged(stanza, broadcast) then return stanza; end
		if not broadcast.head then broadcast.head, broadcast.tail = split(stanza); end
		return broadcast.head..xml_escape(stanza.attr.to)..broadcast.tail;
	end

	local function is_broadcast(stanza)
		return broadcasts[stanza] ~= nil;
	end

	local function fit(session)
		if session.filters then
			filters.remove_filter(session, "stanzas/out", last);
			-- After everything else that filters.
			filters.add_filter(session, "stanzas/out", last, -10000000);
		end
		inside.send_swiftly(session, is_broadcast);
		fitted[session.send] = true;
	end

	local function route(room, session, stanza)
		local broadcast = broadcasts[stanza];
		if not broadcast then
			broadcast = { post = inside.poster(stanza); times = 1 };
			broadcasts[stanza] = broadcast;
		elseif broadcast.times == 1 then
			broadcast.times = 2;
			record(stanza, broadcast);
		end
		if not session or not broadcast.post then return own.route_stanza(room, stanza); end
		if not fitted[session.send] then fit(session); end
		if not broadcast.post(session) then own.route_stanza(room, stanza); end
	end

	-- The same stanza in other addresses of its room, each made once: [stanza] = { type, count, inner, is_of_book, [address] = copy }.
	local variants = setmetatable({}, { __mode = "k" });

	local function variants_of(stanza)
		local made, last_tag = variants[stanza], stanza.tags[#stanza.tags];
		local inner = last_tag and #last_tag or 0;
		-- mod_muc says the same presence again with one more status, or as unavailable.
		if not made or made.type ~= stanza.attr.type or made.count ~= #stanza or made.inner ~= inner then
			made = { type = stanza.attr.type; count = #stanza; inner = inner; is_of_book = dmuc.serving.is_of_book(stanza) };
			variants[stanza] = made;
		end
		return made;
	end

	-- As room:route_stanza(), for a stanza that goes to others, too, each time with its own 'to'. Who knows the room by other
	-- addresses than its own gets it in each of those.
	function fanout.route(room, stanza)
		local to = stanza.attr.to;
		local session = full_sessions[to];
		local used = session and dmuc.books and dmuc.books.addresses(session, room.jid);
		if not used then return route(room, session, stanza); end
		local made = variants_of(stanza);
		for i = 1, #used do
			local address = used[i];
			local copy = made[address];
			if not copy then
				copy = address == room.jid and stanza or dmuc.addresses.outward(stanza, room.jid, address);
				made[address] = copy;
			end
			copy.attr.to = to;
			route(room, session, copy);
		end
		if made.is_of_book then dmuc.serving.seen(session, room.jid, stanza); end
	end

	-- Whether a stanza is one that goes to many, and has its address already.
	fanout.is_broadcast = is_broadcast;

	function fanout.finish(stanza)
		broadcasts[stanza] = nil;
		variants[stanza] = nil;
	end

	function fanout.stop()
		for _, session in next, full_sessions do
			filters.remove_filter(session, "stanzas/out", last);
			inside.send_as_before(session);
		end
	end
end
