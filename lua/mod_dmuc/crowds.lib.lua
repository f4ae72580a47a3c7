-- What people here are told of occupants of other instances when it is many at a time: who is out of reach, and back, when a
-- link fails, and a roster. In the room each occupant is at once as it is by now; what everybody is told of it may wait for
-- another turn of the server, and nothing else waits behind that. What has come to the same as before by then is not told.

local cpu_now = os.clock;

return function (dmuc)
	local crowds = {};
	dmuc.crowds = crowds;

	local turns = dmuc.turns;

	-- What waits, in order: { room_jid, nick_jid, session, was, told }. One that another has replaced has nothing to tell.
	local waiting = { first = 1; last = 0 };
	-- [in-room JID of an occupant] = what waits.
	local entries = {};
	local is_going_on = false;

	local function tell(entry)
		local told = entry.told;
		if not told then return; end
		entry.told, entries[entry.nick_jid] = nil, nil;
		local room = dmuc.get_room(entry.room_jid);
		if room and room._dmuc then told(room, entry.was); end
	end

	local function go_on()
		local began = cpu_now();
		while waiting.first <= waiting.last do
			if turns.is_over(began) then return turns.next(go_on); end
			local entry = waiting[waiting.first];
			waiting[waiting.first] = nil;
			waiting.first = waiting.first + 1;
			-- A hook of another module that waits holds up this occupant only.
			if entry.told then turns.run(entry.nick_jid, tell, entry); end
		end
		is_going_on = false;
	end

	-- What waits of an occupant is told now: something of its own follows.
	function crowds.settle(nick_jid)
		local entry = entries[nick_jid];
		if entry then tell(entry); end
	end

	-- Everybody here is to be told of an occupant, who takes part through this session: told(room, was) tells them, now, or in another
	-- turn if this one has taken long. `was` is what they know of it, for the caller to compare with; false if nothing.
	function crowds.tell(room, nick_jid, session, was, told)
		local earlier = entries[nick_jid];
		if earlier and earlier.session ~= session then
			tell(earlier); -- one nick, two homes
			earlier = nil;
		end
		if earlier then
			earlier.told, was = nil, earlier.was;
		elseif not is_going_on and not dmuc.is_turn_over() then
			return told(room, was);
		end
		local entry = { room_jid = room.jid; nick_jid = nick_jid; session = session; was = was; told = told };
		entries[nick_jid] = entry;
		waiting.last = waiting.last + 1;
		waiting[waiting.last] = entry;
		if is_going_on then return; end
		is_going_on = true;
		turns.next(go_on);
	end
end
