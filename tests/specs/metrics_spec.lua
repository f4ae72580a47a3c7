-- The names in the documentation, the alert rules and the dashboard are those that Prosody shows.

local function read(name)
	local file = assert(io.open(name));
	local text = file:read("*a");
	file:close();
	return text;
end

-- As util.openmetrics writes them: the unit behind the name, and what only counts up with "_total".
local function shown()
	local names, count = {}, 0;
	for kind, name, unit in read("lua/mod_dmuc/metrics.lib.lua"):gmatch('family%("(%l+)", "([%l_]+)", "(%l*)"') do
		if unit ~= "" then name = name.."_"..unit; end
		names[kind == "counter" and name.."_total" or name] = true;
		count = count + 1;
	end
	return names, count;
end

describe("metrics", function ()
	it("are found in the source", function ()
		local _, count = shown();
		assert.is_true(count >= 16);
	end);

	for _, file in ipairs { "docs/OPERATING.md"; "docs/monitoring/alerts.yml"; "docs/monitoring/grafana.json" } do
		it("named in "..file.." exist", function ()
			local names, found = shown(), 0;
			for name in read(file):gmatch("prosody_mod_dmuc__([%l_]+)") do
				assert.is_true(names[name], name);
				found = found + 1;
			end
			assert.is_true(found > 5);
		end);
	end

	it("are all documented", function ()
		local text = read("docs/OPERATING.md");
		for name in pairs(shown()) do
			assert.is_truthy(text:find("prosody_mod_dmuc__"..name, 1, true), name);
		end
	end);
end);

describe("what is shown of a peer", function ()
	local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
	local gauges, peers, update, dmuc;

	before_each(function ()
		gauges, peers = {}, { "rooms.macbeth.lit", "conference.marlowe.lit" };
		local host;
		dmuc, host = shim.new({
			ask = function (question)
				if question == "totals" then return setmetatable({}, { __index = function () return 0; end }); end
				local list = {};
				for i, peer in ipairs(peers) do list[i] = { peer = peer; state = "down"; for_seconds = 7; rooms = 3; behind = 2; clock_ahead = 90 }; end
				return list;
			end;
		});
		function host.module:metric(_, name) -- luacheck: ignore 212/self
			return { with_labels = function (_, ...)
				local key = table.concat({ name, ... }, " ");
				return { set = function (_, value) gauges[key] = value; end; add = function () end };
			end };
		end
		function host.module:hook_global(_, handler) update = handler; end -- luacheck: ignore 212/self
		host.load("metrics");
		update();
	end);

	local function expect_nothing_of(peer)
		for key, value in pairs(gauges) do
			if key:find(peer, 1, true) then assert.equal(0, value, key); end
		end
	end

	it("is what is so", function ()
		assert.equal(1, gauges["link_state rooms.macbeth.lit down"]);
		assert.equal(0, gauges["link_state rooms.macbeth.lit up"]);
		assert.equal(3, gauges["link_rooms rooms.macbeth.lit"]);
	end);

	it("ends when it is named no more", function ()
		peers = { "rooms.macbeth.lit" };
		update();
		expect_nothing_of("conference.marlowe.lit");
		assert.equal(1, gauges["link_state rooms.macbeth.lit down"]);
	end);

	it("ends with this module, which may come back with other peers", function ()
		dmuc.metrics.stop();
		expect_nothing_of("rooms.macbeth.lit");
		expect_nothing_of("conference.marlowe.lit");
	end);
end);
