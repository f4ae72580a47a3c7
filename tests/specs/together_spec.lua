local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

local jid = "coven@chat.shakespeare.lit";

-- A database as mod_storage_sql has it: methods are in the metatable, and a transaction begins none within it.
local function new_database()
	local database = { rows = {}; begun = 0; kept = 0; away = {} };
	local methods = {};
	function methods:transaction(work, ...)
		self.begun = self.begun + 1;
		assert(not self.is_open, "a transaction within a transaction");
		self.is_open = true;
		local before = #self.rows;
		local result = table.pack(pcall(work, ...));
		self.is_open = false;
		if not result[1] then
			while #self.rows > before do table.remove(self.rows); end
			return false, result[2];
		end
		self.kept = self.kept + 1;
		return table.unpack(result, 1, result.n);
	end
	return setmetatable(database, { __index = methods });
end

describe("a message that is logged and archived", function ()
	local databases, dmuc, room;

	local function open_store(_, name)
		local database = databases[name] or databases.all;
		local store = { caps = { wildcard_delete = true } };
		function store.append(_, user, key, stanza)
			local ok, err = database:transaction(function ()
				if database.away[name] then error("the disk is wet", 0); end
				local id = stanza.attr.id;
				table.insert(database.rows, name.." "..user.." "..id);
				return key or id;
			end);
			if not ok then return nil, err; end
			return err;
		end
		function store.find()
			local ok = database:transaction(function () return true; end);
			return ok and function () end or nil;
		end
		function store.get() end
		function store.users() return next, {}; end
		function store.delete() return true; end
		return store;
	end

	local function start()
		local shared = {};
		for _, database in pairs(databases) do shared[tostring(database)] = database; end
		local host;
		dmuc, host = shim.new({
			libraries = { "storage"; "retrying"; "stanzas"; "prosody" };
			open_store = open_store;
			shared = shared;
			required = { ["core.storagemanager"] = { olddm = {}; get_driver = function () return {}, "sql"; end } };
			get_room = function () end;
			note = function () end;
		});
		dmuc.prosody.has_module = function () return true; end;
		dmuc.prosody.is_archiving = function () return true; end;
		for _, name in ipairs { "log"; "archive"; "together" } do host.load(name); end
		room = { jid = jid; get_whois = function () return "moderators"; end };
	end

	before_each(function ()
		databases = { all = new_database() };
		start();
	end);

	local function said(id)
		local stanza = st.message({ from = jid.."/firstwitch"; id = id; type = "groupchat" }):text_tag("body", id);
		dmuc.together.keep(jid, stanza, { id = id; origin = jid; inc = "1"; seq = "1"; at = "1" });
		return stanza;
	end

	local function archive(stanza)
		return dmuc.archiving.append(room, stanza.attr.id, stanza);
	end

	local function begun(database, work)
		local before, kept = database.begun, database.kept;
		work();
		return database.begun - before, database.kept - kept;
	end

	local in_order = { "dmuc_log coven/1 a"; "muc_log coven a" };

	it("is written in one transaction", function ()
		archive(said("first")); -- which finds the database
		local database = databases.all;
		database.rows = {};
		local count = begun(database, function () assert.is_true(archive(said("a"))); end);
		assert.equal(1, count);
		assert.same(in_order, database.rows);
		assert.is_nil(rawget(database, "transaction"));
	end);

	it("is written in two where there are two databases", function ()
		databases.muc_log = new_database();
		start();
		assert.is_true(archive(said("a")));
		assert.same({ in_order[1] }, databases.all.rows);
		assert.same({ in_order[2] }, databases.muc_log.rows);
		for _, database in pairs(databases) do assert.is_nil(rawget(database, "transaction")); end
	end);

	it("is logged if the archive cannot be written to, and archived later", function ()
		local database = databases.all;
		database.away.muc_log = true;
		assert.is_false(archive(said("a")));
		assert.same({ in_order[1] }, database.rows);
		assert.is_nil(rawget(database, "transaction"));
		database.away = {};
		dmuc.retrying.save();
		assert.same(in_order, database.rows);
		assert.equal(1, dmuc.log.place(jid).count);
		-- And what comes next is as before.
		assert.is_true(archive(said("b")));
		assert.equal(2, dmuc.log.place(jid).count);
	end);

	it("counts once, whatever failed before", function ()
		local database = databases.all;
		database.away.dmuc_log, database.away.muc_log = true, true;
		assert.is_false(archive(said("a")));
		assert.same({}, database.rows);
		database.away = {};
		dmuc.retrying.save();
		assert.equal(1, dmuc.log.place(jid).count);
		table.sort(database.rows);
		assert.same(in_order, database.rows);
	end);

	it("is logged before it goes out if nobody archives it", function ()
		said("a");
		dmuc.together.settle();
		assert.same({ in_order[1] }, databases.all.rows);
		dmuc.together.settle();
		assert.same({ in_order[1] }, databases.all.rows);
	end);

	it("is logged after what was said before it, which waits for a hook", function ()
		local a, b = said("a"), said("b");
		archive(b);
		assert.same({ "dmuc_log coven/1 a"; "dmuc_log coven/1 b"; "muc_log coven b" }, databases.all.rows);
		archive(a);
		assert.equal("muc_log coven a", databases.all.rows[4]);
		assert.equal(2, dmuc.log.place(jid).count);
	end);

	-- What was missed: ten messages in a batch.
	local function add(batch, id)
		local stanza = st.message({ from = jid.."/firstwitch"; id = id; type = "groupchat" }):text_tag("body", id);
		dmuc.together.add(batch, dmuc.log.part(jid, stanza, { id = id; origin = jid; inc = "1"; seq = "1"; at = "1" }));
		return dmuc.archiving.append(room, id, stanza, batch);
	end

	it("is written with others in one transaction", function ()
		archive(said("first"));
		local database = databases.all;
		local batch = dmuc.together.batch();
		local count = begun(database, function ()
			for id = 1, 10 do assert.is_false(add(batch, "m"..id)); end
			dmuc.together.close(batch);
		end);
		assert.equal(1, count);
		assert.equal(2 * 11, #database.rows);
		assert.equal(11, dmuc.log.place(jid).count);
		-- What a hook has kept waiting.
		assert.is_true(add(batch, "late"));
		assert.equal(2 * 12, #database.rows);
		dmuc.together.close(dmuc.together.batch());
		assert.equal(2 * 12, #database.rows);
	end);

	it("is written one by one if not all of it can be", function ()
		local database = databases.all;
		database.away.muc_log = true;
		local batch = dmuc.together.batch();
		for id = 1, 3 do add(batch, "m"..id); end
		dmuc.together.close(batch);
		assert.same({ "dmuc_log coven/1 m1"; "dmuc_log coven/1 m2"; "dmuc_log coven/1 m3" }, database.rows);
		database.away = {};
		dmuc.retrying.save();
		assert.equal("muc_log coven m3", database.rows[6]);
		assert.equal(3, dmuc.log.place(jid).count);
	end);

	it("is written as before where somebody has replaced what begins a transaction", function ()
		local database = databases.all;
		local theirs = getmetatable(database).__index.transaction;
		database.transaction = theirs;
		assert.is_true(archive(said("a")));
		assert.same(in_order, database.rows);
		assert.equal(theirs, rawget(database, "transaction"));
	end);
end);
