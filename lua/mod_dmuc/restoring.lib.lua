-- Stored rooms come back: when this module starts, when a failed engine is made anew, and when a storage that was away
-- answers again. What cannot be read yet is closed in words, and never counts for nothing.

local jid_bare = require "util.jid".bare;
local jid_join = require "util.jid".join;
local jid_node = require "util.jid".node;
local jid_resource = require "util.jid".resource;
local st = require "util.stanza";
local lfs = require "lfs";

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

	-- Rooms that cannot be read yet, and those that cannot be taken: [room JID] = true.
	local closed = {};
	-- Whether it is not even known which rooms there are.
	local is_list_unread = false;
	-- Rooms still to be read, as nodes.
	local waiting = {};
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

	local function refuse(event)
		if not is_list_unread and next(closed) == nil then return; end
		local origin, stanza = event.origin, event.stanza;
		local type = stanza.attr.type;
		if type == "error" or type == "result" or stanza.name == "presence" and type == "unavailable" then return; end
		local payload = stanza.name == "iq" and stanza.tags[1];
		local xmlns = payload and payload.attr.xmlns;
		if xmlns and (xmlns == dmuc.xmlns or xmlns == dmuc.xmlns_ours) then return; end -- the engine asks peers to wait
		local room_jid = jid_bare(stanza.attr.to);
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
		for room in dmuc.live_rooms() do
			if room.jid == room_jid then tell_owners(room, words..". Nobody can speak here until it answers."); end
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
		local room_jid = jid_join(node, module.host);
		local entries, err = dmuc.log.read(room_jid);
		if not entries then return nil, err; end
		local room = dmuc.get_room(room_jid) or nil;
		if room and is_broken(room) then return nil, "mod_muc cannot read it"; end
		return { stored = stored; entries = entries; room = room };
	end

	local function feed_log(room_jid, entries)
		local untaken, problem = 0, nil;
		for _, entry in ipairs(entries) do
			local verdict, _, _, text = dmuc.feed("logged", room_jid, entry);
			if not verdict then untaken, problem = untaken + 1, problem or text; end
		end
		if untaken > 0 then
			module:log("warn", "%d stored messages of %s are not taken back: %s", untaken, room_jid, problem);
		end
	end

	-- A room that the engine has been given, or has taken out of the parked ones, and its stored log.
	function restoring.bring_back(room_jid, room, entries)
		local role = dmuc.role(room_jid);
		feed_log(room_jid, entries);
		dmuc.tell("started", room_jid); -- from now on its peers may be contacted
		if not room and role == "shadow" then room = dmuc.lifecycle.make_shadow(room_jid); end -- a crash came before it was stored
		if room then
			dmuc.seconds.make_whole(jid_node(room_jid));
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
			feed_log(room_jid, entries);
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
		if stored.version == 1 or stored.version == 2 then
			ok, err = dmuc.feed_restore(stored.snapshot);
		else
			ok, err = false, ("version %s of the stored form is not known"):format(tostring(stored.version));
		end
		if not ok then
			-- It is somebody's room, and nothing that others may have.
			close(room_jid);
			module:log("error", "%s stays closed, its stored state cannot be taken: %s", room_jid, err);
			return true;
		end
		local role = dmuc.role(room_jid);
		-- Else it is parked, or only its end has to be told to somebody.
		if role then restoring.bring_back(room_jid, found.room, found.entries); end
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

	local turn;
	local function again()
		local this = turns;
		module:add_timer(delay_s, function ()
			if this == turns then dmuc.hold(turn); end
		end);
		delay_s = math.min(2 * delay_s, most_delay_s);
	end

	-- Reads what has not been read, as far as that is possible.
	function turn()
		if is_list_unread then
			local nodes, err = read_list();
			if not nodes then
				tell_away(err);
				return again();
			end
			is_list_unread, waiting = false, nodes;
		end
		local left, failures, problem = {}, {}, nil;
		for _, node in ipairs(waiting) do
			if #failures >= max_failures then
				left[#left + 1] = node;
			else
				local works, ok, err = xpcall(restore, debug.traceback, node);
				if not works then
					module:log("error", "%s could not be restored: %s", jid_join(node, module.host), ok);
				elseif not ok then
					failures[#failures + 1], problem = node, err;
				end
			end
		end
		-- Others first, next time.
		for _, node in ipairs(failures) do left[#left + 1] = node; end
		waiting = left;
		for _, node in ipairs(left) do close(jid_join(node, module.host)); end
		dmuc.tell("unread", nil, false);
		if not left[1] then return tell_back(); end
		tell_away(problem, #left);
		again();
	end

	-- Everything that is stored is read, and what the engine has not got is given to it. Runs with its actions held.
	function restoring.start()
		turns = turns + 1;
		closed, waiting, delay_s = {}, {}, first_delay_s;
		is_list_unread = true;
		dmuc.tell("unread", nil, true);
		turn();
		dmuc.checks.loaded();
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
