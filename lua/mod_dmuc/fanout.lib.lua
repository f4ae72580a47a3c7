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

	local full_sessions = dmuc.prosody.clients;

	-- What is being broadcast: [stanza] = { attr = attributes but 'to', children = their number, head, tail }.
	local broadcasts = setmetatable({}, { __mode = "k" });
	-- Tables of filters that have ours: a resumed stream (XEP-0198) brings new ones.
	local fitted = setmetatable({}, { __mode = "k" });

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

	local function is_unchanged(stanza, broadcast)
		local attr = broadcast.attr;
		for name, value in next, stanza.attr do
			if name ~= "to" and attr[name] ~= value then return false; end
		end
		for name in next, attr do
			if stanza.attr[name] == nil then return false; end
		end
		return #stanza == broadcast.children;
	end

	local function last(stanza)
		local broadcast = broadcasts[stanza];
		if not broadcast or not is_unchanged(stanza, broadcast) then return stanza; end
		if not broadcast.head then
			-- The first is for one recipient only, for all we know.
			if not broadcast.is_second then
				broadcast.is_second = true;
				return stanza;
			end
			broadcast.head, broadcast.tail = split(stanza);
		end
		return broadcast.head..xml_escape(stanza.attr.to)..broadcast.tail;
	end

	function fanout.begin(stanza)
		local attr = {};
		for name, value in next, stanza.attr do
			if name ~= "to" then attr[name] = value; end
		end
		broadcasts[stanza] = { attr = attr; children = #stanza };
	end

	function fanout.finish(stanza)
		broadcasts[stanza] = nil;
	end

	-- Before a stanza goes to a recipient.
	function fanout.fit(jid)
		local session = full_sessions[jid];
		local its_filters = session and session.filters;
		if not its_filters or fitted[its_filters] then return; end
		fitted[its_filters] = true;
		-- After everything else that filters.
		filters.add_filter(session, "stanzas/out", last, -10000000);
	end

	function fanout.stop()
		for _, session in next, full_sessions do
			filters.remove_filter(session, "stanzas/out", last);
		end
	end
end
