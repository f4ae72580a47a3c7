-- Calls into the engine: inputs with the time, actions drained in one total order, one timer, one rebuild.

local time = require "util.time";

local monotonic, now = time.monotonic, time.now;
local cpu_now = os.clock;

-- In a turn of the server that has taken long already these wait for the next one, in which others get theirs, and all that
-- was decided after them waits behind them.
local takes_long = {
	apply_list = true; apply_avatar = true; read_avatar = true; store = true; send_iq = true; show_occupant = true; hide_occupant = true;
	add_messages = true;
};
-- So many messages that were missed are stored as one.
local max_added = 10;

return function (dmuc)
	local metrics = dmuc.metrics;
	local engine, is_new;
	local is_draining = false; -- somebody further out will do the rest; whatever waits does so in a coroutine of its own
	local held = setmetatable({}, { __mode = "k" }); -- [thread] = true while it is in dmuc.hold()
	local is_paused = false; -- the rest is done in another turn of the server
	local turn_began = 0; -- CPU of the process when this turn of the server gave us something to do
	local timer_due = nil; -- monotonic time the one timer is armed for

	local function open()
		engine, is_new = dmuc.native.open(module.host, dmuc.options, dmuc.seed());
		if not engine then
			error(is_new, 0); -- the one line that names option, value and what is accepted
		end
		return is_new;
	end

	-- A failed engine knows nothing for sure: it is made anew from what is stored.
	local function rebuild(cause)
		module:log("error", "%s; rebuilding the distributed rooms from storage", cause);
		open();
		dmuc.turns.later(function ()
			dmuc.requests.stop(); -- what they wait for the old engine knew
			dmuc.lifecycle.stop();
			dmuc.hold(dmuc.restoring.start);
		end);
	end

	-- The first argument of an input is its room, of nearly every one.
	local function subject_of(method, room_jid)
		return type(room_jid) == "string" and method.." of "..room_jid or method;
	end

	local queue = { first = 1; last = 0 }; -- actions that have not been begun, in the engine's order

	local function call(method, ...)
		if queue.first > queue.last then turn_began = cpu_now(); end
		local began = metrics.is_on and cpu_now();
		local ok, a, b, c, d, e, f = pcall(engine[method], engine, ...);
		if began then metrics.took(cpu_now() - began); end
		if ok then return a, b, c, d, e, f; end
		if engine:is_poisoned() then
			rebuild(tostring(a));
			return nil, "wait", "internal-server-error", "The room service failed and starts again";
		end
		-- An address or a value that the engine does not take; nothing has changed.
		local what = tostring(a):match("^[^\n]*"):gsub("^runtime error: ", ""); -- without Lua's traceback
		return nil, "modify", "jid-malformed", "This address or value is not taken here: "..what;
	end

	-- Whether this turn of the server has taken long already.
	function dmuc.is_turn_over()
		return dmuc.turns.is_over(turn_began);
	end

	local tick;
	local function arm()
		local due = engine:poll_timeout();
		if not due or (timer_due and timer_due <= due) then return; end
		timer_due = due;
		module:add_timer(math.max(due - monotonic(), 0.001), tick);
	end

	local function enqueue(action)
		queue.last = queue.last + 1;
		queue[queue.last] = action;
	end

	-- A room is stored as it is by then, with what is asked for until then.
	local stores = {};

	local function enqueue_store(action)
		if stores[action.room] then return; end
		stores[action.room] = true;
		enqueue(action);
	end

	local entry_kinds = { apply_affiliation = true; apply_hats = true };

	-- Entries of a room's list that follow each other are one action, "apply_list".
	local function enqueue_entry(entry)
		local last = queue[queue.last];
		if queue.first > queue.last or last.kind ~= "apply_list" or last.room ~= entry.room then
			last = { kind = "apply_list"; room = entry.room; entries = {} };
			enqueue(last);
		end
		last.entries[#last.entries + 1] = entry;
	end

	-- So are messages that were missed, "add_messages".
	local function enqueue_added(message)
		local last = queue[queue.last];
		if queue.first > queue.last or last.kind ~= "add_messages" or last.room ~= message.room or #last.messages >= max_added then
			last = { kind = "add_messages"; room = message.room; messages = {} };
			enqueue(last);
		end
		last.messages[#last.messages + 1] = message;
	end

	local function perform(action)
		local ok, problem = xpcall(dmuc.perform, debug.traceback, action);
		if not ok then
			module:log("error", "Action %s for %s failed: %s", action.kind, action.room or action.service, problem);
		elseif metrics.is_on then
			metrics.done(action);
		end
	end

	-- Each action of an input goes with what has caused it.
	local function collect(cause)
		for action in engine.poll_action, engine do
			action.cause = cause;
			if entry_kinds[action.kind] then
				enqueue_entry(action);
			elseif action.kind == "add_message" then
				enqueue_added(action);
			elseif action.kind == "store" then
				enqueue_store(action);
			elseif action.kind == "slow_down" then
				perform(action); -- now: until then more is read, which this says has to wait
			else
				enqueue(action);
			end
		end
	end

	local drain;

	local function go_on()
		is_paused, turn_began = false, cpu_now();
		drain();
	end

	-- Begins all actions in their order. Of those that wait for a hook of another module only what has the same lane waits.
	function drain()
		if is_draining or is_paused or held[coroutine.running()] then return; end
		is_draining = true;
		dmuc.together.settle();
		while queue.first <= queue.last do
			local action = queue[queue.first];
			if takes_long[action.kind] and dmuc.turns.is_over(turn_began) then
				is_paused = true;
				dmuc.turns.next(go_on);
				break;
			end
			queue[queue.first] = nil;
			queue.first = queue.first + 1;
			if action.kind == "store" then stores[action.room] = nil; end
			dmuc.turns.run(dmuc.lane_of(action), perform, action);
		end
		is_draining = false;
		dmuc.groupchat.drained();
		arm();
	end

	-- Runs work when what has been decided is on its way: who gets an answer then has got that before.
	function dmuc.afterwards(work)
		enqueue({ kind = "call"; work = work });
		drain();
	end

	function tick()
		timer_due = nil;
		call("timeout", monotonic(), now());
		collect();
		drain();
	end

	-- One input that somebody waits for. Returns the verdict, which the caller has to look at: its name and values, or nil,
	-- error type, condition, text.
	function dmuc.feed(method, ...)
		return dmuc.feed_because(nil, method, ...);
	end

	-- The same; its actions have the cause.
	function dmuc.feed_because(cause, method, ...)
		local a, b, c, d, e, f = call(method, monotonic(), now(), ...);
		collect(cause);
		drain();
		return a, b, c, d, e, f;
	end

	-- Tells the engine what is so already. It makes what it is told fit (docs/PROTOCOL.md section 16); what it refuses all
	-- the same is said here, since other instances will not learn of it. Returns whether it was taken.
	function dmuc.tell(method, ...)
		return dmuc.tell_because(nil, method, ...);
	end

	-- The same; its actions have the cause.
	function dmuc.tell_because(cause, method, ...)
		local verdict, _, condition, text = dmuc.feed_because(cause, method, ...);
		if verdict then return true; end
		module:log("warn", "Other instances are not told of this (%s): %s (%s)", subject_of(method, ...), condition, text);
		return false;
	end

	-- Tells the engine something of which nothing follows: whatever is under way goes on before its actions.
	function dmuc.note(method, ...)
		call(method, monotonic(), now(), ...);
	end

	-- A stored room, and its list if that is beside it. Returns true, or nil and what is wrong with it.
	function dmuc.feed_restore(snapshot, list)
		local ok, err = call("restore", monotonic(), now(), snapshot, list);
		collect();
		drain();
		return ok, err;
	end

	local function release(thread, outer, ok, ...)
		held[thread] = outer;
		drain();
		if not ok then error((...), 0); end
		return ...;
	end

	-- Runs work whose inputs' actions are begun only after it: local first, then the peers (G2). If it waits for a hook of
	-- another module, others who come meanwhile do not wait for it: what they cause goes out with what was decided before.
	function dmuc.hold(work, ...)
		local thread = coroutine.running();
		local outer = held[thread];
		held[thread] = true;
		return release(thread, outer, pcall(work, ...));
	end

	-- Questions that change nothing: role of a room ("source", "shadow", "pending" or nil), its source, its id.
	function dmuc.role(room_jid)
		return engine:room(room_jid);
	end

	-- Any other question by its name.
	function dmuc.ask(method, ...)
		return engine[method](engine, ...);
	end

	if not open() then
		-- The engine outlived a reload of this module. A wrong option has to be known before anything is hooked.
		local problem = engine:check(dmuc.options);
		if problem then error(problem, 0); end
	end
	dmuc.engine_is_new = is_new;

	-- Only the options may be different. What follows from that is for rooms that are attached already.
	function dmuc.configure()
		call("configure", monotonic(), now(), dmuc.options);
		collect();
		drain();
	end
end
