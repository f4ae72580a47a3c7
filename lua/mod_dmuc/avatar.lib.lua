-- The room's avatar (XEP-0486): the photo of its vCard (XEP-0054), which an owner sets at any instance and the source decides.
-- It is kept where whatever else here has vCards of rooms looks for them, so that a room has the same when it is an ordinary
-- one. While it is distributed only this file answers for it, and tells the people in it.

local st = require "util.stanza";
local base64 = require "util.encodings".base64;
local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local jid_split = require "util.jid".split;
local sha1 = require "util.hashes".sha1;

return function (dmuc)
	local avatar = {};
	dmuc.avatar = avatar;

	local inside, storage = dmuc.prosody, dmuc.storage;
	local xmlns_vcard, xmlns_update = "vcard-temp", "vcard-temp:x:update";
	local hash_field = "muc#roominfo_avatarhash";

	local store = module:open_store(inside.vcard_store);

	-- Returns true and the vCard, nil for none; or false and the error.
	local function read(room_jid)
		local ok, stored = storage.read(store, "get", (jid_split(room_jid)));
		if not ok then return false, stored; end
		return true, stored and st.deserialize(stored) or nil;
	end

	-- Nil for none. Returns whether it is kept.
	local function keep(room, vcard)
		local ok, err = storage.attempt(function () return store:set((jid_split(room.jid)), vcard and st.preserialize(vcard)); end);
		if not ok then module:log("error", "The vCard of %s cannot be stored: %s", room.jid, err); end
		room._dmuc.photo = nil;
		inside.avatar_changed(room);
		return ok;
	end

	-- SHA-1 of the photo, in hex; nil if there is none.
	local function photo_of(room)
		local known = room._dmuc.photo;
		if known ~= nil then return known or nil; end
		local ok, vcard = read(room.jid);
		if not ok then return nil; end
		local photo = vcard and vcard:get_child("PHOTO");
		local data = photo and photo:get_child_text("BINVAL");
		data = data and base64.decode((data:gsub("%s", "")));
		room._dmuc.photo = data and sha1(data, true) or false;
		return room._dmuc.photo or nil;
	end

	local function update(room, to)
		return st.presence({ from = room.jid; to = to })
			:tag("x", { xmlns = xmlns_update }):text_tag("photo", photo_of(room) or ""):reset();
	end

	-- The people here are told, in the ways that are configured for all rooms.
	local function announce(room)
		if inside.tells_avatar("presence") then room:broadcast(update(room)); end
		if inside.tells_avatar("message") then
			room:broadcast(st.message({ from = room.jid; type = "groupchat" })
				:tag("x", { xmlns = "http://jabber.org/protocol/muc#user" }):tag("status", { code = "104" }):reset());
		end
	end

	-- What the source says.
	function avatar.apply(room, action)
		keep(room, action.vcard and dmuc.stanzas.parse(action.vcard));
		announce(room);
		module:log("info", "%s has %s avatar", room.jid, action.vcard and "another" or "no");
	end

	-- The engine has none of them.
	function avatar.hand_over(action)
		local ok, vcard = read(action.room);
		if not ok then
			module:log("error", "The vCard of %s cannot be read: %s", action.room, vcard);
			-- Whoever asks is told that it is not here; what the room has is not changed by that.
			dmuc.tell("picture", action.room, nil, true);
			return;
		end
		dmuc.tell("picture", action.room, vcard and tostring(vcard), false);
	end

	-- What is left of an earlier room of this name is no avatar of this one.
	function avatar.forget(room_jid)
		local ok, vcard = read(room_jid);
		if ok and not vcard then return; end
		local _, err = storage.write(store, "set", (jid_split(room_jid)), nil);
		if err then module:log("error", "The vCard of an earlier %s cannot be removed: %s", room_jid, err); end
	end

	local function set(event, room)
		local origin, stanza = event.origin, event.stanza;
		local vcard, from = stanza.tags[1], stanza.attr.from;
		local function refuse(err_type, condition, text)
			origin.send(st.error_reply(stanza, err_type, condition, text));
			return true;
		end
		if room:get_affiliation(from) ~= "owner" then
			return refuse("auth", "forbidden", "Only owners set the room's avatar");
		end
		if not vcard.tags[1] then vcard = nil; end
		local text = vcard and tostring(vcard);
		local verdict, err_type, condition, problem = dmuc.feed("picture", room.jid, text, true);
		if not verdict then return refuse(err_type, condition, problem); end
		local nick = room:get_occupant_jid(from);
		nick = nick and jid_resource(nick);
		-- The engine first: what has to be offered is stored before anybody sees it.
		local function decide()
			dmuc.tell("avatar", room.jid, text or "", nick, jid_bare(from));
			if not keep(room, vcard) then
				avatar.hand_over({ room = room.jid }); -- as it was
				return refuse("wait", "internal-server-error", "The avatar cannot be stored");
			end
			announce(room);
			origin.send(st.reply(stanza));
			return true;
		end
		if room._dmuc.is_source then return decide(); end
		dmuc.requests.act(room, { actor_nick = nick; actor_jid = jid_bare(from); avatar = text or "" }, event, decide);
		return true;
	end

	-- Before mod_vcard and mod_vcard_muc (0), which know this server only.
	module:hook("iq/bare/"..xmlns_vcard..":vCard", function (event)
		local origin, stanza = event.origin, event.stanza;
		local room_jid = stanza.attr.to;
		if not dmuc.role(room_jid) then return; end
		local room = dmuc.get_room(room_jid);
		if not room or not room._dmuc then return; end
		if stanza.attr.type == "set" then return set(event, room); end
		local ok, vcard = read(room_jid);
		if not ok then
			origin.send(st.error_reply(stanza, "wait", "internal-server-error"));
		elseif vcard and vcard.tags[1] then
			origin.send(st.reply(stanza):add_child(vcard));
		else
			origin.send(st.error_reply(stanza, "cancel", "item-not-found"));
		end
		return true;
	end, 20);

	-- Who joins. Where another module does that for all rooms, it has read the same vCard.
	module:hook("muc-occupant-session-new", function (event)
		local room, to = event.room, event.jid;
		if not room._dmuc or room._dmuc.remotes[to] or inside.greets_with_avatar() then return; end
		if inside.tells_avatar() and photo_of(room) then room:route_stanza(update(room, to)); end
	end);

	-- After other modules (0), which may say it already.
	module:hook("muc-disco#info", function (event)
		local room, reply, form = event.room, event.reply, event.form;
		if not room._dmuc or not form then return; end
		local has_feature, has_field = false, false;
		reply.tags[1]:maptags(function (tag)
			if tag.name ~= "feature" or tag.attr.var ~= xmlns_vcard then return tag; end
			if has_feature then return nil; end
			has_feature = true;
			return tag;
		end);
		for _, field in ipairs(form) do has_field = has_field or field.name == hash_field; end
		if not has_feature then reply:tag("feature", { var = xmlns_vcard }):up(); end
		if not has_field then table.insert(form, { name = hash_field; type = "text-multi" }); end
		event.formdata[hash_field] = photo_of(room);
	end, -10);
end
