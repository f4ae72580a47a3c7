local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local function start(room_mt, in_force)
	return shim.new({ libraries = { "prosody" }; room_mt = room_mt; in_force = in_force });
end

describe("the methods of rooms", function ()
	local room_mt;
	before_each(function () room_mt = shim.room_methods(shim.parameters()); end);

	it("are taken as they are written for", function ()
		assert.has_no.errors(function () start(room_mt); end);
	end);

	it("are refused in one line that names the first that does not fit", function ()
		function room_mt:set_role(actor, occupant_jid, reason) end -- luacheck: ignore 212
		local ok, problem = pcall(start, room_mt);
		assert.is_false(ok);
		assert.matches("room:set_role(actor, occupant_jid, role, reason) is room:set_role(actor, occupant_jid, reason) here", problem, 1, true);
		assert.is_nil(problem:find("\n"));
	end);

	it("are refused if one is not there, or is no function", function ()
		room_mt.route_stanza = nil;
		assert.has.errors(function () start(room_mt); end);
		room_mt.route_stanza = "stanza";
		assert.has.errors(function () start(room_mt); end);
	end);

	it("are refused if there are none", function ()
		assert.has.errors(function () start("none"); end);
	end);

	it("may pass on whatever they are given", function ()
		function room_mt.set_role(...) end -- luacheck: ignore 212
		function room_mt:broadcast(stanza, ...) end -- luacheck: ignore 212
		assert.has_no.errors(function () start(room_mt); end);
		function room_mt:broadcast(stanz, ...) end -- luacheck: ignore 212
		assert.has.errors(function () start(room_mt); end);
	end);

	it("that have changed since keep nothing from being loaded again", function ()
		room_mt.route_stanza = nil;
		local _, host = start(room_mt, { ["chat.shakespeare.lit"] = {} });
		assert.matches("^error: .*room:route_stanza%(stanza%) is not there.*goes on as before$", host.lines[1]);
	end);

	it("are replaced only if they are checked", function ()
		local dmuc = start(room_mt);
		assert.has.errors(function () function dmuc.prosody.replaced:get_something() end end); -- luacheck: ignore 212
	end);

	it("are taken and given back, and others that set something are closed meanwhile", function ()
		function room_mt:set_name(name) self.name = name; end
		local dmuc = start(room_mt);
		function dmuc.prosody.replaced:set_role() return "ours"; end -- luacheck: ignore 212
		local saved = {};
		dmuc.rooms = { saved = function (room) table.insert(saved, room); end };
		local room = setmetatable({ _dmuc = {}; save = function () return "kept"; end }, room_mt);
		local before = room.save;
		dmuc.prosody.take(room, function (name) return function () return "closed "..name; end; end);
		assert.equal("ours", room:set_role());
		assert.equal("closed set_name", room:set_name("x"));
		assert.equal("kept", room:save());
		assert.equal("kept", room:save(true));
		assert.same({ room }, saved);
		dmuc.prosody.give_back(room);
		assert.equal(room_mt.set_role, room.set_role);
		assert.equal(room_mt.set_name, room.set_name);
		assert.equal(before, room.save);
	end);
end);

describe("what differs between releases", function ()
	it("is how long something is kept, where periods are not known", function ()
		local dmuc, host = shim.new({ libraries = { "prosody" } });
		function host.module:get_option_string(_, default) return self.given or default; end
		local day = 86400;
		for given, seconds in pairs {
			["1w"] = 7 * day; ["2 W"] = 14 * day; ["3d"] = 3 * day; ["60"] = 60; ["1m"] = 31 * day; ["never"] = math.huge;
		} do
			host.module.given = given;
			assert.equal(seconds, dmuc.prosody.period("muc_log_expires_after", "1w"), given);
		end
	end);

	it("is what waits in a connection", function ()
		local inside = shim.new({ libraries = { "prosody" } }).prosody;
		local dbuffer = setmetatable({}, { __len = function () return 7; end });
		assert.same({ 7, 0 }, { inside.unsent({ conn = { writebuffer = dbuffer } }) });
		assert.same({ 5, 0 }, { inside.unsent({ conn = { writebuffer = { "ab", "cde" } } }) });
		assert.same({ 3, 0 }, { inside.unsent({ conn = { writebuffer = "abc" } }) });
		assert.same({ 0, 0 }, { inside.unsent({}) });
		assert.same({ 0, 9 }, { inside.unsent({ sendq = { count = function () return 9; end } }) });
		assert.same({ 4, 2 }, { inside.unsent({ sendq = { { "<a/>" }, { {} } } }) });
	end);

	it("is not how a time of whole seconds is written", function ()
		assert.equal("2026-11-30T08:00:00Z", shim.new({ libraries = { "prosody" } }).prosody.stamp(1796025600));
	end);
end);

describe("an id that mod_muc gives a question", function ()
	it("leads back to the question's own", function ()
		local inside = shim.new({ libraries = { "prosody" } }).prosody;
		local room = { get_salt = function () return "salt"; end };
		local id = inside.private_id(room, "coven@rooms.macbeth.lit/firstwitch", "q1", "crone1@shakespeare.lit/desktop");
		assert.equal("q1", inside.question_id(id));
	end);

	it("is none of ours if it is anything else", function ()
		local inside = shim.new({ libraries = { "prosody" } }).prosody;
		for _, id in ipairs { "", "q1", "!", "YWJj" } do assert.is_nil(inside.question_id(id)); end
		assert.is_nil(inside.question_id(nil));
	end);
end);

describe("the configuration", function ()
	it("is seen as it is written, without what sections inherit", function ()
		local section = setmetatable({ dmuc_peers = {} }, { __index = { inherited = true } });
		local sections = shim.new({ libraries = { "prosody" }; sections = { ["a.lit"] = section } }).prosody.sections();
		assert.is_table(sections["a.lit"].dmuc_peers);
		assert.is_nil(sections["a.lit"].inherited);
	end);
end);
