-- A destroyed room answers under all the addresses that it had here (serving.lib.lua), as long as its tombstone lasts: whoever comes
-- by another instance's address reads that it is gone, also when nobody answers there any more.

-- How many are kept; the oldest go first.
local max_gone = 1000;

return function (dmuc)
	local tombstones = {};
	dmuc.tombstones = tombstones;

	local inside, serving = dmuc.prosody, dmuc.serving;

	local store = module:open_store("dmuc_gone");
	local node = "rooms";
	-- [room] = { addresses = those of the other instances that it had; ends = when its tombstone does, once there is one }
	local gone = {};
	local is_read = false;

	-- When the tombstone of a room ends, or nil where there is none.
	local function end_of(room_jid)
		local room = dmuc.get_room(room_jid);
		return room and inside.is_destroyed(room) and inside.locked_until(room) or nil;
	end

	local function let_go(room_jid)
		gone[room_jid] = nil;
		serving.let_go(room_jid);
	end

	-- Lets go of those that are over, and of the oldest that are too many.
	local function clear()
		local rooms, now = {}, os.time();
		for room_jid, entry in pairs(gone) do
			if not entry.ends or entry.ends > now then rooms[#rooms + 1] = room_jid; end
		end
		table.sort(rooms, function (a, b) return (gone[a].ends or math.huge) > (gone[b].ends or math.huge); end);
		local is_kept = {};
		for i = 1, math.min(#rooms, max_gone) do is_kept[rooms[i]] = true; end
		local over = {};
		for room_jid in pairs(gone) do
			if not is_kept[room_jid] then over[#over + 1] = room_jid; end
		end
		for _, room_jid in ipairs(over) do let_go(room_jid); end
	end

	-- What could not be written is forgotten with the next restart: then whoever comes hears of the other service, or of nobody.
	local function save()
		clear();
		if not is_read then return; end -- what could not be read stays
		local ok, problem = dmuc.storage.write(store, "set", node, next(gone) and gone or nil);
		if not ok then
			module:log("warn", "After a restart destroyed rooms do not answer under all of their addresses: %s", problem);
		end
	end

	-- The name is free again, or another room's.
	function tombstones.forget(room_jid)
		if not gone[room_jid] then return; end
		gone[room_jid] = nil;
		save();
	end

	-- Before anything is forgotten of a room that is being destroyed.
	module:hook("muc-room-destroyed", function (event)
		local room = event.room;
		local addresses = room._dmuc and inside.is_being_destroyed(room) and serving.addresses(room.jid);
		if not addresses or not addresses[1] then return; end
		local entry = { addresses = addresses };
		gone[room.jid] = entry;
		serving.take({ room = room.jid; addresses = addresses; gone = true });
		save();
		-- Its tombstone comes after this event, if any.
		module:add_timer(0, function ()
			if gone[room.jid] ~= entry then return; end
			entry.ends = end_of(room.jid) or 0;
			save();
		end);
	end, 1001);

	-- Those of the time before a restart.
	function tombstones.start()
		local ok, found = dmuc.storage.read(store, "get", node);
		if not ok then
			module:log("warn", "Destroyed rooms do not answer under all of their addresses: %s", found);
			return;
		end
		is_read = true;
		for room_jid, entry in pairs(found or {}) do
			if not gone[room_jid] then
				if not entry.addresses then entry = { addresses = entry }; end -- as it was first stored
				entry.ends = entry.ends or end_of(room_jid) or 0;
				gone[room_jid] = entry;
			end
		end
		clear();
		for room_jid, entry in pairs(gone) do
			serving.take({ room = room_jid; addresses = entry.addresses; gone = true });
		end
	end
end
