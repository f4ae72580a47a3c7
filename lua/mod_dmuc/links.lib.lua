-- Links between services: what somebody is told whose change did not hold, and connections that swallow everything.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;

return function (dmuc)
	local links = {};
	dmuc.links = links;

	local changes = {
		affiliation = function (action)
			return ("the affiliation %q of %s"):format(action.affiliation, action.jid);
		end;
		registration = function (action)
			if not action.nick then return "the end of your registration"; end
			return ("the registration of the nick %q"):format(action.nick);
		end;
		subject = function (action) return ("the subject %q"):format(action.text); end;
		avatar = function () return "the avatar that you set"; end;
		moderation = function () return "that you took a message away"; end;
		field = function (action) return ("your change of %s"):format((action.var:gsub("^muc#roomconfig_", ""))); end;
	};

	-- Somebody's change made during a split did not hold: the room tells who made it, here or at home.
	function links.overridden(room, action)
		module:log("info", "%s: a change of %s made while the source could not be reached does not hold (%s)",
			room.jid, action.change, action.actor_jid or action.actor_nick or "unknown");
		local text = ("While the connection to %s was interrupted the room was changed there, too: %s does not hold.")
			:format(room._dmuc.source or "the source", changes[action.change](action));
		local is_here = false;
		for _, occupant in pairs(room._dmuc.locals) do
			if occupant.bare_jid == action.actor_jid then
				for session in occupant:each_session() do
					if not room._dmuc.remotes[session] then
						is_here = true;
						room:route_stanza(st.message({ from = room.jid; to = session; type = "groupchat" }, text));
					end
				end
			end
		end
		if not is_here and action.actor_jid then
			room:route_stanza(st.message({ from = room.jid; to = jid_bare(action.actor_jid) }, text));
		end
	end

	-- A new connection is tried with the next stanza.
	function links.give_up(service, why)
		if not dmuc.prosody.outgoing()[service] then return; end
		module:log("info", "%s %s; the connection to it is given up", service, why);
		dmuc.prosody.give_up(service, why);
	end

	-- Nothing sent to this service is answered, and TCP would take a quarter of an hour to give up.
	function links.reset(service)
		links.give_up(service, "does not answer");
	end
end
