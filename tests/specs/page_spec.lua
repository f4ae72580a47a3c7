-- README.md of each module is a page of modules.prosody.im: a header in YAML, from which the rockspec comes, and a table of what it
-- runs on.
local root = (debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."../../";

local function read(path)
	local file = assert(io.open(root..path));
	local text = file:read("a");
	file:close();
	return text;
end

-- As much YAML as such headers have: maps and lists by indentation, and one-line strings. Anything else is an error.
local function parse(text)
	local lines = {};
	for line in text:gmatch("([^\n]*)\n") do
		assert(not line:find("\t"), "a tab in the header");
		if line:find("%S") then
			local indent, rest = line:match("^( *)(.-) *$");
			table.insert(lines, { indent = #indent; text = rest });
		end
	end
	local at = 1;
	local function value_of(scalar)
		local quoted = scalar:match("^'(.*)'$") or scalar:match('^"(.*)"$');
		if quoted then
			assert(not quoted:find("['\"\\]"), "quotes within quotes: "..scalar);
			return quoted;
		end
		assert(not scalar:find("^[%[%]{}&*!|>%%@`'\"#,?-]") and not scalar:find(": ") and not scalar:find(" #"), "to be quoted: "..scalar);
		return scalar;
	end
	local function is_item(line)
		return line.text:find("^%- ") ~= nil;
	end
	-- All that is indented so, and of the kind of its first line: the items of a list may be as far left as the key above them.
	local function block()
		local found, first = {}, lines[at];
		while lines[at] and lines[at].indent == first.indent and is_item(lines[at]) == is_item(first) do
			local line, below = lines[at], lines[at + 1];
			at = at + 1;
			if is_item(line) then
				table.insert(found, value_of(line.text:match("^%- +(.+)$")));
			else
				local key, rest = line.text:match("^([%w_.]+): *(.*)$");
				assert(key, "no entry of a map: "..line.text);
				assert(found[key] == nil, "twice: "..line.text);
				if rest == "" then
					assert(below and (below.indent > line.indent or below.indent == line.indent and is_item(below)), "nothing below "..line.text);
				end
				found[key] = rest == "" and block() or value_of(rest);
			end
		end
		return found;
	end
	local parsed = block();
	assert(at > #lines, "left over: "..(lines[at] and lines[at].text or ""));
	return parsed;
end

-- Of a shell; what it put out is shown if it fails.
local function run(command)
	local pipe = io.popen(("set -e; exec 2>&1; %s"):format(command));
	local said = pipe:read("a");
	assert(pipe:close(), said);
	return said;
end

for _, name in ipairs { "mod_dmuc", "mod_http_dmuc" } do describe("the page of "..name, function ()
	local page = read(("lua/%s/README.md"):format(name));
	local header = page:match("^%-%-%-\n(.-\n)%-%-%-\n");

	it("is refused where its header is no YAML", function ()
		for _, wrong in ipairs {
			"summary: XEP-0281: one room\n"; "labels:\n- Stage-Alpha\n extra\n"; "labels:\nsummary: x\n"; "summary: 'it's'\n";
			"summary: one\nsummary: two\n"; "\tsummary: x\n"; "summary\n"; "summary: x\n  rockspec: y\n"; "summary: [one]\n";
		} do
			assert.is_false(pcall(parse, wrong), wrong);
		end
		assert.same({ labels = { "Stage-Alpha", "Type-Web" }; rockspec = { build = { modules = "x" } } },
			parse("labels:\n- Stage-Alpha\n- 'Type-Web'\nrockspec:\n  build:\n    modules: \"x\"\n"));
	end);

	it("has a stage and a summary", function ()
		local found = parse(assert(header, "no header between two lines of three dashes"));
		local stages = {};
		for _, label in ipairs(found.labels) do
			assert.matches("^%u%l+%-%u%w+$", label);
			local stage = label:match("^Stage%-(.*)$");
			if stage then table.insert(stages, stage); end
		end
		assert.equals(1, #stages);
		assert.truthy(({ Alpha = true; Beta = true; Stable = true })[stages[1]]);
		assert.truthy(#found.summary > 0 and #found.summary <= 80);
		for key in pairs(found) do
			assert.truthy(({ labels = true; summary = true; rockspec = true })[key], "unknown on modules.prosody.im: "..key);
		end
	end);

	it("has a rockspec that installs the folder as it was built", function ()
		local build = parse(header).rockspec.build;
		assert.equals("command", build.platforms.unix.type);
		local where = run("mktemp -d"):gsub("\n", "");
		local finally_remove <close> = setmetatable({}, { __close = function () run("rm -rf "..where); end }); -- luacheck: ignore 211
		run(("mkdir -p %s/rock/%s %s/lua; cp %slua/%s/* %s/rock/%s"):format(where, name, where, root, name, where, name));
		if name == "mod_dmuc" then run(("echo library >%s/rock/mod_dmuc/dmuc.so"):format(where)); end
		-- LuaRocks says where the files of the rock go; what is there is what `prosodyctl install` puts into the plugins' folder.
		local command = build.platforms.unix.install_command:gsub("%$%(LUADIR%)", where.."/lua");
		run(("cd %s/rock; %s"):format(where, command));
		run(("diff -r %s/rock/%s %s/lua/%s"):format(where, name, where, name));
		assert.equals(name.."\n", run(("ls %s/lua"):format(where)));
	end);

	it("names the versions that every test is run on", function ()
		local table_of = assert(page:match("\n# Compatibility\n(.*)$"), "no section Compatibility");
		local here, there = {}, {};
		for version, lua, status in table_of:gmatch("\n| (%d[%w.]*) | (%S+) | ([^|\n]+) |") do
			here[version] = true;
			assert.equals("5.4", lua);
			assert.matches("^Works", status);
		end
		local row = assert(read("README.md"):match("\n| Prosody | ([^\n]+)"), "README.md says nothing of Prosody");
		for version in row:gmatch("%d+%.%d+%.%d+") do there[version] = true; end
		assert.truthy(next(there));
		assert.same(there, here);
	end);
end); end
