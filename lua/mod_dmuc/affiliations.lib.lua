-- Affiliations on their way to the shadows: the source's list is everybody's (G7).

local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local function changed(room, jid, affiliation, reason, actor)
		if not room._dmuc then return; end
		-- A shadow decides only while its source is out of reach, and then provisionally.
		local provisional = dmuc.turns.current(room, "provisional");
		if not room._dmuc.is_source and not provisional then return; end
		local actor_nick = actor and room:get_occupant_jid(dmuc.rooms.acting_session(room, actor));
		dmuc.tell("affiliation", room.jid, jid, {
			affiliation = affiliation or "none";
			nick = room:get_affiliation_data(jid, "reserved_nickname");
			reason = reason;
			actor = provisional and provisional.nick or actor_nick and jid_resource(actor_nick);
			actor_jid = provisional and provisional.jid;
			is_invited = provisional and provisional.is_invited;
		});
		if not provisional then dmuc.hats.given(room, jid); end
	end

	-- What is listed with an affiliation: what there is already (hats), the nick that is reserved, and why, which mod_muc
	-- may tell with the list.
	function dmuc.listed_with(room, jid, nick, reason)
		local data = {};
		for key, value in pairs(room:get_affiliation_data(jid) or {}) do data[key] = value; end
		data.reserved_nickname = nick or data.reserved_nickname;
		if data.reserved_nickname == "" then data.reserved_nickname = nil; end -- none is reserved any more
		data.reason = reason or data.reason;
		return next(data) and data or nil;
	end

	module:hook("muc-set-affiliation", function (event)
		if not event.room._dmuc or event.is_of_list then return; end
		for _, remote in pairs(event.room._dmuc.remotes) do
			if remote.jid and jid_bare(remote.jid) == event.jid then remote.affiliation = event.affiliation or "none"; end
		end
		changed(event.room, event.jid, event.affiliation, event.reason, event.actor);
	end);

	module:hook("muc-set-affiliation-data/reserved_nickname", function (event)
		changed(event.room, event.jid, event.room:get_affiliation(event.jid));
	end);
end
