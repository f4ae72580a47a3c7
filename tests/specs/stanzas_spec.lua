local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

local stanzas = shim.new({ libraries = { "prosody", "stanzas" } }).stanzas;
local room = "coven@chat.shakespeare.lit";

describe("a change of subject", function ()
	it("has nothing beside it", function ()
		local function message(...)
			local stanza = st.message();
			for _, name in ipairs { ... } do stanza:text_tag(name, "x"); end
			return stanza;
		end
		assert.truthy(stanzas.is_subject_change(message("subject")));
		assert.falsy(stanzas.is_subject_change(message("subject", "body")));
		assert.falsy(stanzas.is_subject_change(message("subject", "thread")));
		assert.falsy(stanzas.is_subject_change(message("body")));
	end);
end);

describe("an element in our name", function ()
	local function is(name, xmlns, attr, child)
		attr.xmlns = xmlns;
		local tag = st.stanza(name, attr);
		if child then tag:add_child(child); end
		return stanzas.is_in_our_name(tag, room);
	end

	it("says that this room delayed, numbered or moderated it", function ()
		assert.is_true(is("delay", "urn:xmpp:delay", { from = room }));
		assert.is_true(is("delay", "urn:xmpp:delay", { from = room.."/firstwitch" }));
		assert.is_true(is("stanza-id", "urn:xmpp:sid:0", { by = "COVEN@chat.shakespeare.lit" }));
		assert.is_true(is("addresses", "http://jabber.org/protocol/address", {}, st.stanza("address", { jid = room })));
		assert.is_true(is("addresses", "http://jabber.org/protocol/address", {}, st.stanza("address", { uri = "xmpp:"..room })));
	end);

	it("is none if it says so of somebody else, or says something else", function ()
		assert.is_false(is("delay", "urn:xmpp:delay", { from = "crone1@shakespeare.lit" }));
		assert.is_false(is("delay", "urn:xmpp:delay", {}));
		assert.is_false(is("delay", "urn:xmpp:delay", { from = "not an address@@" }));
		assert.is_false(is("x", "jabber:x:oob", { jid = room }));
	end);
end);

describe("a payload", function ()
	it("is the children as text, without what every instance makes for itself", function ()
		local message = st.message():text_tag("body", "a < b"):add_child(stanzas.occupant_id("o"))
			:add_child(stanzas.stanza_id(room, "1")):add_child(stanzas.stanza_id("elsewhere.lit", "2"));
		assert.equal("<body>a &lt; b</body><stanza-id", stanzas.payload(message, room):match("^.-<stanza%-id"));
		assert.is_nil(stanzas.payload(message, room):find(room, 1, true));
		assert.truthy(stanzas.payload(message, room):find("elsewhere.lit", 1, true));
		assert.is_nil(stanzas.payload(message, true):find("stanza-id", 1, true));
	end);

	it("comes back as children", function ()
		local text = "<body>Hover</body><thread>t</thread>";
		local message = stanzas.add_payload(st.message(), text);
		assert.equal("Hover", message:get_child_text("body"));
		assert.equal("t", message:get_child_text("thread"));
		assert.equal(0, #stanzas.add_payload(st.message(), "").tags);
		assert.equal(0, #stanzas.add_payload(st.message(), nil).tags);
		assert.equal(0, #stanzas.add_payload(st.message(), "<body>").tags);
	end);
end);

describe("the children of two stanzas", function ()
	it("are the same in the same order, with the same attributes and texts", function ()
		local function presence(status, attr) return st.presence():text_tag("status", status, attr):text_tag("show", "away"); end
		assert.is_true(stanzas.same_children(presence("x"), presence("x")));
		assert.is_false(stanzas.same_children(presence("x"), presence("y")));
		assert.is_false(stanzas.same_children(presence("x"), presence("x", { a = "1" })));
		assert.is_false(stanzas.same_children(presence("x", { a = "1" }), presence("x")));
		assert.is_false(stanzas.same_children(presence("x"), st.presence():text_tag("show", "away"):text_tag("status", "x")));
		assert.is_false(stanzas.same_children(presence("x"), st.presence()));
	end);
end);

describe("a text", function ()
	it("has a mark in the place of what XML cannot say", function ()
		assert.equal("fair is foul", stanzas.sound("fair is foul"));
		assert.equal("a\239\191\189b", stanzas.sound("a\1b"));
		assert.equal("h\195\164xen", stanzas.sound("h\195\164xen"));
		assert.equal("h\239\191\189", stanzas.sound("h\195"));
		assert.equal("\239\191\189a", stanzas.sound("\164a"));
	end);
end);

describe("a link to a room", function ()
	it("escapes what an address of a URI may not have", function ()
		assert.equal("xmpp:coven@chat.shakespeare.lit?join", stanzas.join_uri(room));
		assert.equal("xmpp:a%26b%23%C3%A4@chat.lit?join", stanzas.join_uri("a&b#\195\164@chat.lit"));
	end);
end);

describe("status codes", function ()
	it("have three digits", function ()
		local x = st.stanza("x");
		for _, code in ipairs { "110", "99", "1000", "x", "303" } do x:tag("status", { code = code }):up(); end
		assert.same({ 110, 303 }, stanzas.codes(x));
	end);
end);

describe("what only instances say", function ()
	it("is taken out of what a client sends to a distributed room", function ()
		local function message() return st.message():text_tag("body", "x"):tag("event", { xmlns = "urn:x-dmuc:0" }):up(); end
		local stanza = message();
		stanzas.only_theirs({ room = { _dmuc = {} }; stanza = stanza });
		assert.equal(1, #stanza.tags);
		stanza = message();
		stanzas.only_theirs({ room = {}; stanza = stanza });
		assert.equal(2, #stanza.tags);
	end);
end);
