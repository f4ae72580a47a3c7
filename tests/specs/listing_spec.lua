local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

local dmuc, host, room, shown, said;

local function occupant(nick, jid, role)
	room._occupants[room.jid.."/"..nick] = {
		nick = room.jid.."/"..nick; bare_jid = jid; role = role;
		each_session = function () return pairs { [jid.."/desktop"] = st.presence() }; end;
	};
end

local function entry(jid, affiliation, given)
	local action = { kind = "apply_affiliation"; room = room.jid; jid = jid; affiliation = affiliation };
	for key, value in pairs(given or {}) do action[key] = value; end
	return action;
end

before_each(function ()
	dmuc, host = shim.new({
		libraries = { "prosody", "stanzas", "turns" };
		hold = function (work, ...) return work(...); end;
		rooms = { session_of = function (_, nick) return nick and nick.."@elsewhere"; end };
		listed_with = function (_, _, nick, reason) return (nick or reason) and { reserved_nickname = nick; reason = reason } or nil; end;
		hats = { set = function () return true; end };
	});
	host.load("listing");
	shown, said = {}, {};
	room = {
		jid = "coven@rooms.macbeth.lit"; _dmuc = { remotes = {} };
		_affiliations = {}; _affiliation_data = {}; _occupants = {}; _reserved_nicks = {}; saves = 0;
	};
	function room:save() self.saves = self.saves + 1; end
	function room:get_registered_nick(jid)
		local data = self._affiliation_data[jid];
		return data and data.reserved_nickname;
	end
	function room.get_default_role(_, affiliation)
		return ({ owner = "moderator"; admin = "moderator"; outcast = nil; member = "participant" })[affiliation or "none"]
			or affiliation ~= "outcast" and "participant" or nil;
	end
	function room.get_whois() return "anyone"; end
	function room.save_occupant() end
	function room.publicise_occupant_status(_, who, x, _, actor, reason)
		local status = x:get_child("status");
		table.insert(shown, { nick = who.nick; role = who.role; code = status and status.attr.code; actor = actor; reason = reason });
	end
	function room.broadcast(_, message) table.insert(said, message); end
end);

describe("the source's list", function ()
	it("is put into the room with one save, and events in Prosody's form", function ()
		dmuc.listing.take(room, { entry("a@x.lit", "owner", { nick = "a" }), entry("b@x.lit", "member"), entry("c@x.lit", "none") });
		assert.same({ ["a@x.lit"] = "owner"; ["b@x.lit"] = "member" }, room._affiliations);
		assert.same({ ["a@x.lit"] = { reserved_nickname = "a" } }, room._affiliation_data);
		assert.is_nil(room._reserved_nicks);
		assert.equal(1, room.saves);
		local count = 0;
		for _, name in ipairs(host.fired) do if name == "muc-set-affiliation" then count = count + 1; end end
		assert.equal(2, count);
	end);

	it("changes nothing if it is the same", function ()
		dmuc.listing.take(room, { entry("a@x.lit", "owner", { nick = "a" }) });
		room.saves, host.fired = 0, {};
		dmuc.listing.take(room, { entry("a@x.lit", "owner", { nick = "a" }), entry("b@x.lit", "none") });
		assert.equal(0, room.saves);
		assert.same({}, host.fired);
	end);

	it("is what the last entry says of somebody", function ()
		dmuc.listing.take(room, { entry("a@x.lit", "outcast"), entry("a@x.lit", "admin") });
		assert.same({ ["a@x.lit"] = "admin" }, room._affiliations);
	end);

	it("shows first who loses something, with who decided and why", function ()
		room._affiliations = { ["witch@x.lit"] = "member" };
		occupant("crone", "crone@x.lit", "participant");
		occupant("witch", "witch@x.lit", "participant");
		dmuc.listing.take(room, {
			entry("crone@x.lit", "owner"), entry("witch@x.lit", "outcast", { reason = "Avaunt"; actor = "crone" }),
		});
		assert.same({
			{ nick = room.jid.."/witch"; code = "301"; actor = "crone@elsewhere"; reason = "Avaunt" };
			{ nick = room.jid.."/crone"; role = "moderator" };
		}, shown);
	end);

	it("bans everybody of a domain", function ()
		occupant("witch", "witch@x.lit", "participant");
		dmuc.listing.take(room, { entry("x.lit", "outcast") });
		assert.equal("301", shown[1].code);
		assert.is_nil(shown[1].role);
	end);

	it("keeps a role that has been given by hand where nothing is lowered", function ()
		occupant("witch", "witch@x.lit", "moderator");
		dmuc.listing.take(room, { entry("witch@x.lit", "member") });
		assert.equal("moderator", shown[1].role);
	end);

	it("tells of people who are not here, unless it is long", function ()
		dmuc.listing.take(room, { entry("a@x.lit", "member") });
		assert.equal(1, #said);
		local entries = {};
		for i = 1, 21 do entries[i] = entry(i.."@y.lit", "member"); end
		dmuc.listing.take(room, entries);
		assert.equal(1, #said);
	end);
end);
