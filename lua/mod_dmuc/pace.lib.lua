-- What peers send has its turns, so that what others here say has theirs in between (docs/ARCHITECTURE.md: turns). Peers that send
-- more than they may are not read for a moment: what they send waits at their end of the connection. What is sent to them goes
-- out as always.

local timer = require "util.timer";
local monotonic = require "util.time".monotonic;
local cpu_now = os.clock;

-- So much CPU is spent on what one connection brings, before others have their turn.
local turn_s = 0.002;
-- While stanzas wait nothing more is read, unless somebody else (mod_limits) has it read: then so many wait at most.
local max_waiting, long_pause_s = 200, 1;

return function (dmuc)
	local pace = {};
	dmuc.pace = pace;

	local inside = dmuc.prosody;
	local is_ending = false;

	-- What is read from a connection at once may be many stanzas, all of which Prosody handles before anybody else has a turn.
	-- Those that come too early, or after others that have taken long, wait: [session] = { first, last, [n] = stanza that
	-- waits, ready_s = before when none is handled, paid_s = before when mod_limits has nothing read, began = CPU time when
	-- this turn began, is_armed }.
	local gates = setmetatable({}, { __mode = "k" });

	local function is_over(gate)
		return gate.began and cpu_now() - gate.began > turn_s;
	end

	local function take_first(gate)
		local stanza = gate[gate.first];
		gate[gate.first] = nil;
		gate.first = gate.first + 1;
		return stanza;
	end

	local function read_again(session, gate)
		inside.pause(session, math.max(math.max(gate.ready_s, gate.paid_s) - monotonic(), 0));
	end

	-- These are no timers of this module: what waits is handled in any case (finish).
	local let_through;
	local function wait(session, gate)
		local pause_s = math.max(gate.ready_s - monotonic(), 0);
		inside.pause(session, pause_s + long_pause_s);
		if gate.is_armed then return; end
		gate.is_armed = true;
		timer.add_task(pause_s, function ()
			gate.is_armed = nil;
			if gates[session] == gate and inside.is_open(session) then let_through(session, gate); end
		end);
	end

	function let_through(session, gate)
		gate.began = cpu_now();
		while gate.first <= gate.last do
			if gate.ready_s > monotonic() or is_over(gate) then return wait(session, gate); end
			inside.handle(session, take_first(gate));
			if gates[session] ~= gate then return; end -- that has ended the session
		end
		gate.began = nil;
		read_again(session, gate);
	end

	local function bytes_in(data, session)
		local gate = gates[session];
		gate.began = cpu_now();
		gate.paid_s = math.max(gate.paid_s, monotonic()) + inside.limit_s(session, #data);
		return data;
	end

	local function stanza_in(stanza, session)
		local gate = gates[session];
		if gate.first > gate.last and gate.ready_s <= monotonic() and not is_over(gate) then return stanza; end
		gate.last = gate.last + 1;
		gate[gate.last] = stanza;
		wait(session, gate);
		if gate.last - gate.first >= max_waiting then return take_first(gate); end
	end

	local function take_turns(session)
		if gates[session] or is_ending or not inside.is_open(session) then return; end
		gates[session] = { first = 1; last = 0; ready_s = 0; paid_s = 0 };
		inside.watch_input(session, bytes_in, stanza_in);
	end

	-- Nothing waits any longer, and nothing will.
	local function finish(session)
		local gate = gates[session];
		if not gate then return; end
		gates[session] = nil;
		inside.unwatch_input(session, bytes_in, stanza_in);
		local waiting = {};
		while gate.first <= gate.last do table.insert(waiting, take_first(gate)); end
		inside.handle_all(session, waiting);
		return gate;
	end
	inside.when_session_ends(finish);

	function pace.stop()
		is_ending = true;
		for session in pairs(gates) do
			local gate = finish(session);
			read_again(session, gate);
		end
	end

	function pace.slow_down(service, pause_s)
		local line = ("Slowed down %s, which sends more than is handled for one peer (dmuc_max_stanzas)"):format(service);
		dmuc.tally.refusal("warn", line, line);
		for _, session in ipairs(inside.sessions_from(service)) do
			take_turns(session);
			local gate = gates[session];
			if gate then gate.ready_s = monotonic() + pause_s; end
			inside.pause(session, pause_s);
		end
	end

	local function begin(session, service)
		if service and dmuc.ask("is_peer", service) then take_turns(session); end
	end

	module:hook_global("s2sin-established", function (event) begin(event.session, event.session.from_host); end);
	module:hook_global("s2sout-established", function (event) begin(event.session, event.session.to_host); end);

	-- Those that were there before this module was loaded.
	for session, services in pairs(inside.incoming()) do
		for _, service in ipairs(services) do begin(session, service); end
	end
end
