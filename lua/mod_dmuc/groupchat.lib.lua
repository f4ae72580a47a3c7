-- Messages: local ones are stamped, archived, reflected, then sent to each instance once; a peer's are shown once.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local time_now = require "util.time".now;

-- How many of the newest messages are looked for in the archive after a restart.
local repaired = 50;

return function (dmuc)
	local groupchat = {};
	dmuc.groupchat = groupchat;

	local stanzas = dmuc.stanzas;
	local xmlns_stanza_id, xmlns_occupant_id = stanzas.xmlns_stanza_id, stanzas.xmlns_occupant_id;

	local inside, turns = dmuc.prosody, dmuc.turns;

	-- Messages of the log made into stanzas for one peer, which the next one gets, too: [id] = stanza.
	local made = {};
	-- Messages that are being broadcast: [stanza] = { id, is_logged } of a peer's, { id } of one from here.
	local under_way = setmetatable({}, { __mode = "k" });
	-- Those that have an id, and that nobody here has seen yet: [id] = true. Who joins meanwhile gets them with the others.
	local is_unseen = {};

	-- Whether a message belongs into the log: what mod_muc and other modules say, else the engine.
	local function is_worth_keeping(room, stanza)
		local is_historic = module:fire_event("muc-message-is-historic", { room = room; stanza = stanza });
		if is_historic ~= nil then return is_historic and true or false; end
		local children = {};
		for _, tag in ipairs(stanza.tags) do
			table.insert(children, tag.name);
			table.insert(children, tag.attr.xmlns or "jabber:client");
		end
		return dmuc.native.is_worth_keeping(children);
	end

	-- Whatever claims to be from us is not (XEP-0203 section 4, XEP-0359 section 3).
	local function without_ids(room, stanza)
		local function is_kept(tag) return not stanzas.is_in_our_name(tag, room.jid) and tag or nil; end
		for _, tag in ipairs(stanza.tags) do
			if not is_kept(tag) then return stanza:maptags(is_kept); end
		end
		return stanza; -- nearly every message
	end

	-- Who is speaking, for the error if the engine does not take it: [stanza] = { origin, from }, from as it came.
	local speakers = setmetatable({}, { __mode = "k" });
	module:hook("muc-occupant-groupchat", function (event)
		if event.room._dmuc then
			speakers[event.stanza] = { origin = event.origin; from = event.stanza.attr.from };
		end
	end, -1000);

	local function told(stanza, room, err_type, condition, text)
		module:log("info", "Refused a message of %s: %s", stanza.attr.from, condition);
		local speaker = speakers[stanza];
		if speaker then
			local reply = st.error_reply(stanza, err_type, condition, text, room.jid);
			reply.attr.from, reply.attr.to = room.jid, speaker.from;
			speaker.origin.send(reply);
		end
		return true;
	end

	-- What is decided while people here are shown a message goes out after it (G2).
	function inside.replaced:broadcast_message(stanza)
		dmuc.crowds.settle(stanza.attr.from);
		local ok, result = pcall(dmuc.hold, function ()
			local done = inside.own.broadcast_message(self, stanza);
			dmuc.together.settle(); -- where a hook has shown it to nobody
			return done;
		end);
		local message = under_way[stanza];
		under_way[stanza] = nil;
		if message and message.id then is_unseen[message.id] = nil; end
		if not ok then error(result, 0); end
		return result;
	end

	-- After mod_muc_mam (1) has removed forged ids, before the history (0).
	module:hook("muc-broadcast-message", function (event)
		local room, stanza = event.room, event.stanza;
		if not room._dmuc or stanza.attr.type ~= "groupchat" then return; end
		without_ids(room, stanza);
		-- The id is for whoever archives it, in muc-add-history below.
		local known = under_way[stanza];
		if known then
			event.dmuc_id = known.id;
			dmuc.serving.own_words(room, stanza);
			return;
		end
		local nick = jid_resource(stanza.attr.from);
		if stanzas.is_subject_change(stanza) then
			if room._dmuc.is_source then
				dmuc.tell("subject", room.jid, nick, nil, stanza:get_child_text("subject") or "");
			end
			return;
		end
		if not nick or not room._dmuc.locals[stanza.attr.from] then return; end
		local is_kept = is_worth_keeping(room, stanza);
		if is_kept and not dmuc.retrying.has_room() then
			return told(stanza, room, "wait", "resource-constraint", "The storage of this room cannot be reached; try again later");
		end
		-- As it is now, which is what the log has: what others do to it from here on is for people here, and done by their
		-- likes elsewhere.
		local cause, payload = { stanza = st.clone(stanza) }, stanzas.payload(stanza, room.jid);
		local verdict, id, inc, seq, at = dmuc.feed_because(cause, "groupchat", room.jid, nick, stanza.attr.id,
			stanza.attr["xml:lang"], payload, is_kept);
		-- What would not reach everybody reaches nobody, and who said it is told.
		if not verdict then return told(stanza, room, id, inc, seq); end
		if verdict ~= "accepted" then return; end
		cause.id = id;
		if is_kept then
			-- Before anybody sees it (G3).
			dmuc.together.keep(room.jid, stanza, { id = id; origin = room.jid; inc = inc; seq = seq; at = at }, payload);
			event.dmuc_id = id;
			is_unseen[id] = true;
		end
		under_way[stanza] = { id = is_kept and id or nil };
		-- The log and other instances have what was sent, the archive and people here know the room by this address.
		dmuc.serving.own_words(room, stanza);
	end, 0.5);

	-- The history of a distributed room is the engine's. Into the archive goes what mod_muc and other modules would have
	-- there (mod_muc asks muc-message-is-historic before this), in the place of mod_muc_mam (0): under our id, which only
	-- what is there has.
	module:hook("muc-add-history", function (event)
		local room, stanza, id = event.room, event.stanza, event.dmuc_id;
		if not room._dmuc then return; end
		if id and dmuc.archiving.append(room, id, stanza, event.dmuc_batch) then
			stanza:add_direct_child(stanzas.stanza_id(room.jid, id));
		end
		return true;
	end, 0.5);

	-- Archives a message that is not broadcast, by the same rules.
	local function archive(room, id, stanza, batch)
		local event = { room = room; stanza = stanza; dmuc_id = id; dmuc_batch = batch };
		if module:fire_event("muc-message-is-historic", event) then module:fire_event("muc-add-history", event); end
	end

	function groupchat.drained()
		made = {};
	end

	-- The one copy a peer instance gets (G1).
	function groupchat.send(action)
		local cause = action.cause;
		local stanza = cause and cause.id == action.key and cause.stanza or made[action.key];
		if not stanza then
			local entry = dmuc.reading.message(action.room, action.key);
			if not entry then return; end
			stanza = stanzas.add_payload(st.message({ type = "groupchat"; id = entry.id; ["xml:lang"] = entry.lang }), entry.payload);
			made[action.key] = stanza;
		end
		local copy = st.clone(stanza);
		copy:maptags(function (tag)
			local xmlns = tag.attr.xmlns;
			if xmlns == xmlns_occupant_id or (xmlns == xmlns_stanza_id and tag.attr.by == action.room) then return nil; end
			return tag;
		end);
		copy.attr.from = action.room.."/"..action.nick;
		copy.attr.to = action.to.."/"..action.nick;
		if action.event_id then
			copy:add_direct_child(st.stanza("event", {
				xmlns = dmuc.xmlns_ours;
				id = action.event_id; inc = action.event_inc; seq = action.event_seq; at = action.event_at;
				roster = action.event_roster;
			}));
		end
		module:send(copy);
	end

	function groupchat.send_subject(action)
		local suffix = action.nick and "/"..action.nick or "";
		local message = st.message({ type = "groupchat"; from = action.room..suffix; to = action.to..suffix })
			:text_tag("subject", action.text);
		if action.version then message:tag("settings", { xmlns = dmuc.xmlns_ours; version = action.version }):up(); end
		module:send(message);
	end

	-- A subject wished for here is decided by the source, which tells everybody. After the check of roles (50) and
	-- before mod_muc's own handler (20).
	module:hook("muc-occupant-groupchat", function (event)
		local room, stanza, occupant = event.room, event.stanza, event.occupant;
		if not room._dmuc or room._dmuc.is_source or not stanzas.is_subject_change(stanza) then return; end
		if occupant.role ~= "moderator" and not (occupant.role == "participant" and room:get_changesubject()) then
			return; -- mod_muc says no
		end
		local verdict, err_type, condition, text = dmuc.feed("subject", room.jid, jid_resource(occupant.nick),
			jid_bare(stanza.attr.from), stanza:get_child_text("subject") or "");
		if not verdict then event.origin.send(st.error_reply(stanza, err_type, condition, text, room.jid)); end
		return true;
	end, 30);

	module:hook("muc-occupant-groupchat", stanzas.only_theirs, 40);
	module:hook("muc-private-message", stanzas.only_theirs, 40);

	local function refuse(origin, stanza, room_jid, err_type, condition, text)
		dmuc.metrics.refused("message", condition);
		dmuc.tally.refusal("warn", ("Refused message from %s: %s (%s)"):format(jid_host(stanza.attr.from), condition, text),
			("Refused message from %s for %s: %s (%s)"):format(stanza.attr.from, room_jid, condition, text));
		origin.send(st.error_reply(stanza, err_type, condition, text, room_jid));
		return true;
	end

	groupchat.refuse = refuse;

	local function take_subject(origin, stanza, room_jid)
		local text = stanza:get_child_text("subject") or "";
		local settings = stanza:get_child("settings", dmuc.xmlns_ours);
		local verdict, err_type, condition, why = dmuc.feed("peer_subject", stanza.attr.from, room_jid, text,
			settings and settings.attr.version);
		if not verdict then return refuse(origin, stanza, room_jid, err_type, condition, why); end
		return verdict ~= "continue" or nil;
	end

	local function take_message(origin, stanza, room_jid)
		local from, to = stanza.attr.from, stanza.attr.to;
		local room = dmuc.get_room(room_jid);
		if not room or not room._dmuc then return refuse(origin, stanza, room_jid, "cancel", "item-not-found", "The room is not here yet"); end
		local event = stanza:get_child("event", dmuc.xmlns_ours);
		-- What nobody has numbered may be a copy of what is stored.
		if not event and not dmuc.reading.finish(room_jid) then
			return refuse(origin, stanza, room_jid, "wait", "resource-constraint", "The storage of this room cannot be reached yet; try again");
		end
		local attr = event and event.attr or {};
		local message = st.clone(stanza);
		message:maptags(function (tag)
			local xmlns = tag.attr.xmlns;
			if stanzas.made_here[xmlns] or stanzas.is_in_our_name(tag, room_jid) or stanzas.is_in_our_name(tag, jid_bare(from)) then
				return nil;
			end
			return tag;
		end);
		local lane = dmuc.presence.lane(room_jid, jid_resource(from));
		-- Numbers are taken as they come, whatever people here are shown meanwhile.
		local function take(is_kept)
			local payload = stanzas.payload(message, room_jid);
			local verdict, id, inc, seq, at, occupant_id = dmuc.feed("peer_groupchat", from, to, stanza.attr.id,
				stanza.attr["xml:lang"], payload, is_kept,
				event and (attr.id or ""), attr.origin, attr.inc, attr.seq, attr.at, attr.roster);
			if not verdict then
				refuse(origin, stanza, room_jid, id, inc, seq);
			elseif verdict == "deliver" then
				-- To the room, as what is said here is.
				message.attr.from, message.attr.to = room_jid.."/"..jid_resource(from), room_jid;
				if occupant_id then message:add_direct_child(stanzas.occupant_id(occupant_id)); end
				if id then
					-- Before anybody sees it (G3).
					local stamp = { id = id; origin = jid_bare(from); inc = inc; seq = seq; at = at };
					dmuc.together.keep(room_jid, message, stamp, payload);
					is_unseen[id] = true;
				end
				under_way[message] = { id = id };
				return true;
			end
		end
		if event then
			-- Who numbered it has kept it.
			if take(true) then turns.run(lane, room.broadcast_message, room, message); end
		else
			turns.run(lane, function ()
				if dmuc.hold(take, is_worth_keeping(room, message)) then room:broadcast_message(message); end
			end);
		end
		return true;
	end

	-- Messages from one room JID to another (XEP-0281 section 3.6). Private ones are left to mod_muc, which takes them
	-- like any occupant's.
	local function from_instance(event)
		local origin, stanza = event.origin, event.stanza;
		local from, room_jid = stanza.attr.from, jid_bare(stanza.attr.to);
		if not dmuc.role(room_jid) then return; end
		local is_instance = dmuc.ask("is_instance", room_jid, jid_bare(from));
		if not is_instance and not dmuc.ask("is_peer", jid_host(from)) then return; end
		local type = stanza.attr.type;
		if type == "error" then
			if not is_instance then return; end
			-- A client's answer to a private message is between the two; what mod_s2s could not deliver, and the copy of
			-- a message to the room (the same nick on both sides), tell of the instance.
			if inside.is_bounce(origin) or jid_resource(from) == jid_resource(stanza.attr.to) then
				dmuc.requests.peer_error(origin, stanza);
			end
			groupchat.bounced(origin, stanza, room_jid);
			return true;
		elseif type == "groupchat" then
			if stanzas.is_subject_change(stanza) then return take_subject(origin, stanza, room_jid); end
			if stanza:get_child("moderate", dmuc.xmlns_ours) then
				return dmuc.hold(dmuc.moderation.take, origin, stanza, room_jid);
			end
			if not jid_resource(from) or not jid_resource(stanza.attr.to) then
				if not is_instance then return; end -- a user of that domain
				return refuse(origin, stanza, room_jid, "modify", "bad-request", "Instances send messages of their occupants");
			end
			-- Stored before anything else that comes of it, and shown if no hook waits.
			return dmuc.hold(take_message, origin, stanza, room_jid);
		end
	end
	module:hook("message/full", from_instance, 10);
	module:hook("message/bare", from_instance, 10);

	-- A private message that could not be delivered: its sender is told. The copy of a groupchat message, which has the
	-- same nick on both sides, bounces without a word to anybody (G8).
	function groupchat.bounced(origin, stanza, room_jid)
		local room = dmuc.get_room(room_jid);
		local nick, addressee = jid_resource(stanza.attr.from), jid_resource(stanza.attr.to);
		-- To the room itself: nobody said that in private.
		if not room or not room._dmuc or not nick or not addressee or nick == addressee then return; end
		local sender = room:get_occupant_by_nick(room_jid.."/"..nick);
		if not dmuc.private.bounced(stanza, room_jid, sender and dmuc.persons.has_several(room, sender)) then return; end
		local occupant = room:get_occupant_by_nick(stanza.attr.to);
		if not occupant then return; end
		if sender and not sender:get_presence(stanza.attr.from) then return; end -- somebody else's nick
		-- The error and nothing else: whoever bounces has nothing of its own to say.
		local bounce = st.clone(stanza):maptags(function (tag)
			if tag.name ~= "error" then return nil; end
			-- What another instance refuses this room refuses (RFC 6120 section 8.3.2).
			if tag.attr.by == jid_bare(stanza.attr.from) then tag.attr.by = room_jid; end
			return tag;
		end);
		dmuc.private.reword(origin, bounce);
		bounce.attr.from = room_jid.."/"..nick;
		local remotes = room._dmuc.remotes;
		for jid in occupant:each_session() do
			if not remotes[jid] then
				bounce.attr.to = jid;
				room:route_stanza(bounce);
			end
		end
	end

	-- When it was said; a clock that is ahead is no reason to show the future.
	local function time_of(entry)
		return math.min(entry.time, time_now());
	end

	-- A message of the log as the room shows it.
	local function shown(room, entry)
		if entry.moderates then return dmuc.moderation.shown(room, entry); end
		local message = st.message({ type = "groupchat"; from = room.jid.."/"..entry.nick; id = entry.id; ["xml:lang"] = entry.lang });
		without_ids(room, stanzas.add_payload(message, entry.payload));
		if entry.occupant_id then message:add_direct_child(stanzas.occupant_id(entry.occupant_id)); end
		return message;
	end

	-- As people here and the archive have it, in this room's own words.
	local function shown_here(room, entry)
		return dmuc.serving.own_words(room, shown(room, entry));
	end

	groupchat.shown = shown_here;

	-- The same, as something that was said before; is_archived is a set of ids.
	local function delayed(room, entry, is_archived)
		local message = shown_here(room, entry):add_child(stanzas.delay(room.jid, time_of(entry)));
		if is_archived[entry.stanza_id] then message:add_child(stanzas.stanza_id(room.jid, entry.stanza_id)); end
		return message;
	end

	-- The newest messages of the log that belong into the history, newest first.
	local function newest(room, max, event)
		local found, chars, skip = {}, 0, 0;
		dmuc.reading.newest(room.jid, max);
		while #found < max do
			local page = dmuc.ask("newest", room.jid, time_now(), skip, max, event.since);
			local is_archived = dmuc.archiving.those(room, page);
			for _, entry in ipairs(dmuc.reading.complete(room.jid, page)) do
				local message = delayed(room, entry, is_archived);
				-- Reactions and the like are in the log only.
				if #found < max and not is_unseen[entry.stanza_id] and (entry.moderates
					or module:fire_event("muc-message-is-historic", { room = room; stanza = message })) then
					message.attr.to = event.to;
					if event.maxchars then
						chars = chars + #tostring(message);
						if chars > event.maxchars then return found; end
					end
					found[#found + 1] = message;
				end
			end
			if #page < max then break; end
			skip = skip + #page;
		end
		return found;
	end

	-- The history for somebody who joins: the same everywhere, in the same order (G5, G6).
	module:hook("muc-get-history", function (event)
		local room = event.room;
		if not room._dmuc then return; end
		local max = math.min(event.maxstanzas or math.huge, room:get_historylength());
		local found = newest(room, max, event);
		local i = #found + 1;
		if i == 1 and max > 0 and not event.maxchars then return; end -- mod_muc_mam may have older ones
		function event.next_stanza()
			i = i - 1;
			return found[i];
		end
		return true;
	end, 2);

	local function stamp_of(entry)
		return { id = entry.stanza_id; origin = entry.origin; inc = entry.inc; seq = entry.seq; at = entry.at };
	end

	local function archive_entry(room, entry, message, batch)
		archive(room, entry.stanza_id, st.clone(message):add_child(stanzas.delay(room.jid, time_of(entry))), batch);
	end

	groupchat.archive_entry = archive_entry;

	-- A message from before the room was distributed has its place in the log now.
	function groupchat.log_past(room, stanza_id)
		local entry = dmuc.ask("message", room.jid, stanza_id);
		if entry then dmuc.log.append(room.jid, shown(room, entry), stamp_of(entry)); end
	end

	-- What a crash left between the stored log and the archive: the newest messages that are in the one only.
	function groupchat.repair_archive(room, entries)
		local archived = entries[1] and dmuc.archiving.newest_ids(room, 2 * repaired);
		if not archived then return; end
		for i = math.max(1, #entries - repaired + 1), #entries do
			local id = entries[i].stanza_id;
			local entry = not archived[id] and dmuc.reading.message(room.jid, id, entries[i]);
			-- What has expired is missing with reason.
			if entry and dmuc.archiving.is_current(entry.time) then
				if entry.moderates or entry.moderated then
					dmuc.moderation.add(room, entry, true);
				else
					archive_entry(room, entry, shown_here(room, entry));
				end
			end
		end
	end

	-- What becomes of a message stays in order with what else its sender says.
	function groupchat.lane(room_jid, stanza_id)
		local entry = dmuc.reading.message(room_jid, stanza_id);
		local said = entry and entry.moderates and dmuc.reading.message(room_jid, entry.moderates.id) or entry;
		return said and said.nick and dmuc.presence.lane(room_jid, said.nick) or "messages of "..room_jid;
	end

	-- What says that another is moderated, and what is left of that.
	local function is_about_another(entry)
		return entry.moderates or entry.payload == "";
	end

	local function store_added(room, id, batch)
		local entry = dmuc.ask("message", room.jid, id);
		if not entry then return; end
		-- What says that another is moderated is stored in the servers' words, and shown in the clients'.
		local message = entry.moderates
			and stanzas.add_payload(st.message({ type = "groupchat"; from = room.jid }), entry.payload) or shown(room, entry);
		dmuc.together.add(batch, dmuc.log.part(room.jid, message, stamp_of(entry)));
		if not is_about_another(entry) then archive_entry(room, entry, dmuc.serving.own_words(room, message), batch); end
	end

	local function show_added(room, action)
		local entry = dmuc.ask("message", room.jid, action.id);
		if not entry then return; end
		if is_about_another(entry) then return dmuc.moderation.add(room, entry, not action.deliver); end
		if action.deliver then
			room:broadcast(delayed(room, entry, dmuc.archiving.those(room, { entry })));
		end
	end

	-- Messages that were missed, or are older than this instance: stored together, then shown. What a hook of another module keeps
	-- waiting is stored by itself, and what its sender said next waits for it.
	function groupchat.add(room, action)
		local batch, lanes = dmuc.together.batch(), {};
		for i, message in ipairs(action.messages) do
			lanes[i] = groupchat.lane(room.jid, message.id);
			turns.run(lanes[i], store_added, room, message.id, batch);
		end
		dmuc.together.close(batch);
		for i, message in ipairs(action.messages) do turns.run(lanes[i], show_added, room, message); end
	end

	-- The room will be an ordinary one: mod_muc keeps the history in memory itself.
	function groupchat.keep_history(room)
		local history = {};
		dmuc.reading.newest(room.jid, room:get_historylength());
		local entries = dmuc.ask("newest", room.jid, time_now(), 0, room:get_historylength());
		local is_archived = dmuc.archiving.those(room, entries);
		for _, entry in ipairs(dmuc.reading.complete(room.jid, entries)) do
			local message = delayed(room, entry, is_archived);
			message.attr.to = "";
			table.insert(history, 1, { stanza = message; timestamp = time_of(entry) });
		end
		inside.set_history(room, history);
	end
end
