local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

describe("what many are told of many", function ()
	local dmuc, host, seen, is_over, lost_turns, room;

	before_each(function ()
		seen, is_over, lost_turns = {}, false, 0;
		room = { jid = "coven@chat.shakespeare.lit"; _dmuc = {} };
		dmuc, host = shim.new({
			libraries = { "turns" };
			get_room = function (room_jid) return room_jid == room.jid and room or nil; end;
			is_turn_over = function () return is_over; end;
		});
		host.load("crowds");
		-- So many turns are over before anything can be done in them.
		dmuc.turns.is_over = function ()
			lost_turns = lost_turns - 1;
			return lost_turns >= 0;
		end;
	end);

	-- Somebody is seen to become something; was is what people know.
	local function tell(nick, word, was, session)
		dmuc.crowds.tell(room, room.jid.."/"..nick, session or nick, was or false, function (_, before)
			table.insert(seen, ("%s: %s, was %s"):format(nick, word, tostring(before)));
		end);
	end

	it("is told at once while the turn is short", function ()
		tell("a", "here");
		assert.same({ "a: here, was false" }, seen);
	end);

	it("waits for other turns, one after the other, when it is not", function ()
		is_over = true;
		for _, nick in ipairs { "a"; "b"; "c" } do tell(nick, "away", "here"); end
		assert.same({}, seen);
		lost_turns = 3;
		-- What the server has to do besides comes between.
		host.module:add_timer(0, function () table.insert(seen, "something else"); end);
		host.pass(1);
		assert.same({ "something else"; "a: away, was here"; "b: away, was here"; "c: away, was here" }, seen);
	end);

	it("keeps the order behind what waits", function ()
		is_over = true;
		tell("a", "away", "here");
		is_over = false;
		tell("b", "away", "here");
		assert.same({}, seen);
		host.pass(1);
		assert.same({ "a: away, was here"; "b: away, was here" }, seen);
	end);

	it("tells of somebody once, as it is by then, and from what people knew", function ()
		is_over = true;
		tell("a", "away", "here");
		tell("b", "away", "here");
		tell("a", "back", "away");
		is_over = false;
		host.pass(1);
		assert.same({ "b: away, was here"; "a: back, was here" }, seen);
	end);

	it("tells first of who has had the nick before", function ()
		is_over = true;
		tell("a", "gone", "here", "one home");
		tell("a", "here", false, "another home");
		assert.same({ "a: gone, was here" }, seen);
		is_over = false;
		host.pass(1);
		assert.equal("a: here, was false", seen[2]);
	end);

	it("is told before what somebody says", function ()
		is_over = true;
		tell("a", "here");
		tell("b", "here");
		dmuc.crowds.settle(room.jid.."/b");
		assert.same({ "b: here, was false" }, seen);
		dmuc.crowds.settle(room.jid.."/nobody");
		is_over = false;
		host.pass(1);
		assert.same({ "b: here, was false"; "a: here, was false" }, seen);
	end);

	it("is told in no room that has ended", function ()
		is_over = true;
		tell("a", "here");
		room = { jid = "cave@chat.shakespeare.lit" };
		is_over = false;
		host.pass(1);
		assert.same({}, seen);
	end);
end);
