-- Links between services: what people are told of a split, what somebody is told whose change did not hold, and
-- connections that swallow everything.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;

return function (dmuc)
	local links = {};
	dmuc.links = links;

	local lost_messages = module:measure("lost_messages", "counter");

	links.measure_gap = lost_messages;

	-- Why a service is out of reach, where more is known than that it is.
	local causes = {
		dns = "the name of its server cannot be resolved";
		["connection-refused"] = "its server takes no connections";
		certificate = "one server does not accept the certificate of the other";
		["no-module"] = "it does not support distributed rooms any more";
		["not-peered"] = "it does not share rooms with this service (dmuc_peers there)";
	};

	-- In words, nil if nothing more is known.
	function links.cause_text(cause)
		return causes[cause];
	end

	-- For a log line or an owner: with the cause in brackets, if it is known.
	function links.with_cause(text, cause)
		if not causes[cause] then return text; end
		return ("%s (%s)"):format(text, causes[cause]);
	end

	local lines = {
		split_began = "The connection to %s is interrupted: %s%s there cannot be reached until it is back.";
		split_ended = "The connection to %s is back.";
	};

	-- One line in the room at both ends of a split. It is in no history and no archive.
	function links.notice(room, action)
		local began = action.notice == "split_began";
		local state = began and links.with_cause("down", action.cause) or "up again";
		dmuc.tally.room(began and "warn" or "info", action.notice.." "..action.peer, action.room,
			("the link to %s is %s"):format(action.peer, state),
			function (count, occupants)
				if not began then return ("The link to %s is up again, for %d rooms"):format(action.peer, count); end
				local line = "The link to %s is down: %d rooms, and %d occupants there, are out of reach";
				return links.with_cause(line:format(action.peer, count, occupants), action.cause);
			end, action.occupants);
		if not room or not dmuc.ask("split_notice") or not next(room._dmuc.locals) then return; end
		local who = action.occupants == 1 and "one occupant" or ("%d occupants"):format(action.occupants or 0);
		local cause = causes[action.cause];
		dmuc.rooms.tell(room, lines[action.notice]:format(action.peer, cause and cause.."; " or "", who));
	end

	local changes = {
		affiliation = function (action)
			return ("the affiliation %q of %s"):format(action.affiliation, action.jid);
		end;
		registration = function (action)
			if not action.nick then return "the end of your registration"; end
			return ("the registration of the nick %q"):format(action.nick);
		end;
		subject = function (action) return ("the subject %q"):format(action.text); end;
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
