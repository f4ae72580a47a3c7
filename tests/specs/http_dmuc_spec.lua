-- The parts of mod_http_dmuc that need no server: who may see the page, what it shows, how streams are told and end.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./";
dofile(here.."shim.lua"); -- where Prosody's libraries are

local function library(name)
	return assert(loadfile(("%s../../lua/mod_http_dmuc/%s.lib.lua"):format(here, name)))();
end

local json = require "util.json";

describe("who may see the status page", function ()
	local access = library("access");
	local token = "round-about-the-cauldron-go";

	-- A request of this machine, with what is otherwise about it; false takes a header away.
	local function request(about)
		about = about or {};
		local headers = { host = "localhost:5280" };
		for name, value in pairs(about.headers or {}) do headers[name] = value or nil; end
		local ip = about.ip or "127.0.0.1";
		return {
			ip = ip; httpversion = about.httpversion or "1.1"; secure = about.secure; headers = headers;
			conn = { ip = function () return about.peer or ip; end };
		};
	end

	local function refuse(about, given, is_data)
		given = given or {};
		return access.refuse(request(about), {
			token = given.token; ranges = access.ranges(given.allowed or { "127.0.0.1", "::1" });
			is_own_name = function (name) return name == "chat.shakespeare.lit"; end;
		}, is_data ~= false);
	end

	it("is this machine, by a name of this server", function ()
		assert.is_nil(refuse());
		assert.is_nil(refuse { ip = "::1" });
		for _, host in ipairs { "LOCALHOST", "127.0.0.1", "[::1]:5280", "chat.shakespeare.lit", "Chat.Shakespeare.lit:5280" } do
			assert.is_nil(refuse { headers = { host = host } }, host);
		end
		for _, host in ipairs { "evil.example", "localhost.evil.example", "chat.shakespeare.lit.evil.example:5280", "", ":5280" } do
			assert.equal(403, refuse { headers = { host = host } }, host);
		end
		assert.equal(403, refuse { headers = { host = false } });
		for _, ip in ipairs { "127.0.0.2", "10.0.0.1", "::2", "fe80::1" } do assert.equal(403, refuse { ip = ip }, ip); end
	end);

	it("is nobody behind a proxy who would be this machine", function ()
		for _, header in ipairs { "x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_proto", "x_forwarded_host" } do
			assert.equal(403, refuse { headers = { [header] = "127.0.0.1" } }, header);
		end
		assert.equal(403, refuse { httpversion = "1.0" });
		-- Others are named by a proxy that Prosody trusts: mod_http has looked at that.
		local named = { ip = "10.1.2.3"; peer = "127.0.0.1"; headers = { x_forwarded_for = "10.1.2.3" } };
		assert.equal(403, refuse(named));
		assert.is_nil(refuse(named, { allowed = { "10.1.0.0/16" } }));
		assert.equal(403, refuse({ ip = "10.2.2.3" }, { allowed = { "10.1.0.0/16" } }));
	end);

	it("is nobody behind a proxy who would be an address that is allowed", function ()
		local given = { allowed = { "10.1.0.0/16" } };
		assert.is_nil(refuse({ ip = "10.1.0.7" }, given));
		-- A proxy that is not among trusted_proxies: mod_http leaves it as who asks.
		for _, header in ipairs { "x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_proto", "x_forwarded_host" } do
			assert.equal(403, refuse({ ip = "10.1.0.7"; headers = { [header] = "198.51.100.9" } }, given), header);
			assert.equal(403, refuse({ ip = "10.1.0.7"; headers = { [header] = "10.1.0.7" } }, given), header);
		end
		-- Two on the way, of which the nearer one is trusted: mod_http names the other.
		local function named(chain) return { ip = "10.1.0.7"; peer = "10.1.0.8"; headers = { x_forwarded_for = chain } }; end
		assert.equal(403, refuse(named "198.51.100.9, 10.1.0.7", given));
		assert.equal(403, refuse(named "198.51.100.9,10.1.0.7", given));
		assert.is_nil(refuse(named "10.1.0.7, 10.1.0.8", given));
	end);

	it("is no other site", function ()
		for _, origin in ipairs { "http://evil.example", "null", "https://localhost:5281", "http://localhost" } do
			assert.equal(403, refuse { headers = { origin = origin } }, origin);
			assert.equal(403, refuse({ headers = { origin = origin; authorization = "Bearer "..token } }, { token = token }), origin);
		end
		assert.is_nil(refuse { headers = { origin = "http://localhost:5280" } });
		for _, site in ipairs { "cross-site", "same-site" } do
			assert.equal(403, refuse { headers = { sec_fetch_site = site; sec_fetch_mode = "no-cors" } }, site);
			assert.is_nil(refuse { headers = { sec_fetch_site = site; sec_fetch_mode = "navigate" } }, site);
		end
		assert.is_nil(refuse { headers = { sec_fetch_site = "none" } });
	end);

	it("is who has the token, where nobody on the way can read it", function ()
		local sent = { authorization = "Bearer "..token };
		assert.equal(401, refuse({ ip = "192.0.2.1"; secure = true }, { token = token }));
		assert.is_nil(refuse({ ip = "192.0.2.1"; secure = true; headers = sent }, { token = token }));
		assert.equal(403, refuse({ ip = "192.0.2.1"; headers = sent }, { token = token }));
		assert.is_nil(refuse({ ip = "192.0.2.1"; peer = "127.0.0.1"; headers = sent }, { token = token }));
		for _, wrong in ipairs { "Bearer "..token.."x", "Bearer "..token:sub(1, -2), token, "Basic "..token, "Bearer", "" } do
			assert.equal(401, refuse({ headers = { authorization = wrong } }, { token = token }), wrong);
		end
		assert.equal(401, refuse { headers = sent }); -- there is none
		assert.equal(401, refuse({}, { token = token; allowed = {} }));
	end);

	it("gets the form for the token from anywhere, if there is one", function ()
		assert.is_nil(refuse({ ip = "192.0.2.1" }, { token = token }, false));
		assert.equal(403, refuse({ ip = "192.0.2.1" }, {}, false));
	end);

	it("is said by options that are looked at", function ()
		for _, wrong in ipairs { "localhost", "10.0.0.0/33", "::/129", "10.0.0", "", "10.0.0.0/x" } do
			local ranges, which = access.ranges { "127.0.0.1", wrong };
			assert.is_nil(ranges, wrong);
			assert.equal(wrong, which);
		end
		assert.is_true(access.check_token(("x"):rep(16)));
		for _, wrong in ipairs { ("x"):rep(15), ("x y"):rep(9), "", 1234567890123456, true, { token } } do
			local is_good, problem = access.check_token(wrong);
			assert.is_nil(is_good);
			assert.matches("16 or more", problem);
		end
	end);
end);

