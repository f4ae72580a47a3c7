-- Room addresses inside stanzas (addresses.lib.lua): what is put into another address, and what is left alone.

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";
local parse = require "util.xml".parse;
local plain = st.preserialize; -- the order of attributes does not matter

local here, there = "coven@rooms.macbeth.lit", "coven@chat.shakespeare.lit";

local dmuc = shim.new({ libraries = { "prosody", "stanzas", "addresses" } });
local addresses = dmuc.addresses;

-- XML in which HERE is the room's own address, or another one.
local function stanza(xml, room)
	return parse((xml:gsub("HERE", (room:gsub("%%", "%%%%")))));
end

local function outward(xml)
	return addresses.outward(stanza(xml, here), here, there);
end

local function same(xml)
	assert.same(plain(stanza(xml, there)), plain(outward(xml)));
end

-- The same, with HERE where it is to be left alone.
local function untouched(xml)
	local expected = stanza(xml, here);
	expected.attr.from = there..expected.attr.from:sub(#here + 1);
	assert.same(plain(expected), plain(outward(xml)));
end

describe("what a room says is put into another address", function ()
	it("in the words of the service itself", function ()
		same [[<presence from='HERE/crone' to='w@macbeth.lit/x'><x xmlns='http://jabber.org/protocol/muc#user'>
			<item affiliation='owner' role='moderator' jid='crone1@shakespeare.lit/d'/><status code='110'/></x></presence>]];
		same [[<message type='groupchat' from='HERE/crone'><body>Hail</body><stanza-id xmlns='urn:xmpp:sid:0' by='HERE' id='1'/>
			<delay xmlns='urn:xmpp:delay' from='HERE' stamp='2026-01-01T00:00:00Z'/><x xmlns='jabber:x:delay' from='HERE'/></message>]];
		same [[<presence type='error' from='HERE/crone'><error type='cancel' by='HERE'>
			<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>]];
		same [[<message type='groupchat' from='HERE'><apply-to xmlns='urn:xmpp:fasten:0' id='1'>
			<moderated xmlns='urn:xmpp:message-moderate:0' by='HERE/crone'><retract xmlns='urn:xmpp:message-retract:0'/></moderated>
			</apply-to></message>]];
		same [[<message type='groupchat' from='HERE'><retract xmlns='urn:xmpp:message-retract:1' id='1'>
			<moderated xmlns='urn:xmpp:message-moderate:1' by='HERE/crone'/></retract></message>]];
	end);

	it("in invitations and their text, as often as it stands there", function ()
		same [[<message from='HERE' to='w@macbeth.lit'><x xmlns='http://jabber.org/protocol/muc#user'>
			<invite from='HERE/crone'><reason>Come</reason></invite></x><x xmlns='jabber:x:conference' jid='HERE'>Come</x>
			<body>HERE/crone invited you to the room HERE (Come)</body></message>]];
		same [[<message from='HERE' to='w@macbeth.lit'><x xmlns='http://jabber.org/protocol/muc#user'>
			<decline from='HERE/crone'/></x><body>HERE/crone declined your invite to the room HERE</body></message>]];
	end);

	it("in answers: lists, forms, archives", function ()
		same [[<iq type='result' from='HERE'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='HERE/crone'/></query></iq>]];
		same [[<iq type='result' from='HERE'><query xmlns='http://jabber.org/protocol/muc#owner'>
			<x xmlns='jabber:x:data' type='form'><title>Configuration for HERE</title></x></query></iq>]];
		same [[<message from='HERE'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>
			<message xmlns='jabber:client' type='groupchat' from='HERE/crone' to='HERE'><body>Hail</body>
			<stanza-id xmlns='urn:xmpp:sid:0' by='HERE' id='1'/><reply xmlns='urn:xmpp:reply:0' to='HERE/witch' id='0'/></message>
			</forwarded></result></message>]];
	end);

	it("and a room that is asked as the source names no other", function ()
		local xml = [[<iq type='result' from='HERE'><query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='jabber:x:data'>
			<field var='dmuc-source'><value>]]..there..[[</value></field><field var='more'><value>1</value></field></x></query></iq>]];
		local text = tostring(outward(xml));
		assert.is_nil(text:find("dmuc-source", 1, true));
		assert.is_truthy(text:find("more", 1, true));
		local other = tostring(addresses.outward(stanza(xml, here), here, "coven@conference.marlowe.lit"));
		assert.is_truthy(other:find("dmuc-source", 1, true));
	end);

	it("in what people name", function ()
		same [[<message type='groupchat' from='HERE/crone'><body>Hail</body><reply xmlns='urn:xmpp:reply:0' to='HERE/witch' id='1'/>
			<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:HERE/witch'/>
			<mention xmlns='urn:xmpp:mentions:0' uri='xmpp:HERE?join'/><mention xmlns='urn:xmpp:mentions:0' jid='HERE/witch'/>
			<accept xmlns='urn:xmpp:call-invites:0' id='1'><jingle sid='1' jid='HERE/witch'/></accept></message>]];
	end);

	it("and nowhere else", function ()
		untouched [[<message type='groupchat' from='HERE/crone'><body>HERE</body><subject>HERE</subject>
			<encrypted xmlns='urn:x'>HERE<reply xmlns='urn:xmpp:reply:0' to='HERE/witch'/></encrypted>
			<x xmlns='jabber:x:data'><title>HERE</title></x><x xmlns='jabber:x:conference' jid='HERE'/>
			<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='HERE'/></forwarded></result>
			<reply xmlns='urn:x' to='HERE/witch'/><delay xmlns='urn:xmpp:delay' from='rooms.macbeth.lit'/></message>]];
		untouched [[<message type='groupchat' from='HERE'><body>HERE</body></message>]];
		untouched [[<message from='HERE/x'><reply xmlns='urn:xmpp:reply:0' to='HERE.example/witch' id='HERE'/>
			<stanza-id xmlns='urn:xmpp:sid:0' by='HEREx' id='1'/></message>]];
	end);

	it("and the stanza itself stays as it is", function ()
		local before = stanza([[<message from='HERE/crone'><reply xmlns='urn:xmpp:reply:0' to='HERE/witch'/></message>]], here);
		local copy = st.clone(before);
		addresses.outward(before, here, there);
		assert.same(plain(copy), plain(before));
	end);
end);

describe("what somebody sends to another address", function ()
	it("goes to the room, with whom it names for the service", function ()
		local function arrives(xml, expected)
			assert.same(plain(stanza(expected or xml, here)), plain(addresses.inward(stanza(xml, there), there, here)));
		end
		arrives [[<presence to='HERE/crone' from='w@macbeth.lit/x'><x xmlns='http://jabber.org/protocol/muc'/></presence>]];
		arrives [[<message to='HERE'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='HERE/crone'/></x></message>]];
		arrives [[<message to='HERE/crone' type='error'><error by='HERE'/></message>]];
		arrives [[<iq to='HERE'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data'>
			<field var='with'><value>HERE/crone</value></field></x></query></iq>]];
		-- What is written stays what it was.
		arrives([[<message to='HERE' type='groupchat'><reply xmlns='urn:xmpp:reply:0' to='HERE/crone'/></message>]],
			[[<message to='HERE' type='groupchat'><reply xmlns='urn:xmpp:reply:0' to=']]..there..[[/crone'/></message>]]);
	end);
end);

describe("what people write", function ()
	local function reworded(xml)
		return plain(addresses.reword(parse(xml), function (bare) return bare == there and here or nil; end));
	end

	it("is put into the room's own words, however it is written", function ()
		for written, expected in pairs {
			["xmpp:Coven@Chat.Shakespeare.LIT/Crone"] = "xmpp:"..here.."/Crone";
			["XMPP:coven%40chat.shakespeare.lit"] = "XMPP:"..here;
			["xmpp:"..there.."/a%20nick?message;body=x"] = "xmpp:"..here.."/a%20nick?message;body=x";
			["xmpp://"..there] = "xmpp://"..there;
			["xmpp:heath@chat.shakespeare.lit"] = "xmpp:heath@chat.shakespeare.lit";
			["https://example.org/"..there] = "https://example.org/"..there;
			["xmpp:@@"] = "xmpp:@@";
		} do
			local xml = "<message><reference xmlns='urn:xmpp:reference:0' uri='%s'/></message>";
			assert.same(plain(parse(xml:format(expected))), reworded(xml:format(written)));
		end
	end);

	it("is a new child where something changes, and the same stanza otherwise", function ()
		local message = parse("<message><body>x</body><reply xmlns='urn:xmpp:reply:0' to='"..there.."/a'/></message>");
		local child = message.tags[2];
		addresses.reword(message, function (bare) return bare == there and here or nil; end);
		assert.equal(there.."/a", child.attr.to);
		assert.equal(here.."/a", message.tags[2].attr.to);
		local body = message.tags[1];
		addresses.reword(message, function () return nil; end);
		assert.equal(body, message.tags[1]);
	end);
end);
