-- What waits to be sent to a peer. Whoever accepts a connection and does not read from it makes Prosody keep what others say
-- in memory, by the version up to 32 MiB and 32,768 stanzas or without end. With more than dmuc_max_unsent the connection is given up,
-- which is a split like any other: what was lost with it is pulled when the peer answers again.

local jid_host = require "util.jid".host;

return function (dmuc)
	local max_bytes = dmuc.options.dmuc_max_unsent or 16 * 1024 * 1024;
	local max_stanzas = 5000; -- before the connection is up
	local interval_s = 1;

	-- The link is in doubt: the engine asks at once whether the peer is there.
	local function doubt(service)
		for room in dmuc.live_rooms() do
			for _, instance in ipairs(room._dmuc and dmuc.ask("instances", room.jid) or {}) do
				if jid_host(instance) == service then
					return dmuc.feed("peer_error", instance, "wait", "remote-server-timeout", "nothing that is sent is read");
				end
			end
		end
	end

	local function check()
		local full = {};
		for service, session in pairs(dmuc.prosody.outgoing()) do
			local bytes, stanzas = dmuc.prosody.unsent(session);
			if (bytes > max_bytes or stanzas > max_stanzas) and dmuc.ask("is_peer", service) then
				full[service] = bytes;
			end
		end
		for service, bytes in pairs(full) do
			dmuc.links.give_up(service, ("does not read what it is sent: %d bytes wait"):format(bytes));
			doubt(service);
		end
	end

	module:add_timer(interval_s, function ()
		dmuc.turns.run(nil, dmuc.hold, check);
		return interval_s;
	end);
end
