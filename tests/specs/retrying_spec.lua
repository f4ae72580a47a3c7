local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

describe("what cannot be written", function ()
	local dmuc, host, queue, written, is_away;

	before_each(function ()
		dmuc, host = shim.new({ libraries = { "retrying" }; get_room = function () end });
		written, is_away = {}, true;
		queue = dmuc.retrying.queue("log", function (node, item)
			if is_away then return false, "gone"; end
			table.insert(written, node.." "..item);
			return true;
		end);
	end);

	it("is written at once while the storage is there", function ()
		is_away = false;
		assert.is_true(queue:put("coven", "a", 10));
		assert.same({ "coven a" }, written);
		assert.same({}, host.lines);
	end);

	it("waits, and is written in order when the storage answers", function ()
		for _, item in ipairs { "a", "b", "c" } do assert.is_false(queue:put("coven", item, 10)); end
		assert.same({ "a", "b", "c" }, queue:items("coven"));
		assert.equal(1, #host.lines);
		is_away = false;
		host.pass(2);
		assert.same({ "coven a", "coven b", "coven c" }, written);
		assert.matches("^info: The storage answers again: 3 messages", host.lines[2]);
		assert.same({}, queue:items("coven"));
	end);

	it("is a thousand messages at most, or 8 MiB, for all rooms together", function ()
		for i = 1, 1000 do queue:put("coven"..i % 7, i, 1); end
		assert.is_true(dmuc.retrying.is_full());
		assert.is_false(queue:put("coven", "one more", 1));
		assert.same({}, queue:items("coven"));
		for i = 0, 6 do queue:forget("coven"..i); end
		assert.is_false(dmuc.retrying.is_full());
		queue:put("coven", "large", 8 * 1024 * 1024);
		assert.is_true(dmuc.retrying.is_full());
	end);

	it("goes over a reload", function ()
		queue:put("coven", "a", 10);
		local saved = dmuc.retrying.save();
		local after, other = shim.new({ libraries = { "retrying" }; get_room = function () end });
		local found = {};
		after.retrying.queue("log", function (_, item) table.insert(found, item); return true; end);
		after.retrying.restore(saved);
		other.pass(2);
		assert.same({ "a" }, found);
	end);

	it("does not let what is stored once for a room count as messages", function ()
		local states = dmuc.retrying.queue("state", function () return false, "gone"; end, true);
		for i = 1, 1001 do states:put("coven"..i, {}, 0); end
		assert.is_false(dmuc.retrying.is_full());
		for i = 1, 1000 do queue:put("coven", i, 1); end
		states:put("another", {}, 0);
		assert.equal(1, #states:items("another"));
	end);
end);
