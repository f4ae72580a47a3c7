-- Testbed control for Prosody (tests only, never install it)
--
-- This file is MIT licensed.
--
-- Counts what leaves over s2s, and runs Lua chunks sent to a loopback port. Written for 0.12 and 13.0.

module:set_global();

local filters = require "util.filters";
local json = require "util.json";
local modulemanager = require "core.modulemanager";
local new_id = require "util.id".medium;
local promise = require "util.promise";
local st = require "util.stanza";
local timer = require "util.timer";

local tostring = tostring;

local count_bytes = module:get_option_boolean("testbed_count_bytes", true);

local env = setmetatable({}, { __index = _G });

-- Counters --

local links, delivered = {}, {};

local kinds = { message = true, presence = true, iq = true };

-- What services that run mod_dmuc ask each other at intervals: counted among the IQs, and once more by itself
local xmlns_dmuc = "urn:x-dmuc:0";

local function count(link, name, bytes)
	local counter = link[name];
	if not counter then
		counter = { stanzas = 0, bytes = 0 };
		link[name] = counter;
	end
	counter.stanzas = counter.stanzas + 1;
	counter.bytes = counter.bytes + bytes;
end

local function link_of(session)
	local from, to = session.from_host, session.to_host;
	if session.direction == "incoming" then
		from, to = to, from;
	end
	return (from or "?") .. " " .. (to or "?");
end

-- What services that run mod_dmuc say to each other, for the schema: one stanza a line, up to so many bytes --

local most_wire_bytes = 4 * 1024 * 1024;
local wire_path = module:get_option_string("testbed_wire");
local keeps_all = module:get_option_boolean("testbed_wire_all", false);
local wire, wire_bytes = nil, 0;

local function keep(text, session)
	if not wire_path or wire_bytes > most_wire_bytes then return; end
	local host = prosody.hosts[session.from_host];
	if not (host and host.modules.dmuc) then return; end
	if not keeps_all and not (text:find("urn:x-dmuc:0", 1, true) or text:find("urn:xmpp:dmuc:0", 1, true)) then return; end
	if not wire then
		wire = io.open(wire_path, "a");
		wire:setvbuf("line");
		wire:write("\n"); -- what a killed server has not finished
	end
	wire:write((text:gsub("[\r\n]", " ")), "\n");
	wire_bytes = wire_bytes + #text;
end

local function count_s2s(stanza, session)
	local name = stanza.name;
	if not kinds[name] then return stanza; end
	local key = link_of(session);
	local link = links[key];
	if not link then
		link = {};
		links[key] = link;
	end
	local text = count_bytes and tostring(stanza) or "";
	local bytes = #text;
	keep(text, session);
	count(link, name, bytes);
	if name == "iq" and stanza:get_child("digest", xmlns_dmuc) then
		count(link, "heartbeat", bytes);
	end
	return stanza;
end

local function count_c2s(stanza)
	local name = stanza.name;
	if kinds[name] then
		delivered[name] = (delivered[name] or 0) + 1;
	end
	return stanza;
end

local function add_filters(session)
	local kind = session.type or "";
	if kind:match("^s2s") then
		-- After every other filter, so that what is counted is what is sent
		filters.add_filter(session, "stanzas/out", count_s2s, -1000000);
	elseif kind:match("^c2s") then
		filters.add_filter(session, "stanzas/out", count_c2s, -1000000);
	end
end

filters.add_filter_hook(add_filters);

-- The longest turn of the event loop: CPU of the server between two ticks of a timer that wants to run every 5 ms --

local turn_interval = 0.005;
local turns = nil; -- { last, most, ticks, [n] = CPU of the nth } while measuring

local function tick()
	if not turns then return; end
	local cpu = os.clock();
	turns.most = math.max(turns.most, cpu - turns.last);
	turns.ticks = turns.ticks + 1;
	turns[turns.ticks] = cpu - turns.last;
	turns.last = cpu;
	return turn_interval;
end

