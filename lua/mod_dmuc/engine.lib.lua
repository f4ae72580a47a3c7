-- Calls into the engine: inputs with the time, actions drained in one total order, one timer, one rebuild.

local time = require "util.time";

local monotonic, now = time.monotonic, time.now;

return function (dmuc)
	local engine, is_new;
	local is_busy = false; -- somebody further out will drain
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
		module:add_timer(0, function ()
			dmuc.requests.stop(); -- what they wait for the old engine knew
			dmuc.lifecycle.stop();
			dmuc.hold(dmuc.restoring.start);
		end);
	end

	-- The first argument of an input is its room, of nearly every one.
	local function subject_of(method, room_jid)
		return type(room_jid) == "string" and method.." of "..room_jid or method;
	end

	local function call(method, ...)
		local ok, a, b, c, d, e, f = pcall(engine[method], engine, ...);
		if ok then return a, b, c, d, e, f; end
		if engine:is_poisoned() then
			rebuild(tostring(a));
			return nil, "wait", "internal-server-error", "The room service failed and starts again";
		end
		-- An address or a value that the engine does not take; nothing has changed.
		local what = tostring(a):match("^[^\n]*"):gsub("^runtime error: ", ""); -- without Lua's traceback
		return nil, "modify", "jid-malformed", "This address or value is not taken here: "..what;
	end

	local tick;
	local function arm()
		local due = engine:poll_timeout();
		if not due or (timer_due and timer_due <= due) then return; end
		timer_due = due;
		module:add_timer(math.max(due - monotonic(), 0.001), tick);
	end

	-- Work for when all actions that are due have been performed.
	local afterwards = {};

	local function drain()
		if is_busy then return; end
		is_busy = true;
		for action in engine.poll_action, engine do
			local ok, problem = xpcall(dmuc.perform, debug.traceback, action);
			if not ok then
				module:log("error", "Action %s for %s failed: %s", action.kind, action.room, problem);
			end
		end
		is_busy = false;
		dmuc.groupchat.drained();
		dmuc.presence.drained();
		arm();
		local due = afterwards;
		afterwards = {};
		for _, work in ipairs(due) do work(); end
	end

	-- Runs work when what has been decided is on its way: who gets an answer then has got that before.
	function dmuc.afterwards(work)
		if is_busy then
			afterwards[#afterwards + 1] = work;
		else
			work();
		end
	end

	function tick()
		timer_due = nil;
		call("timeout", monotonic(), now());
		drain();
	end

	-- One input that somebody waits for. Returns the verdict, which the caller has to look at: its name and values, or nil,
	-- error type, condition, text.
	function dmuc.feed(method, ...)
		local a, b, c, d, e, f = call(method, monotonic(), now(), ...);
		drain();
		return a, b, c, d, e, f;
	end

	-- Tells the engine what is so already. It makes what it is told fit (docs/PROTOCOL.md section 16); what it refuses all
	-- the same is said here, since other instances will not learn of it. Returns whether it was taken.
	function dmuc.tell(method, ...)
		local verdict, _, condition, text = dmuc.feed(method, ...);
		if verdict then return true; end
		module:log("warn", "Other instances are not told of this (%s): %s (%s)", subject_of(method, ...), condition, text);
		return false;
	end

	-- A stored room. Returns true, or nil and what is wrong with it.
	function dmuc.feed_restore(snapshot)
		local ok, err = call("restore", monotonic(), now(), snapshot);
		drain();
		return ok, err;
	end

	-- Runs work whose inputs' actions are drained only after it: local first, then the peers (G2).
	function dmuc.hold(work, ...)
		if is_busy then return work(...); end
		is_busy = true;
		local ok, a, b, c = pcall(work, ...);
		is_busy = false;
		drain();
		if not ok then error(a, 0); end
		return a, b, c;
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
		-- The engine outlived a reload of this module: only the options may be different.
		local ok, problem = engine:configure(monotonic(), now(), dmuc.options);
		if not ok then error(problem, 0); end
	end
	dmuc.engine_is_new = is_new;
end
