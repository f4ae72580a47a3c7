-- The other addresses of destroyed rooms (tombstones.lib.lua).

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local there = "coven@rooms.macbeth.lit";
local stored, rooms, taken;

local function start()
	local store = {
		get = function () return stored; end;
		set = function (_, _, value) stored = value; return true; end;
	};
	local dmuc, host = shim.new({
		open_store = function () return store; end;
		get_room = function (jid) return rooms[jid]; end;
		serving = {
			addresses = function () return { there }; end;
			take = function (action) taken[action.room] = true; end;
			let_go = function (jid) taken[jid] = nil; end;
		};
		libraries = { "storage", "prosody", "tombstones" };
	});
	dmuc.tombstones.start();
	return dmuc, host;
end

local function destroy(host, jid, ends)
	host.module:fire_event("muc-room-destroyed", { room = { jid = jid; destroying = true; _dmuc = {} } });
	rooms[jid] = ends and { jid = jid; _data = { destroyed = true; locked = ends } } or nil;
	host.pass(1);
end

local function count(list)
	local n = 0;
	for _ in pairs(list or {}) do n = n + 1; end
	return n;
end

before_each(function ()
	stored, rooms, taken = nil, {}, {};
end);

describe("tombstones", function ()
	it("are kept, over a restart, until they end", function ()
		local _, host = start();
		destroy(host, "coven@chat.shakespeare.lit", os.time() + 100);
		assert.equal(1, count(stored));
		taken = {};
		start();
		assert.is_true(taken["coven@chat.shakespeare.lit"]);
		stored["coven@chat.shakespeare.lit"].ends = os.time() - 1;
		taken = {};
		start();
		assert.equal(0, count(taken));
	end);

	it("that have ended go when another one comes", function ()
		local _, host = start();
		destroy(host, "coven@chat.shakespeare.lit", os.time() - 1);
		destroy(host, "heath@chat.shakespeare.lit", os.time() + 100);
		assert.is_nil(stored["coven@chat.shakespeare.lit"]);
		assert.same({ ["heath@chat.shakespeare.lit"] = true }, taken);
	end);

	it("that were never made are not kept", function ()
		local _, host = start();
		destroy(host, "coven@chat.shakespeare.lit", nil);
		assert.equal(0, count(stored));
		assert.equal(0, count(taken));
	end);

	it("are a thousand at most, the last ones", function ()
		local _, host = start();
		for i = 1, 1001 do destroy(host, ("r%d@chat.shakespeare.lit"):format(i), os.time() + 1000 + i); end
		assert.equal(1000, count(stored));
		assert.equal(1000, count(taken));
		assert.is_nil(stored["r1@chat.shakespeare.lit"]);
		assert.is_table(stored["r1001@chat.shakespeare.lit"]);
	end);

	it("of the first format are read", function ()
		stored = { ["coven@chat.shakespeare.lit"] = { there }; ["heath@chat.shakespeare.lit"] = { there } };
		rooms["coven@chat.shakespeare.lit"] = { _data = { destroyed = true; locked = os.time() + 100 } };
		start();
		assert.same({ ["coven@chat.shakespeare.lit"] = true }, taken);
	end);
end);
