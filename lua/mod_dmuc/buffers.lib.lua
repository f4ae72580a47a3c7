-- What waits to be sent to a peer. Whoever accepts a connection and does not read from it makes Prosody keep what others say
-- in memory: 0.12 without end, 13 up to 32 MiB and 32,768 stanzas. With more than dmuc_max_unsent the connection is given up,
-- which is a split like any other: what was lost with it is pulled when the peer answers again.

local jid_host = require "util.jid".host;

return function (dmuc)
	local max_bytes = dmuc.options.dmuc_max_unsent or 16 * 1024 * 1024;
	local max_stanzas = 5000; -- before the connection is up
	local interval_s = 1;

	-- Bytes in the write buffer of a connection. In 13 it is a util.dbuffer, in 0.12 a list of texts, in both perhaps a text;
	-- net.server's other backends have limits of their own.
	local function unsent_of(conn)
		local buffer = conn and conn.writebuffer;
		if type(buffer) == "string" or getmetatable(buffer) then return #buffer; end
		local bytes = 0;
		if type(buffer) == "table" then
			for _, text in ipairs(buffer) do bytes = bytes + #text; end
		end
		return bytes;
	end

	-- Bytes and stanzas that wait until a connection is up. In 13 it is a util.queue of stanzas.
	local function queued_of(session)
		local queue = session.sendq;
		if not queue then return 0, 0; end
		if queue.count then return 0, queue.count(); end
		local bytes = 0;
		for _, item in ipairs(queue) do
			if type(item[1]) == "string" then bytes = bytes + #item[1]; end
		end
		return bytes, #queue;
	end

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
		local host = prosody.hosts[module.host];
		local full = {};
		for service, session in pairs(host and host.s2sout or {}) do
			local bytes, stanzas = queued_of(session);
			bytes = bytes + unsent_of(session.conn);
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
