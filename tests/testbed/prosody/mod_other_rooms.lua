-- Rooms with other methods, as a later release or another module may have them (tests only, never install it)
--
-- This file is MIT licensed.

-- luacheck: globals replace restore

local room_mt = module:depends("muc").room_mt;
local own = {};

-- Puts a method with these parameters, after the room, in the place of mod_muc's: it does what that does, and what it has no
-- parameters for is lost. Nil: there is none.
function replace(name, parameters)
	local method = own[name] or room_mt[name];
	own[name] = method;
	local head = parameters == "" and "self" or "self, "..(parameters or "");
	room_mt[name] = parameters and load(("local method = ... return function (%s) return method(%s); end"):format(head, head))(method) or nil;
	return true;
end

function restore()
	for name, method in pairs(own) do room_mt[name] = method; end
	own = {};
	return true;
end

module.unload = restore;
