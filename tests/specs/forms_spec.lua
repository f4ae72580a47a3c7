local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

local source = "coven@chat.shakespeare.lit";

local function start(layout)
	local dmuc, host = shim.new({ libraries = { "prosody", "stanzas", "turns", "forms" } });
	local room = { jid = "coven@rooms.macbeth.lit"; _dmuc = { source = source } };
	function room.get_form_layout() return layout or {}; end
	function room.get_public() return true; end
	return dmuc, host, room;
end

local function values(xml)
	local found = {};
	for var, value in xml:gmatch("var='([^']*)'.-<value>([^<]*)</value>") do found[var] = value; end
	return found;
end

describe("the form of a room", function ()
	it("has whole numbers as whole ones, and says that it is persistent", function ()
		local dmuc, _, room = start {
			{ name = "muc#roomconfig_historylength"; type = "text-single"; value = 20.5 };
			{ name = "muc#roomconfig_roomname"; type = "text-single"; value = "A Dark Cave" };
		};
		local found = values((dmuc.forms.get(room)):gsub('"', "'"));
		assert.equal("20", found["muc#roomconfig_historylength"]);
		assert.equal("A Dark Cave", found["muc#roomconfig_roomname"]);
		assert.equal("1", found["muc#roomconfig_persistentroom"]);
		assert.equal("1", found["muc#roomconfig_publicroom"]);
	end);

	it("has no word of whether it is distributed", function ()
		local dmuc, _, room = start { { name = "muc#roomconfig_distributed"; type = "boolean"; value = true } };
		assert.is_nil(dmuc.forms.get(room):find("distributed", 1, true));
	end);

	it("does without what cannot be written, and the log says so once", function ()
		local dmuc, host, room = start {
			{ name = "x"; type = "text-single"; value = setmetatable({}, { __tostring = function () error("broken"); end }) };
			{ name = "y"; type = "text-single"; value = "kept" };
		};
		for _ = 1, 2 do assert.equal("kept", values((dmuc.forms.get(room)):gsub('"', "'")).y); end
		assert.equal(1, #host.lines);
		assert.matches("^warn: The field x of coven@rooms.macbeth.lit cannot be written", host.lines[1]);
	end);

	it("is none if a module cannot make it", function ()
		local dmuc, _, room = start();
		function room.get_form_layout() error("no form", 0); end
		local form, problem = dmuc.forms.get(room);
		assert.is_nil(form);
		assert.matches("no form", problem);
	end);
end);

describe("a form that is submitted at a shadow", function ()
	local function check(fields, form_type)
		local dmuc, _, room = start();
		local form = st.stanza("x", { xmlns = "jabber:x:data"; type = "submit" });
		form:tag("field", { var = "FORM_TYPE" }):text_tag("value", form_type or dmuc.forms.form_type):up();
		for var, value in pairs(fields) do form:tag("field", { var = var }):text_tag("value", value):up(); end
		local _, condition, text = dmuc.forms.check_at_shadow(room, form);
		return condition, text, form;
	end

	it("passes without what is the source's own and is so already", function ()
		local condition, _, form = check { ["muc#roomconfig_distributed"] = "1"; ["muc#roomconfig_persistentroom"] = "true"; x = "1" };
		assert.is_nil(condition);
		assert.equal(2, #form.tags);
	end);

	it("is refused, with the source named, if it would change that", function ()
		for _, var in ipairs { "muc#roomconfig_distributed", "muc#roomconfig_persistentroom" } do
			local condition, text = check { [var] = "0" };
			assert.equal("not-acceptable", condition);
			assert.truthy(text:find(source, 1, true));
		end
	end);

	it("is refused if it is no configuration", function ()
		assert.equal("bad-request", (check({}, "http://jabber.org/protocol/muc#register")));
	end);
end);
