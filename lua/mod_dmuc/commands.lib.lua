-- The commands of the shell: what each gets from the services (the MUC components of this server, by host), and how it shows that.

local array = require "util.array";
local promise = require "util.promise";
local now = require "util.time".monotonic;
local add_task = require "util.timer".add_task;
local jid_prep = require "util.jid".prep;
local jid_split = require "util.jid".prepped_split;
local sorted_pairs = require "util.iterators".sorted_pairs;

-- How many rooms one answer lists.
local max_rooms = 1000;

return function (dmuc)
	-- Numbers of seconds as people say them.
	local function period(seconds)
		if not seconds then return "-"; end
		if seconds < 120 then return ("%.0f s"):format(seconds); end
		if seconds < 7200 then return ("%.0f min"):format(seconds / 60); end
		if seconds < 172800 then return ("%.0f h"):format(seconds / 3600); end
		return ("%.0f days"):format(seconds / 86400);
	end

	local function ago(seconds)
		return seconds and period(seconds).." ago" or "-";
	end

	local function plural(count, one, many)
		return ("%d %s"):format(count, count == 1 and one or many or one.."s");
	end

	-- What every service has to say, one after the other.
	local function of_all(services, what)
		local all = array();
		for _, service in sorted_pairs(services) do
			all:append(service.overview[what]());
		end
		return all;
	end

	-- The service of a room's address, and the address as it is known here; or nil and what is wrong.
	local function service_of(services, address)
		local node, host = jid_split(address);
		if not node then return nil, ("%s is not the address of a room"):format(address); end
		local service = services[host];
		if not service then
			local hosts = array();
			for name in sorted_pairs(services) do hosts:push(name); end
			return nil, ("%s is not a MUC service with mod_dmuc here: %s"):format(host, hosts:concat(", "));
		end
		return service, node.."@"..host;
	end

	local instance_states = {
		refused = "refused"; wanted = "wanted"; ["setting-up"] = "being set up"; ["out-of-reach"] = "out of reach";
		behind = "catching up"; agreed = "in step";
	};
	local speech = { unknown = "unknown yet"; nothing = "no DMUC"; xep = "XEP-0281 only"; ours = "mod_dmuc" };
	local reasons = {
		source_not_named = "dmuc_peers here does not name %s";
		not_shared = "%s does not share it: its dmuc_peers does not name this service";
		instance_not_named = "the instance there is left out: dmuc_peers here does not name %s";
		unread = "closed: what is stored of it cannot be read yet, or cannot be taken; the log says why";
		list_unread = "closed: the storage cannot be read yet, and which rooms there are is not known";
	};

	local function reason_of(entry)
		return reasons[entry.reason]:format(entry.peer);
	end

	local function count_agreed(room)
		local agreed = 0;
		for _, instance in ipairs(room.instances) do
			if instance.state == "agreed" then agreed = agreed + 1; end
		end
		return agreed;
	end

	local rooms = {
		name = "rooms"; title = "Distributed rooms"; args = { { name = "text"; label = "Text in their address"; is_optional = true } };
		desc = "List the distributed rooms of this server; with a text, those with it in their address";
		get = function (services, text)
			local found, more = array(), 0;
			local breathe = dmuc.turns.breather();
			for _, service in sorted_pairs(services) do
				for _, address in ipairs(service.overview.addresses()) do
					local is_asked = not text or address:find(text:lower(), 1, true);
					if is_asked and #found < max_rooms then
						found:push(service.overview.room(address));
						breathe();
					elseif is_asked then
						more = more + 1;
					end
				end
			end
			return { rooms = found; more = more };
		end;
		show = function (data, out)
			local rows = {};
			for i, room in ipairs(data.rooms) do
				rows[i] = {
					room.room; room.role; tostring(room.occupants); tostring(room.elsewhere);
					("%d of %d"):format(count_agreed(room), #room.instances); tostring(room.offers); room.title or "";
				};
			end
			if rows[1] then
				out.table({ "Room"; "Role"; "Here"; "Elsewhere"; "In step"; "Waiting"; "Name" }, rows);
			end
			if data.more > 0 then out.line(("... and %d more: dmuc:rooms(\"text\") lists those with a text in their address"):format(data.more)); end
			return plural(#data.rooms + data.more, "distributed room");
		end;
	};

	local function show_instances(room, out)
		local rows = {};
		for i, instance in ipairs(room.instances) do
			local state = instance_states[instance.state];
			if instance.refused_for and instance.state == "refused" then state = ("%s (%s)"):format(state, instance.refused_for); end
			rows[i] = {
				instance.instance..(instance.is_source and " (source)" or ""); state; instance.link; speech[instance.speaks];
				tostring(instance.occupants); ago(instance.agreed_ago); ago(instance.answered_ago);
			};
		end
		if rows[1] then out.table({ "Instance"; "State"; "Link"; "Speaks"; "People"; "Agreed"; "Answered" }, rows); end
		for _, service in ipairs(room.retracted) do
			out.line(("%s was retracted: dmuc:replicate(jid, service) takes it in again"):format(service));
		end
		for _, instance in ipairs(room.unnamed) do out.line(("%s is left out: dmuc_peers does not name its service"):format(instance)); end
	end

	local one_room = {
		name = "room"; title = "One distributed room"; args = { { name = "jid"; kind = "room" } };
		desc = "Show a room: its role, and how far it is with every other instance";
		get = function (services, address)
			local service, room_jid = service_of(services, address);
			if not service then return nil, room_jid; end
			local room = service.overview.room(room_jid);
			if not room then return nil, ("%s is not distributed"):format(room_jid); end
			return room;
		end;
		show = function (room, out)
			out.line(room.title and ("%s (%s)"):format(room.room, room.title) or room.room);
			if room.role == "parked" or room.role == "closed" then
				out.line(("Role: %s; source: %s"):format(room.role, room.source or "unknown"));
				return reason_of(room);
			end
			out.line(("Role: %s; source: %s; term: %d; id: %s"):format(room.role, room.source or "unknown", room.term, room.id));
			out.line(("People here: %d, elsewhere: %d; messages kept: %d; changes that wait for the source: %d")
				:format(room.occupants, room.elsewhere, room.messages, room.offers));
			out.line(room.succession);
			show_instances(room, out);
			return ("%d of %s in step"):format(count_agreed(room), plural(#room.instances, "other instance"));
		end;
	};

	local links = {
		name = "links"; title = "Links to other services"; args = {};
		desc = "List the links to peers: since when they are up or down, and why";
		get = function (services) return { links = of_all(services, "links") }; end;
		show = function (data, out)
			local rows, up = {}, 0;
			for i, link in ipairs(data.links) do
				if link.state == "up" then up = up + 1; end
				rows[i] = {
					link.service; link.peer; link.state; period(link.for_seconds); speech[link.speaks]; tostring(link.rooms);
					tostring(link.behind); ago(link.answered_ago); link.cause_text or link.cause or "";
				};
			end
			if rows[1] then out.table({ "Here"; "Peer"; "State"; "For"; "Speaks"; "Rooms"; "Behind"; "Answered"; "Why" }, rows); end
			return ("%d of %s up"):format(up, plural(#data.links, "link"));
		end;
	};

	local parked = {
		name = "parked"; title = "Parked rooms"; args = {};
		desc = "List what waits for a service to be named (parked rooms, instances left out) or for the storage";
		get = function (services) return { parked = of_all(services, "parked") }; end;
		show = function (data, out)
			local rows = {};
			for i, entry in ipairs(data.parked) do rows[i] = { entry.room; entry.source or "-"; reason_of(entry) }; end
			if rows[1] then out.table({ "Room"; "Source"; "Why" }, rows); end
			return rows[1] and plural(#rows, "entry", "entries").." (dmuc:leave(jid) gives a parked room up)" or "Nothing is parked";
		end;
	};

	local refusals = {
		name = "refusals"; title = "What was refused"; args = {};
		desc = "List the rooms that peers would not have, and what was refused of peers here";
		get = function (services)
			return { rooms = of_all(services, "refused_rooms"); stanzas = of_all(services, "refused_stanzas") };
		end;
		show = function (data, out)
			local rows = {};
			for i, refusal in ipairs(data.rooms) do
				rows[i] = { refusal.room; refusal.peer; refusal.condition; period(refusal.next_in); refusal.text or "" };
			end
			if rows[1] then out.table({ "Room"; "Refused by"; "Condition"; "Asked again in"; "Words" }, rows); end
			for _, kind in ipairs(data.stanzas) do
				local more = kind.more > 0 and (" (and %d more since the last line in the log)"):format(kind.more) or "";
				out.line(("%s: %s%s"):format(kind.service, kind.what, more));
			end
			return ("%s would not have; %s refused here lately"):format(plural(#rows, "room that a peer", "rooms that peers"),
				plural(#data.stanzas, "kind of stanza", "kinds of stanzas"));
		end;
	};

	-- What was done, in words, as data.
	local function done(text, problem)
		if not text then return nil, problem; end
		return { done = text };
	end

	local function show_done(data)
		return data.done;
	end

	local leave = {
		name = "leave"; title = "Leave a room"; args = { { name = "jid"; kind = "room" } };
		desc = "Take this service out of a room whose source is elsewhere, where it goes on";
		get = function (services, address)
			local service, room_jid = service_of(services, address);
			if not service then return nil, room_jid; end
			return done(service.steering.leave(room_jid));
		end;
		show = show_done;
	};

	-- Of a room that is here, with an argument or none.
	local function of_room(name)
		return function (services, address, peer)
			local service, room_jid = service_of(services, address);
			if not service then return nil, room_jid; end
			local prepped = peer and jid_prep(peer);
			if peer and (not prepped or prepped:find("[@/]")) then return nil, ("%s is not the name of a service"):format(peer); end
			return done(service.steering[name](room_jid, prepped));
		end;
	end

	-- Of a service elsewhere: every MUC service here does it, or says why not, in a line each. It is an error if none does; where all
	-- have to (needs_all), if one does not.
	local function of_peer(services, name, peer, needs_all)
		local prepped = jid_prep(peer);
		if not prepped or prepped:find("[@/]") then return nil, ("%s is not the name of a service"):format(peer); end
		local lines, refused = array(), 0;
		for host, service in sorted_pairs(services) do
			local text, problem = service.steering[name](prepped);
			if not text then refused = refused + 1; end
			lines:push(("%s: %s"):format(host, text or problem));
		end
		local text = lines:concat("\n");
		if refused == #lines or needs_all and refused > 0 then return nil, text; end
		return done(text);
	end

	-- How long a peer may take to answer, and how often it is looked whether all have, in seconds.
	local answer_timeout, look_every = 12, 0.2;

	-- Asks peers now, and waits until they have answered or it takes too long.
	-- No timer of this module: whichever component is reloaded or unloaded meanwhile, whoever has asked gets an answer.
	local function ask_now(services, peer)
		local asked = {}; -- [host] = { [peer] = true }
		for host, service in sorted_pairs(services) do
			for _, link in ipairs(service.overview.links()) do
				if not peer or link.peer == peer then
					service.steering.reach(link.peer);
					asked[host] = asked[host] or {};
					asked[host][link.peer] = true;
				end
			end
		end
		if peer and not next(asked) then return nil, ("dmuc_peers names %s for no MUC service here"):format(peer); end
		local began = now();
		local function is_any_open()
			for host, peers in pairs(asked) do
				for _, link in ipairs(services[host] and services[host].overview.links(now() - began) or {}) do
					if peers[link.peer] and link.waits then return true; end
				end
			end
			return false;
		end
		local function judged_of(host, peers)
			local judged = array();
			if not services[host] then
				for name in sorted_pairs(peers) do
					judged:push({ service = host; peer = name; problems = array { "mod_dmuc was unloaded here meanwhile" }; notes = array() });
				end
				return judged;
			end
			for _, link in ipairs(services[host].overview.links(now() - began)) do
				if peers[link.peer] then judged:push(link); end
			end
			return judged;
		end
		return promise.new(function (resolve, reject)
			local function look()
				if now() - began < answer_timeout and is_any_open() then return look_every; end
				local judged = array();
				for host, peers in sorted_pairs(asked) do judged:append(judged_of(host, peers)); end
				resolve({ links = judged });
			end
			add_task(look_every, function ()
				local ok, result = pcall(look);
				if not ok then return reject(result); end
				return result;
			end);
		end);
	end

	local check = {
		name = "check"; title = "Check the links"; args = { { name = "peer"; kind = "peer"; is_optional = true } };
		desc = "Ask all peers, or one, and say what is wrong with the links to them";
		get = function (services, peer)
			local prepped = peer and jid_prep(peer);
			if peer and not prepped then return nil, ("%s is not the name of a service"):format(peer); end
			return ask_now(services, prepped);
		end;
		show = function (data, out)
			local wrong = 0;
			for _, link in ipairs(data.links) do
				if link.problems[1] then wrong = wrong + 1; end
				local is_fine = not link.problems[1] and not link.notes[1];
				if is_fine then out.line(("%s -> %s: fine"):format(link.service, link.peer)); end
				for _, text in ipairs(link.problems) do out.line(("%s -> %s: %s"):format(link.service, link.peer, text)); end
				for _, text in ipairs(link.notes) do out.line(("%s -> %s: note: %s"):format(link.service, link.peer, text)); end
			end
			return wrong == 0 and "No problems found" or plural(wrong, "link").." with problems";
		end;
	};

	-- What of a room another instance has and has not alike, in the order in which it is told.
	local parts = { "people"; "list"; "settings"; "subject"; "messages" };
	local function differs(one)
		for _, part in ipairs(parts) do
			if one[part] == "differs" then return true; end
		end
		return false;
	end
	local function is_known_same(one)
		for _, part in ipairs(parts) do
			if one[part] ~= "same" then return false; end
		end
		return true;
	end

	local diff = {
		name = "diff"; title = "Compare what the instances of a room have"; args = { { name = "jid"; kind = "room" } };
		desc = "Ask the other instances of a room what they have of it, and say what differs";
		get = function (services, address)
			local service, room_jid = service_of(services, address);
			if not service then return nil, room_jid; end
			local asked, problem = service.steering.compare(room_jid);
			if not asked then return nil, problem; end
			local began = now();
			local function look()
				local found = service.overview.differences(room_jid);
				if not found then return { room = room_jid; differences = array() }; end
				for _, one in ipairs(found) do
					if one.answers and (not one.said_ago or one.said_ago > now() - began) and now() - began < answer_timeout then return; end
				end
				return { room = room_jid; differences = found };
			end
			return promise.new(function (resolve, reject)
				add_task(look_every, function ()
					local ok, found = pcall(look);
					if not ok then return reject(found); end
					if not found then return look_every; end
					resolve(found);
				end);
			end);
		end;
		show = function (data, out)
			local rows, same, different = {}, 0, 0;
			for i, one in ipairs(data.differences) do
				if is_known_same(one) then same = same + 1; end
				if differs(one) then different = different + 1; end
				rows[i] = { one.instance; one.people; one.list; one.settings; one.subject; one.messages; ago(one.said_ago) };
			end
			if rows[1] then out.table({ "Instance"; "People"; "List"; "Settings"; "Subject"; "Messages"; "Said" }, rows); end
			return ("%d of %s the same as here; %d with differences; %d unknown in part"):format(
				same, plural(#rows, "other instance"), different, #rows - same - different);
		end;
	};

	local sync = {
		name = "sync"; title = "Compare now"; args = { { name = "jid"; label = "Room, or service" } };
		desc = "Compare a room with its other instances, or everything with a peer, and pull what is missing, now";
		get = function (services, jid)
			if jid:find("@", 1, true) then return of_room("sync_room")(services, jid); end
			return of_peer(services, "sync_peer", jid);
		end;
		show = show_done;
	};
	-- What is ordered of one room, with a service or without.
	local function room_order(name, needs_service, title, desc)
		local args = { { name = "jid"; kind = "room" } };
		if needs_service then args[2] = { name = "service"; kind = "peer" }; end
		return { name = name; title = title; args = args; desc = desc; get = of_room(name); show = show_done };
	end

	local replicate = room_order("replicate", true, "Give a service an instance of a room",
		"Bring up an instance of a room at a peer, or try again; also where it was retracted");
	local retract = room_order("retract", true, "Take a service out of a room",
		"Take a service out of a room: its instance is closed, and none is made there until the room is replicated again");
	local hand_over = room_order("hand_over", true, "Hand a room over",
		"Hand the role of source over to the instance at another service, which has to vote (dmuc_voters)");
	local take_over = room_order("take_over", false, "Take a room over",
		"Make the instance here the source of a room whose source is gone, if most voters agree");
	local follow = room_order("follow", true, "Follow another source",
		"Have the instance here follow the one at a service that says it is the source");
	-- What has to be said before a room is taken over without votes.
	local may_be_lost = "What others have decided and is not known here may be lost; if most voters live, they go on without this instance.";
	local force = {
		name = "force"; title = "Take over a room by force";
		args = { { name = "jid"; kind = "room" }, { name = "word"; kind = "warning"; warns = may_be_lost; is_optional = true } };
		desc = "Make the instance here the source without votes, where there can be no majority";
		get = function (services, address, word)
			if word ~= "force" then return nil, ("%s If that is meant, say dmuc:force(%q, \"force\")"):format(may_be_lost, address); end
			return of_room("force")(services, address);
		end;
		show = show_done;
	};
	local forget = {
		name = "forget"; title = "Forget a service"; args = { { name = "service"; label = "Service" } };
		desc = "Give up what waits for a service that is gone for good, and is in dmuc_peers no more";
		get = function (services, peer) return of_peer(services, "forget", peer, true); end;
		show = show_done;
	};

	dmuc.commands = {
		may_be_lost = may_be_lost;
		rooms, one_room, links, check, parked, refusals, diff, sync, replicate, retract, hand_over, take_over, force, follow, leave, forget,
	};
end
