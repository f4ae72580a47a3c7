-- The commands of the shell (commands.lib.lua), with services that are made of tables.

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local chat, moot, peer = "chat.shakespeare.lit", "moot.shakespeare.lit", "rooms.macbeth.lit";

-- The commands by name, and what the module ran on.
local function commands()
	local clock = { now = 100 };
	local dmuc, host = shim.new({ required = { ["util.time"] = { monotonic = function () return clock.now; end } } });
	host.load("commands");
	local by_name = {};
	for _, command in ipairs(dmuc.commands) do by_name[command.name] = command; end
	local pass = host.pass;
	function host.pass(seconds)
		for _ = 1, seconds do
			pass(1);
			clock.now = clock.now + 1;
		end
	end
	return by_name, host, dmuc;
end

-- A service whose peer answers so many seconds after it was asked, or never.
local function service(link)
	link.peer = peer;
	return {
		overview = {
			links = function (asked_ago)
				if asked_ago then
					link.waits = not link.answers_after or asked_ago < link.answers_after;
					link.problems, link.notes = { link.waits and ("silent for %d s"):format(asked_ago) or nil }, {};
				end
				return { link };
			end;
		};
		steering = { reach = function () end };
	};
end

-- What a promise came to be, in a table that is filled then.
local function outcome(promised)
	local found = {};
	promised:next(function (data) found.data = data; end, function (problem) found.problem = problem; end);
	return found;
end

describe("dmuc:check", function ()
	it("says who has not answered, however patient the engine is", function ()
		local by_name, host = commands();
		local found = outcome(by_name.check.get({ [chat] = service({}) }));
		host.pass(11);
		assert.is_nil(found.data);
		host.pass(2);
		assert.same({ "silent for 12 s" }, found.data.links[1].problems);
		local lines = {};
		local summary = by_name.check.show(found.data, { line = function (line) lines[#lines + 1] = line; end });
		assert.equal("1 link with problems", summary);
		assert.is_nil(table.concat(lines):find("fine", 1, true));
	end);

	it("waits no longer than until the last has answered", function ()
		local by_name, host = commands();
		local found = outcome(by_name.check.get({ [chat] = service({ answers_after = 1 }); [moot] = service({ answers_after = 3 }) }));
		host.pass(3);
		assert.is_nil(found.data);
		host.pass(2);
		assert.same({ {}, {} }, { found.data.links[1].problems, found.data.links[2].problems });
	end);

	it("answers when a service is unloaded meanwhile", function ()
		local by_name, host = commands();
		local services = { [chat] = service({}); [moot] = service({}) };
		-- The timers of a module that is not there any more do nothing.
		host.module.add_timer = function () end;
		local found = outcome(by_name.check.get(services));
		services[chat] = nil;
		host.pass(13);
		assert.same({ chat, "mod_dmuc was unloaded here meanwhile" }, { found.data.links[1].service, found.data.links[1].problems[1] });
		assert.same({ "silent for 12 s" }, found.data.links[2].problems);
	end);

	it("is an error when what is to be looked at cannot be", function ()
		local by_name, host = commands();
		local service_here = service({});
		local found = outcome(by_name.check.get({ [chat] = service_here }));
		service_here.overview.links = function () error("the engine is gone", 0); end;
		host.pass(1);
		assert.equal("the engine is gone", found.problem);
	end);
end);

describe("a command about a peer", function ()
	-- Two services, of which one refuses.
	local function both(name)
		return {
			[chat] = { steering = { [name] = function () return nil, "dmuc_peers names this service"; end } };
			[moot] = { steering = { [name] = function () return "it is forgotten"; end } };
		};
	end
	local lines = chat..": dmuc_peers names this service\n"..moot..": it is forgotten";

	it("is an error if one service has not forgotten it", function ()
		local by_name = commands();
		local data, problem = by_name.forget.get(both("forget"), peer);
		assert.is_nil(data);
		assert.equal(lines, problem);
	end);

	it("is none if one service compares, and tells of all", function ()
		local by_name = commands();
		assert.same({ done = lines }, by_name.sync.get(both("sync_peer"), peer));
		local none = { [chat] = both("sync_peer")[chat] };
		assert.same({ nil, chat..": dmuc_peers names this service" }, { by_name.sync.get(none, peer) });
	end);
end);

describe("dmuc:rooms", function ()
	it("lets the server do something else between two rooms", function ()
		local by_name, host, dmuc = commands();
		local breaths = 0;
		dmuc.turns = { breather = function () return function () breaths = breaths + 1; end; end };
		local addresses = {};
		for i = 1, 5 do addresses[i] = ("room%d@%s"):format(i, chat); end
		local data = by_name.rooms.get({
			[chat] = { overview = {
				addresses = function () return addresses; end;
				room = function (address)
					table.insert(host.fired, breaths);
					return { room = address };
				end;
			} };
		});
		assert.equal(5, #data.rooms);
		assert.equal(5, breaths);
		assert.same({ 0, 1, 2, 3, 4 }, host.fired);
	end);
end);
