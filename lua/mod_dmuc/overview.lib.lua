-- What an administrator may see of this service, as data: the shell's commands show it. Nothing here changes anything.

local array = require "util.array";
local time = require "util.time";

return function (dmuc)
	local overview = {};
	dmuc.overview = overview;

	local function ask(method, ...)
		return dmuc.ask(method, time.monotonic(), time.now(), ...);
	end

	local function with_service(entries)
		local list = array();
		for _, entry in ipairs(entries) do
			entry.service = module.host;
			list:push(entry);
		end
		return list;
	end

	-- What is closed until the storage answers: each { room, reason = "unread" }, or for all rooms that are not known yet
	-- { room = "*", reason = "list_unread" }.
	local function unread()
		local entries, rooms, is_list_unread = {}, dmuc.ask("unread_rooms");
		for _, room_jid in ipairs(dmuc.parked.waking()) do rooms[#rooms + 1] = room_jid; end
		table.sort(rooms);
		for i, room_jid in ipairs(rooms) do entries[i] = { room = room_jid; reason = "unread" }; end
		if is_list_unread then entries[#entries + 1] = { room = "*"; reason = "list_unread" }; end
		return entries;
	end

	-- Of a room that is parked or closed nothing else is known than why.
	local function parked_room(room_jid)
		local entry = dmuc.parked.of(room_jid);
		local is_closed = not entry;
		for _, closed in ipairs(is_closed and unread() or {}) do
			if closed.room == room_jid or closed.room == "*" then entry = entry or closed; end
		end
		if not entry then return; end
		return {
			service = module.host; room = room_jid; role = is_closed and "closed" or "parked";
			source = entry.source; peer = entry.peer; reason = entry.reason;
			occupants = 0; elsewhere = 0; messages = 0; offers = 0; instances = array(); unnamed = array(); retracted = array();
		};
	end

	-- One room, with its instances; nil if it is not distributed, as far as is known.
	function overview.room(room_jid)
		local room = ask("overview", room_jid);
		if not room then return parked_room(room_jid); end
		room.service = module.host;
		room.title = room.title ~= "" and room.title or nil;
		room.instances, room.unnamed, room.retracted = array(room.instances), array(room.unnamed), array(room.retracted);
		room.elsewhere = 0;
		for _, instance in ipairs(room.instances) do
			room.elsewhere = room.elsewhere + instance.occupants;
		end
		return room;
	end

	-- What each other instance of a room has of it, as it said last; those that can answer are marked (answers). nil if the room is not
	-- distributed.
	function overview.differences(room_jid)
		local room, found = overview.room(room_jid), ask("differences", room_jid);
		if not room or not found then return; end
		for i, one in ipairs(found) do
			local instance = room.instances[i];
			one.answers = instance.link == "up" and instance.speaks == "ours" and (one.state == "agreed" or one.state == "behind");
		end
		return array(found);
	end

	-- The addresses of all rooms, parked ones among them, in their order.
	function overview.addresses()
		local addresses = {};
		for _, room_jid in ipairs(dmuc.ask("rooms")) do addresses[#addresses + 1] = room_jid; end
		for _, entry in ipairs(dmuc.ask("parked")) do
			if entry.reason ~= "instance_not_named" then addresses[#addresses + 1] = entry.room; end
		end
		table.sort(addresses);
		return addresses;
	end

	-- The links to all peers. With the seconds since they were asked something: whether each is still awaited (waits), what is wrong
	-- with it (problems), and what is worth knowing (notes).
	function overview.links(asked_ago)
		local links = with_service(ask("links", asked_ago));
		for _, link in ipairs(asked_ago and links or {}) do link.problems, link.notes = array(link.problems), array(link.notes); end
		return links;
	end

	-- What waits for a service to be named, or for the storage.
	function overview.parked()
		return with_service(dmuc.ask("parked")):append(with_service(unread()));
	end

	-- Our rooms that peers would not have.
	function overview.refused_rooms()
		return with_service(ask("refusals"));
	end

	-- All of it, for a page: the links, so many rooms at most (and how many there are beyond them), and what is parked. Called in a
	-- coroutine that may wait.
	function overview.status(max_rooms)
		local found, more = array(), 0;
		local breathe = dmuc.turns.breather();
		for _, address in ipairs(overview.addresses()) do
			local room = #found < max_rooms and overview.room(address);
			if room then
				found:push(room);
				breathe();
			elseif #found == max_rooms then
				more = more + 1;
			end
		end
		return { links = overview.links(); rooms = found; more = more; parked = overview.parked() };
	end

	-- What peers sent and was refused here since the last line about it in the log: each { what, more }.
	function overview.refused_stanzas()
		return with_service(dmuc.tally.refusals());
	end
end
