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
