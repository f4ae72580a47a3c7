-- What one groupchat costs at the border: the real dmuc.so and the real stanzas and engine libraries, in a Lua process of
-- their own with as little of Prosody around them as they need. Run by border.rs:
--   lua5.4 border.lua <plugin folder> <Prosody's Lua folder> <rounds>
-- Prints "name<TAB>value" lines; times are microseconds of CPU.

local plugin, prosody, rounds = arg[1], arg[2], tonumber(arg[3]);

package.path = prosody .. "/?.lua;" .. package.path;
package.cpath = prosody .. "/?.so;" .. package.cpath;
-- Prosody 13 calls its own modules prosody.util.x.
table.insert(package.searchers, 2, function (name)
	local short = name:match("^prosody%.(.+)$");
	return short and function () return require(short); end or nil;
end);

local st = require "util.stanza";

local native = assert(package.loadlib(plugin .. "/dmuc.so", "luaopen_dmuc"))();

-- Services --

local services, outbox = {}, {};

local function library(name, env, dmuc)
	local chunk = assert(loadfile(plugin .. "/" .. name .. ".lib.lua", "t", env));
	chunk()(dmuc);
end

local function service(host, peers)
	local sent = 0;
	local dmuc = {
		native = native;
		options = { dmuc_peers = peers; dmuc_room_id = "name"; dmuc_shadow_names = "any" };
		seed = function () return (host:gsub("%W", "") .. ("x"):rep(32)):sub(1, 32); end;
		xmlns = "urn:xmpp:dmuc:0";
		xmlns_ours = "urn:x-dmuc:0";
		groupchat = { drained = function () end };
		lifecycle = {};
	};
	function dmuc.perform(action)
		if action.kind == "send_iq" then
			outbox[#outbox + 1] = action;
		elseif action.kind == "send_groupchat" then
			sent = sent + 1;
		end
	end
	function dmuc.lane_of(action)
		return action.to and "to "..action.to:match("^[^@]*@?([^/]+)");
	end
	function dmuc.sent() return sent; end
	local module = {
		host = host;
		log = function (_, level, ...)
			if level == "error" then error(string.format(...)); end
		end;
		add_timer = function () end;
	};
	local env = setmetatable({ module = module }, { __index = _G });
	library("stanzas", env, dmuc);
	library("turns", env, dmuc);
	library("engine", env, dmuc);
	dmuc.engine = native.open(host, dmuc.options, dmuc.seed());
	services[host] = dmuc;
	return dmuc;
end

local features = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/>"
	.. "<feature var='urn:xmpp:dmuc:0'/><feature var='urn:x-dmuc:0'/></query>";

local function deliver()
	while outbox[1] do
		local iq = table.remove(outbox, 1);
		local target = assert(services[iq.to:match("[^@/]+$") or iq.to:match("@([^/]+)")], iq.to);
		if iq.type == "result" then
			target.feed("peer_answer", iq.from, iq.id, iq.payload or "");
		elseif iq.type == "error" then
			error(iq.payload);
		elseif iq.payload:find("disco#info", 1, true) then
			outbox[#outbox + 1] = { from = iq.to; to = iq.from; id = iq.id; type = "result"; payload = features };
		else
			assert(target.feed("peer_iq", iq.from, iq.to, iq.type, iq.id, iq.payload, false));
		end
	end
end

-- A source with this many shadows, foo in it.
local function coven(name, count)
	local hosts = { name .. ".source.lit" };
	for n = 1, count do
		hosts[n + 1] = ("%s.shadow%d.lit"):format(name, n);
	end
	for i, host in ipairs(hosts) do
		local peers = {};
		for j, peer in ipairs(hosts) do
			if i ~= j then peers[#peers + 1] = peer; end
		end
		service(host, peers);
	end
	local source, room = services[hosts[1]], "coven@" .. hosts[1];
	local form = "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'>"
		.. "<value>http://jabber.org/protocol/muc#roomconfig</value></field></x>";
	assert(source.feed("distribute", room, form, "salt"));
	assert(source.feed("occupant", room, "foo", "crone1@shakespeare.lit/desktop", "owner", "moderator", "6f1e9c5e7d0f", ""));
	assert(source.feed("started", room));
	deliver();
	assert(#source.ask("instances", room) == count, "the shadows are not there");
	return source, room, hosts;
end

-- The message: what a client of today sends, as Prosody's stream parser builds it --

local id = "6f1e9c5e-7d0f-4d3c-9d53-0b8a5a3b1c11";
local function message(room)
	return st.message({ from = room .. "/foo"; to = room; type = "groupchat"; id = id; ["xml:lang"] = "en" })
		:text_tag("body", "When shall we three meet again? In thunder, lightning, or in rain? "
			.."When the hurlyburly is done, when the battle is lost and won.")
		:text_tag("active", nil, { xmlns = "http://jabber.org/protocol/chatstates" })
		:text_tag("markable", nil, { xmlns = "urn:xmpp:chat-markers:0" })
		:text_tag("origin-id", nil, { xmlns = "urn:xmpp:sid:0"; id = id });
end

-- Measuring --

local sink;
local function cpu(run, prepare)
	local best, sum = math.huge, 0;
	local batches, size = 10, math.max(1, rounds // 10);
	for _ = 1, batches do
		if prepare then prepare(); end
		local start = os.clock();
		for _ = 1, size do
			sink = run();
		end
		local each = (os.clock() - start) / size * 1e6;
		best, sum = math.min(best, each), sum + each;
	end
	return best, sum / batches;
end

local function report(name, ...)
	local best, mean = cpu(...);
	print(("%s\t%.2f\t%.2f"):format(name, best, mean));
end

do
	local source, room = coven("bytes", 0);
	local stanza = message(room);
	print(("message bytes\t%d"):format(#tostring(stanza)));
	print(("payload bytes\t%d"):format(#source.stanzas.payload(stanza, room)));
	report("tostring of the message, for scale", function () return tostring(stanza); end);
	report("payload, serialised once", function () return source.stanzas.payload(stanza, room); end);
end

for _, peers in ipairs { 0, 2, 10 } do
	local source, room = coven("out" .. peers, peers);
	local stanza = message(room);
	local payload = source.stanzas.payload;
	local function say()
		return assert(source.feed("groupchat", room, "foo", id, "en", payload(stanza, room), true));
	end
	for _ = 1, 10000 do say(); end -- a full log
	local before, said = source.sent(), 0;
	report(("out, %d peers: payload, engine, actions"):format(peers), function ()
		said = said + 1;
		return say();
	end);
	assert(source.sent() - before == said * peers, "copies are missing");
end

do
	local _, source_room, hosts = coven("in", 2);
	local shadow = services[hosts[2]];
	local room = "coven@" .. hosts[2];
	local from, to = source_room .. "/foo", room .. "/foo";
	local stanza = message(room);
	local payload, seq = shadow.stanzas.payload, 0;
	local function hear()
		seq = seq + 1;
		return assert(shadow.feed("peer_groupchat", from, to, id, "en", payload(stanza, room), true,
			("6f1e9c5e-7d0f-4d3c-9d53-%012d"):format(seq), nil, "77", tostring(seq), "1769155200123.0"));
	end
	assert(hear() == "deliver");
	for _ = 1, 10000 do hear(); end
	report("in: payload, engine, actions", hear);
end
assert(sink);
