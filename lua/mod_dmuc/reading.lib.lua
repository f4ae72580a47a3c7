-- Stored messages of rooms that go on already: read a segment at a time, the newest first, while the server has time for it;
-- at once where somebody waits for them. And messages that have left memory, when they are needed again.

local time_now = require "util.time".now;

return function (dmuc)
	local reading = {};
	dmuc.reading = reading;

	local pause_s = 0.02; -- between two segments: others have the server meanwhile
	local tidied_kb = 8192; -- more than what a segment of short messages leaves behind
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

	-- What reading a segment leaves behind is more than Lua's collector sees (parsers, as it seems): without this memory grows by
	-- all that is read. A step takes the same however much there is.
	local function tidy()
		collectgarbage("step", tidied_kb);
	end

	-- Reads the newest segment that has not been read. Returns true; or nil and the error.
	local function read_next(room_jid)
		local left = unread[room_jid];
		local entries, err = dmuc.log.segment(room_jid, left.last);
		if unread[room_jid] ~= left then return true; end -- the room has ended meanwhile
		if not entries then return nil, err; end
		left.last = left.last - 1;
		reading.hand_in(room_jid, entries);
		tidy();
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

	-- What is known of a message of the room's log by its stanza-id. What it says need not be in it (is_away).
	function reading.known(room_jid, stanza_id)
		local entry = dmuc.ask("message", room_jid, stanza_id);
		if not entry and unread[room_jid] then
			reading.finish(room_jid);
			entry = dmuc.ask("message", room_jid, stanza_id);
		end
		return entry;
	end

	-- The same message as a whole, wherever it is; given is the message if it has been read already. nil if it is not there, or
	-- cannot be read.
	function reading.message(room_jid, stanza_id, given)
		local entry = reading.known(room_jid, stanza_id);
		if not entry or not entry.is_away then return entry; end
		local whole, err = dmuc.log.complete(room_jid, entry, given);
		if err then failed(room_jid, err); end
		return whole;
	end

	-- The same of a list of messages, as far as they can be read.
	function reading.complete(room_jid, known)
		local ids, found = {}, {};
		for _, entry in ipairs(known) do
			if entry.is_away then ids[#ids + 1] = entry.stanza_id; end
		end
		if not ids[1] then return known; end
		local next_entries = dmuc.log.search(room_jid, ids);
		local entries, err = next_entries();
		while entries do
			for _, entry in ipairs(entries) do found[entry.stanza_id] = entry; end
			entries, err = next_entries();
		end
		if err then failed(room_jid, err); end
		local whole = {};
		for _, entry in ipairs(known) do
			if not entry.is_away then
				whole[#whole + 1] = entry;
			elseif found[entry.stanza_id] then
				whole[#whole + 1] = dmuc.log.complete(room_jid, entry, found[entry.stanza_id]);
			end
		end
		return whole;
	end

	-- What the engine needs again for peers, one after the other: { room, token, ids, next }.
	local wanted = {};

	local function read_wanted(job)
		job.next = job.next or dmuc.log.search(job.room, job.ids);
		local entries, err = job.next();
		if entries then
			job.missing = (job.missing or #job.ids) - #entries;
			reading.hand_in(job.room, entries);
			return tidy();
		end
		table.remove(wanted, 1);
		if err then
			failed(job.room, err);
		elseif (job.missing or #job.ids) > 0 then
			module:log("error", "%d messages of %s are not in its stored log any more", job.missing or #job.ids, job.room);
		end
		dmuc.tell("messages_read", job.token, err == nil);
	end

	-- These messages are handed to the engine, a segment in each turn of the server.
	function reading.want(action)
		wanted[#wanted + 1] = { room = action.room; token = action.token; ids = action.ids };
		if wanted[2] then return; end -- under way
		module:add_timer(0, function ()
			if wanted[1] then dmuc.hold(read_wanted, wanted[1]); end
			return wanted[1] and 0 or nil;
		end);
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

	-- The same of what the engine needs again.
	function reading.save_wanted()
		local saved = {};
		for i, job in ipairs(wanted) do saved[i] = { room = job.room; token = job.token; ids = job.ids }; end
		return saved;
	end
	function reading.restore_wanted(saved)
		for _, job in ipairs(saved) do reading.want(job); end
	end
end
