-- Peers that send more than they may are not read for a moment. What they send waits at their end of the connection, and what
-- others here say has its turn in between. What is sent to them goes out as always.

return function (dmuc)
	local pace = {};
	dmuc.pace = pace;

	function pace.slow_down(service, pause_s)
		local line = ("Slowed down %s, which sends more than is handled for one peer (dmuc_max_stanzas)"):format(service);
		dmuc.tally.refusal("warn", line, line);
		for _, session in ipairs(dmuc.prosody.sessions_from(service)) do dmuc.prosody.pause(session, pause_s); end
	end
end
