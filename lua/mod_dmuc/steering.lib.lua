-- What an administrator may do with rooms and links from the shell. Each returns what was done, in words, or nil and what is wrong.

return function (dmuc)
	local steering = {};
	dmuc.steering = steering;

	local by_administrator = "An administrator of this service has taken it out of the room";

	-- This instance of a room ends, here only. A parked one stays as history that is closed; of another the room is destroyed here,
	-- and who was in it is invited to the source.
	function steering.leave(room_jid)
		if dmuc.parked.of(room_jid) then
			local done, _, _, text = dmuc.feed("let_go", room_jid);
			if not done then return nil, text; end
			return ("%s is given up: it stays as history that is closed, and its source is told when it can be reached"):format(room_jid);
		end
		local role, source = dmuc.role(room_jid);
		if not role then
			return nil, ("%s is not distributed"):format(room_jid);
		elseif role == "source" then
			return nil, ("%s is the source of the room: it cannot leave; an owner ends the distribution in its configuration, or destroys it")
				:format(room_jid);
		elseif role == "pending" then
			dmuc.tell("destroyed", room_jid);
			return ("%s was being set up, and is given up"):format(room_jid);
		end
		local room, problem = dmuc.get_room(room_jid);
		if not room then return nil, ("%s cannot be read: %s"):format(room_jid, problem or "the storage is away"); end
		room:destroy(nil, by_administrator);
		if dmuc.role(room_jid) then return nil, ("Another module keeps %s from being destroyed"):format(room_jid); end
		return ("%s has left %s: the room goes on there, and who was in it here is invited"):format(room_jid, source);
	end
end