describe("what the status page shows", function ()
	local document = library("document");
	local breaths, lags;

	local function status(change)
		local all = {
			links = {
				{ peer = "rooms.macbeth.lit"; state = "up"; for_seconds = 9.26; answered_ago = 2; rooms = 1; behind = 0; secret = "s1" };
			};
			rooms = {
				{
					room = "coven@chat.shakespeare.lit"; title = "A Dark Cave"; role = "source"; term = 2; occupants = 3; elsewhere = 4;
					messages = 5; offers = 6; secret = "s2"; nicks = { "s3" }; unnamed = {}; retracted = { "conference.marlowe.lit" };
					instances = {
						{ instance = "coven@rooms.macbeth.lit"; state = "agreed"; link = "up"; occupants = 4; agreed_ago = 1; jids = { "s4" } };
					};
				};
			};
			more = 7; parked = { { room = "x@chat.shakespeare.lit"; reason = "not_shared"; secret = "s5" } };
		};
		if change then change(all, all.links[1], all.rooms[1]); end
		return all;
	end

	local function shown(now, change)
		return document.service("chat.shakespeare.lit", status(change), lags, now or 100, function () breaths = breaths + 1; end);
	end

	before_each(function () breaths, lags = 0, document.lags(); end);

	it("is JSON, field by field, and nothing else", function ()
		local text = document.whole { (shown()) };
		for i = 1, 5 do assert.is_nil(text:find("s"..i, 1, true)); end
		local found = json.decode(text);
		assert.equal(1, found.version);
		local service = found.services[1];
		assert.equal("chat.shakespeare.lit", service.service);
		assert.same({ peer = "rooms.macbeth.lit"; state = "up"; for_seconds = 9.3; answered_ago = 2; rooms = 1; behind = 0; lag = 0 },
			service.links[1]);
		assert.equal(7, service.more_rooms);
		assert.same({ room = "x@chat.shakespeare.lit"; reason = "not_shared" }, service.parked[1]);
		local room = service.rooms[1];
		assert.same({ "A Dark Cave", "source", 2, 3, 4, 5, 6 },
			{ room.name, room.role, room.term, room.here, room.elsewhere, room.messages, room.waiting });
		assert.same({ { instance = "coven@rooms.macbeth.lit"; is_source = false; state = "agreed"; link = "up"; people = 4; agreed_ago = 1 } },
			room.instances);
		assert.matches('"not_named":%[%]', text);
		assert.equal(1, breaths);
		assert.same({ services = {}; version = 1 }, json.decode(document.whole {}));
	end);

	it("names a service that cannot be read, beside the others", function ()
		local found = json.decode(document.whole { (shown()); (document.unreadable("muc.macbeth.lit")) }).services;
		assert.is_nil(found[1].unreadable);
		assert.same({ service = "muc.macbeth.lit"; unreadable = true; links = {}; rooms = {}; parked = {}; more_rooms = 0 }, found[2]);
		assert.matches('"links":%[%]', (document.unreadable("muc.macbeth.lit")));
	end);

	it("is one line, whatever a room is called", function ()
		local odd = 'x\n\nevent: end\r\ndata: </script>\r"\\\0\226\128\168';
		local text, news = shown(100, function (_, _, room) room.title = odd; end);
		assert.is_nil(text:find("[%c]"));
		assert.is_nil(news:gsub("\n", ""):find("%c"));
		assert.equal(odd, json.decode(text).rooms[1].name);
	end);

	it("is news when something happens, and not when time passes", function ()
		local _, before = shown(100);
		local _, later = shown(200, function (_, link, room)
			link.for_seconds, link.answered_ago, link.next_in, link.clock_ahead, room.instances[1].agreed_ago = 109, 3, 4, 0.2, 101;
		end);
		assert.equal(before, later);
		for what, change in pairs {
			["a state"] = function (_, link) link.state = "down"; end;
			["a room that is behind"] = function (_, link) link.behind = 1; end;
			["a term"] = function (_, _, room) room.term = 3; end;
			["an instance"] = function (_, _, room) room.instances[1].state = "behind"; end;
			["a name"] = function (_, _, room) room.title = "Elsewhere"; end;
			["a room less"] = function (all) all.rooms = {}; end;
			["something parked less"] = function (all) all.parked = {}; end;
		} do
			local _, news = shown(100, change);
			assert.not_equal(before, news, what);
		end
	end);

	local function lag_at(now, state, behind, answered_ago)
		local text = shown(now, function (_, link) link.state, link.behind, link.answered_ago = state, behind, answered_ago; end);
		return json.decode(document.whole { text }).services[1].links[1].lag;
	end

	it("says for how long something may be missing, until nothing is", function ()
		assert.equal(0, lag_at(100, "up", 0, 1));
		assert.equal(4, lag_at(110, "suspect", 0, 4)); -- since 106
		assert.equal(14, lag_at(120, "down", 1, 14));
		assert.equal(24, lag_at(130, "syncing", 1, 0)); -- it answers, and what was said is not here yet
		assert.equal(26, lag_at(132, "up", 1, 0));
		assert.equal(0, lag_at(133, "up", 0, 0));
		assert.equal(5, lag_at(140, "down", 0, 5));
	end);

	it("says it of a room that falls behind while the link is up", function ()
		assert.equal(0, lag_at(100, "up", 0, 1));
		assert.equal(1, lag_at(101, "up", 1, 0)); -- all was here at 100
		assert.equal(3, lag_at(103, "syncing", 2, 0));
		assert.equal(0, lag_at(104, "up", 0, 0));
		assert.equal(2, lag_at(106, "syncing", 0, 0));
	end);

	it("says nothing of an outage before this one, that nobody saw end", function ()
		assert.equal(5, lag_at(100, "down", 0, 5));
		assert.equal(10, lag_at(100010, "down", 0, 10));
		assert.equal(11, lag_at(100011, "down", 0, 11));
		assert.is_nil(lag_at(200000, "syncing", 1, 0));
		assert.equal(0, lag_at(200001, "up", 0, 0));
		assert.is_nil(lag_at(300000, "up", 1, 0));
		-- A page that asks every 5 s watches all the same.
		assert.equal(0, lag_at(300005, "up", 0, 0));
		assert.equal(5, lag_at(300010, "up", 1, 0));
	end);

	it("says nothing of a time that nobody saw begin", function ()
		assert.is_nil(lag_at(100, "syncing", 1, 0));
		assert.is_nil(lag_at(101, "up", 1, 0));
		assert.is_nil(lag_at(102, "unknown", 0, nil));
		assert.equal(0, lag_at(103, "up", 0, 0));
	end);
end);

