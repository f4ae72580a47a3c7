-- What an administrator may do with rooms and links from the shell. Each returns what was done, in words, or nil and what is wrong.

return function (dmuc)
	local steering = {};
	dmuc.steering = steering;

	local by_administrator = "An administrator of this service has taken it out of the room";

	-- This instance of a room ends, here only. A parked one stays as history that is closed; of another the room is destroyed here,
	-- and who was in it is invited to the source.
	function steering.leave(room_jid)
		local role, source = dmuc.role(room_jid);
		if not role and dmuc.ask("parked_room", room_jid) then
			local verdict, _, _, text = dmuc.feed("let_go", room_jid);
			if verdict ~= "done" then return nil, text or ("%s is parked no more"):format(room_jid); end
			return ("%s is given up: it stays as history that is closed, and its source is told when it can be reached"):format(room_jid);
		elseif not role then
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

	-- Feeds an order to the engine. Returns the text, or nil and what is wrong.
	local function order(what, room_jid, service, text)
		local verdict, _, _, problem = dmuc.feed("order", what, room_jid, service);
		if not verdict then return nil, problem; end
		if verdict ~= "done" then return nil, ("%s is not distributed here"):format(room_jid); end
		module:log("info", "An administrator ordered: %s", text);
		return text;
	end

	-- What is shared with a peer is compared now, and what is missing pulled.
	function steering.sync_peer(service)
		return order("sync", nil, service, ("compare everything with %s now"):format(service));
	end

	-- The same without a word in the log: somebody looks.
	function steering.reach(service)
		return dmuc.feed("order", "sync", nil, service);
	end

	-- The same of one room, with all other instances.
	function steering.sync_room(room_jid)
		return order("sync", room_jid, nil, ("compare %s with its other instances now"):format(room_jid));
	end

	-- Every other instance is asked what it has of the room: somebody looks, and nothing changes.
	function steering.compare(room_jid)
		local verdict, _, _, problem = dmuc.feed("order", "compare", room_jid);
		if verdict == "done" then return true; end
		return nil, problem or ("%s is not distributed here"):format(room_jid);
	end

	-- The source brings up an instance at a peer, or tries again.
	function steering.replicate(room_jid, service)
		return order("replicate", room_jid, service, ("%s gets an instance at %s"):format(room_jid, service));
	end

	-- The source takes a service out of the room.
	function steering.retract(room_jid, service)
		return order("retract", room_jid, service,
			("%s has no instance at %s any more: what is there is closed as soon as it can be told"):format(room_jid, service));
	end

	-- This instance becomes the source, since that is gone: by the votes of most voters, or by force.
	function steering.take_over(room_jid)
		return order("take_over", room_jid, nil,
			("%s asks for votes: it is the source as soon as most voters agree (dmuc:room shows it)"):format(room_jid));
	end
	function steering.force(room_jid)
		return order("force", room_jid, nil, ("%s is the source from now on, without votes"):format(room_jid));
	end

	-- The source hands over to the instance at a service.
	function steering.hand_over(room_jid, service)
		return order("hand_over", room_jid, service,
			("%s hands over to %s as soon as everything is known there (dmuc:room shows it)"):format(room_jid, service));
	end

	-- The instance here follows the one at a service that says it is the source.
	function steering.follow(room_jid, service)
		return order("follow", room_jid, service, ("%s follows %s"):format(room_jid, service));
	end

	-- A service that is no peer any more is gone for good.
	function steering.forget(service)
		return order("forget", nil, service, ("%s is forgotten: nothing waits for it any more"):format(service));
	end
end
