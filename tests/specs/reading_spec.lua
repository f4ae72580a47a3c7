local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

describe("a log that is read while its room goes on", function ()
	local dmuc, host, told, is_away;

	-- Segments of three messages each.
	local function segment(room_jid, number)
		if is_away then return nil, "gone"; end
		local entries = {};
		for i = 1, 3 do entries[i] = { stanza_id = ("%s %d.%d"):format(room_jid, number, i) }; end
		return entries;
	end

	local function start()
		dmuc, host = shim.new({
			libraries = { "reading" };
			log = { segment = segment };
			hold = function (work, ...) return work(...); end;
			feed = function (_, _, entry)
				table.insert(told, entry.stanza_id);
				return "done";
			end;
			tell = function (what, room_jid) table.insert(told, what.." "..room_jid); end;
			ask = function (what, _, stanza_id, _, max)
				if what == "newest" then return table.move(told, 1, math.min(#told, max), 1, {}); end
				for _, id in ipairs(told) do
					if id == stanza_id then return { stanza_id = id }; end
				end
			end;
		});
	end

	before_each(function ()
		told, is_away = {}, false;
		start();
	end);

	it("is read segment by segment, the newest first, and the engine is told of the end", function ()
		dmuc.reading.add("a", 1, 2);
		assert.same({}, told);
		host.pass(1);
		assert.same({ "a 2.1"; "a 2.2"; "a 2.3"; "a 1.1"; "a 1.2"; "a 1.3"; "log_read a" }, told);
	end);

	it("leaves the server to others between two segments", function ()
		local others = 0;
		dmuc.reading.add("a", 1, 20);
		host.module:add_timer(0.001, function ()
			others = others + 1;
			return others < 1000 and 0.001 or nil;
		end);
		host.pass(0.2);
		assert.is_true(#told > 0 and #told <= 30);
		assert.is_true(others > 100);
	end);

	it("is read first where somebody waits for it", function ()
		for _, room in ipairs { "a"; "b"; "c" } do dmuc.reading.add(room, 1, 1); end
		dmuc.reading.hurry("c");
		host.pass(1);
		assert.equal("c 1.1", told[1]);
		assert.equal("log_read c", told[4]);
		assert.equal(12, #told);
	end);

	it("is read as far as somebody who joins needs", function ()
		dmuc.reading.add("a", 1, 5);
		dmuc.reading.newest("a", 5);
		assert.equal(6, #told);
		dmuc.reading.newest("a", 5);
		assert.equal(6, #told);
	end);

	it("is read to its end for a message in it, and no further than that for one that is there", function ()
		dmuc.reading.add("a", 1, 5);
		assert.is_nil(dmuc.ask("message", "a", "a 1.2"));
		assert.equal("a 1.2", dmuc.reading.message("a", "a 1.2").stanza_id);
		assert.equal("log_read a", told[16]);
		assert.is_nil(dmuc.reading.message("a", "nobody's"));
		host.pass(1);
		assert.equal(16, #told);
	end);

	it("is tried again when it cannot be read, and that is said once", function ()
		is_away = true;
		dmuc.reading.add("a", 1, 1);
		assert.is_false(dmuc.reading.finish("a"));
		host.pass(60);
		assert.same({}, told);
		assert.equal(1, #host.lines);
		assert.matches("^error: The stored messages of a cannot be read %(gone%)", host.lines[1]);
		is_away = false;
		host.pass(60);
		assert.equal("log_read a", told[4]);
		assert.matches("^info: The stored messages of a can be read again", host.lines[2]);
	end);

	it("is not read any more when the room has ended", function ()
		dmuc.reading.add("a", 1, 5);
		dmuc.reading.forget("a");
		host.pass(1);
		assert.same({}, told);
	end);

	-- A log in which these are looked for, in segments of two.
	local function with_search(stored)
		dmuc.log.search = function (_, ids)
			local at = 0;
			return function ()
				if is_away then return nil, "gone"; end
				local entries = {};
				for i = at + 1, math.min(at + 2, #ids) do
					if stored[ids[i]] then entries[#entries + 1] = { stanza_id = ids[i] }; end
				end
				if at >= #ids then return nil; end
				at = at + 2;
				return entries;
			end;
		end;
		dmuc.tell = function (what, token, is_read) table.insert(told, ("%s %d %s"):format(what, token, tostring(is_read))); end;
	end

	it("has what the engine needs again handed in, one question after the other", function ()
		with_search { one = true; two = true; three = true; four = true };
		dmuc.reading.want({ room = "a"; token = 7; ids = { "one"; "two"; "three" } });
		dmuc.reading.want({ room = "b"; token = 8; ids = { "four"; "lost" } });
		assert.same({}, told);
		host.pass(1);
		assert.same({ "one"; "two"; "three"; "messages_read 7 true"; "four"; "messages_read 8 true" }, told);
		assert.same({ "error: 1 messages of b are not in its stored log any more" }, host.lines);
	end);

	it("says that it cannot be read, and goes on with the next", function ()
		with_search {};
		is_away = true;
		dmuc.reading.want({ room = "a"; token = 7; ids = { "one" } });
		host.pass(1);
		assert.same({ "messages_read 7 false" }, told);
		assert.matches("^error: The stored messages of a cannot be read %(gone%)", host.lines[1]);
	end);

	it("goes on after a reload with what the engine needs again", function ()
		with_search { one = true };
		dmuc.reading.want({ room = "a"; token = 7; ids = { "one" } });
		local saved = dmuc.reading.save_wanted();
		start();
		with_search { one = true };
		dmuc.reading.restore_wanted(saved);
		host.pass(1);
		assert.same({ "one"; "messages_read 7 true" }, told);
	end);

	it("completes messages that are not in memory, in their order", function ()
		with_search { two = true; four = true };
		dmuc.log.complete = function (_, known, entry) return { stanza_id = entry.stanza_id; time = known.time }; end;
		local known = {
			{ stanza_id = "one" }; { stanza_id = "two"; is_away = true; time = 2 }; { stanza_id = "three"; is_away = true };
			{ stanza_id = "four"; is_away = true; time = 4 };
		};
		assert.same({ { stanza_id = "one" }; { stanza_id = "two"; time = 2 }; { stanza_id = "four"; time = 4 } },
			dmuc.reading.complete("a", known));
	end);

	it("is read on after a reload of the module", function ()
		dmuc.reading.add("a", 1, 5);
		dmuc.reading.newest("a", 3);
		local saved = dmuc.reading.save();
		assert.equal(3, #told);
		start();
		dmuc.reading.restore(saved);
		host.pass(1);
		assert.same({ "a 5.3"; "a 4.1"; "log_read a" }, { told[3]; told[4]; told[#told] });
	end);
end);
