local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local function above_debug(lines)
	local found = {};
	for _, line in ipairs(lines) do
		if not line:find("^debug") then table.insert(found, line); end
	end
	return found;
end

describe("what happens to many rooms at once", function ()
	it("is one line that counts them and names three", function ()
		local dmuc, host = shim.new({ libraries = { "tally" } });
		for i = 1, 5 do
			dmuc.tally.room("warn", "down", "r"..i, "the link is down", "down for {rooms} rooms, {sum} people", i);
		end
		dmuc.tally.stop();
		assert.same({ "warn: down for 5 rooms, 15 people (r1, r2, r3 and 2 more)" }, above_debug(host.lines));
	end);

	it("is the line of that room if it is one", function ()
		local dmuc, host = shim.new({ libraries = { "tally" } });
		dmuc.tally.room("warn", "down", "r1", "the link is down", "{rooms}", 0);
		dmuc.tally.stop();
		assert.same({ "warn: r1: the link is down" }, above_debug(host.lines));
	end);
end);

describe("refusals", function ()
	it("of one kind are told once, then counted, at ever longer intervals", function ()
		local dmuc, host = shim.new({ libraries = { "tally" } });
		for i = 1, 10 do dmuc.tally.refusal("warn", "Refused x", "Refused x "..i); end
		assert.same({ "warn: Refused x 1" }, above_debug(host.lines));
		host.pass(60);
		assert.equal("warn: 9 more in the last 60 seconds: Refused x", above_debug(host.lines)[2]);
		dmuc.tally.refusal("warn", "Refused x", "Refused x again");
		host.pass(60);
		assert.equal(2, #above_debug(host.lines));
		host.pass(180);
		assert.equal("warn: 1 more in the last 240 seconds: Refused x", above_debug(host.lines)[3]);
		host.pass(4000);
		dmuc.tally.refusal("warn", "Refused x", "Refused x anew");
		assert.equal("warn: Refused x anew", above_debug(host.lines)[4]);
	end);

	it("are of two hundred kinds at most", function ()
		local dmuc, host = shim.new({ libraries = { "tally" } });
		for i = 1, 300 do dmuc.tally.refusal("warn", "Refused "..i, "line "..i); end
		assert.equal(201, #above_debug(host.lines));
	end);
end);
