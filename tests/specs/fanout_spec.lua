-- One text for many (fanout.lib.lua), and when it is none.

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";
local filters = require "util.filters";

local service, users = "chat.shakespeare.lit", "shakespeare.lit";

-- A function as if it stood in that file.
local function in_file(file, code, ...)
	return assert(load(code, "@/usr/lib/prosody/"..file))(...);
end

local function session_of(user)
	local session = { host = users; type = "c2s"; written = {} };
	function session.log() end
	filters.initialize(session);
	function session.rawsend(data)
		table.insert(session.written, { kind = type(data) == "string" and "text" or "stanza"; text = tostring(data); data = data });
		return true;
	end
	session.send = in_file("core/sessionmanager.lua", [[
		local session = ...;
		return function (t)
			t = session.filter("stanzas/out", t);
			return t == nil or session.rawsend(t);
		end]], session);
	session.jid = user.."@"..users.."/mobile";
	return session;
end

-- A room, sessions of three users, and how many stanzas went the long way.
local function start()
	local methods = shim.room_methods(shim.parameters());
	local long = { count = 0 };
	methods.route_stanza = in_file("modules/muc/muc.lib.lua",
		"local long = ...; return function (self, stanza) long.count = long.count + 1; end", long);
	local dmuc, host = shim.new({ room_mt = methods });
	local sessions = {};
	for i, user in ipairs { "crone1", "witch1", "witch2" } do
		sessions[i] = session_of(user);
		host.prosody.full_sessions[sessions[i].jid] = sessions[i];
	end
	host.prosody.hosts[service] = { events = {}; modules = {} };
	host.prosody.hosts[users] = {
		modules = { message = true; presence = true };
		events = { fire_event = function (_, event) return host.prosody.full_sessions[event.stanza.attr.to].send(event.stanza); end };
	};
	host.load("prosody");
	host.load("fanout");
	return dmuc.fanout, sessions, long, host, methods;
end

local function broadcast(fanout, sessions, stanza)
	for _, session in ipairs(sessions) do
		stanza.attr.to = session.jid;
		fanout.route({}, stanza);
	end
end

