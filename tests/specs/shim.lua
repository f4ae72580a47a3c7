-- Loads Lua files of the module into a Prosody that is made of tables: for what needs no server. Used by *_spec.lua beside it.

local root = debug.getinfo(1, "S").source:match("^@(.*)tests/specs/shim%.lua$");
if root == "" then root = "./"; end

-- Prosody's util.*, of the system's or of the oldest that is unpacked here.
local function find_prosody()
	for _, folder in ipairs { "/usr/lib/prosody", root.."target/prosody-0.12.3/usr/lib/prosody", root.."target/prosody-13/usr/lib/prosody" } do
		local file = io.open(folder.."/util/stanza.lua");
		if file then
			file:close();
			return folder;
		end
	end
	error("no Prosody is here: make deps");
end

local folder = find_prosody();
if not package.path:find(folder, 1, true) then
	package.path = folder.."/?.lua;"..package.path;
	package.cpath = folder.."/?.so;"..package.cpath;
	-- Prosody 13 calls its own modules prosody.util.x.
	table.insert(package.searchers, 2, function (name)
		local short = name:match("^prosody%.(.+)$");
		return short and function () return require(short); end or nil;
	end);
end

local shim = {};

local files = {};
local function chunk_of(name)
	files[name] = files[name] or assert(io.open(root.."lua/mod_dmuc/"..name..".lib.lua")):read("a");
	return files[name];
end

-- Methods of rooms with the parameters of mod_muc's, which do nothing.
local function room_methods(parameters)
	local room_mt = {};
	for name, list in pairs(parameters) do
		room_mt[name] = load(("return function (self%s) end"):format(list == "" and "" or ", "..list))();
	end
	room_mt.__index = room_mt;
	return room_mt;
end
shim.room_methods = room_methods;

-- What prosody.lib.lua says that it was written for.
function shim.parameters()
	local list = chunk_of("prosody"):match("local methods = (%b{})");
	return load("return "..list)();
end

-- A module on a host of its own. given: options = { name = value }, sections of the configuration, room_mt, required = what
-- stands in for libraries by name, and what else is to be in the shared table (dmuc). Returns it, with host (module, log lines,
-- timers, events) as second value.
function shim.new(given)
	given = given or {};
	local host = { name = "chat.shakespeare.lit"; lines = {}; timers = {}; hooks = {}; fired = {}; now = 0; shared = given.shared or {} };
	local options = given.options or {};
	local module = { host = host.name; environment = {}; open_store = given.open_store };
	function module:log(level, text, ...) -- luacheck: ignore 212/self
		table.insert(host.lines, level..": "..text:format(...));
	end
	function module:add_timer(delay, work) -- luacheck: ignore 212/self
		table.insert(host.timers, { at = host.now + delay; work = work });
	end
	function module:hook(name, handler, priority) -- luacheck: ignore 212/self
		host.hooks[name] = host.hooks[name] or {};
		table.insert(host.hooks[name], { handler = handler; priority = priority or 0 });
		table.sort(host.hooks[name], function (a, b) return a.priority > b.priority; end);
	end
	function module.hook_global() end
	function module.shared() return host.shared; end
	function module:fire_event(name, event) -- luacheck: ignore 212/self
		table.insert(host.fired, name);
		for _, hook in ipairs(host.hooks[name] or {}) do
			local result = hook.handler(event);
			if result ~= nil then return result; end
		end
	end
	function module.context() return module; end
	function module:get_option(name, default) -- luacheck: ignore 212/self
		if options[name] == nil then return default; end
		return options[name];
	end
	module.get_option_string, module.get_option_number, module.get_option_boolean = module.get_option, module.get_option, module.get_option;

	local of_prosody = {
		["util.timer"] = {
			add_task = function (delay, work) table.insert(host.timers, { at = host.now + delay; work = work }); end;
		};
		["core.configmanager"] = { getconfig = function () return given.sections or {}; end };
		["core.s2smanager"] = { destroy_session = function () end };
		["core.storagemanager"] = { olddm = {}; get_driver = function () return {}, "internal"; end };
		["core.usermanager"] = { is_admin = function () return false; end };
	};
	for name, library in pairs(given.required or {}) do of_prosody[name] = library; end
	local global = { hosts = {}; full_sessions = {}; incoming_s2s = {}; version = "spec" };
	local env = setmetatable({
		module = module; prosody = global;
		require = function (name) return of_prosody[name] or require(name); end;
	}, { __index = _G });

	local dmuc = { xmlns = "urn:xmpp:dmuc:0"; xmlns_ours = "urn:x-dmuc:0"; in_force = {} };
	for name, value in pairs(given) do dmuc[name] = value; end
	dmuc.room_mt = given.room_mt or room_methods(shim.parameters());

	host.module, host.prosody, host.dmuc = module, global, dmuc;
	function host.load(name)
		return assert(load(chunk_of(name), "@"..name..".lib.lua", "t", env))()(dmuc);
	end
	for _, name in ipairs(given.libraries or {}) do host.load(name); end

	-- Lets so many seconds pass; what is due happens in order.
	function host.pass(seconds)
		local last = host.now + (seconds or 0);
		while true do
			local first;
			for i, due in ipairs(host.timers) do
				if due.at <= last and (not first or due.at < host.timers[first].at) then first = i; end
			end
			if not first then break; end
			local due = table.remove(host.timers, first);
			host.now = math.max(host.now, due.at);
			local again = due.work();
			if again then table.insert(host.timers, { at = host.now + again; work = due.work }); end
		end
		host.now = last;
	end
	return dmuc, host;
end

return shim;
