-- Hooks of other modules may wait (util.async): the coroutine in which they run stops there, and others go on. So nothing
-- that is going on is kept where another coroutine would take it for its own: a coroutine knows what it is in the middle
-- of (within), and what has to stay in order among itself has a lane, in which the next waits for the one before while
-- everything else flows (run).

local async = require "util.async";
local running = coroutine.running;
local unpack = table.unpack;

-- How much may wait in one lane. Then the order is given up, so that a hook that never returns stops nothing for ever.
local max_waiting = 1000;
local max_idle = 10;
-- After so much CPU in one turn of the server long work waits for the next (docs/ARCHITECTURE.md: turns).
local turn_s = 0.01;
local cpu_now = os.clock;

return function (dmuc)
	local turns = {};
	dmuc.turns = turns;

	-- What a coroutine is in the middle of, innermost first: [thread] = { room, values, outer }.
	local frames = setmetatable({}, { __mode = "k" });

	local function leave(thread, outer, ok, ...)
		frames[thread] = outer;
		if not ok then error((...), 0); end
		return ...;
	end

	-- Calls work(...); until it returns, and in this coroutine only, turns.current() finds the values for this room.
	function turns.within(room, values, work, ...)
		local thread = running();
		local outer = frames[thread];
		frames[thread] = { room = room; values = values; outer = outer };
		return leave(thread, outer, pcall(work, ...));
	end

	function turns.current(room, key)
		local frame = frames[running()];
		while frame do
			local value = frame.values[key];
			if value ~= nil and frame.room == room then return value; end
			frame = frame.outer;
		end
	end

	-- [key] = { key, first, last, [n] = job }: the jobs of a lane that is busy.
	local lanes = {};
	-- Runners that have nothing to do.
	local idle = {};

	local function work_off(lane)
		while lane.first <= lane.last and not lane.is_given_up do
			local job = lane[lane.first];
			lane[lane.first] = nil;
			lane.first = lane.first + 1;
			local ok, problem = xpcall(job.work, debug.traceback, unpack(job, 1, job.n));
			if not ok then module:log("error", "%s failed: %s", lane.key or "Work", problem); end
		end
		if lane.key and lanes[lane.key] == lane then lanes[lane.key] = nil; end
	end

	local function start(lane)
		local runner = table.remove(idle) or async.runner(work_off);
		runner:run(lane);
		if runner.state == "ready" and #idle < max_idle then idle[#idle + 1] = runner; end
	end

	-- Calls work(...) in a coroutine that may wait: now, or when what was there before it in its lane is done. Without a
	-- key it waits for nothing. An error is logged.
	function turns.run(key, work, ...)
		local lane = key and lanes[key];
		local is_busy = lane ~= nil;
		if not lane then
			lane = { key = key; first = 1; last = 0 };
			if key then lanes[key] = lane; end
		end
		lane.last = lane.last + 1;
		lane[lane.last] = { work = work; n = select("#", ...); ... };
		if not is_busy then return start(lane); end
		if lane.last - lane.first < max_waiting then return; end
		module:log("warn", "A hook of another module has not returned, and %d stanzas wait for it (%s): they wait no longer",
			lane.last - lane.first + 1, key);
		lane.is_given_up = true;
		local next_lane = { key = key; first = lane.first; last = lane.last };
		for i = lane.first, lane.last do next_lane[i] = lane[i]; end
		lanes[key] = next_lane;
		start(next_lane);
	end

	-- Whether something is going on or waits in a lane.
	function turns.is_busy(key)
		return lanes[key] ~= nil;
	end

	local is_ending = false;
	local due = { first = 1; last = 0 }; -- work for the next turn of the server

	local function begin_next()
		local work = due[due.first];
		if not work then return; end -- done when the module ended
		due[due.first] = nil;
		due.first = due.first + 1;
		work();
	end

	-- Calls work() in the next turn of the server. It is done in any case: before the module is unloaded, if need be.
	function turns.next(work)
		if is_ending then return work(); end
		due.last = due.last + 1;
		due[due.last] = work;
		module:add_timer(0, begin_next);
	end

	-- There will be no other turn: what waits for one is done now, to its end.
	function turns.finish()
		is_ending = true;
		while due.first <= due.last do
			local ok, problem = xpcall(begin_next, debug.traceback);
			if not ok then module:log("error", "Work that waited for another turn failed: %s", problem); end
		end
	end

	-- For long work in a coroutine that may wait: a function that it calls between its steps, and that lets the server do
	-- something else when this has taken long enough.
	function turns.breather()
		local began = cpu_now();
		return function ()
			if is_ending or cpu_now() - began < turn_s then return; end
			local wait, done = async.waiter();
			turns.next(done);
			wait();
			began = cpu_now();
		end
	end

	-- Whether a turn that began at this CPU time has taken so long that what takes long itself waits for the next one.
	function turns.is_over(began)
		return not is_ending and cpu_now() - began > turn_s;
	end

	-- Calls work(...) as soon as what is going on now is done or waits; never, if the module is unloaded before: for what is
	-- begun anew when it is loaded.
	function turns.later(work, ...)
		local job = table.pack(...);
		module:add_timer(0, function () turns.run(nil, work, unpack(job, 1, job.n)); end);
	end
end