function env.measure_turns()
	local is_running = turns ~= nil;
	turns = { last = os.clock(), most = 0, ticks = 0 };
	if not is_running then timer.add_task(turn_interval, tick); end
	return true;
end

-- The most, and the slowest hundredth, in seconds, since measure_turns()
function env.longest_turn()
	local measured = turns;
	turns = nil;
	table.sort(measured);
	return { most = measured.most, p99 = measured[math.ceil(measured.ticks * 0.99)], ticks = measured.ticks };
end

-- What chunks can call --

function env.stats()
	return {
		links = links;
		delivered = delivered;
		cpu_s = os.clock();
		lua_kb = collectgarbage("count");
	};
end

function env.reset_stats()
	links, delivered = {}, {};
	return true;
end

local function told(ok, err)
	if not ok then error(tostring(err or "failed"), 0); end
	return true;
end

function env.load_module(host, name)
	return told(modulemanager.load(host, name));
end

function env.unload_module(host, name)
	return told(modulemanager.unload(host, name));
end

function env.reload_module(host, name)
	return told(modulemanager.reload(host, name));
end

function env.is_loaded(host, name)
	return modulemanager.is_loaded(host, name) and true or false;
end

-- Instances of which mod_dmuc of a host may lack something, in words; nothing where it is not loaded
function env.behind(host)
	local dmuc = modulemanager.get_module(host, "dmuc");
	local found = {};
	for _, pair in ipairs(dmuc and dmuc.behind() or {}) do
		found[#found + 1] = ("%s lacks something of %s"):format(pair.room, pair.instance);
	end
	return table.concat(found, "; ");
end

-- An IQ from one of our hosts to a remote one, answered (with whatever) in the order of the streams
function env.ping_host(from, to, timeout)
	local iq = st.iq({ type = "get", from = from, to = to, id = new_id() }):tag("ping", { xmlns = "urn:xmpp:ping" });
	return module:context(from):send_iq(iq, nil, timeout):next(function ()
		return "result";
	end, function (err)
		local condition = type(err) == "table" and err.condition or tostring(err);
		if condition:match("^remote%-server") then
			return promise.reject(condition);
		end
		return condition;
	end);
end

-- The control port: "<length>\n<chunk>" in, "ok|error <length>\n<JSON>" out, in order --

local function encode(value)
	if value == nil then return "null"; end
	return json.encode(value);
end

local function respond(conn, status, value)
	local ok, payload = pcall(encode, value);
	if not ok then
		status, payload = "error", json.encode(tostring(payload));
	end
	conn:write(("%s %d\n%s"):format(status, #payload, payload));
end

local function run(conn, chunk)
	local f, syntax_error = load(chunk, "=testbed", "t", env);
	if not f then return respond(conn, "error", syntax_error); end
	local ok, value = xpcall(f, debug.traceback);
	if not ok then return respond(conn, "error", tostring(value)); end
	if promise.is_promise(value) then
		value:next(function (v)
			respond(conn, "ok", v);
		end, function (err)
			respond(conn, "error", tostring(err));
		end);
		return;
	end
	respond(conn, "ok", value);
end

local buffers = {};

module:provides("net", {
	name = "testbed";
	default_port = 5999;
	private = true;
	listener = {
		default_mode = "*a";
		onconnect = function (conn) buffers[conn] = ""; end;
		ondisconnect = function (conn) buffers[conn] = nil; end;
		onincoming = function (conn, data)
			local buffer = (buffers[conn] or "") .. data;
			while true do
				local length, start = buffer:match("^(%d+)\n()");
				length = tonumber(length);
				if not length or #buffer < start + length - 1 then break; end
				local chunk = buffer:sub(start, start + length - 1);
				buffer = buffer:sub(start + length);
				run(conn, chunk);
			end
			buffers[conn] = buffer;
		end;
	};
});

module:hook_global("server-started", function ()
	-- Read by the testbed: every port is open and every host is active now
	io.stdout:write("TESTBED READY\n");
	io.stdout:flush();
end, -1000000);

function module.unload()
	filters.remove_filter_hook(add_filters);
end
