-- Methods of the room object that set something. Modules, ad-hoc commands and the shell call them at a shadow as well, where
-- nothing is decided: what is asked for in somebody's name is asked of the source in that name, everything else is refused
-- in words. Being an administrator of this server gives no rights in a room of another one.
--
-- What a shadow follows or decides provisionally passes: its coroutine says so.

local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local rooms, turns = dmuc.rooms, dmuc.turns;
	local own, methods = dmuc.prosody.own, dmuc.prosody.replaced;

	local function refused(room, name)
		local text = ("This is decided at the source of the room, %s"):format(room._dmuc.source);
		module:log("info", "%s: %s() was refused. %s", room.jid, name, text);
		return nil, "cancel", "not-allowed", text;
	end

	-- Before hats.lib.lua and rooms.lib.lua do their part: what is called is the method they have made.
	local set_affiliation, set_affiliation_data = methods.set_affiliation, methods.set_affiliation_data;

	function methods:set_affiliation(actor, jid, affiliation, reason, data)
		-- Who is invited becomes a member at the source, which has been asked.
		if rooms.decides(self) or turns.current(self, "inviting") then
			return set_affiliation(self, actor, jid, affiliation, reason, data);
		end
		if not actor then return nil, "modify", "not-acceptable"; end
		data = dmuc.hats.settle(self, jid_bare(jid), data); -- a module may have changed the room's own table already
		if actor == true then return refused(self, "set_affiliation"); end
		local nick = self:get_occupant_jid(actor);
		local actor_nick, actor_jid = nick and jid_resource(nick), jid_bare(actor);
		return dmuc.requests.act(self, {
			actor_nick = actor_nick; actor_jid = actor_jid; reason = reason;
			affiliation = affiliation or "none"; jid = jid_bare(jid); nick = data and data.reserved_nickname;
		}, nil, function (provisional)
			return turns.within(self, { provisional = provisional },
				set_affiliation, self, actor, jid, affiliation, reason, data);
		end);
	end

	-- Only these are the same at all instances; of what else modules list with an affiliation each has its own.
	local is_shared = { hats = true; reserved_nickname = true; reason = true };

	function methods:set_affiliation_data(jid, key, value)
		if not is_shared[key] or rooms.decides(self) or self:get_affiliation_data(jid, key) == value then
			return set_affiliation_data(self, jid, key, value);
		end
		-- Hats are the same in other tables, too, which hats.lib.lua sees, and says so.
		if key == "hats" then return set_affiliation_data(self, jid, key, value); end
		return refused(self, "set_affiliation_data");
	end

	-- In the name of an occupant here it is wished for, as if the client had sent it.
	function methods:set_subject(from, text)
		if rooms.decides(self) then return own.set_subject(self, from, text); end
		local occupant = from and self._dmuc.locals[from];
		if not occupant then return refused(self, "set_subject"); end
		local verdict, err_type, condition, problem = dmuc.feed("subject", self.jid, jid_resource(from), occupant.bare_jid, text or "");
		if not verdict then return nil, err_type, condition, problem; end
		return true;
	end

	-- Everything else of this kind that mod_muc or another module has given to rooms, but roles, which are the homes' to set.
	function rooms.closed_setter(name, method)
		return function (room, ...)
			if not room._dmuc or rooms.decides(room) or turns.current(room, "takes_form") then return method(room, ...); end
			return refused(room, name);
		end
	end
end