-- What each has got of the last stanza: "text" or "stanza", and as text.
local function got(sessions)
	local kinds, texts = {}, {};
	for i, session in ipairs(sessions) do
		local last = session.written[#session.written];
		kinds[i], texts[i] = last.kind, last.text;
	end
	return kinds, texts;
end

local function message()
	return st.message({ from = "coven@"..service.."/crone"; type = "groupchat" }, "Double, double"):tag("x", { xmlns = "urn:x" })
		:tag("item"):up():up();
end

describe("a stanza for many", function ()
	it("is text from the second recipient on, with the address of each", function ()
		local fanout, sessions, long = start();
		broadcast(fanout, sessions, message());
		local kinds, texts = got(sessions);
		assert.same({ "stanza", "text", "text" }, kinds);
		for i, session in ipairs(sessions) do
			local copy = message();
			copy.attr.to = session.jid;
			local parsed = require "util.xml".parse(texts[i]);
			assert.equal(session.jid, parsed.attr.to);
			assert.equal("Double, double", parsed:get_child_text("body"));
			if kinds[i] == "text" then assert.equal(#tostring(copy), #texts[i]); end
		end
		assert.equal(0, long.count);
	end);

	it("is no text for whom a child was added to, at any depth, or an attribute changed", function ()
		local changes = {
			function (stanza) stanza:tag("mark"):up(); end;
			function (stanza) stanza:get_child("x", "urn:x"):tag("status", { code = "110" }):up(); end;
			function (stanza) stanza:get_child("x", "urn:x").tags[1]:text("in it"); end;
			function (stanza) stanza.attr.type = "headline"; end;
			function (stanza) stanza.attr.id = "new"; end;
			function (stanza) stanza.attr.type = nil; end;
		};
		for i, change in ipairs(changes) do
			local fanout, sessions = start();
			local stanza = message();
			broadcast(fanout, sessions, stanza);
			change(stanza);
			broadcast(fanout, sessions, stanza);
			local kinds, texts = got(sessions);
			assert.same({ "stanza", "stanza", "stanza" }, kinds, i);
			assert.equal(tostring(stanza), texts[3]);
		end
	end);

	it("is what a filter makes of it", function ()
		local fanout, sessions = start();
		filters.add_filter(sessions[2], "stanzas/out", function (stanza) return st.clone(stanza):tag("mark"):up(); end);
		filters.add_filter(sessions[3], "stanzas/out", function () return nil; end);
		broadcast(fanout, sessions, message());
		broadcast(fanout, sessions, message());
		assert.equal("mark", sessions[2].written[2].data.tags[3].name);
		assert.same({ 2, 2, 0 }, { #sessions[1].written, #sessions[2].written, #sessions[3].written });
	end);

	it("goes the long way where nobody is known to take it, or another module routes", function ()
		local fanout, sessions, long, host, methods = start();
		local stanza = message();
		stanza.attr.to = "nobody@"..users.."/x";
		fanout.route({}, stanza);
		assert.equal(1, long.count);
		host.prosody.hosts[users].modules.message = nil;
		broadcast(fanout, sessions, message());
		assert.equal(4, long.count);
		host.prosody.hosts[users].modules.message = true;
		local routed = 0;
		methods.route_stanza = function () routed = routed + 1; end;
		broadcast(fanout, sessions, message());
		assert.same({ 4, 3 }, { long.count, routed });
	end);

	it("leaves sessions as they were when the module ends, and those alone in which another module sends", function ()
		local fanout, sessions = start();
		local own = {};
		local function others() return true; end
		sessions[3].send = others;
		for i, session in ipairs(sessions) do own[i] = session.send; end
		broadcast(fanout, sessions, message());
		assert.not_equal(own[1], sessions[1].send);
		assert.equal(others, sessions[3].send);
		fanout.stop();
		for i, session in ipairs(sessions) do
			assert.equal(own[i], session.send);
			assert.equal(0, #session.filters["stanzas/out"]);
		end
	end);

	it("is in the log as ever, for whom one is kept", function ()
		local fanout, sessions = start();
		local lines = {};
		for _, session in ipairs(sessions) do
			function session.log(level, format, ...)
				local args = { ... };
				for i, arg in ipairs(args) do args[i] = tostring(arg); end
				table.insert(lines, level.." "..format:format(table.unpack(args)));
			end
		end
		broadcast(fanout, sessions, message());
		assert.equal(3, #lines);
		assert.matches("^debug Sending%[c2s%]: <message ", lines[2]);
		assert.matches(sessions[2].jid, lines[2], 1, true);
	end);
end);

describe("a stanza for many of whom some know the room by another address", function ()
	local room, there = { jid = "coven@"..service }, "coven@rooms.macbeth.lit";

	-- Sessions 2 and 3 use the other address; 3 the room's own as well.
	local function start_by_addresses()
		local fanout, sessions, long, host = start();
		host.load("stanzas");
		host.load("addresses");
		host.load("books");
		local dmuc = host.dmuc;
		dmuc.serving = { noted = {}; is_of_book = function (stanza) return stanza:get_child("mine") ~= nil; end };
		function dmuc.serving.seen(session) table.insert(dmuc.serving.noted, session.jid); end
		dmuc.books.add(sessions[2], room.jid, there, false, false);
		dmuc.books.add(sessions[3], room.jid, there, true, false);
		return fanout, sessions, long, dmuc;
	end

	local function broadcast_in_room(fanout, sessions, stanza)
		for _, session in ipairs(sessions) do
			stanza.attr.to = session.jid;
			fanout.route(room, stanza);
		end
	end

	it("is one text for each address, and each gets it in theirs", function ()
		local fanout, sessions, long = start_by_addresses();
		local stanza = message();
		broadcast_in_room(fanout, sessions, stanza);
		local expected = { { room.jid }, { there }, { room.jid, there } };
		for i, addresses in ipairs(expected) do
			assert.equal(#addresses, #sessions[i].written);
			for j, address in ipairs(addresses) do
				local parsed = require "util.xml".parse(sessions[i].written[j].text);
				assert.equal(address.."/crone", parsed.attr.from);
				assert.equal(sessions[i].jid, parsed.attr.to);
			end
		end
		-- The first of each address is no text yet.
		assert.same({ "stanza" }, { sessions[2].written[1].kind });
		assert.same({ "text", "text" }, { sessions[3].written[1].kind, sessions[3].written[2].kind });
		assert.equal(0, long.count);
		assert.equal("coven@"..service.."/crone", stanza.attr.from);
	end);

	it("is made anew when it has changed, and noted where it is about the receiver", function ()
		local fanout, sessions, _, dmuc = start_by_addresses();
		local stanza = message();
		broadcast_in_room(fanout, sessions, stanza);
		assert.same({}, dmuc.serving.noted);
		stanza:get_child("x", "urn:x"):tag("status", { code = "110" }):up();
		stanza:tag("mine"):up();
		broadcast_in_room(fanout, sessions, stanza);
		assert.same({ sessions[2].jid, sessions[3].jid }, dmuc.serving.noted);
		for i = 2, 3 do
			local last = sessions[i].written[#sessions[i].written];
			assert.is_truthy(last.text:find("110", 1, true));
			assert.is_truthy(last.text:find(there, 1, true));
		end
	end);
end);
