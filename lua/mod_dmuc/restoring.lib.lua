-- Stored rooms come back: when this module starts, when a failed engine is made anew, and when a storage that was away
-- answers again. What cannot be read yet is closed in words, and never counts for nothing.

local jid_bare = require "util.jid".bare;
local jid_join = require "util.jid".join;
local jid_node = require "util.jid".node;
local jid_resource = require "util.jid".resource;
local st = require "util.stanza";
local lfs = require "lfs";
local cpu_now = os.clock;

return function (dmuc)
	local restoring = {};
	dmuc.restoring = restoring;

	local inside, storage = dmuc.prosody, dmuc.storage;
	local is_broken = inside.is_broken;
	local store_name = "dmuc";
	local store = module:open_store(store_name);
	local configs = module:open_store("config"); -- mod_muc's, of the rooms that it has

	local words = "The room's storage cannot be reached yet; try again";
	local first_delay_s, most_delay_s = 1, 30;
	-- How many rooms that cannot be read are tried at a time: one that waits for its database may take long.
	local max_failures = 10;

	-- Rooms that have not been read yet, and those that cannot be taken: [room JID] = true, or "told" if the people in them have been.
	local closed = {};
	-- Whether it is not even known which rooms there are.
	local is_list_unread = false;
	-- Rooms still to be read: [node] = why it has not been.
	local waiting, not_yet = {}, "it is not its turn yet";
	-- Those of them that are still to be tried, and how many have failed since all were.
	local round, failures = {}, 0;
	local is_told = false; -- that all are there
	local is_away = false; -- has been told
	local delay_s = first_delay_s;
	local turns = 0; -- a timer of an earlier start is stale

	-- The settings of a source as its room has them: what is stored may be older, or may not have been readable, and an
	-- administrator may have changed them while this module was not there.
	local function tell_settings(room)
		dmuc.forms.changed(room);
		local subject_from, subject = room:get_subject();
		dmuc.tell("subject", room.jid, subject and jid_resource(subject_from), nil, subject or "");
		local held = {};
		for jid, affiliation, data in room:each_affiliation() do
			held[jid] = true;
			dmuc.tell("affiliation", room.jid, jid, { affiliation = affiliation; nick = data and data.reserved_nickname });
			dmuc.hats.given(room, jid);
		end
		for _, entry in ipairs(dmuc.ask("affiliations", room.jid)) do
			if not held[entry.jid] then dmuc.tell("affiliation", room.jid, entry.jid, { affiliation = "none" }); end
		end
	end

	-- The list of a shadow as the source has it, and nobody else: whatever was done to it here while nobody told the engine.
	local function take_list(room)
		local listed, entries = {}, {};
		for _, entry in ipairs(dmuc.ask("affiliations", room.jid)) do
			listed[entry.jid] = true;
			entries[#entries + 1] = {
				kind = "apply_affiliation"; room = room.jid; jid = entry.jid; affiliation = entry.affiliation; nick = entry.nick;
			};
			entries[#entries + 1] = { kind = "apply_hats"; jid = entry.jid; hats = dmuc.ask("hats_of", room.jid, entry.jid) };
		end
		for jid in room:each_affiliation() do
			if not listed[jid] then
				entries[#entries + 1] = { kind = "apply_affiliation"; room = room.jid; jid = jid; affiliation = "none" };
			end
		end
		dmuc.listing.take(room, entries);
	end

	-- Makes the room distributed again, with one truth: the source's is what its room says, a shadow's what the engine says.
	function restoring.take_up(room)
		dmuc.rooms.attach(room);
		if not room._dmuc then return; end
		if not inside.kept(room).dmuc_distributed then restoring.mark(room, true); end
		if room._dmuc.is_source then
			tell_settings(room);
		elseif dmuc.role(room.jid) == "shadow" then
			take_list(room);
		end
	end

	-- Whether a room is distributed is kept with the room as well: it is all that is known while our store is away.
	function restoring.mark(room, is_distributed)
		inside.kept(room).dmuc_distributed = is_distributed;
		room:save(true);
	end

	-- Whether a room may be a distributed one that cannot be read yet.
	function restoring.is_closed(room_jid)
		if closed[room_jid] then return true; end
		if not is_list_unread or dmuc.role(room_jid) then return false; end
		local room = dmuc.get_room(room_jid);
		if not room or is_broken(room) then return true; end
		local is_distributed = inside.kept(room).dmuc_distributed;
		if is_distributed == nil then is_distributed = inside.kept(room).dmuc_chosen; end -- stored by an earlier version
		return is_distributed or false;
	end

	local read_now;
	local function refuse(event)
		if not is_list_unread and next(closed) == nil then return; end
		local origin, stanza = event.origin, event.stanza;
		local room_jid = jid_bare(stanza.attr.to);
		read_now(room_jid);
		local type = stanza.attr.type;
		if type == "error" or type == "result" or stanza.name == "presence" and type == "unavailable" then return; end
		local payload = stanza.name == "iq" and stanza.tags[1];
		local xmlns = payload and payload.attr.xmlns;
		if xmlns and (xmlns == dmuc.xmlns or xmlns == dmuc.xmlns_ours) then return; end -- the engine asks peers to wait
		if not restoring.is_closed(room_jid) then return; end
		origin.send(st.error_reply(stanza, "wait", "service-unavailable", words, room_jid));
		return true;
	end
	-- Before everybody else.
	for _, name in ipairs { "presence/full", "presence/bare", "message/full", "message/bare", "iq/full", "iq/bare" } do
		module:hook(name, refuse, 1000);
	end

	local function tell_owners(room, text)
		if room:has_occupant() then dmuc.tell_owners(room, text); end
	end

	local function close(room_jid)
		if closed[room_jid] then return; end
		closed[room_jid] = true;
		dmuc.tell("unread", room_jid, true);
	end

	-- Those who are in rooms that are closed, and stay so for now.
	local function tell_people()
		for room in dmuc.live_rooms() do
			if closed[room.jid] == true then
				closed[room.jid] = "told";
				tell_owners(room, words..". Nobody can speak here until it answers.");
			end
		end
	end

	local function open(room_jid)
		if not closed[room_jid] then return; end
		closed[room_jid] = nil;
		dmuc.tell("unread", room_jid, false);
	end

	-- The internal driver takes a folder that it may not look into for one that is not there.
	local function folder_problem()
		local folder = inside.folder_of(store_name);
		if not folder then return; end
		local _, err, code = lfs.attributes(folder, "mode");
		if err and code ~= 2 then return err; end -- ENOENT
	end

	-- The nodes of all rooms that are stored, or nil and the error.
	local function read_list()
		local problem = folder_problem();
		if problem then return nil, problem; end
		local ok, items, state = storage.read(store, "users");
		if not ok then return nil, items; end
		local nodes = {};
		local err;
		ok, err = storage.each(function (node) nodes[#nodes + 1] = node; end, items, state);
		if not ok then return nil, err; end
		return nodes;
	end

	-- Everything that is stored of a room, or nil and the error. Nothing of it is used unless all of it can be read: also
	-- what mod_muc has, which would otherwise be taken for an empty room, or for none.
	local function read_room(node)
		local ok, stored = storage.read(store, "get", node);
		if not ok then return nil, stored; end
		if not stored then return {}; end
		local config;
		ok, config = storage.read(configs, "get", node);
		if not ok then return nil, config; end
		local list, problem = dmuc.beside.read(node, stored.list);
		if list == false then return nil, problem; end
		local room_jid = jid_join(node, module.host);
		local entries, first, last = dmuc.log.tail(room_jid, stored.log);
		if not entries then return nil, first; end
		local room = dmuc.get_room(room_jid) or nil;
		if room and is_broken(room) then return nil, "mod_muc cannot read it"; end
		return { stored = stored; list = list; entries = entries; first_unread = first; last_unread = last; room = room };
	end

	-- A room that the engine has been given, or has taken out of the parked ones, and what of its stored log has been read: all
	-- but these segments.
	function restoring.bring_back(room_jid, room, entries, first_unread, last_unread, written_by)
		local role = dmuc.role(room_jid);
		dmuc.reading.hand_in(room_jid, entries);
		dmuc.tell("started", room_jid, first_unread == nil); -- from now on its peers may be contacted
		if first_unread then dmuc.reading.add(room_jid, first_unread, last_unread); end
		if not room and role == "shadow" then room = dmuc.lifecycle.make_shadow(room_jid); end -- a crash came before it was stored
		if room then
			-- Its archive is as this Prosody writes it, unless the room was last stored by another one.
			if written_by ~= inside.version then
				dmuc.seconds.make_whole(jid_node(room_jid));
				dmuc.lifecycle.store(room_jid);
			end
			restoring.take_up(room);
			dmuc.groupchat.repair_archive(room, entries);
		elseif role == "source" then
			module:log("warn", "%s is stored as distributed, but there is no such room", room_jid);
			dmuc.tell("destroyed", room_jid);
		end
		return room;
	end

	-- What a peer that asks for a shadow finds stored of an earlier one, whose state was lost: what was said in it. Empty if
	-- there was none; nil and the error if it cannot be read.
	function restoring.left_of(room)
		if not room or inside.is_destroyed(room) then return {}; end
		return dmuc.log.read(room.jid);
	end

	-- The shadow has been made anew, and goes on with that (G3). What else is left under its name is none of its business.
	function restoring.make_up(room_jid, entries)
		if entries[1] then
			dmuc.reading.hand_in(room_jid, entries);
		else
			dmuc.log.forget(room_jid);
		end
	end

	-- Returns whether the room has been read; or nil and the error.
	local function restore(node)
		local room_jid = jid_join(node, module.host);
		if dmuc.role(room_jid) or dmuc.parked.of(room_jid) then return true; end
		local found, err = read_room(node);
		if not found then return nil, err; end
		local stored = found.stored;
		if not stored then
			open(room_jid);
			return true;
		end
		local ok;
		if stored.version == 1 or stored.version == 2 or stored.version == 3 then
			dmuc.beside.know(node, stored.list);
			ok, err = dmuc.feed_restore(stored.snapshot, found.list);
		else
			ok, err = false, ("version %s of the stored form is not known"):format(tostring(stored.version));
		end
		if not ok then
			-- It is somebody's room, and nothing that others may have.
			close(room_jid);
			tell_people();
			module:log("error", "%s stays closed, its stored state cannot be taken: %s", room_jid, err);
			return true;
		end
		local role = dmuc.role(room_jid);
		-- Else it is parked, or only its end has to be told to somebody.
		if role then
			restoring.bring_back(room_jid, found.room, found.entries, found.first_unread, found.last_unread, stored.written_by);
		end
		open(room_jid);
		return true;
	end

	local function tell_away(err, count)
		if is_away then return; end
		is_away = true;
		local what = count and ("%d distributed rooms are"):format(count) or "distributed rooms and new ones are";
		module:log("error", "The storage of distributed rooms cannot be read (%s): %s closed, and it is tried again until it can",
			err, what);
	end

	local function tell_back()
		if not is_away then return; end
		is_away = false;
		module:log("info", "The storage of distributed rooms can be read again: all of them are open");
	end

	-- Reads one room. Returns whether that is done; or nil and the error.
	local function attempt(node)
		local works, ok, err = xpcall(restore, debug.traceback, node);
		if not works then
			module:log("error", "%s stays closed, it could not be restored: %s", jid_join(node, module.host), ok);
		end
		if not works or ok then
			waiting[node] = nil;
			return true;
		end
		return nil, err;
	end

	local turn;
	local function after(delay)
		local this = turns;
		module:add_timer(delay, function ()
			if this == turns then dmuc.hold(turn); end
		end);
	end
	local function again()
		after(delay_s);
		delay_s = math.min(2 * delay_s, most_delay_s);
	end

	-- All have been tried. Those that could not be read are tried again.
	local function round_over()
		local count, problem = 0, nil;
		for _, err in pairs(waiting) do
			count = count + 1;
			if err ~= not_yet then problem = err; end
		end
		dmuc.parked.warn();
		if count == 0 then
			tell_back();
			if not is_told then
				is_told = true;
				dmuc.checks.loaded();
			end
			return;
		end
		tell_away(problem, count);
		tell_people();
		again();
	end

	-- Reads what has not been read, as far as that is possible, until the server has something else to do.
	function turn()
		if is_list_unread then
			local nodes, err = read_list();
			if not nodes then
				tell_away(err);
				return again();
			end
			is_list_unread, waiting = false, {};
			for _, node in ipairs(nodes) do
				waiting[node] = not_yet;
				close(jid_join(node, module.host));
			end
			dmuc.tell("unread", nil, false);
		end
		local began = cpu_now();
		if not round[1] then
			failures = 0;
			for node in pairs(waiting) do round[#round + 1] = node; end
			table.sort(round);
		end
		while round[1] do
			local node = table.remove(round);
			-- It may have been read meanwhile, for somebody who asked for it.
			if waiting[node] and failures < max_failures then
				local ok, err = attempt(node);
				if not ok then waiting[node], failures = err, failures + 1; end
			end
			if round[1] and dmuc.turns.is_over(began) then return after(0); end
		end
		round_over();
	end

	-- Somebody asks for a room whose turn has not come yet.
	function read_now(room_jid)
		local node = jid_node(room_jid);
		if not node or waiting[node] ~= not_yet then return; end
		local ok, err = dmuc.hold(attempt, node);
		if not ok then waiting[node] = err; end
	end
	restoring.read_now = read_now;

	-- The rooms whose turn has not come yet.
	function restoring.awaited()
		local rooms = {};
		for node, why in pairs(waiting) do
			if why == not_yet then rooms[#rooms + 1] = jid_join(node, module.host); end
		end
		return rooms;
	end

	-- Everything that is stored is read, and what the engine has not got is given to it. Runs with its actions held.
	function restoring.start()
		turns = turns + 1;
		closed, waiting, round, delay_s, is_told = {}, {}, {}, first_delay_s, false;
		is_list_unread = true;
		dmuc.tell("unread", nil, true);
		turn();
		if not is_list_unread then return; end
		for room in dmuc.live_rooms() do
			if restoring.is_closed(room.jid) then tell_owners(room, words..". Nobody can speak here until it answers."); end
		end
	end

	-- Somebody makes an end of a room that cannot be read.
	module:hook("muc-room-destroyed", function (event)
		open(event.room.jid);
	end, 1000);
end
