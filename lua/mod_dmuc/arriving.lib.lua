-- Stanzas of peers that take long to arrive. Over a thin link, or behind a rate limit, a large one may take longer than
-- dmuc_link_timeout: as long as bytes of it come the link works.

return function (dmuc)
	local looks = 8; -- in each dmuc_link_timeout

	local function look()
		for session, services in pairs(dmuc.prosody.incoming()) do
			local is_arriving = dmuc.prosody.is_arriving(session);
			for _, service in ipairs(services) do
				if is_arriving and dmuc.ask("is_peer", service) then dmuc.tell("arriving", service); end
			end
		end
	end

	local function interval_s()
		return math.max(dmuc.ask("link_timeout") / looks, 0.1);
	end

	module:add_timer(interval_s(), function ()
		dmuc.turns.run(nil, dmuc.hold, look);
		return interval_s();
	end);
end
