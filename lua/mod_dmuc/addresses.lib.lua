-- Room addresses inside stanzas: those that a room writes are put into the address by which somebody knows it, those that people
-- write into the one that is meant. Nothing here knows who that is (serving.lib.lua), and nothing of what is not named here is
-- looked into: what is encrypted, signed or new stays as it is.

local st = require "util.stanza";
local jid_prep = require "util.jid".prep;

local xmlns_mam = "urn:xmpp:mam:2";
local xmlns_data = "jabber:x:data";
local xmlns_conference = "jabber:x:conference";

return function (dmuc)
	local addresses = {};
	dmuc.addresses = addresses;

	local stanzas = dmuc.stanzas;
	local xmlns_muc_user = stanzas.xmlns_muc_user;

	-- The bare part of a JID that has been prepared.
	local function bare_of(jid)
		local slash = jid:find("/", 1, true);
		return slash and jid:sub(1, slash - 1) or jid;
	end
	addresses.bare_of = bare_of;

	-- A JID whose bare part is `from`, with `to` in its place; nil for any other.
	local function moved(jid, from, to)
		if jid == from then return to; end
		if #jid > #from and jid:sub(1, #from) == from and jid:sub(#from + 1, #from + 1) == "/" then return to..jid:sub(#from + 1); end
	end

	local function move(tag, name, from, to)
		local value = tag.attr[name];
		local other = value and moved(value, from, to);
		if other then tag.attr[name] = other; end
	end

	-- Text in which an address stands as it is.
	local function replaced(text, from, to)
		local at, last = text:find(from, 1, true);
		if not at then return text; end
		return text:sub(1, at - 1)..to..replaced(text:sub(last + 1), from, to);
	end

	local function move_in_text(tag, from, to)
		for i, part in ipairs(tag) do
			if type(part) == "string" then tag[i] = replaced(part, from, to); end
		end
	end

	-- What people write --

	-- An address that a client wrote, which need not be prepared: other(bare) says what stands for it, or nil.
	local function other_jid(value, other)
		local jid = jid_prep(value);
		local bare = jid and bare_of(jid);
		local instead = bare and other(bare);
		return instead and instead..jid:sub(#bare + 1) or nil;
	end

	local function unescaped(text)
		return (text:gsub("%%(%x%x)", function (code) return string.char(tonumber(code, 16)); end));
	end

	-- xmpp:room@service/nick?what (RFC 5122); one with an authority is left.
	local function other_uri(value, other)
		local scheme, path, rest = value:match("^([xX][mM][pP][pP]:)([^/?#][^?#]*)(.*)$");
		local jid = path and other_jid(unescaped(path), other);
		return jid and scheme..stanzas.in_uri(jid)..rest or nil;
	end

	-- Of each namespace the element, the attribute with an address, and what that is.
	local written = {
		["urn:xmpp:reply:0"] = { reply = { to = other_jid } }; -- XEP-0461
		["urn:xmpp:reference:0"] = { reference = { uri = other_uri } }; -- XEP-0372
		["urn:xmpp:mentions:0"] = { mention = { uri = other_uri; jid = other_jid } }; -- XEP-0513
	};
	local xmlns_call = "urn:xmpp:call-invites:0"; -- XEP-0482: in an element of it

	local function changes_of(tag)
		local elements = written[tag.attr.xmlns];
		return elements and elements[tag.name];
	end

	-- The element with other addresses, or nil where nothing changes. It stays as it is.
	local function rewritten(tag, other)
		local changes, copy = changes_of(tag), nil;
		if changes then
			for name, change in next, changes do
				local value = tag.attr[name];
				local instead = value and change(value, other);
				if instead and instead ~= value then
					copy = copy or st.clone(tag);
					copy.attr[name] = instead;
				end
			end
		elseif tag.attr.xmlns == xmlns_call then
			for i, child in ipairs(tag.tags) do
				local jid = child.name == "jingle" and child.attr.jid;
				local instead = jid and other_jid(jid, other);
				if instead and instead ~= jid then
					copy = copy or st.clone(tag);
					copy.tags[i].attr.jid = instead;
				end
			end
		end
		return copy;
	end

	local function is_written(tag)
		return changes_of(tag) ~= nil or tag.attr.xmlns == xmlns_call;
	end

	-- Puts what people wrote into other words: other(bare) is the address for a room, or nil. Children are replaced, not changed.
	function addresses.reword(stanza, other)
		local is_any = false;
		for _, tag in ipairs(stanza.tags) do
			if is_written(tag) then is_any = true; end
		end
		if not is_any then return stanza; end
		return stanza:maptags(function (tag) return is_written(tag) and rewritten(tag, other) or tag; end);
	end

	-- What a room writes --

	local readdress;

	local function deeply(name)
		local function visit(tag, from, to)
			move(tag, name, from, to);
			for _, child in ipairs(tag.tags) do visit(child, from, to); end
		end
		return visit;
	end

	local function at_top(name)
		return function (tag, from, to) move(tag, name, from, to); end;
	end

	-- Who invites, or declines, by the place in the room. What becomes of people is in items, which name real addresses.
	local function of_people(tag, from, to)
		for _, child in ipairs(tag.tags) do
			if child.name == "invite" or child.name == "decline" then
				move(child, "from", from, to);
				move(child, "to", from, to);
			end
		end
	end

	-- "Configuration for …"; and a room that is asked as the source of a shadow has no other source.
	local function of_form(form, from, to)
		form:maptags(function (child)
			if child.name == "title" or child.name == "instructions" then move_in_text(child, from, to); end
			if child.name == "field" and child.attr.var == "dmuc-source" and child.tags[1] and child.tags[1]:get_text() == to then
				return nil;
			end
			return child;
		end);
	end

	-- A message of the archive stands there as it was sent.
	local function of_archive(result, from, to)
		for forwarded in result:childtags("forwarded", "urn:xmpp:forward:0") do
			for message in forwarded:childtags("message", "jabber:client") do
				move(message, "to", from, to);
				readdress(message, from, to);
			end
		end
	end

	local function of_items(query, from, to)
		for item in query:childtags("item") do move(item, "jid", from, to); end
	end

	-- What a command says (XEP-0050).
	local function of_command(command, from, to)
		for _, child in ipairs(command.tags) do
			if child.name == "note" then move_in_text(child, from, to); end
			if child.name == "x" then of_form(child, from, to); end
		end
	end

	-- In which elements a room writes addresses, by namespace: in those of anybody's messages, …
	local marks = {
		["urn:xmpp:sid:0"] = at_top("by");
		["urn:xmpp:delay"] = at_top("from"); ["jabber:x:delay"] = at_top("from");
		["urn:xmpp:fasten:0"] = deeply("by");
		["urn:xmpp:message-moderate:0"] = deeply("by"); ["urn:xmpp:message-moderate:1"] = deeply("by");
		["urn:xmpp:message-retract:0"] = deeply("by"); ["urn:xmpp:message-retract:1"] = deeply("by");
		[xmlns_muc_user] = of_people;
	};
	-- … and in what it says itself.
	local own = {
		[xmlns_conference] = at_top("jid");
		[xmlns_data] = of_form;
		[xmlns_mam] = of_archive;
		["http://jabber.org/protocol/disco#items"] = of_items;
		["http://jabber.org/protocol/commands"] = of_command;
	};

	local function is_invitation(stanza)
		local x = stanza:get_child("x", xmlns_muc_user);
		return x ~= nil and (x:get_child("invite") ~= nil or x:get_child("decline") ~= nil);
	end

	function readdress(stanza, from, to)
		local is_own = stanza.attr.from == from;
		move(stanza, "from", from, to);
		local has_text = is_own and stanza.name == "message" and is_invitation(stanza);
		for _, tag in ipairs(stanza.tags) do
			local xmlns = tag.attr.xmlns;
			local mark = marks[xmlns] or is_own and own[xmlns];
			if mark then
				mark(tag, from, to);
			elseif tag.name == "error" then
				move(tag, "by", from, to);
			elseif tag.name == "body" and has_text then
				move_in_text(tag, from, to); -- "… invited you to the room …"
			end
			if is_own and stanza.name == "iq" then
				for form in tag:childtags("x", xmlns_data) do of_form(form, from, to); end
			end
		end
		local function other(bare) return bare == from and to or nil; end
		return addresses.reword(stanza, other);
	end

	-- A copy of a room's stanza for somebody who knows the room by another address.
	function addresses.outward(stanza, room_jid, address)
		return readdress(st.clone(stanza), room_jid, address);
	end

	-- Questions to archives name whom it is about.
	local function move_values(form, from, to)
		for field in form:childtags("field") do
			for value in field:childtags("value") do
				local jid = value:get_text();
				local instead = jid and moved(jid, from, to);
				if instead then value[1] = instead; end
			end
		end
	end

	-- The opposite: a copy of what somebody sends to that address, for the room. What people write stays theirs.
	function addresses.inward(stanza, address, room_jid)
		local copy = st.clone(stanza);
		move(copy, "to", address, room_jid);
		for _, tag in ipairs(copy.tags) do
			if tag.attr.xmlns == xmlns_muc_user then
				of_people(tag, address, room_jid);
			elseif tag.name == "error" then
				move(tag, "by", address, room_jid);
			elseif tag.attr.xmlns == xmlns_mam then
				for form in tag:childtags("x", xmlns_data) do move_values(form, address, room_jid); end
			end
		end
		return copy;
	end

	-- A copy (XEP-0280) of what another session of the same person sent or got, with another address of the room.
	function addresses.carbon(stanza, from, to)
		local copy = st.clone(stanza);
		local forwarded = copy.tags[1]:get_child("forwarded", "urn:xmpp:forward:0");
		local message = forwarded:get_child("message", "jabber:client");
		move(message, "to", from, to);
		readdress(message, from, to);
		return copy;
	end
end