describe("a stream of the status page", function ()
	local streams = library("streams");
	local now, set;

	local function response()
		local written = {};
		local one = { headers = {}; written = written; persistent = true };
		one.conn = { write = function (_, text) table.insert(written, text); end };
		function one:write_headers() table.insert(written, "headers"); end -- luacheck: ignore 212/self
		function one:done()
			self.finished = true;
			self:on_destroy();
		end
		-- How often something has come, without what HTTP puts between.
		function one.count(words) return select(2, table.concat(written):gsub(words, "")); end
		return one;
	end

	local function pass(seconds, encoded, news)
		for _ = 1, seconds do
			now = now + 1;
			set.tell(encoded, news);
		end
	end

	before_each(function ()
		now = 100;
		set = streams.new { lasts = 60; max = 2; now = function () return now; end };
	end);

	it("says what is news at once, and everything again now and then", function ()
		local one = response();
		set.open(one);
		set.tell("{1}", "a");
		assert.equal(1, one.count("data: {1}"));
		pass(9, "{1}", "a");
		assert.equal(1, one.count("data: {1}"));
		pass(1, "{2}", "b");
		assert.equal(1, one.count("data: {2}"));
		pass(10, "{3}", "b");
		assert.equal(1, one.count("data: {3}"));
		assert.equal("headers", one.written[1]);
		assert.equal("close", one.headers.connection);
		assert.is_false(one.persistent);
	end);

	it("shows that it is there while what there is to say is too much for it", function ()
		local one, big = response(), ("x"):rep(40 * 65536);
		set.open(one);
		set.tell(big, "a");
		pass(38, big, "a");
		assert.equal(1, one.count("event: status"));
		assert.equal(2, one.count("\r\n:\n\n"));
	end);

	it("says that nothing can be read, and what there is as soon as it can", function ()
		local one = response();
		set.open(one);
		set.tell("{1}", "a");
		pass(1);
		assert.equal(1, one.count("event: error\ndata: unreadable\n\n"));
		pass(14);
		assert.equal(1, one.count("event: error"));
		pass(1);
		assert.equal(2, one.count("event: error"));
		pass(1, "{1}", "a");
		assert.equal(2, one.count("data: {1}"));
		pass(1);
		assert.equal(3, one.count("event: error"));
	end);

	it("ends after its time, by itself", function ()
		local one, other = response(), response();
		set.open(one);
		pass(30, "{}", "a");
		set.open(other);
		pass(29, "{}", "a");
		assert.is_nil(one.finished);
		pass(1, "{}", "a");
		assert.is_true(one.finished);
		assert.matches("event: end\ndata: time\n\n\r\n0\r\n\r\n$", table.concat(one.written));
		assert.is_nil(other.finished);
		assert.equal(1, set.count);
	end);

	it("ends with the module, and is forgotten when its reader goes", function ()
		local one, other = response(), response();
		set.open(one);
		assert.is_true(set.has_room());
		set.open(other);
		assert.is_false(set.has_room());
		one:on_destroy(); -- the connection is gone
		one:on_destroy();
		assert.equal(1, set.count);
		set.stop("reload");
		assert.is_nil(one.finished);
		assert.is_true(other.finished);
		assert.equal(1, other.count("data: reload"));
		assert.equal(0, set.count);
	end);

	it("carries no more than 64 KiB a second, however much is news", function ()
		local one = response();
		set.open(one);
		local bytes, big = 0, ("x"):rep(200000);
		one.conn.write = function (_, text) bytes = bytes + #text; end;
		for i = 1, 50 do pass(1, big, tostring(i)); end
		assert.is_true(bytes > 10 * #big, bytes);
		assert.is_true(bytes <= 50 * 65536 + 2 * #big, bytes);
	end);
end);
