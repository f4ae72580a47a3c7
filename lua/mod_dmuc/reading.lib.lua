-- Stored messages of rooms that go on already: read a segment at a time, the newest first, while the server has time for it;
-- at once where somebody waits for them.

local time_now = require "util.time".now;

return function (dmuc)
	local reading = {};
	dmuc.reading = reading;

	local pause_s = 0.02; -- between two segments: others have the server meanwhile
	local first_delay_s, most_delay_s = 1, 30;

	-- Rooms with segments that have not been read: [room JID] = { first, last }, by number.
	local unread = {};
	local order = {}; -- the same rooms, in the order in which they are read
	local delay_s = first_delay_s;
	local is_away, is_armed = false, false;

	-- Hands stored messages to the engine.
	function reading.hand_in(room_jid, entries)
		local untaken, problem = 0, nil;
		for _, entry in ipairs(entries) do
			local verdict, _, _, text = dmuc.feed("logged", room_jid, entry);
			if not verdict then untaken, problem = untaken + 1, problem or text; end
		end
		if untaken > 0 then
			module:log("warn", "%d stored messages of %s are not taken back: %s", untaken, room_jid, problem);
		end
	end

	-- Reads the newest segment that has not been read. Returns true; or nil and the error.
	local function read_next(room_jid)
		local left = unread[room_jid];
		local entries, err = dmuc.log.segment(room_jid, left.last);
		if unread[room_jid] ~= left then return true; end -- the room has ended meanwhile
		if not entries then return nil, err; end
		left.last = left.last - 1;
		reading.hand_in(room_jid, entries);
		if left.last < left.first then
			unread[room_jid] = nil;
			dmuc.tell("log_read", room_jid);
		end
		return true;
	end

	local function failed(room_jid, err)
		if is_away then return; end
		is_away = true;
		module:log("error", "The stored messages of %s cannot be read (%s): what is older is missing there, and it is tried again until it can",
			room_jid, err);
	end

	local function turn()
		while order[1] and not unread[order[1]] do table.remove(order, 1); end
		local room_jid = order[1];
		if not room_jid then return; end
		local ok, err = dmuc.hold(read_next, room_jid);
		if ok then
			if is_away then module:log("info", "The stored messages of %s can be read again", room_jid); end
			is_away, delay_s = false, first_delay_s;
			return pause_s;
		end
		failed(room_jid, err);
		-- Others first, next time.
		table.insert(order, table.remove(order, 1));
		local delay = delay_s;
		delay_s = math.min(2 * delay_s, most_delay_s);
		return delay;
	end

	local function arm()
		if is_armed then return; end
		is_armed = true;
		local function go_on()
			local again = turn();
			if not again then is_armed = false; end
			return again;
		end
		module:add_timer(pause_s, go_on);
	end

	-- These segments of a room are read when there is time. Ends with log_read.
	function reading.add(room_jid, first, last)
		unread[room_jid] = { first = first; last = last };
		table.insert(order, room_jid);
		arm();
	end

	-- Somebody waits for this one.
	function reading.hurry(room_jid)
		for i, other in ipairs(order) do
			if other == room_jid and i > 1 then
				table.insert(order, 1, table.remove(order, i));
				return;
			end
		end
	end

	-- Reads all that is left of a room, now. Returns whether that could be done.
	function reading.finish(room_jid)
		while unread[room_jid] do
			local ok, err = read_next(room_jid);
			if not ok then
				failed(room_jid, err);
				return false;
			end
		end
		return true;
	end

	-- Reads on until the engine has as many messages of the room as this, if there are.
	function reading.newest(room_jid, max)
		while unread[room_jid] and #dmuc.ask("newest", room_jid, time_now(), 0, max) < max do
			if not read_next(room_jid) then return; end
		end
	end

	-- A message of the room's log by its stanza-id, wherever it is.
	function reading.message(room_jid, stanza_id)
		local entry = dmuc.ask("message", room_jid, stanza_id);
		if not entry and unread[room_jid] then
			reading.finish(room_jid);
			entry = dmuc.ask("message", room_jid, stanza_id);
		end
		return entry;
	end

	-- The room has ended, or begins anew.
	function reading.forget(room_jid)
		unread[room_jid] = nil;
	end

	-- What has been read of no room yet, over a reload of this module.
	function reading.save()
		return unread;
	end
	function reading.restore(saved)
		for room_jid, left in pairs(saved) do reading.add(room_jid, left.first, left.last); end
	end
end
