-- Pieces of stanzas: children as text, text as children, and what must not cross an instance's border.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_prep = require "util.jid".prep;
local parse_xml = require "util.xml".parse;
local is_utf8 = require "util.encodings".utf8.valid;

local replacement = "\239\191\189"; -- U+FFFD
local xmlns_muc = "http://jabber.org/protocol/muc";
local xmlns_muc_user = "http://jabber.org/protocol/muc#user";
local xmlns_occupant_id = "urn:xmpp:occupant-id:0";
local xmlns_stanza_id = "urn:xmpp:sid:0";

return function (dmuc)
	local stanzas = {
		xmlns_muc = xmlns_muc;
		xmlns_muc_user = xmlns_muc_user;
		xmlns_occupant_id = xmlns_occupant_id;
		xmlns_stanza_id = xmlns_stanza_id;
	};
	dmuc.stanzas = stanzas;

	-- Children that every instance makes for itself. They are never taken from a peer or sent to one.
	local made_here = {
		[xmlns_muc] = true;
		[xmlns_muc_user] = true;
		[xmlns_occupant_id] = true;
		[dmuc.xmlns] = true;
		[dmuc.xmlns_ours] = true;
	};
	stanzas.made_here = made_here;

	-- XEP-0045 section 8.1: a subject with a body or thread beside it is an ordinary message.
	function stanzas.is_subject_change(stanza)
		return stanza:get_child("subject") and not stanza:get_child("body") and not stanza:get_child("thread");
	end

	-- Our own namespaces never reach a client and are never taken from one.
	local ours = { [dmuc.xmlns] = true; [dmuc.xmlns_ours] = true };

	function stanzas.strip(stanza, namespaces)
		return stanza:maptags(function (tag)
			if namespaces[tag.attr.xmlns] then return nil; end
			return tag;
		end);
	end

	function stanzas.has_ours(stanza)
		for _, tag in ipairs(stanza.tags) do
			if ours[tag.attr.xmlns] then return true; end
		end
		return false;
	end

	-- Events of mod_muc with a stanza from a client: our own additions are not for clients to make.
	function stanzas.only_theirs(event)
		if event.room._dmuc and stanzas.has_ours(event.stanza) then stanzas.strip(event.stanza, ours); end
	end

	-- Whether a child claims to be a stanza-id by this room. Before we have given one it is forged (XEP-0359 section 3).
	function stanzas.is_id_by(tag, room_jid)
		return tag.name == "stanza-id" and tag.attr.xmlns == xmlns_stanza_id and jid_prep(tag.attr.by) == room_jid;
	end

	-- What may stand for itself in the address of an XMPP URI (RFC 5122 section 2.2), everything else is escaped.
	local function escaped(part)
		return (part:gsub("[^%w@%-%._~!$*:]", function (char) return ("%%%02X"):format(char:byte()); end));
	end
	function stanzas.in_uri(jid)
		local bare, resource = jid:match("^([^/]*)/?(.*)$");
		return escaped(bare)..(resource ~= "" and "/"..escaped(resource) or "");
	end
	function stanzas.join_uri(room_jid)
		return "xmpp:"..escaped(room_jid).."?join";
	end

	-- Elements that say who delayed a message, numbered it, passed it on or took it away, and in which attributes.
	local attested = {
		["urn:xmpp:delay"] = true; ["jabber:x:delay"] = true;
		[xmlns_stanza_id] = true;
		["http://jabber.org/protocol/address"] = true;
		["urn:xmpp:fasten:0"] = true;
		["urn:xmpp:message-moderate:0"] = true; ["urn:xmpp:message-moderate:1"] = true;
		["urn:xmpp:message-retract:0"] = true; ["urn:xmpp:message-retract:1"] = true;
	};
	local witnesses = { "by", "from", "jid", "uri" };

	local function names(tag, room_jid)
		for _, attr in ipairs(witnesses) do
			local value = tag.attr[attr];
			local jid = value and jid_prep((value:gsub("^xmpp:", "")));
			if jid and jid_bare(jid) == room_jid then return true; end
		end
		for _, child in ipairs(tag.tags) do
			if names(child, room_jid) then return true; end
		end
		return false;
	end

	-- Whether an element claims that this room did something with the message (XEP-0203, XEP-0359): nobody says that for it.
	-- The engine removes the same from what it keeps (src/wire/forged.rs).
	function stanzas.is_in_our_name(tag, room_jid)
		return attested[tag.attr.xmlns] and names(tag, room_jid) or false;
	end

	-- The children as text, in the context of jabber:client: what the engine calls a payload.
	function stanzas.payload(stanza, by)
		local parts, n = {}, 0;
		for _, tag in ipairs(stanza.tags) do
			local xmlns = tag.attr.xmlns;
			if not made_here[xmlns] and not (xmlns == xmlns_stanza_id and (by == true or stanzas.is_id_by(tag, by))) then
				n = n + 1;
				parts[n] = tostring(tag);
			end
		end
		return table.concat(parts);
	end

	-- The opposite: adds a payload's children to a stanza. On cold paths only.
	function stanzas.add_payload(stanza, payload)
		if not payload or payload == "" then return stanza; end
		local parsed = parse_xml("<payload>"..payload.."</payload>");
		if parsed then
			for _, tag in ipairs(parsed.tags) do
				stanza:add_direct_child(tag);
			end
		end
		return stanza;
	end

	local function is_same(a, b)
		if type(a) ~= "table" or type(b) ~= "table" then return a == b; end
		if a.name ~= b.name or #a ~= #b then return false; end
		for key, value in pairs(a.attr) do
			if b.attr[key] ~= value then return false; end
		end
		for key in pairs(b.attr) do
			if a.attr[key] == nil then return false; end
		end
		for i = 1, #a do
			if not is_same(a[i], b[i]) then return false; end
		end
		return true;
	end

	-- Whether two stanzas have the same children, in the same order.
	function stanzas.same_children(a, b)
		if #a.tags ~= #b.tags then return false; end
		for i = 1, #a.tags do
			if not is_same(a.tags[i], b.tags[i]) then return false; end
		end
		return true;
	end

	-- Text or XML with U+FFFD for what XML cannot express and for what is not UTF-8: a module may have cut a name in the
	-- middle of a character.
	function stanzas.sound(text)
		text = text:gsub("[%z\1-\8\11\12\14-\31]", replacement);
		if is_utf8(text) then return text; end
		text = text:gsub("^[\128-\191]+", replacement):gsub("[^\128-\191][\128-\191]*", function (char)
			return is_utf8(char) and char or replacement;
		end);
		return text;
	end

	function stanzas.parse(xml)
		return xml and xml ~= "" and parse_xml(xml) or nil;
	end

	function stanzas.delay(from, seconds)
		return st.stanza("delay", { xmlns = "urn:xmpp:delay"; from = from; stamp = dmuc.prosody.stamp(seconds) });
	end

	function stanzas.stanza_id(by, stanza_id)
		return st.stanza("stanza-id", { xmlns = xmlns_stanza_id; by = by; id = stanza_id });
	end

	function stanzas.occupant_id(occupant_id)
		return st.stanza("occupant-id", { xmlns = xmlns_occupant_id; id = occupant_id });
	end

	-- Status codes of a muc#user element.
	function stanzas.codes(x)
		local codes = {};
		for status in x:childtags("status") do
			local code = tonumber(status.attr.code);
			-- Three digits (XEP-0045 section 15.6.2); whatever else a peer says is no code.
			if code and code >= 100 and code <= 999 then codes[#codes + 1] = math.floor(code); end
		end
		return codes;
	end
end
