-- Peers that send more than they may are not read for a moment. What they send waits at their end of the connection, and what
-- others here say has its turn in between. What is sent to them goes out as always.

local timer = require "util.timer";
local monotonic = require "util.time".monotonic;

return function (dmuc)
	local pace = {};
	dmuc.pace = pace;

	-- In network backends other than the default one: [session] = when it is read again.
	local paused = setmetatable({}, { __mode = "k" });

	-- A session that has ended meanwhile has no connection. These are no timers of this module: they outlive a reload of it.
	local function pause(session, pause_s)
		local conn = session.conn;
		if not conn then return; end
		if conn.pausefor then return conn:pausefor(pause_s); end
		if not conn.pause then return; end
		local is_paused = paused[session];
		paused[session] = monotonic() + pause_s;
		if is_paused then return; end
		conn:pause();
		timer.add_task(pause_s, function ()
			local left = paused[session] - monotonic();
			if left > 0 then return left; end
			paused[session] = nil;
			if session.conn == conn then conn:resume(); end
		end);
	end

	-- Every connection over which stanzas of this service come; those of others of its server may come over the same.
	function pace.slow_down(service, pause_s)
		local line = ("Slowed down %s, which sends more than is handled for one peer (dmuc_max_stanzas)"):format(service);
		dmuc.tally.refusal("warn", line, line);
		for session in pairs(prosody.incoming_s2s) do
			local host = session.hosts and session.hosts[service];
			if session.from_host == service or host and host.authed then pause(session, pause_s); end
		end
		local here = prosody.hosts[module.host];
		local outgoing = here and here.s2sout and here.s2sout[service];
		if outgoing and outgoing.incoming then pause(outgoing, pause_s); end -- used in both directions (XEP-0288)
	end
end
