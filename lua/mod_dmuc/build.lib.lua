-- Which build runs: dmuc.so, and the Lua files that belong to it. Both stay in this process until Prosody is restarted.
--
-- The engine outlives a reload of the module, and a library that is in use cannot be exchanged. So files of another build
-- on the disk wait for the next start, and a reload goes on with those in memory, options included: a room is never cut off
-- by an upgrade. What is on the disk is recognised by a mark inside the file, before anything in it runs.

local envload = require "util.envload".envload;
local lfs = require "lfs";

-- { native, identity, files = { [name] = { code (compiled), path } }, in_force = { [host] = options }, run }, for every build to come.
local where = "mod_dmuc.running";
local how_to_build = "build both with 'make plugin' (see README.md)";

local folder = module.path:gsub("[^/]*$", "");

local function read(path)
	local file, err = io.open(path, "rb");
	if not file then return nil, err; end
	local content = file:read("*a");
	file:close();
	return content;
end

-- The part of the library that has its mark, or its end; nil and the error if it cannot be read. It is some MB, and the mark
-- is near its beginning.
local function marked_part()
	local file, err = io.open(folder.."dmuc.so", "rb");
	if not file then return nil, err; end
	local part = "";
	local more;
	repeat
		more, err = file:read(65536);
		part = part:sub(-200)..(more or ""); -- which may be cut in two
	until not more or part:find("dmuc%-build:[^;\0]+;");
	file:close();
	return not err and part or nil, err;
end

-- The identity of the library on the disk, or nil and what is wrong with it.
local function identity_of_library()
	local content, err = marked_part();
	if not content then
		return nil, ("dmuc.so cannot be read (%s): %s"):format(err, how_to_build);
	end
	local identity, major, minor = content:match("dmuc%-build:([%w.-]+%+lua(%d)(%d)%.%x+);");
	if not identity then
		return nil, "dmuc.so is not the library of this module, or one of before 0.2.0: "..how_to_build;
	end
	local built_for = ("Lua %s.%s"):format(major, minor);
	if built_for ~= _VERSION then
		return nil, ("dmuc.so is built for %s, and this Prosody runs on %s: build it with 'make plugin LUA=%s' (see README.md)")
			:format(built_for, _VERSION, _VERSION:lower():gsub("[ .]", ""));
	end
	return identity;
end

-- The Lua files on the disk, or nil and what is wrong with them. They belong to the library whose identity 'make plugin'
-- has written beside them.
local function read_files(identity)
	local files = {};
	for name in lfs.dir(folder) do
		local short = name:match("^([%w_]+)%.lib%.lua$");
		if short then
			local code, err = read(folder..name);
			if not code then return nil, err; end
			local works, problem = envload(code, "@"..folder..name, {});
			if not works then return nil, problem; end
			files[short] = { code = string.dump(works); path = folder..name; stamp = short == "stamp" and code:match('"([^"]*)"') };
		end
	end
	local stamp = files.stamp and files.stamp.stamp;
	if not stamp then
		return nil, "stamp.lib.lua is missing beside mod_dmuc.lua: install the whole folder that 'make plugin' makes (see README.md)";
	elseif stamp ~= identity then
		return nil, ("dmuc.so is build %s, and mod_dmuc belongs to %s: %s"):format(identity, stamp, how_to_build);
	end
	return files;
end

-- A file that has been replaced is another library, but Lua knows libraries by their path, and would give out the one that
-- was opened under it: by a version of this module that left nothing in memory.
local function open_library(identity)
	local err;
	for _, path in ipairs { folder.."dmuc.so"; folder.."./dmuc.so" } do
		local open, problem = package.loadlib(path, "luaopen_dmuc");
		local native = open and open();
		if native and native.identity == identity then return native; end
		err = err or problem or "an older one is in use";
	end
	return nil, ("dmuc.so cannot be loaded (%s): %s"):format(err, how_to_build);
end

local function start()
	local identity, problem = identity_of_library();
	local files, native;
	if identity then files, problem = read_files(identity); end
	if files then native, problem = open_library(identity); end
	if not native then error(problem, 0); end
	return { native = native; identity = identity; files = files; in_force = {} };
end

local running = package.loaded[where];
if not running then
	running = start();
	package.loaded[where] = running;
else
	local identity, problem = identity_of_library();
	local files;
	if identity == running.identity then files, problem = read_files(identity); end
	if files then
		running.files = files;
	elseif problem then
		module:log("error", "%s. Build %s goes on, with the Lua files that it has in memory", problem, running.identity);
	else
		module:log("warn", "Build %s is on the disk, and %s runs: it takes effect at the next restart of Prosody", identity, running.identity);
	end
end

-- Runs one Lua file of the build in the environment of this module, and returns what it returns.
function running.run(name, environment)
	local file = running.files[name];
	local chunk, err = envload(file.code, "@"..file.path, environment);
	if not chunk then error(err, 0); end
	return chunk();
end

return running;
