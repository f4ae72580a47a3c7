-- By which addresses a session is in a room (books.lib.lua).

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local here, there, third = "coven@rooms.macbeth.lit", "coven@chat.shakespeare.lit", "coven@conference.marlowe.lit";

local books, session;
before_each(function ()
	books = shim.new({ libraries = { "prosody", "books" } }).books;
	session = {};
end);

describe("a book", function ()
	it("is opened by a join and closed as a whole", function ()
		assert.is_nil(books.addresses(session, here));
		books.add(session, here, there, false, true);
		assert.is_true(books.has(session, here, there));
		assert.is_false(books.has(session, here, here));
		assert.same({ there }, books.joining(session, here));
		books.has_joined(session, here);
		assert.is_nil(books.joining(session, here));
		books.close(session, here);
		assert.is_nil(books.addresses(session, here));
	end);

	it("has the room's own address if the session was in by that, and is none with that alone", function ()
		books.add(session, here, there, true, true);
		assert.is_true(books.has(session, here, here));
		assert.is_true(books.has_others(session, here, there));
		books.remove(session, here, there);
		assert.is_nil(books.addresses(session, here));
	end);

	it("knows which address was used last", function ()
		books.add(session, here, there, false, true);
		books.add(session, here, third, true, true);
		assert.equal(third, books.current(session, here));
		books.uses(session, here, there);
		assert.equal(there, books.current(session, here));
		books.uses(session, here, "heath@rooms.macbeth.lit");
		assert.equal(there, books.current(session, here));
		books.remove(session, here, there);
		assert.equal(third, books.current(session, here));
		assert.is_false(books.has_others(session, here, third));
	end);

	it("loses a refused address, and no other", function ()
		books.add(session, here, there, false, true);
		books.has_joined(session, here);
		books.add(session, here, third, true, true);
		books.refused(session, here, third);
		assert.is_true(books.has(session, here, there));
		assert.is_false(books.has(session, here, third));
		books.refused(session, here, there); -- another nick, say
		assert.is_true(books.has(session, here, there));
	end);
end);

describe("a question", function ()
	it("is answered once, by the address that was asked", function ()
		books.asks(session, here, there, "q1");
		assert.is_nil(books.answered(session, "heath@rooms.macbeth.lit", "q1"));
		assert.equal(there, books.answered(session, here, "q1"));
		assert.is_nil(books.answered(session, here, "q1"));
	end);

	it("is remembered for a hundred others at least, and not for ever", function ()
		books.asks(session, here, there, "first");
		for i = 1, 100 do books.asks(session, here, there, "q"..i); end
		assert.equal(there, books.answered(session, here, "first"));
		books.asks(session, here, there, "old");
		for i = 1, 300 do books.asks(session, here, there, "r"..i); end
		assert.is_nil(books.answered(session, here, "old"));
		assert.equal(there, books.answered(session, here, "r300"));
	end);
end);

describe("whoever is in another instance itself", function ()
	it("is noted by what that says", function ()
		books.note_place(session, there, there.."/witch");
		assert.is_true(books.is_there(session, there));
		books.note_place(session, there, nil);
		assert.is_false(books.is_there(session, there));
	end);

	it("has left it with the next join, which it is told in time, and again if it was not reached", function ()
		books.note_place(session, there, there.."/witch");
		books.comes_back(session, there, 100);
		assert.is_false(books.is_there(session, there));
		assert.is_true(books.is_owed(session, there));
		assert.is_nil(books.take_owed(session, there, 99));
		assert.equal(there.."/witch", books.take_owed(session, there, 100));
		assert.is_nil(books.take_owed(session, there, 101));
		books.farewell_bounced(session, there, there.."/somebody else");
		assert.is_nil(books.take_owed(session, there, 102));
		books.farewell_bounced(session, there, there.."/witch");
		assert.equal(there.."/witch", books.take_owed(session, there, 103));
	end);
end);

describe("a place in another instance", function ()
	it("is left when a join here has held, and not before", function ()
		books.note_place(session, there, there.."/firstwitch");
		books.add(session, here, there, false, true);
		assert.is_false(books.is_served(session, there));
		books.close(session, here); -- refused
		assert.is_true(books.is_there(session, there));
		books.add(session, here, there, false, true);
		books.comes_back(session, there, 2);
		assert.is_true(books.is_served(session, there));
		assert.is_true(books.is_owed(session, there));
		books.comes_back(session, third, 2);
		assert.is_false(books.is_owed(session, third));
	end);

	it("is told of once when the session ends", function ()
		books.note_place(session, there, there.."/firstwitch");
		books.note_place(session, third, third.."/firstwitch");
		books.comes_back(session, third, 2);
		local places = books.take_places(session);
		table.sort(places);
		assert.same({ there.."/firstwitch"; third.."/firstwitch" }, places);
		assert.same({}, books.take_places(session));
	end);

	it("is one of a thousand at most", function ()
		for i = 1, 1001 do
			local room = ("r%d@chat.shakespeare.lit"):format(i);
			books.note_place(session, room, room.."/x");
		end
		assert.is_true(books.is_there(session, "r1000@chat.shakespeare.lit"));
		assert.is_false(books.is_there(session, "r1001@chat.shakespeare.lit"));
		books.note_place(session, "r1@chat.shakespeare.lit", nil);
		assert.is_false(books.is_there(session, "r1@chat.shakespeare.lit"));
	end);
end);
