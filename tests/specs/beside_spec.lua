local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

describe("long lists beside their rooms", function ()
	local room, node = "coven@chat.shakespeare.lit", "coven";
	local disk, left_writes, dmuc, host;
	-- What the engine holds: the list, its version, whose entries it has not given away; nil for "all of it".
	local list, version, unstored;

	local function set(name)
		return {
			get = function (_, key) return disk[name][key]; end;
			set = function (_, key, value)
				if left_writes == 0 then return nil, "the disk is full"; end
				left_writes = left_writes - 1;
				disk[name][key] = value;
				return true;
			end;
		};
	end

	local function size()
		local count = 0;
		for _ in pairs(list) do count = count + 1; end
		return count;
	end

	local function entries_of(users)
		local entries = {};
		for user in pairs(users) do table.insert(entries, ("%s=%s;"):format(user, list[user] or "none")); end
		return table.concat(entries);
	end

	-- As the engine answers snapshot_in_parts.
	local function in_parts(has_none, most_within)
		local snapshot = "version "..version;
		if unstored and not has_none then
			local changes = entries_of(unstored);
			unstored = {};
			return snapshot, changes == "" and "unchanged" or "changes", changes ~= "" and changes or nil;
		end
		unstored = nil;
		if size() <= most_within then return snapshot.." of "..entries_of(list), "within"; end
		unstored = {};
		return snapshot, "whole", "whole;"..entries_of(list);
	end

	local function affiliate(user, affiliation)
		list[user], version = affiliation, version + 1;
		if unstored then unstored[user] = true; end
	end

	-- As after a start of the module.
	local function start()
		dmuc, host = shim.new({
			libraries = { "storage"; "retrying"; "beside" };
			open_store = function (_, name) return set(name); end;
			prosody = { version = "spec" };
			log = { place = function () end };
			parked = { of = function () end };
			reading = { forget = function () end };
			role = function () return list and "source"; end;
			ask = function (_, _, ...) if list then return in_parts(...); end end;
			get_room = function () end;
		});
		dmuc.log.forget = function () end;
		host.load("lifecycle");
	end

	-- What a start finds on the disk: the list as text, and its version.
	local function found()
		start();
		local stored = disk.dmuc[node];
		if not stored then return; end
		local text, err = dmuc.beside.read(node, stored.list);
		assert(text ~= false, err);
		assert.equal(text and 3 or 2, stored.version);
		if not text then return stored.snapshot:match("of (.*)"), tonumber(stored.snapshot:match("%d+")); end
		text = assert(text:match("^whole;(.*)$"), "no base is first");
		assert.is_nil(text:find("whole", 1, true));
		return text, tonumber(stored.snapshot:match("%d+"));
	end

	local function read_into(text)
		local read = {};
		for user, affiliation in text:gmatch("([^=;]+)=([^;]+);") do
			read[user] = affiliation ~= "none" and affiliation or nil;
		end
		return read;
	end

	local function copy()
		local same = {};
		for user, affiliation in pairs(list) do same[user] = affiliation; end
		return same;
	end

	local function part_count()
		local count = 0;
		for _ in pairs(disk.dmuc_list) do count = count + 1; end
		return count;
	end

	before_each(function ()
		disk, left_writes = { dmuc = {}; dmuc_list = {} }, math.huge;
		list, version, unstored = {}, 0, nil;
		start();
	end);

	local function grow(count)
		for number = 1, count do affiliate(("thane%d@scotland.lit"):format(number), "member"); end
	end

	it("are not written for one more entry", function ()
		grow(500);
		dmuc.lifecycle.store(room);
		local before = disk.dmuc_list[node.."/1"];
		left_writes = 1;
		affiliate("macduff@scotland.lit", "admin");
		dmuc.lifecycle.store(room);
		assert.equal(0, left_writes);
		assert.equal(before, disk.dmuc_list[node.."/1"]);
		assert.equal("macduff@scotland.lit=admin;", disk.dmuc[node].list.changes);
	end);

	it("are within the record if they are short, as in earlier versions", function ()
		grow(10);
		dmuc.lifecycle.store(room);
		assert.equal(2, disk.dmuc[node].version);
		assert.is_nil(disk.dmuc[node].list);
		assert.equal(0, part_count());
	end);

	-- At whatever write the process ends: what is found is the list as it was at the version that is found.
	it("agree with the version of their room wherever the process ends", function ()
		math.randomseed(7);
		for writes = 0, 150 do
			disk, left_writes = { dmuc = {}; dmuc_list = {} }, math.huge;
			list, version, unstored = {}, 0, nil;
			start();
			grow(50 + writes % 40);
			local states = { [version] = copy() };
			dmuc.lifecycle.store(room);
			left_writes = writes;
			local steps = 0;
			while left_writes > 0 and steps < 1000 do
				steps = steps + 1;
				for _ = 1, math.random(1, writes % 7 == 0 and 60 or 3) do
					affiliate(("thane%d@scotland.lit"):format(math.random(1, 120)), ({ "member", "admin" })[math.random(1, 3)]);
					states[version] = copy();
				end
				-- Now and then the engine has it written anew.
				if math.random(1, 15) == 1 then unstored = nil; end
				dmuc.lifecycle.store(room);
			end
			local text, at = found();
			assert.same(states[at], read_into(text));
			-- And it goes on from there, with nothing lost and nothing left over.
			left_writes, unstored = math.huge, dmuc.beside.has_none(node) and nil or {};
			list, version = read_into(text), at;
			dmuc.beside.know(node, disk.dmuc[node].list);
			for _ = 1, 3 do
				affiliate("macduff@scotland.lit", ({ "member", "admin" })[math.random(1, 2)]);
				unstored = nil;
				dmuc.lifecycle.store(room);
			end
			text, at = found();
			assert.equal(version, at);
			assert.same(list, read_into(text));
			assert.is_true(part_count() <= 2, "parts are left over: "..part_count());
		end
	end);

	it("are written as soon as that is possible, each change once", function ()
		grow(100);
		dmuc.lifecycle.store(room);
		left_writes = 0;
		affiliate("macduff@scotland.lit", "admin");
		dmuc.lifecycle.store(room);
		affiliate("banquo@scotland.lit", "owner");
		dmuc.lifecycle.store(room);
		left_writes = math.huge;
		host.pass(5);
		assert.equal("macduff@scotland.lit=admin;banquo@scotland.lit=owner;", disk.dmuc[node].list.changes);
		local text = found();
		assert.same(list, read_into(text));
	end);

	it("get a part of their own for many changes, and one base after all", function ()
		grow(1000);
		dmuc.lifecycle.store(room);
		for number = 1, 400 do
			affiliate(("witch%d@macbeth.lit"):format(number), "member");
			dmuc.lifecycle.store(room);
			assert.is_true(#disk.dmuc[node].list.changes <= 8 * 1024 + 100);
		end
		assert.is_true(part_count() > 1);
		assert.same(list, read_into((found())));
		start();
		unstored = nil;
		dmuc.beside.know(node, disk.dmuc[node].list);
		dmuc.lifecycle.store(room);
		assert.equal(1, part_count());
		assert.same(list, read_into((found())));
	end);

	it("go on over a reload of the module", function ()
		grow(100);
		dmuc.lifecycle.store(room);
		local saved = dmuc.beside.save();
		start();
		dmuc.beside.restore(saved);
		affiliate("macduff@scotland.lit", "admin");
		dmuc.lifecycle.store(room);
		assert.equal("macduff@scotland.lit=admin;", disk.dmuc[node].list.changes);
	end);

	it("go with their rooms", function ()
		for _, is_known in ipairs { true; false } do
			list, version, unstored = {}, 0, nil;
			grow(100);
			dmuc.lifecycle.store(room);
			assert.equal(1, part_count());
			list = nil;
			if not is_known then start(); end
			dmuc.lifecycle.store(room);
			assert.is_nil(disk.dmuc[node]);
			assert.equal(0, part_count());
		end
	end);

	it("are no lists if a part is missing", function ()
		grow(100);
		dmuc.lifecycle.store(room);
		disk.dmuc_list[node.."/1"] = nil;
		start();
		local text, err = dmuc.beside.read(node, disk.dmuc[node].list);
		assert.is_false(text);
		assert.equal("part 1 of its list of affiliations is not there", err);
	end);
end);
