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

	-- What goes to several: [stanza] = once, then { attr = attributes but 'to', count = their number, nodes, head, tail }.
	-- The first is for one recipient only, for all we know.
	local broadcasts = setmetatable({}, { __mode = "k" });
	local once = {};
	-- Tables of filters that have ours: a resumed stream (XEP-0198) brings new ones.
	local fitted = setmetatable({}, { __mode = "k" });

	-- The element and those in it, each with how many children it has: { element, number, … }.
	local function list(element, nodes)
		nodes[#nodes + 1] = element;
		nodes[#nodes + 1] = #element;
		for _, tag in ipairs(element.tags) do list(tag, nodes); end
		return nodes;
	end

	-- A stanza as it is before anybody has seen this copy of it.
	local function record(stanza)
		local attr, count = {}, 0;
		for name, value in next, stanza.attr do
			if name ~= "to" then attr[name], count = value, count + 1; end
		end
		return { attr = attr; count = count; nodes = list(stanza, {}) };
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
		if not broadcast or broadcast == once or not is_unchanged(stanza, broadcast) then return stanza; end
		if not broadcast.head then broadcast.head, broadcast.tail = split(stanza); end
		return broadcast.head..xml_escape(stanza.attr.to)..broadcast.tail;
	end

	local function is_broadcast(stanza)
		return broadcasts[stanza] ~= nil;
	end

	-- Before a stanza goes to a recipient.
	local function fit(session)
		local its_filters = session.filters;
		if its_filters and not fitted[its_filters] then
			fitted[its_filters] = true;
			-- After everything else that filters.
			filters.add_filter(session, "stanzas/out", last, -10000000);
		end
		inside.send_swiftly(session, is_broadcast);
	end

	-- As room:route_stanza(), for a stanza that goes to others, too, each time with its own 'to'.
	function fanout.route(room, stanza)
		local session = full_sessions[stanza.attr.to];
		if not session then return own.route_stanza(room, stanza); end
		local known = broadcasts[stanza];
		if not known then
			broadcasts[stanza] = once;
		elseif known == once then
			broadcasts[stanza] = record(stanza);
		end
		fit(session);
		if not inside.post(stanza, session) then own.route_stanza(room, stanza); end
	end

	function fanout.finish(stanza)
		broadcasts[stanza] = nil;
	end

	function fanout.stop()
		for _, session in next, full_sessions do
			filters.remove_filter(session, "stanzas/out", last);
			inside.send_as_before(session);
		end
	end
end
