local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

-- A storage with archives and key-value stores in tables, which counts what is asked of it.
local function new_storage()
	local storage = { archives = {}; states = {}; asked = {} };
	local archive = {};
	function archive:append(user, _, value, _, with) -- luacheck: ignore 212/self
		if storage.is_away then return nil, "away"; end
		storage.key = (storage.key or 0) + 1;
		local items = storage.archives[user] or {};
		storage.archives[user] = items;
		items[#items + 1] = { key = tostring(storage.key); value = st.clone(value); with = with };
		return tostring(storage.key);
	end
	function archive:find(user, query) -- luacheck: ignore 212/self
		table.insert(storage.asked, user);
		local items, i = {}, 0;
		for _, item in ipairs(storage.archives[user] or {}) do
			if not query.with or query.with == item.with then items[#items + 1] = item; end
		end
		return function ()
			i = i + 1;
			if items[i] then return items[i].key, st.clone(items[i].value); end
		end
	end
	function archive:set(user, key, value) -- luacheck: ignore 212/self
		for _, item in ipairs(storage.archives[user] or {}) do
			if item.key == key then
				item.value = st.clone(value);
				return true;
			end
		end
		return nil, "item-not-found";
	end
	function archive:delete(user, query) -- luacheck: ignore 212/self
		local items = storage.archives[user] or {};
		while #items > (query.truncate or 0) do table.remove(items, 1); end
		if not items[1] then storage.archives[user] = nil; end
		return true;
	end
	function archive:users() -- luacheck: ignore 212/self
		return next, storage.archives;
	end
	local keyval = {};
	function keyval:get(user) return storage.states[user]; end -- luacheck: ignore 212/self
	function storage.open(_, _, kind) return kind == "archive" and archive or keyval; end
	return storage;
end

describe("the stored log", function ()
	local storage, dmuc, room, noted;
	room = "coven@chat.shakespeare.lit";

	-- As after a start of the module.
	local function start()
		noted = {};
		dmuc = shim.new({
			libraries = { "storage"; "retrying"; "stanzas"; "log" }; open_store = storage.open;
			note = function (what, room_jid, id) table.insert(noted, what.." "..room_jid.." "..id); end;
		});
	end

	local function say(number, text)
		local message = st.message({ from = room.."/firstwitch"; id = "m"..number; type = "groupchat"; ["xml:lang"] = "en" })
			:text_tag("body", text or "Thrice & "..number);
		dmuc.log.append(room, message, { id = "id"..number; origin = room; inc = "1"; seq = tostring(number); at = "1.0" });
	end

	local function read()
		local ids = {};
		for i, entry in ipairs(dmuc.log.read(room)) do ids[i] = entry.stanza_id; end
		return ids;
	end

	local function ids(first, last)
		local list = {};
		for number = first, last do list[#list + 1] = "id"..number; end
		return list;
	end

	local function count()
		local total = 0;
		for _, items in pairs(storage.archives) do total = total + #items; end
		return total;
	end

	before_each(function ()
		storage = new_storage();
		start();
	end);

	it("gives back what was appended, whole and in order", function ()
		for number = 1, 450 do say(number); end
		assert.same({ first = 1; last = 3; count = 50 }, dmuc.log.place(room));
		assert.same(ids(1, 450), read());
		assert.same({
			nick = "firstwitch"; id = "m7"; lang = "en"; stanza_id = "id7"; origin = room; inc = "1"; seq = "7"; at = "1.0";
			payload = "<body>Thrice &amp; 7</body>"; is_stored = true;
		}, dmuc.log.read(room)[7]);
	end);

	it("begins another segment when one is large", function ()
		for number = 1, 4 do say(number, ("x"):rep(200 * 1024)); end
		assert.equal(2, dmuc.log.place(room).last);
	end);

	it("is found again, whatever was stored of where it is", function ()
		for number = 1, 250 do say(number); end
		for _, state in ipairs { {}; { log = { first = 1; last = 1 } }; { log = { first = 1; last = 2 } } } do
			storage.states.coven = state;
			start();
			assert.same(ids(1, 250), read());
		end
		start();
		say(251);
		assert.same(ids(1, 251), read());
	end);

	it("reads what earlier versions stored, and goes on behind it", function ()
		for number = 1, 3 do
			storage.open(nil, nil, "archive"):append("coven", nil, st.message({ from = room.."/firstwitch"; id = "m"..number })
				:text_tag("body", "Old")
				:tag("event", { xmlns = "urn:x-dmuc:0"; id = "id"..number; origin = room; inc = "1"; seq = tostring(number); at = "1.0" }):up()
				:tag("occupant-id", { xmlns = "urn:xmpp:occupant-id:0"; id = "o" }));
		end
		storage.states.coven = { version = 1 };
		start();
		assert.same({ first = 0; last = 0 }, dmuc.log.place(room));
		say(4);
		assert.same(ids(1, 4), read());
		local old = dmuc.log.read(room)[1];
		assert.same({ "firstwitch"; "m1"; "o"; "<body>Old</body>" }, { old.nick; old.id; old.occupant_id; old.payload });
		dmuc.log.blank(room, "id2");
		assert.equal("", dmuc.log.read(room)[2].payload);
		dmuc.log.trim({ room = room; keep = 1 });
		assert.same(ids(4, 4), read());
		assert.is_nil(storage.archives.coven);
	end);

	it("loses the oldest, and no others, when it is trimmed", function ()
		for number = 1, 650 do say(number); end
		for _, keep in ipairs { 640; 600; 401; 50 } do
			dmuc.log.trim({ room = room; keep = keep });
			assert.same(ids(651 - keep, 650), read());
			assert.equal(keep, count());
		end
		storage.states.coven = { log = dmuc.log.place(room) };
		start();
		say(651);
		assert.same(ids(601, 651), read());
	end);

	it("blanks one message and looks through no more than its segment", function ()
		for number = 1, 1000 do say(number); end
		storage.asked = {};
		dmuc.log.blank(room, "id333");
		assert.same({ "coven/2" }, storage.asked);
		for number, entry in ipairs(dmuc.log.read(room)) do
			assert.equal(number == 333, entry.payload == "");
			assert.equal("firstwitch", entry.nick);
		end
		storage.asked = {};
		dmuc.log.blank(room, "nobody's");
		assert.same({}, storage.asked);
	end);

	it("tells the engine of each message that is stored, and of none that waits", function ()
		say(1);
		storage.is_away = true;
		say(2);
		assert.same({ "message_stored "..room.." id1" }, noted);
		local entries = dmuc.log.read(room);
		assert.is_true(entries[1].is_stored);
		assert.is_false(entries[2].is_stored);
		storage.is_away = false;
		dmuc.retrying.save();
		assert.same({ "message_stored "..room.." id1"; "message_stored "..room.." id2" }, noted);
	end);

	it("is looked through for messages a segment at a time, and only where they may be", function ()
		for number = 1, 1000 do say(number); end
		storage.asked = {};
		local next_entries = dmuc.log.search(room, { "id5"; "id150"; "id777"; "nobody's" });
		local found = {};
		for entries in next_entries do
			for _, entry in ipairs(entries) do
				found[#found + 1] = entry.stanza_id;
				assert.is_true(entry.is_stored);
			end
		end
		assert.same({ "id5"; "id150"; "id777" }, found);
		assert.same({ "coven/1"; "coven/4" }, storage.asked);
		-- Nothing is known of what is in the segments from before a restart: they are looked into until all has been found.
		start();
		storage.asked = {};
		next_entries = dmuc.log.search(room, { "id250" });
		assert.same({}, next_entries());
		assert.equal("id250", next_entries()[1].stanza_id);
		assert.is_nil(next_entries());
	end);

	it("completes what is known of a message, which is moderated there or not", function ()
		for number = 1, 300 do say(number); end
		local known = { stanza_id = "id7"; time = 12; is_away = true };
		local whole = dmuc.log.complete(room, known);
		assert.same({ "firstwitch"; "m7"; 12 }, { whole.nick; whole.id; whole.time });
		assert.equal("<body>Thrice &amp; 7</body>", whole.payload);
		known.is_gone = true;
		assert.equal("", dmuc.log.complete(room, known).payload);
		-- It was looked for once.
		storage.asked = {};
		dmuc.log.blank(room, "id7");
		assert.same({}, storage.asked);
		known.stanza_id = "nobody's";
		assert.is_nil(dmuc.log.complete(room, known));
	end);

	-- What is read of the log before the room goes on, and which segments are left for later.
	local function tail(place)
		local entries, first, last = dmuc.log.tail(room, place);
		local list = {};
		for i, entry in ipairs(entries) do list[i] = entry.stanza_id; end
		return list, first, last;
	end

	it("needs to be read from where it was when the room was stored, and no further", function ()
		for number = 1, 450 do say(number); end
		local place = dmuc.log.place(room);
		assert.same({ first = 1; last = 3; count = 50 }, place);
		for number = 451, 610 do say(number); end
		storage.states.coven = { log = place };
		start();
		storage.asked = {};
		local entries, first, last = tail(place);
		assert.same({ ids(401, 610); 1; 2 }, { entries; first; last });
		assert.same({ "coven/3"; "coven/4"; "coven/5" }, storage.asked);
		assert.same("id200", dmuc.log.segment(room, 1)[200].stanza_id);
		say(611);
		assert.same(ids(1, 611), read());
	end);

	it("is read as a whole where the storage has lost what it had, or nothing is known of it", function ()
		for number = 1, 250 do say(number); end
		local place = dmuc.log.place(room);
		storage.states.coven = { log = place };
		table.remove(storage.archives["coven/2"]);
		start();
		assert.same({ ids(1, 249) }, { tail(place) });
		start();
		assert.same({ ids(1, 249) }, { tail(nil) });
	end);

	it("needs not be read at all after a stop in good order", function ()
		local stored = {};
		for number = 1, 250 do say(number); end
		dmuc.log.settle(function (room_jid) stored[#stored + 1] = room_jid; end);
		assert.same({ room }, stored);
		local place = dmuc.log.place(room);
		storage.states.coven = { log = place };
		start();
		assert.same({ {}; 1; 2 }, { tail(place) });
		say(251);
		assert.same({ first = 1; last = 3; count = 1 }, dmuc.log.place(room));
		assert.same(ids(1, 251), read());
		start();
		dmuc.log.settle(error); -- nothing has been said since
	end);

	it("is known as well as before when the module has been reloaded", function ()
		for number = 1, 450 do say(number); end
		local place, saved = dmuc.log.place(room), dmuc.log.save();
		storage.states.coven = { log = { first = 1; last = 1 } };
		start();
		dmuc.log.restore(saved);
		storage.asked = {};
		assert.same(place, dmuc.log.place(room));
		say(451);
		dmuc.log.blank(room, "id451");
		assert.same({ "coven/3" }, storage.asked);
		assert.equal("", dmuc.log.read(room)[451].payload);
	end);

	it("is gone when the room is", function ()
		for number = 1, 450 do say(number); end
		start();
		dmuc.log.forget(room);
		assert.same({}, storage.archives);
		say(1);
		assert.same(ids(1, 1), read());
	end);

	it("leaves the logs of rooms with similar names alone", function ()
		local other = storage.open(nil, nil, "archive");
		for _, user in ipairs { "coven2"; "coven2/1"; "co/1" } do other:append(user, nil, st.stanza("logged", { id = "x" })); end
		dmuc.log.forget(room);
		assert.equal(3, count());
		assert.same({}, read());
	end);
end);
