-- Who may see the status page. Nothing here knows a server: a request is judged by what it is made of.

local ip = require "util.ip";
local sha256 = require "util.hashes".sha256;

local access = {};

local min_token = 16;

-- What proxies add. A request with one of these comes from somebody else than whoever connects.
local proxy_headers = {
	"forwarded"; "x_forwarded_for"; "x_forwarded_host"; "x_forwarded_proto"; "x_forwarded_server"; "x_forwarded"; "x_real_ip"; "via";
	"x_client_ip"; "true_client_ip"; "cf_connecting_ip";
};

local loopback = { { ip.new_ip("127.0.0.0"), 8 }, { ip.new_ip("::1"), 128 } };

local function is_within(address, ranges)
	local parsed = address and ip.new_ip(address);
	if not parsed then return false; end
	for _, range in ipairs(ranges) do
		if parsed.proto == range[1].proto and ip.match(parsed, range[1], range[2]) then return true; end
	end
	return false;
end

-- A list of addresses ("127.0.0.1") and ranges ("10.1.0.0/16"), parsed; or nil and the one that is neither.
function access.ranges(list)
	local ranges = {};
	for _, text in ipairs(list) do
		local address, bits = tostring(text), nil;
		local base, length = address:match("^(.-)/(%d+)$");
		if base then address, bits = base, tonumber(length); end
		local parsed = ip.new_ip(address);
		local all = parsed and (parsed.proto == "IPv6" and 128 or 32);
		if not parsed or bits and bits > all then return nil, tostring(text); end
		ranges[#ranges + 1] = { parsed, bits or all };
	end
	return ranges;
end

-- Whether this will do as a token; otherwise nil and what is wanted.
function access.check_token(token)
	if type(token) == "string" and #token >= min_token and token:match("^[%w%-%._~%+/=]+$") then return true; end
	return nil, ("accepted are %d or more letters, digits and - . _ ~ + / =, as 'openssl rand -hex 16' makes them"):format(min_token);
end

-- The name in a Host header, or in an origin (https://name:5281).
local function host_of(text)
	local name = text:gsub("^%a+://", ""):lower();
	return name:match("^%[([%x:%.]+)%]") or name:match("^([^:/]+)");
end

-- Whether a script of another site has sent this, as far as the browser says.
function access.is_cross_origin(request)
	local headers = request.headers;
	local site = headers.sec_fetch_site;
	if site and site ~= "same-origin" and site ~= "none" and headers.sec_fetch_mode ~= "navigate" then return true; end
	if not headers.origin then return false; end
	return headers.origin:gsub("^%a+://", ""):lower() ~= (headers.host or ""):lower();
end

-- Whether this comes through a proxy, and request.ip is not whoever asked it: mod_http has put nobody in its place (the proxy is not among
-- trusted_proxies), or another proxy on the way.
local function is_proxy(request)
	local is_through_proxy = false;
	for _, name in ipairs(proxy_headers) do
		if request.headers[name] then is_through_proxy = true; end
	end
	if not is_through_proxy then return false; end
	local first = request.headers.x_forwarded_for and request.headers.x_forwarded_for:match("[^%s,]+");
	return request.ip == request.conn:ip() or is_within(request.ip, loopback) or first ~= nil and first ~= request.ip;
end

-- Of who may be seen without a token: ranges, and which names this server goes by (is_own_name). A page of another site that has its own
-- name lead here would be of the same origin as this one: so the name that was asked for has to be one of ours.
function access.is_near(request, ranges, is_own_name)
	if request.httpversion == "1.0" then return false; end -- by which proxies that add nothing else ask
	if is_proxy(request) then return false; end
	local name = host_of(request.headers.host or "");
	if not name or not (name == "localhost" or ip.new_ip(name) or is_own_name(name)) then return false; end
	return is_within(request.ip, ranges);
end

-- "right" or "wrong", if a token was sent; "open" if it was sent where everybody on the way could read it.
function access.judge_token(request, token)
	local given = request.headers.authorization;
	if not given then return; end
	if not (request.secure or is_within(request.conn:ip(), loopback)) then return "open"; end
	local sent = given:match("^[Bb]earer +(%S+)$");
	-- Hashes: how long comparing takes says nothing of the token.
	return token and sent and sha256(sent) == sha256(token) and "right" or "wrong";
end

-- What becomes of a request: nil if it may be answered, otherwise a status and a line for who asks. given: token, ranges,
-- is_own_name. The page itself says nothing about this server: where there is a token, everybody gets the form for it.
function access.refuse(request, given, is_data)
	if access.is_cross_origin(request) then return 403, "Other sites get nothing from here."; end
	if not is_data and given.token then return; end
	local verdict = access.judge_token(request, given.token);
	if verdict == "right" then return; end
	if verdict == "open" then return 403, "A token is taken over HTTPS only, or from this machine."; end
	if verdict == "wrong" then return 401, "This is not the token."; end
	if access.is_near(request, given.ranges, given.is_own_name) then return; end
	if given.token then return 401, "The token is needed: Authorization: Bearer ..."; end
	return 403, "Only this machine sees this page, asked for as localhost. Others need a token (http_dmuc_token).";
end

return access;
