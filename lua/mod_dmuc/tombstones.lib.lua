-- A destroyed room answers under all the addresses that it had here (serving.lib.lua), as long as its tombstone lasts: whoever comes
-- by another instance's address reads at once that it is gone, also when nobody answers there any more.

return function (dmuc)
	local tombstones = {};
	dmuc.tombstones = tombstones;

	local inside, serving = dmuc.prosody, dmuc.serving;

	local store = module:open_store("dmuc_gone");
	local node = "rooms";
	local gone = {}; -- [room] = addresses of the other instances that it had
	local is_read = false;

	-- What could not be written is forgotten with the next restart: then whoever comes hears of the other service, or of nobody.
	local function save()
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
		gone[room.jid] = addresses;
		serving.take({ room = room.jid; addresses = addresses; gone = true });
		save();
	end, 1001);

	-- Those of the time before a restart.
	function tombstones.start()
		local ok, found = dmuc.storage.read(store, "get", node);
		if not ok then
			module:log("warn", "Destroyed rooms do not answer under all of their addresses: %s", found);
			return;
		end
		is_read = true;
		for room_jid, addresses in pairs(found or {}) do
			if not gone[room_jid] then
				gone[room_jid] = addresses;
				serving.take({ room = room_jid; addresses = addresses; gone = true });
			end
		end
	end
end
