local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local async = require "util.async";

describe("what a coroutine is in the middle of", function ()
	local turns = shim.new({ libraries = { "turns" } }).turns;
	local room, other = {}, {};

	it("is found until it is done, for this room only", function ()
		local result = turns.within(room, { key = "value" }, function (...)
			assert.equal("value", turns.current(room, "key"));
			assert.is_nil(turns.current(other, "key"));
			assert.is_nil(turns.current(room, "another"));
			return ...;
		end, "back");
		assert.equal("back", result);
		assert.is_nil(turns.current(room, "key"));
	end);

	it("is the innermost, and false counts", function ()
		turns.within(room, { key = "outer", kept = true }, function ()
			turns.within(room, { key = false }, function ()
				assert.equal(false, turns.current(room, "key"));
				assert.equal(true, turns.current(room, "kept"));
			end);
			assert.equal("outer", turns.current(room, "key"));
		end);
	end);

	it("is over after an error", function ()
		assert.has.errors(function () turns.within(room, { key = 1 }, error, "no"); end);
		assert.is_nil(turns.current(room, "key"));
	end);

	it("is not what another coroutine is in the middle of", function ()
		turns.within(room, { key = 1 }, function ()
			coroutine.wrap(function () assert.is_nil(turns.current(room, "key")); end)();
		end);
	end);
end);

describe("a lane", function ()
	local turns, host, done, release;

	local function say(word) table.insert(done, word); end
	local function wait_and_say(word)
		local wait, go_on = async.waiter();
		release = go_on;
		wait();
		say(word);
	end

	before_each(function ()
		local dmuc;
		dmuc, host = shim.new({ libraries = { "turns" } });
		turns, done = dmuc.turns, {};
	end);

	it("does at once what nothing is before", function ()
		turns.run("a", say, "now");
		assert.same({ "now" }, done);
		assert.is_false(turns.is_busy("a"));
	end);

	it("keeps its order while a hook waits, and others flow", function ()
		turns.run("a", wait_and_say, "first");
		turns.run("a", say, "second");
		turns.run("b", say, "other");
		turns.run(nil, say, "free");
		assert.same({ "other", "free" }, done);
		assert.is_true(turns.is_busy("a"));
		release();
		assert.same({ "other", "free", "first", "second" }, done);
		assert.is_false(turns.is_busy("a"));
	end);

	it("goes on after an error, which is logged", function ()
		turns.run("a", wait_and_say, "first");
		turns.run("a", error, "no");
		turns.run("a", say, "last");
		release();
		assert.same({ "first", "last" }, done);
		assert.matches("^error: a failed: no", host.lines[1]);
	end);

	it("gives up its order when more than a thousand wait, with one warning", function ()
		turns.run("a", wait_and_say, "first");
		for i = 1, 1001 do turns.run("a", say, i); end
		assert.equal(1001, #done);
		assert.equal(1, #host.lines);
		assert.matches("^warn: A hook of another module has not returned, and 1001 stanzas wait for it %(a%)", host.lines[1]);
		turns.run("a", say, "after");
		assert.equal("after", done[1002]);
		release();
		assert.equal("first", done[1003]);
	end);
end);

describe("work for another turn", function ()
	it("is done in order, one each turn", function ()
		local dmuc, host = shim.new({ libraries = { "turns" } });
		local done = {};
		for i = 1, 3 do dmuc.turns.next(function () table.insert(done, i); end); end
		assert.same({}, done);
		host.pass(0);
		assert.same({ 1, 2, 3 }, done);
	end);

	it("is done to its end when there is no other turn", function ()
		local dmuc, host = shim.new({ libraries = { "turns" } });
		local done = {};
		dmuc.turns.next(function ()
			table.insert(done, 1);
			dmuc.turns.next(function () table.insert(done, 2); end);
		end);
		dmuc.turns.next(error);
		dmuc.turns.next(function () table.insert(done, 3); end);
		dmuc.turns.finish();
		assert.same({ 1, 2, 3 }, done);
		assert.equal(1, #host.lines);
		host.pass(0);
		assert.same({ 1, 2, 3 }, done);
	end);
end);
