local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local dmuc, host, engine, performed;

-- An engine that answers what it is told to, and queues the actions it is given.
before_each(function ()
	performed = {};
	engine = { actions = {}; answers = {}; poisoned = false };
	function engine:poll_action() return table.remove(self.actions, 1); end
	function engine:poll_timeout() return self.due; end
	function engine:is_poisoned() return self.poisoned; end
	function engine:say(_, _, ...)
		for _, action in ipairs { ... } do table.insert(self.actions, action); end
		return "done";
	end
	function engine.refuse() return nil, "cancel", "conflict", "no"; end
	function engine.fail() error("runtime error: not an address\nstack traceback: ...", 0); end
	dmuc, host = shim.new({
		libraries = { "turns" };
		native = { open = function () return engine, true; end };
		seed = function () return ("x"):rep(32); end;
		options = {};
		groupchat = { drained = function () end };
		together = { settle = function () end };
		metrics = { is_on = true; took = function () end; done = function () end };
	});
	function dmuc.perform(action)
		table.insert(performed, action.kind.." "..tostring(action.room or ""));
		if action.work then action.work(); end
	end
	function dmuc.lane_of() return nil; end
	host.load("engine");
end);

local function action(kind, room, given)
	local made = { kind = kind; room = room };
	for key, value in pairs(given or {}) do made[key] = value; end
	return made;
end

describe("actions", function ()
	it("are begun in the engine's order", function ()
		assert.equal("done", dmuc.feed("say", action("a", "1"), action("b", "2")));
		assert.same({ "a 1", "b 2" }, performed);
	end);

	it("that add messages to a room are done ten at a time", function ()
		function dmuc.perform(given)
			table.insert(performed, given.kind.." "..given.room.." "..(given.messages and #given.messages or "-"));
		end
		local actions = {};
		for number = 1, 12 do actions[number] = action("add_message", "1", { id = number }); end
		table.insert(actions, action("add_message", "2"));
		table.insert(actions, action("store", "2"));
		table.insert(actions, action("add_message", "2"));
		dmuc.feed("say", table.unpack(actions));
		assert.same({ "add_messages 1 10", "add_messages 1 2", "add_messages 2 1", "store 2 -", "add_messages 2 1" }, performed);
	end);

	it("wait for the work that is going on, also for one within another", function ()
		dmuc.hold(function ()
			dmuc.hold(function () dmuc.feed("say", action("a")); end);
			assert.same({}, performed);
			return nil;
		end);
		assert.same({ "a " }, performed);
	end);

	it("go out when the work has failed", function ()
		assert.has.errors(function ()
			dmuc.hold(function ()
				dmuc.tell("say", action("a"));
				error("no");
			end);
		end);
		assert.same({ "a " }, performed);
	end);

	it("know what has caused them", function ()
		local cause, made = {}, action("a");
		dmuc.feed_because(cause, "say", made);
		assert.equal(cause, made.cause);
	end);

	it("that set entries of one list one after the other are one", function ()
		local lists = {};
		local perform = dmuc.perform;
		function dmuc.perform(a)
			if a.entries then table.insert(lists, #a.entries); end
			return perform(a);
		end
		dmuc.feed("say", action("apply_affiliation", "1"), action("apply_hats", "1"), action("apply_affiliation", "2"), action("x"),
			action("apply_hats", "2"));
		assert.same({ "apply_list 1", "apply_list 2", "x ", "apply_list 2" }, performed);
		assert.same({ 2, 1, 1 }, lists);
	end);

	it("that store a room are one until it is begun", function ()
		dmuc.hold(function ()
			for _ = 1, 3 do dmuc.tell("say", action("store", "1"), action("store", "2")); end
		end);
		assert.same({ "store 1", "store 2" }, performed);
		dmuc.tell("say", action("store", "1"));
		assert.equal("store 1", performed[3]);
	end);

	it("that slow a peer down wait for nothing", function ()
		dmuc.hold(function ()
			dmuc.tell("say", action("a"), action("slow_down"));
			assert.same({ "slow_down " }, performed);
		end);
	end);

	it("that fail are logged, and the next is begun", function ()
		local perform = dmuc.perform;
		function dmuc.perform(a)
			if a.kind == "bad" then error("broken"); end
			return perform(a);
		end
		dmuc.tell("say", action("bad", "1"), action("good", "1"));
		assert.same({ "good 1" }, performed);
		assert.matches("^error: Action bad for 1 failed: .*broken", host.lines[1]);
	end);

	it("come before work that is done afterwards", function ()
		dmuc.hold(function ()
			dmuc.tell("say", action("a"));
			dmuc.afterwards(function () table.insert(performed, "work"); end);
			assert.same({}, performed);
		end);
		assert.same({ "a ", "call ", "work" }, performed);
	end);
end);

describe("what the engine does not take", function ()
	it("is a verdict for who asks", function ()
		assert.same({ nil, "cancel", "conflict", "no" }, { dmuc.feed("refuse", "room") });
	end);

	it("is a line of the log for who tells", function ()
		assert.is_false(dmuc.tell("refuse", "coven@chat.shakespeare.lit"));
		assert.same({ "warn: Other instances are not told of this (refuse of coven@chat.shakespeare.lit): conflict (no)" }, host.lines);
	end);

	it("is malformed if it has no form that the engine knows", function ()
		assert.same({ nil, "modify", "jid-malformed", "This address or value is not taken here: not an address" }, { dmuc.feed("fail") });
	end);
end);

describe("an engine that has failed", function ()
	it("is made anew from what is stored, and who asked is told to wait", function ()
		local done = {};
		dmuc.requests = { stop = function () table.insert(done, "requests"); end };
		dmuc.lifecycle = { stop = function () table.insert(done, "lifecycle"); end };
		dmuc.restoring = { start = function () table.insert(done, "restoring"); end };
		engine.poisoned = true;
		local _, err_type, condition = dmuc.feed("fail");
		assert.same({ "wait", "internal-server-error" }, { err_type, condition });
		assert.matches("^error: .*rebuilding the distributed rooms from storage$", host.lines[1]);
		host.pass(0);
		assert.same({ "requests", "lifecycle", "restoring" }, done);
	end);
end);
