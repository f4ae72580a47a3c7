-- The section "dmuc" of Prosody's shell: dmuc:rooms(), dmuc:room("coven@chat.shakespeare.lit") and so on (commands.lib.lua). A
-- last argument "json" makes the first line of the answer JSON.
--
-- One section serves all MUC components of this server, in the order of their hosts, whichever of them was loaded first.

local array = require "util.array";
local json = require "util.json";
local promise = require "util.promise";

local desc = "Distributed rooms (mod_dmuc): see them and their links, steer them";

return function (dmuc)
	local shell = {};
	dmuc.shell = shell;
	local inside = dmuc.prosody;

	-- Of all components: who is there, by host ({ overview, steering, install }), and the section, which sessions of the shell that
	-- are open keep.
	local shared = module:shared("/*/dmuc/shell");
	shared.services = shared.services or {};
	shared.section = shared.section or {};

	-- The session that a command is called from; one that was opened before the section was there calls it without.
	local function printer(self)
		local session = type(self) == "table" and self.session;
		if session and session.print then return session.print, function (summary) return summary; end; end
		local lines = {};
		return function (line) lines[#lines + 1] = line; end, function (summary)
			lines[#lines + 1] = summary;
			return table.concat(lines, "\n");
		end;
	end

	-- Rows of cells, as wide as they need be: addresses are there to be copied.
	local function show_table(print, head, rows)
		local widths = {};
		for _, row in ipairs({ head, table.unpack(rows) }) do
			for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell); end
		end
		local function line(row)
			local cells = {};
			for i, cell in ipairs(row) do cells[i] = cell..(" "):rep(i < #row and widths[i] - #cell or 0); end
			print((table.concat(cells, "  "):gsub("%s+$", "")));
		end
		line(head);
		for _, row in ipairs(rows) do line(row); end
	end

	-- Where a command shows what it has: lines, and rows of cells below their heads.
	local function output(print)
		return { line = print; table = function (head, rows) show_table(print, head, rows); end };
	end
	local nowhere = output(function () end);

	local function answer(command, self, is_json, data)
		local print, finish = printer(self);
		local summary;
		if is_json then
			print(json.encode_ordered(data));
			summary = command.show(data, nowhere);
		else
			summary = command.show(data, output(print));
		end
		return finish(summary);
	end

	-- Returns what the shell expects: true and what was done, or nil and what is wrong; or a promise of that.
	local function run(command, self, ...)
		local given = table.pack(...);
		local is_json = given.n > 0 and given[given.n] == "json";
		if is_json then given.n = given.n - 1; end
		if given.n > #command.args then
			return nil, ("dmuc:%s() takes %d arguments at most, and \"json\""):format(command.name, #command.args);
		end
		for i, arg in ipairs(command.args) do
			local value = i <= given.n and given[i] or nil;
			if value == nil and not arg.is_optional then
				return nil, ("dmuc:%s() needs %s: %s"):format(command.name, arg.name, command.desc);
			elseif value ~= nil and type(value) ~= "string" then
				return nil, ("dmuc:%s(): %s is a text in quotes"):format(command.name, arg.name);
			end
		end
		local data, problem = command.get(shared.services, table.unpack(given, 1, given.n));
		if promise.is_promise(data) then
			return data:next(function (found) return answer(command, self, is_json, found); end);
		elseif not data then
			return nil, problem;
		end
		return true, answer(command, self, is_json, data);
	end

	local function usage(command)
		local names = {};
		for _, arg in ipairs(command.args) do
			names[#names + 1] = arg.is_optional and "["..arg.name.."]" or arg.name;
		end
		return ("dmuc:%s(%s)"):format(command.name, table.concat(names, ", "));
	end

	local help = {
		name = "help"; args = {}; desc = "Show what these commands do";
		get = function () return array(dmuc.commands); end;
		show = function (list, out)
			for _, command in ipairs(list) do out.line(("%s - %s"):format(usage(command), command.desc)); end
			out.line("A last argument \"json\" makes the first line of an answer JSON: dmuc:rooms(\"json\")");
			return ("%d commands"):format(#list);
		end;
	};

	-- The commands are those of one component, which runs.
	local function install()
		local section, commands = shared.section, { help };
		for name in pairs(section) do section[name] = nil; end
		for _, command in ipairs(dmuc.commands) do commands[#commands + 1] = command; end
		for _, command in ipairs(commands) do
			section[command.name] = function (self, ...) return run(command, self, ...); end;
		end
		inside.put_into_shell("dmuc", section, desc, commands);
	end

	function shell.start()
		shared.services[module.host] = { overview = dmuc.overview; steering = dmuc.steering; install = install };
		install();
	end

	function shell.stop()
		shared.services[module.host] = nil;
		local _, other = next(shared.services);
		if other then other.install(); else inside.take_out_of_shell("dmuc"); end
	end
end
