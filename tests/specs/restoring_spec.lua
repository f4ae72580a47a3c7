local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

describe("rooms after a start", function ()
	local dmuc, host, stored, lists, broken, restored, unread, lost_turns, counted;

	local function jid(node) return node.."@chat.shakespeare.lit"; end

	before_each(function ()
		stored, lists, broken, restored, unread, lost_turns, counted = {}, {}, {}, {}, {}, 0, 0;
		for _, node in ipairs { "camp"; "castle"; "cave"; "coven"; "heath" } do
			stored[node] = { version = 2; snapshot = node; written_by = "spec" };
		end
		local roles = {};
		local stores = {
			dmuc = {
				users = function () return next, stored; end;
				get = function (_, node)
					if broken[node] then error("the disk is wet", 0); end
					return stored[node];
				end;
			};
			config = { get = function () return {}; end };
			dmuc_list = { get = function (_, node) return lists[node]; end };
		};
		local nothing = function () end;
		dmuc, host = shim.new({
			libraries = { "storage"; "beside" };
			open_store = function (_, name) return stores[name]; end;
			prosody = {
				version = "spec"; is_broken = nothing; folder_of = nothing; is_destroyed = nothing;
				kept = function () return { dmuc_distributed = true }; end;
			};
			get_room = function (room_jid) return { jid = room_jid }; end;
			groupchat = { repair_archive = nothing };
			live_rooms = function () return nothing; end;
			role = function (room_jid) return roles[room_jid]; end;
			parked = { of = nothing; warn = nothing };
			hold = function (work, ...) return work(...); end;
			tell = function (what, room_jid, is_unread)
				if what == "unread" and room_jid then unread[room_jid] = is_unread or nil; end
			end;
			feed_restore = function (node, list)
				roles[jid(node)] = "source";
				table.insert(restored, node..(list or ""));
				return true;
			end;
			log = { tail = function () return {}; end };
			reading = { hand_in = nothing };
			-- So many rooms can be read before a turn is over, and so on.
			turns = { is_over = function () lost_turns = lost_turns - 1; return lost_turns >= 0; end };
			checks = { loaded = function () counted = #restored; end };
		});
		host.load("restoring");
		dmuc.restoring.take_up = nothing;
	end);

	-- What becomes of a stanza to a room: "passes", or the error.
	local function send(node)
		local reply;
		local stanza = st.presence({ from = "crone1@shakespeare.lit/desktop"; to = jid(node).."/firstcrone" });
		local handler = host.hooks["presence/full"][1].handler;
		local is_handled = handler({ origin = { send = function (answer) reply = answer; end }; stanza = stanza });
		return is_handled and select(2, reply:get_error()) or "passes";
	end

	it("come back in one turn if there is time for it", function ()
		dmuc.restoring.start();
		assert.equal(5, #restored);
		assert.equal(5, counted);
		assert.same({}, unread);
	end);

	it("come back in several turns, between which the server does something else", function ()
		lost_turns = 3;
		dmuc.restoring.start();
		assert.equal(1, #restored);
		local between;
		host.module:add_timer(0, function () between = #restored; end);
		host.pass(1);
		assert.equal(2, between);
		assert.equal(5, #restored);
		assert.equal(5, counted);
		assert.same({}, unread);
	end);

	it("are there at once for somebody who asks before it is their turn", function ()
		lost_turns = math.huge;
		dmuc.restoring.start();
		local _, first = next(restored);
		for node in pairs(stored) do
			assert.equal(node ~= first, unread[jid(node)] or false);
		end
		assert.equal("passes", send("camp"));
		assert.same({ first; "camp" }, restored);
		assert.is_nil(unread[jid("camp")]);
		assert.equal(3, #dmuc.restoring.awaited());
		lost_turns = 0;
		host.pass(1);
		assert.equal(5, #restored);
		assert.same({}, dmuc.restoring.awaited());
	end);

	it("stay closed in words where they cannot be read, and are tried again", function ()
		broken.cave = true;
		dmuc.restoring.start();
		assert.equal(4, #restored);
		assert.equal(0, counted);
		assert.equal("service-unavailable", send("cave"));
		assert.equal("passes", send("coven"));
		assert.matches("cannot be read %(the disk is wet%): 1 distributed rooms are closed", host.lines[1]);
		broken.cave = nil;
		host.pass(5);
		assert.equal("passes", send("cave"));
		assert.equal(5, counted);
		assert.matches("can be read again", host.lines[2]);
	end);

	it("come back with the list that is stored beside them, and not without it", function ()
		local room = stored.cave;
		room.version, room.list = 3, { first = 3; last = 4; changes = " and more" };
		lists["cave/3"] = { list = ": a base" };
		dmuc.restoring.start();
		assert.equal(4, #restored);
		assert.equal("service-unavailable", send("cave"));
		assert.matches("cannot be read %(part 4 of its list of affiliations is not there%)", host.lines[1]);
		lists["cave/4"] = { list = " and changes" };
		host.pass(5);
		assert.equal("cave: a base and changes and more", restored[5]);
		assert.equal("passes", send("cave"));
	end);

	it("stay closed if what is stored is of another version", function ()
		stored.cave.version = 4;
		dmuc.restoring.start();
		assert.equal(4, #restored);
		assert.equal("service-unavailable", send("cave"));
		assert.is_true(unread[jid("cave")]);
		assert.matches("^error: cave@.* stays closed, .*version 4", host.lines[1]);
	end);
end);
