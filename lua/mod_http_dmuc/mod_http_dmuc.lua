-- mod_http_dmuc: a page that shows the links and rooms of mod_dmuc, live, and the same as JSON
--
-- This file is MIT licensed. Please see the LICENSE file in the source package for more information.
--
-- One page for all MUC components of this server that run mod_dmuc: it belongs to no host, so that it is found under any name that leads
-- here (http://localhost:5280/dmuc/). It shows and changes nothing.

module:set_global();

local async = require "util.async";
local sorted_pairs = require "util.iterators".sorted_pairs;
local throttle = require "util.throttle";
local time = require "util.time";
local url = require "socket.url";

local access = module:require("access");
local document = module:require("document");
local streams = module:require("streams");

local function wrong(name, value, accepted)
	error(("%s = %s: %s"):format(name, tostring(value), accepted), 0);
end

local function number_option(name, default, least, most)
	local value = module:get_option(name, default);
	if type(value) ~= "number" or value % 1 ~= 0 or value < least or value > most then
		wrong(name, value, ("accepted is a whole number from %d to %d"):format(least, most));
	end
	return value;
end

local token = module:get_option("http_dmuc_token");
if token ~= nil then
	local is_good, problem = access.check_token(token);
	if not is_good then error("http_dmuc_token: "..problem, 0); end -- what it is stays out of the log
end
local allowed = module:get_option("http_dmuc_allow_ips", { "127.0.0.1", "::1" });
local ranges, odd = access.ranges(type(allowed) == "table" and allowed or { allowed });
if not ranges then wrong("http_dmuc_allow_ips", odd, "accepted are IP addresses and ranges of them (10.1.0.0/16)"); end
local stream_time = number_option("http_dmuc_stream_time", 60, 5, 3600);
local max_streams = number_option("http_dmuc_max_streams", 20, 0, 1000);
local max_rooms = number_option("http_dmuc_max_rooms", 500, 1, 5000);

-- The names by which this server is asked.
local function is_own_name(name)
	if prosody.hosts[name] then return true; end
	local external = url.parse(module:get_option_string("http_external_url", "") or "");
	return name == module:get_option_string("http_host") or name == module:get_option_string("http_default_host")
		or external ~= nil and name == external.host;
end

-- So that nothing long stands in the way of what people say: between its steps the server does something else.
local turn_s = 0.01;
local function breather()
	local began = os.clock();
	return function ()
		if os.clock() - began < turn_s then return; end
		local wait, done = async.waiter();
		module:add_timer(0, done);
		wait();
		began = os.clock();
	end
end

-- Looking at everything takes no more than this part of the CPU, however many look.
local max_share = 0.05;
local look_every = 1;

local lags = document.lags();
local seen; -- { encoded, news }
local look_again_at = 0;
local awaiting; -- functions that get what is seen next, while somebody looks

-- What is wrong is in the log once a minute for each service: somebody may be looking every second.
local complaints = {}; -- [service] = throttle
local function complain(name, problem)
	complaints[name] = complaints[name] or throttle.create(1, 60);
	if complaints[name]:poll(1) then module:log("error", "What %s does cannot be read: %s", name, problem); end
end

-- What there is to see; nil if it cannot be read. Of several services those that can be are shown.
local function look()
	local encoded, news, failed = {}, {}, 0;
	for name, host in sorted_pairs(prosody.hosts) do
		local dmuc = host.modules and host.modules.dmuc;
		local status = dmuc and rawget(dmuc, "status");
		if status then
			local ok, shown, its_news = pcall(function ()
				return document.service(name, status(max_rooms), lags, time.monotonic(), breather());
			end);
			if not ok then
				complain(name, shown);
				failed = failed + 1;
				shown, its_news = document.unreadable(name);
			end
			encoded[#encoded + 1], news[#news + 1] = shown, its_news;
		end
	end
	if failed > 0 and failed == #encoded then return; end
	return { encoded = document.whole(encoded); news = table.concat(news, "\n\n") };
end

local looker = async.runner(function ()
	local began = os.clock();
	local ok, result = pcall(look);
	if not ok then complain("this server", result); end
	seen = ok and result or nil;
	look_again_at = time.monotonic() + math.max(look_every * 0.9, (os.clock() - began) / max_share);
	local waiting = awaiting;
	awaiting = nil;
	for _, answer in ipairs(waiting) do answer(seen); end
end);

-- Calls answer with what there is to see, as it is now or was a second ago; nil if it cannot be read.
local function when_seen(answer)
	if awaiting then
		table.insert(awaiting, answer);
	elseif seen and time.monotonic() < look_again_at then
		answer(seen);
	else
		awaiting = { answer };
		looker:run(true);
	end
end

local open = streams.new { lasts = stream_time; max = max_streams; now = time.monotonic };
local is_ticking = false;

-- Only while somebody watches.
local function tick()
	if open.count == 0 then
		is_ticking = false;
		return;
	end
	when_seen(function (status) open.tell(status and status.encoded, status and status.news); end);
	return look_every;
end

local refusals = throttle.create(1, 60);

-- The headers of every answer. Prosody allows every site to read what modules answer, unless told otherwise: that is undone here.
local function put_headers(response)
	local headers = response.headers;
	for name in pairs(headers) do
		if name:find("^access_control_") then headers[name] = nil; end
	end
	headers.cache_control = "no-store";
	headers.content_security_policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
		.."base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
	headers.x_content_type_options = "nosniff";
	headers.x_frame_options = "DENY";
	headers.referrer_policy = "no-referrer";
	headers.cross_origin_resource_policy = "same-origin";
	-- Browsers complain about this one where there is no TLS.
	if response.request.secure then headers.cross_origin_opener_policy = "same-origin"; end
end

-- A handler that is called only for those who may.
local function for_those_who_may(is_data, handler)
	return function (event)
		local request, response = event.request, event.response;
		put_headers(response);
		local status, why = access.refuse(request, { token = token; ranges = ranges; is_own_name = is_own_name }, is_data);
		if not status then return handler(request, response); end
		if request.headers.authorization and refusals:poll(1) then
			module:log("warn", "Refused %s, which sent a token: %s", request.ip, why);
		end
		response.status_code = status;
		response.headers.content_type = "text/plain; charset=utf-8";
		if status == 401 then response.headers.www_authenticate = 'Bearer realm="dmuc"'; end
		response:send(why.."\n");
		return true;
	end
end

local function file(name, content_type)
	local handle = assert(module:load_resource(name));
	local content = handle:read("*a");
	handle:close();
	return for_those_who_may(false, function (_, response)
		response.headers.content_type = content_type.."; charset=utf-8";
		return content;
	end);
end

local waiting = {}; -- [response] = true: JSON that was asked for

local function send_status(_, response)
	response.headers.content_type = "application/json";
	waiting[response] = true;
	function response.on_destroy() waiting[response] = nil; end
	when_seen(function (status)
		if response.finished then return; end
		if not status then response.status_code = 500; end
		response:send(status and status.encoded.."\n" or "{}\n");
	end);
	return true;
end

local function send_events(request, response)
	if request.httpversion ~= "1.1" or not open.has_room() then
		response.status_code = 503;
		response.headers.retry_after = "30";
		response.headers.content_type = "text/plain; charset=utf-8";
		response:send("No stream can be had now; status.json has the same.\n");
		return true;
	end
	if response.is_head_request then return ""; end
	open.open(response);
	when_seen(function (status) open.tell(status and status.encoded, status and status.news); end);
	if not is_ticking then
		is_ticking = true;
		module:add_timer(look_every, tick);
	end
	return true;
end

-- Whether another site may: it may not.
local function no_options(event)
	put_headers(event.response);
	event.response.headers.allow = "GET, HEAD";
	return 405;
end

local route = {
	["GET /"] = file("page.html", "text/html");
	["GET /page.css"] = file("page.css", "text/css");
	["GET /page.js"] = file("page.js", "text/javascript");
	["GET /status.json"] = for_those_who_may(true, send_status);
	["GET /events"] = for_those_who_may(true, send_events);
};
local paths = {};
for key in pairs(route) do paths[#paths + 1] = key:match(" (.*)$"); end
for _, path in ipairs(paths) do route["OPTIONS "..path] = no_options; end

module:depends("http");
module:provides("http", { default_path = "/dmuc"; route = route });

module:hook("server-stopping", function () open.stop("stop"); end);

function module.unload()
	open.stop("reload");
	local pending = {};
	for response in pairs(waiting) do pending[#pending + 1] = response; end
	for _, response in ipairs(pending) do
		response.status_code = 503;
		response:send("{}\n");
	end
end
