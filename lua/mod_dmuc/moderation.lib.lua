-- Messages that are retracted (XEP-0425): asked for by moderators here, decided by the source, done by every instance in
-- its own log, archive and words.
--
-- Who may ask is mod_muc_moderation's to offer, where it is loaded; what the source has decided is done everywhere. Its
-- event muc-moderate-message is fired here as it would fire it: where a moderator asks, and at the source, other modules may
-- object; elsewhere they learn of the decision. It is fired while the archive still has the message.

local st = require "util.stanza";
local id = require "util.id";
local new_cache = require "util.cache".new;
local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local time_now = require "util.time".now;

-- Both forms of the specification, for clients of either: 0.2 (what Debian's mod_muc_moderation speaks) and 0.3.
local xmlns_fasten = "urn:xmpp:fasten:0";
local xmlns_moderate_0, xmlns_retract_0 = "urn:xmpp:message-moderate:0", "urn:xmpp:message-retract:0";
local xmlns_moderate_1, xmlns_retract_1 = "urn:xmpp:message-moderate:1", "urn:xmpp:message-retract:1";

return function (dmuc)
	local moderation = {};
	dmuc.moderation = moderation;

	local stanzas, rooms, groupchat, turns = dmuc.stanzas, dmuc.rooms, dmuc.groupchat, dmuc.turns;

	-- The moderator as this instance names it.
	local function by(room, given)
		return given.nick and room.jid.."/"..given.nick or room.jid;
	end

	local function add_moderated_1(stanza, room, given)
		stanza:tag("moderated", { xmlns = xmlns_moderate_1; by = by(room, given) });
		if given.occupant_id then stanza:add_child(stanzas.occupant_id(given.occupant_id)); end
		return stanza:up();
	end

	-- What people here are told.
	function moderation.announcement(room, given, announcement_id)
		local message = st.message({ from = room.jid; type = "groupchat"; id = announcement_id or id.medium() });
		message:tag("apply-to", { xmlns = xmlns_fasten; id = given.id })
			:tag("moderated", { xmlns = xmlns_moderate_0; by = by(room, given) })
				:tag("retract", { xmlns = xmlns_retract_0 }):up();
		if given.reason then message:text_tag("reason", given.reason); end
		message:up():up():tag("retract", { xmlns = xmlns_retract_1; id = given.id });
		add_moderated_1(message, room, given);
		if given.reason then message:text_tag("reason", given.reason); end
		return message:reset();
	end

	-- What stays in the archive in the place of a message.
	local function tombstone(room, entry, given, when)
		local stamp = dmuc.prosody.stamp(when);
		local message = st.message({ from = room.jid.."/"..entry.nick; type = "groupchat"; id = entry.id });
		message:tag("moderated", { xmlns = xmlns_moderate_0; by = by(room, given) })
			:tag("retracted", { xmlns = xmlns_retract_0; stamp = stamp }):up();
		if given.reason then message:text_tag("reason", given.reason); end
		message:up():tag("retracted", { xmlns = xmlns_retract_1; stamp = stamp; id = given.stanza_id });
		add_moderated_1(message, room, given);
		if given.reason then message:text_tag("reason", given.reason); end
		message:reset();
		if entry.occupant_id then message:add_direct_child(stanzas.occupant_id(entry.occupant_id)); end
		return message;
	end

	-- Who said something that is in the archive only: in-room nick, id, occupant-id.
	local function archived(room, stanza_id)
		local stanza = dmuc.archiving.get(room, stanza_id);
		local nick = stanza and jid_resource(stanza.attr.from);
		if not nick then return; end
		local occupant_id = stanza:get_child("occupant-id", stanzas.xmlns_occupant_id);
		return { nick = nick; id = stanza.attr.id; occupant_id = occupant_id and occupant_id.attr.id };
	end

	-- Who moderates, as far as this instance knows: the real JID or the in-room one.
	local function actor_of(room, given)
		local nick_jid = by(room, given);
		local occupant = given.nick and room:get_occupant_by_nick(nick_jid);
		local is_it = occupant and room:get_occupant_id(occupant) == given.occupant_id;
		return is_it and rooms.real_jid(room, occupant) or nick_jid;
	end

	local event_name = "muc-moderate-message";

	local function has_listeners()
		return dmuc.prosody.has_listeners(event_name);
	end

	-- What other modules were told of a message that is about to go, with the stanzas that they may have changed: [room and
	-- id of the message] = { announcement, tombstone, nick, reason }.
	local told = new_cache(1000);
	-- Announcements as they were shown at last: [room and id of the decision] = stanza.
	local worded = new_cache(1000);

	local function key_of(room, stanza_id)
		return room.jid.."\0"..stanza_id;
	end

	-- Nobody else writes the room's name there (stanzas.is_in_our_name).
	local function is_tombstone(room, stanza)
		local moderated = stanza:get_child("moderated", xmlns_moderate_0);
		return moderated ~= nil and jid_bare(moderated.attr.by) == room.jid;
	end

	-- Tells other modules, which may wait, of a message that is in the archive still. Returns true if one of them objects.
	local function consult(room, given, actor, retract)
		local key = key_of(room, given.id);
		told:set(key, nil);
		local original = has_listeners() and dmuc.archiving.get(room, given.id);
		if not original or is_tombstone(room, original) then return false; end
		local entry = dmuc.reading.message(room.jid, given.id) or archived(room, given.id);
		local announcement = moderation.announcement(room, given);
		local stone = entry and tombstone(room, entry, given, time_now());
		local objects = module:fire_event(event_name, {
			room = room;
			announcement = announcement;
			tombstone = stone;
			stanza_id = given.id;
			retract = retract or st.stanza("retract", { xmlns = xmlns_retract_1 });
			reason = given.reason;
			actor = actor;
			actor_nick = given.nick and by(room, given);
		});
		if objects then return true; end
		told:set(key, { announcement = announcement; tombstone = stone; nick = given.nick; reason = given.reason });
		return false;
	end

	-- What they were told of this, if it was this.
	local function told_of(room, given)
		local words = told:get(key_of(room, given.id));
		return words and words.nick == given.nick and words.reason == given.reason and words or nil;
	end

	-- The decision is known by now: a tombstone says when it was made, and by which stanza.
	local function dated(stone, given, when)
		local stamp = dmuc.prosody.stamp(when);
		local moderated = stone:get_child("moderated", xmlns_moderate_0);
		local old, new = moderated and moderated:get_child("retracted", xmlns_retract_0), stone:get_child("retracted", xmlns_retract_1);
		if old then old.attr.stamp = stamp; end
		if new then new.attr.stamp, new.attr.id = stamp, given.stanza_id; end
		return stone;
	end

	-- A message is gone from the archive, and stays gone.
	local function bury(room, given, when, words)
		local entry = dmuc.reading.message(room.jid, given.id) or archived(room, given.id);
		if not entry then return; end -- not here yet
		local stone = words and words.tombstone and dated(words.tombstone, given, when) or tombstone(room, entry, given, when);
		dmuc.archiving.replace(room, given.id, stone);
	end

	-- What the room says of a decision in its log: what people were told when it came.
	function moderation.shown(room, entry)
		local announcement = has_listeners()
			and (worded:get(key_of(room, entry.stanza_id)) or dmuc.archiving.get(room, entry.stanza_id));
		if not announcement then return moderation.announcement(room, entry.moderates, entry.stanza_id); end
		worded:set(key_of(room, entry.stanza_id), announcement);
		return st.clone(announcement);
	end

	local function carry_out(room, entry, given, is_silent)
		local words = told_of(room, given);
		bury(room, given, entry.time, words);
		told:set(key_of(room, given.id), nil);
		-- What is not in the engine's log is on its way, or too old to be in the stored one.
		if dmuc.reading.known(room.jid, given.id) then dmuc.log.blank(room.jid, given.id); end
		local message = words and words.announcement or moderation.announcement(room, given);
		message.attr.id = entry.stanza_id;
		worded:set(key_of(room, entry.stanza_id), words and st.clone(message));
		local is_archived = dmuc.archiving.append(room, entry.stanza_id, message);
		if is_silent then return; end
		if is_archived then message:add_direct_child(stanzas.stanza_id(room.jid, entry.stanza_id)); end
		module:log("info", "%s: a message was moderated by %s", room.jid, by(room, given));
		room:broadcast(message);
	end

	-- An entry of the log that is a decision of the source, or a message that had been retracted before it came.
	function moderation.add(room, entry, is_silent)
		local given = entry.moderates;
		if not given then
			given = entry.moderated or { id = entry.stanza_id };
			local stone = tombstone(room, entry, given, given.time or entry.time);
			if not dmuc.archiving.replace(room, entry.stanza_id, stone) then
				dmuc.archiving.append(room, entry.stanza_id, stone);
			end
			return;
		end
		given.stanza_id = entry.stanza_id;
		local function finish()
			carry_out(room, entry, given, is_silent);
		end
		-- Where it was asked for here, other modules know.
		if told_of(room, given) or not has_listeners() then return finish(); end
		-- A hook that waits holds up what becomes of this message, and nothing else its author says.
		local lane = groupchat.lane(room.jid, given.id);
		turns.run("moderation of "..room.jid..": "..given.id, function ()
			if not told_of(room, given) then consult(room, given, actor_of(room, given)); end
			turns.run(lane, finish);
		end);
	end

	-- Taken away here while the source is out of reach. The log keeps it until the source has decided.
	function moderation.hide(room, action)
		local given = action.moderation;
		local words = told_of(room, given);
		bury(room, given, time_now(), words);
		room:broadcast(words and st.clone(words.announcement) or moderation.announcement(room, given));
	end

	-- The source has decided otherwise.
	function moderation.restore(room, action)
		told:set(key_of(room, action.id), nil);
		local entry = dmuc.reading.message(room.jid, action.id);
		if not entry then return; end
		dmuc.archiving.replace(room, action.id, groupchat.shown(room, entry));
	end

	function moderation.send(action)
		local message = st.message({ type = "groupchat"; from = action.room; to = action.to })
			:tag("event", {
				xmlns = dmuc.xmlns_ours;
				id = action.event_id; inc = action.event_inc; seq = action.event_seq; at = action.event_at;
			}):up();
		message:add_direct_child(stanzas.parse(action.payload));
		module:send(message);
	end

	-- A decision of the source.
	function moderation.take(origin, stanza, room_jid)
		local from = stanza.attr.from;
		local event = stanza:get_child("event", dmuc.xmlns_ours);
		local attr = event and event.attr or {};
		dmuc.get_room(room_jid); -- an evicted room comes back first
		local verdict, err_type, condition, text = dmuc.feed("peer_moderation", from, room_jid,
			tostring(stanza:get_child("moderate", dmuc.xmlns_ours)),
			event and (attr.id or ""), attr.origin, attr.inc, attr.seq, attr.at);
		if not verdict then return groupchat.refuse(origin, stanza, room_jid, err_type, condition, text); end
		return verdict ~= "continue" or nil;
	end

	-- Whether a message is there to be retracted: only what is archived here has an id that anybody could name, but the
	-- archive may have dropped it since.
	local function is_there(room, stanza_id)
		local entry = dmuc.reading.known(room.jid, stanza_id);
		if not entry then return archived(room, stanza_id) ~= nil; end
		return not entry.moderates and (dmuc.archiving.has(room, entry) or not dmuc.archiving.is_current(entry.time));
	end

	-- The role in which somebody acts: an occupant's, else what the affiliation gives.
	local function role_of(room, actor)
		local nick = room:get_occupant_jid(actor);
		local occupant = nick and room:get_occupant_by_nick(nick);
		if occupant then return occupant.role, occupant; end
		return room:get_default_role(room:get_affiliation(actor));
	end

	local function decide(room, given, actor_jid)
		return dmuc.feed("moderate", room.jid, {
			id = given.id; nick = given.nick; occupant_id = given.occupant_id; reason = given.reason; actor_jid = actor_jid;
		});
	end

	-- What a moderator at a shadow asks for, at the source.
	function moderation.perform(room, actor, action)
		local role, occupant = "moderator", nil;
		if actor ~= true then role, occupant = role_of(room, actor); end
		if role ~= "moderator" then return nil, "auth", "forbidden"; end
		local _, remote = nil, nil;
		if occupant then _, remote = rooms.remote_session(room, occupant); end
		-- Whether there is such a message the engine has looked; an admin may name one that is on its way here.
		local given = {
			id = action.message; nick = occupant and jid_resource(occupant.nick);
			occupant_id = remote and remote.occupant_id; reason = action.reason;
		};
		if consult(room, given, actor_of(room, given)) then return nil, "wait", "internal-server-error"; end
		local verdict, err_type, condition = decide(room, given);
		if not verdict then return nil, err_type, condition; end
		return true;
	end

	local function moderate(event, stanza_id, retract, reason)
		local origin, stanza = event.origin, event.stanza;
		local from, room_jid = stanza.attr.from, stanza.attr.to;
		if not dmuc.role(room_jid) then return; end
		local function refuse(err_type, condition, text)
			origin.send(st.error_reply(stanza, err_type, condition, text));
			return true;
		end
		if not dmuc.prosody.has_module("muc_moderation") then return; end
		local room = dmuc.get_room(room_jid);
		if not room or not room._dmuc then return; end
		local role, occupant = role_of(room, from);
		if role ~= "moderator" then
			return refuse("auth", "forbidden", "You need a role of at least 'moderator'");
		end
		if not retract then
			return refuse("cancel", "feature-not-implemented", "A message can only be retracted");
		end
		if not stanza_id or not is_there(room, stanza_id) then return refuse("modify", "item-not-found"); end
		local nick = occupant and jid_resource(occupant.nick);
		local given = { id = stanza_id; nick = nick; occupant_id = occupant and room:get_occupant_id(occupant); reason = reason };
		if consult(room, given, from, retract) then return refuse("wait", "internal-server-error"); end
		room = dmuc.get_room(room_jid); -- one of them may have waited
		if not room or not room._dmuc then return refuse("cancel", "item-not-found"); end
		local function decide_here()
			local verdict, err_type, condition, text = decide(room, given, jid_bare(from));
			if not verdict then return refuse(err_type, condition, text); end
			origin.send(st.reply(stanza));
			return true;
		end
		if room._dmuc.is_source then return decide_here(); end
		dmuc.requests.act(room, {
			actor_nick = nick; actor_jid = jid_bare(from); message = stanza_id; reason = reason;
		}, event, decide_here);
		return true;
	end

	-- Before mod_muc_moderation (0), which knows this server only.
	module:hook("iq-set/bare/"..xmlns_fasten..":apply-to", function (event)
		local apply_to = event.stanza.tags[1];
		local given = apply_to:get_child("moderate", xmlns_moderate_0);
		if not given then return; end
		return moderate(event, apply_to.attr.id, given:get_child("retract", xmlns_retract_0), given:get_child_text("reason"));
	end, 10);
	module:hook("iq-set/bare/"..xmlns_moderate_1..":moderate", function (event)
		local given = event.stanza.tags[1];
		return moderate(event, given.attr.id, given:get_child("retract", xmlns_retract_1), given:get_child_text("reason"));
	end, 10);
end
