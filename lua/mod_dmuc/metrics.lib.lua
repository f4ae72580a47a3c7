-- What Prosody's statistics show of this service (docs/OPERATING.md, Monitoring). Prosody adds the unit to a name, and the label
-- "host" with that of this service, so that two services of one server stand beside each other.
--
-- What is so now is looked up when somebody asks for it, what happens is counted as it does. A family has the same labels at every
-- host and after every reload: another list would replace the first one for all.

local jid_host = require "util.jid".host;
local time = require "util.time";

return function (dmuc)
	local metrics = {};
	dmuc.metrics = metrics;

	local function family(kind, name, unit, text, ...)
		return module:metric(kind, name, unit, text, { ... });
	end

	local links = family("gauge", "link_state", "", "1 for the state that the link to a peer is in, 0 for the others", "peer", "state");
	local link_age = family("gauge", "link_state_age", "seconds", "Since when the link to a peer is in its state", "peer");
	local link_answer = family("gauge", "link_answer_age", "seconds", "How long ago a peer answered something last", "peer");
	local link_rooms = family("gauge", "link_rooms", "", "Rooms that a peer has an instance of", "peer");
	local behind = family("gauge", "link_behind", "", "Instances at a peer of which something is missing here, or may be", "peer");
	local clock = family("gauge", "link_clock_ahead", "seconds", "By how much the clock of a peer is ahead of ours", "peer");
	local rooms = family("gauge", "rooms", "", "Distributed rooms by role", "role");
	local occupants = family("gauge", "occupants", "", "Occupants of distributed rooms, by where they have joined", "where");
	local messages = family("gauge", "log_messages", "", "Messages in the logs of all rooms");
	local memory = family("gauge", "log_memory", "bytes", "What messages take in memory, about");
	local offers = family("gauge", "offers", "", "Changes made here that the source has yet to decide");
	local refused = family("gauge", "instances_refused", "", "Instances that a peer would not have");
	local sent = family("counter", "stanzas_sent", "", "Stanzas to peers", "peer", "kind");
	local refusals = family("counter", "stanzas_refused", "", "Stanzas of peers that were refused", "kind", "condition");
	local lost = family("counter", "lost_messages", "", "Messages of peers that nobody has kept");
	local engine_time = family("counter", "engine_time", "seconds", "CPU time in the engine");
	local engine_inputs = family("counter", "engine_inputs", "", "What the engine was given");

	local states = { "up"; "syncing"; "suspect"; "down"; "unknown" };
	local roles = { "source"; "shadow"; "pending"; "parked" };

	local shown = {}; -- [peer] = true

	-- What a family shows of a peer that is named no more would stay as it was, and be taken for news.
	local function forget(peer)
		for _, state in ipairs(states) do links:with_labels(peer, state):set(0); end
		for _, gauge in ipairs { link_age; link_answer; link_rooms; behind; clock } do gauge:with_labels(peer):set(0); end
	end

	local function update()
		local peers = {};
		for _, link in ipairs(dmuc.ask("links", time.monotonic(), time.now())) do
			peers[link.peer] = true;
			for _, state in ipairs(states) do
				links:with_labels(link.peer, state):set(link.state == state and 1 or 0);
			end
			link_age:with_labels(link.peer):set(link.for_seconds or 0);
			if link.answered_ago then link_answer:with_labels(link.peer):set(link.answered_ago); end
			if link.clock_ahead then clock:with_labels(link.peer):set(link.clock_ahead); end
			link_rooms:with_labels(link.peer):set(link.rooms);
			behind:with_labels(link.peer):set(link.behind);
		end
		for peer in pairs(shown) do
			if not peers[peer] then forget(peer); end
		end
		shown = peers;
		local totals = dmuc.ask("totals");
		for _, role in ipairs(roles) do rooms:with_labels(role):set(totals[role]); end
		for _, where in ipairs { "here"; "elsewhere" } do occupants:with_labels(where):set(totals[where]); end
		messages:with_labels():set(totals.messages);
		memory:with_labels():set(totals.memory);
		offers:with_labels():set(totals.offers);
		refused:with_labels():set(totals.refused);
	end
	module:hook_global("stats-update", update);

	-- This module goes; whom it names when it comes back is shown again.
	function metrics.stop()
		for peer in pairs(shown) do forget(peer); end
		shown = {};
	end

	local kinds = {
		send_presence = "presence"; send_groupchat = "message"; send_subject = "message"; send_moderation = "message";
		send_iq = "iq";
	};

	-- An action has been carried out.
	function metrics.done(action)
		local kind = kinds[action.kind];
		if kind then sent:with_labels(jid_host(action.to), kind):add(1); end
	end

	-- A peer's stanza was refused.
	function metrics.refused(kind, condition)
		if not metrics.is_on then return; end
		refusals:with_labels(kind, condition):add(1);
	end

	-- Messages are missing here for good.
	function metrics.lost(count)
		lost:with_labels():add(count);
	end

	-- The engine was given something, and took so long (CPU, s).
	function metrics.took(seconds)
		engine_inputs:with_labels():add(1);
		engine_time:with_labels():add(seconds);
	end

	-- Without statistics nobody asks, and nothing is counted.
	metrics.is_on = module:get_option("statistics") ~= nil or module:get_option("statistics_interval") ~= nil;
end
