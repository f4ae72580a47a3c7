-- Parked rooms: shadows that a configuration leaves out, here or at their source. Nothing that is stored of them is deleted,
-- nobody can speak in them, and they go on by themselves when the configuration is put right.
--
-- Which rooms are parked, and why, only the engine knows. A parked room is an ordinary one to mod_muc meanwhile, with what is
-- here in front of it; people may stay, join, and read.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local parked = {};
	dmuc.parked = parked;

	local inside = dmuc.prosody;

	-- Rooms that are to go on, and whose stored messages cannot be read yet: [room JID] = as from parked.of.
	local waking = {};
	local retry_s = 5;
	local unread = dmuc.native.closed_for_now(("The storage of %s cannot be reached."):format(module.host));

	-- Why this room is parked, or nil: { room, peer, source, reason, text }. One that is to go on has no peer and no reason.
	function parked.of(room_jid)
		local entry = waking[room_jid];
		if entry and dmuc.role(room_jid) then return entry; end
		return dmuc.ask("parked_room", room_jid);
	end

	-- Those that are to go on as soon as their messages can be read: room JIDs.
	function parked.waking()
		local rooms = {};
		for room_jid in pairs(waking) do
			if dmuc.role(room_jid) then rooms[#rooms + 1] = room_jid; end
		end
		return rooms;
	end

	-- What the administrator reads of it, where it is not what was said last.
	local said, is_due = {}, false;

	local function warn()
		is_due = false;
		local before = said;
		said = {};
		for _, line in ipairs(dmuc.ask("parked_lines")) do
			said[line] = true;
			if not before[line] then module:log("warn", "%s", line); end
		end
	end

	-- When everything that belongs to the same change has been done.
	function parked.warn()
		if is_due then return; end
		is_due = true;
		module:add_timer(0, warn);
	end

	-- Takes those out who are in the room by way of another instance: Prosody has frozen them with it.
	local function clear(room)
		local gone = {};
		for _, occupant in room:each_occupant() do
			for session in occupant:each_session() do
				if dmuc.ask("is_instance", room.jid, jid_bare(session)) then
					gone[#gone + 1] = { occupant = occupant; session = session };
				end
			end
		end
		local left = {};
		for _, remote in ipairs(gone) do
			local occupant = remote.occupant;
			occupant:remove_session(remote.session);
			if not occupant.jid then
				occupant.role = nil;
				left[#left + 1] = occupant;
			end
			room:save_occupant(occupant);
		end
		for _, occupant in ipairs(left) do
			room:broadcast(st.presence({ from = occupant.nick; type = "unavailable" })
				:tag("x", { xmlns = dmuc.stanzas.xmlns_muc_user }):tag("item", { affiliation = "none"; role = "none" }):up():up());
			module:fire_event("muc-occupant-left", { room = room; nick = occupant.nick; occupant = occupant });
		end
	end

	function parked.begin(action)
		waking[action.room] = nil;
		dmuc.reading.forget(action.room); -- all of it is read when the room goes on
		parked.warn();
		-- After a restart nobody is there yet, and the room need not be read.
		local room = action.has_people and dmuc.get_room(action.room);
		if not room then return; end
		dmuc.rooms.detach(room);
		clear(room);
		dmuc.rooms.tell(room, action.text);
		room:save(true);
		module:log("info", "%s is parked: %s", room.jid, action.why);
	end

	function parked.finish(action)
		local role, source = dmuc.role(action.room);
		if not role then -- it has ended meanwhile
			waking[action.room] = nil;
			return;
		end
		local entries, err = dmuc.log.read(action.room);
		if not entries then
			-- Its storage is away: the room stays as it is until that answers.
			if not waking[action.room] then
				module:log("error", "The stored messages of %s cannot be read (%s): it stays parked until they can", action.room, err);
			end
			waking[action.room] = { room = action.room; source = source; text = unread };
			module:add_timer(retry_s, function ()
				if waking[action.room] then dmuc.hold(parked.finish, action); end
			end);
			return;
		end
		waking[action.room] = nil;
		local room = dmuc.get_room(action.room) or nil;
		module:log("info", "%s goes on", action.room);
		if room then inside.set_history(room, nil); end -- the engine has it
		room = dmuc.restoring.bring_back(action.room, room, entries);
		if room and room._dmuc and next(room._dmuc.locals) then
			dmuc.rooms.tell(room, "This room goes on. What was said elsewhere meanwhile follows.");
		end
	end

	-- Of an evicted room, when it comes back.
	module:hook("muc-room-restored", function (event)
		if parked.of(event.room.jid) then clear(event.room); end
	end, 100);

	-- The history of a parked room is in its stored log only; mod_muc shows it from memory.
	function parked.keep_history(room)
		local history, max = {}, room:get_historylength();
		local entries = dmuc.log.read(room.jid) or {};
		for i = #entries, 1, -1 do
			if #history == max then break; end
			local entry = entries[i];
			-- Without a nick it is the room's own word, without anything in it moderated.
			if entry.nick and entry.payload ~= "" then
				local time = tonumber(entry.at:match("^%d+")) / 1000;
				local message = dmuc.groupchat.shown(room, entry)
					:add_child(dmuc.stanzas.delay(room.jid, time))
					:add_child(dmuc.stanzas.stanza_id(room.jid, entry.stanza_id));
				message.attr.to = "";
				table.insert(history, 1, { stanza = message; timestamp = time });
			end
		end
		inside.set_history(room, history);
	end

	-- Before that of mod_muc_mam (1), which has its own.
	module:hook("muc-get-history", function (event)
		local room = event.room;
		if not inside.has_history(room) and not room._dmuc and parked.of(room.jid) then parked.keep_history(room); end
	end, 2);

	local function refuse(event, entry)
		event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed", entry.text, entry.room));
		return true;
	end

	-- Before anybody else does something with it.
	module:hook("muc-occupant-groupchat", function (event)
		local entry = not event.room._dmuc and parked.of(event.room.jid);
		if entry then return refuse(event, entry); end
	end, 1000);
	module:hook("muc-pre-invite", function (event)
		local entry = not event.room._dmuc and parked.of(event.room.jid);
		if entry then return refuse(event, entry); end
	end, 1000);

	-- Who joins is told, after history and subject.
	module:hook("muc-occupant-session-new", function (event)
		local room = event.room;
		local entry = not room._dmuc and parked.of(room.jid);
		if not entry then return; end
		room:route_stanza(st.message({ from = room.jid; to = event.jid or event.stanza.attr.from; type = "groupchat" }, entry.text));
	end, -100);

	-- The source decides on lists and settings, and cannot be asked. Roles are given here, and the room may be destroyed here.
	local function only_elsewhere(event)
		local entry = parked.of(event.stanza.attr.to);
		if not entry then return; end
		local query = event.stanza.tags[1];
		local child = query.tags[1];
		if query.attr.xmlns == "http://jabber.org/protocol/muc#owner" and child and child.name == "destroy" then return; end
		if query.attr.xmlns == "http://jabber.org/protocol/muc#admin" and child and not child.attr.affiliation then return; end
		return refuse(event, entry);
	end
	for _, query in ipairs {
		"http://jabber.org/protocol/muc#admin:query"; "http://jabber.org/protocol/muc#owner:query"; "jabber:iq:register:query";
	} do
		module:hook("iq-set/bare/"..query, only_elsewhere, 30);
	end

	module:hook("muc-room-pre-create", function (event)
		local entry = parked.of(event.room.jid);
		if entry then return refuse(event, entry); end
	end, 5);

	-- What other instances still send is for people who are not in the room for them.
	local function from_instance(event)
		local origin, stanza = event.origin, event.stanza;
		local room_jid = jid_bare(stanza.attr.to);
		if not parked.of(room_jid) or not dmuc.ask("is_instance", room_jid, jid_bare(stanza.attr.from)) then return; end
		if stanza.attr.type ~= "error" and stanza.attr.type ~= "unavailable" and jid_resource(stanza.attr.from) then
			origin.send(st.error_reply(stanza, "auth", "forbidden", "This room is not shared at present", room_jid));
		end
		return true;
	end
	for _, event_name in ipairs { "presence/full"; "presence/bare"; "message/full"; "message/bare" } do
		module:hook(event_name, from_instance, 11);
	end
end
