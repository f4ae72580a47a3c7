-- Storage that is away, for tests (never install it)
--
-- This file is MIT licensed.
--
-- The methods of every store of a host fail while the store is named: they raise, or return nil and an error. What is
-- away when the server starts is in a file "away" in the data folder: lines of "<store> <how>".

local storagemanager = require "core.storagemanager";

local away = {}; -- [store name] = "raise", "error" or "half" (listing users raises after the first)
local words = "the testbed has taken the database away";

local function problem(name)
	if away[name] == "error" then return true; end
	if away[name] then error(words, 0); end
end

local function wrap(methods, method)
	local original = methods and methods[method];
	if not original then return; end
	methods[method] = function (self, ...)
		local how = away[self.store];
		if how == "half" and method == "users" then
			local next_user, state, first = original(self, ...);
			local count = 0;
			return function (...)
				count = count + 1;
				if count > 1 then error(words, 0); end
				return next_user(...);
			end, state, first;
		end
		if how and problem(self.store) then
			if method == "users" then error(words, 0); end -- no driver has another way
			return nil, words;
		end
		return original(self, ...);
	end
end

local function methods_of(store)
	local mt = getmetatable(store);
	return mt and type(mt.__index) == "table" and mt.__index or nil;
end

local keyval = methods_of(storagemanager.open(module.host, "testbed"));
for _, method in ipairs { "get", "set", "users" } do wrap(keyval, method); end
local archive = methods_of(storagemanager.open(module.host, "testbed", "archive"));
for _, method in ipairs { "append", "find", "get", "set", "delete", "users" } do wrap(archive, method); end

-- What writes files without a store.
local files = storagemanager.olddm;
local list_append = files.list_append;
function files.list_append(username, host, name, data)
	if host == module.host and away[name] and problem(name) then return nil, words; end
	return list_append(username, host, name, data);
end

-- take_away(how, store...) and give_back()
function take_away(how, ...) -- luacheck: globals take_away
	for _, name in ipairs { ... } do away[name] = how; end
	return true;
end
function give_back() -- luacheck: globals give_back
	away = {};
	return true;
end

local file = io.open(prosody.paths.data.."/away");
if file then
	for line in file:lines() do
		local name, how = line:match("^(%S+) (%S+)$");
		if name then away[name] = how; end
	end
	file:close();
end

function module.unload()
	files.list_append = list_append;
	away = {};
end
