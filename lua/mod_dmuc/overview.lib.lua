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

	-- Of a parked room nothing else is known than why it is parked.
	local function parked_room(room_jid)
		local entry = dmuc.parked.of(room_jid);
		if not entry then return; end
		return {
			service = module.host; room = room_jid; role = "parked"; source = entry.source; peer = entry.peer; reason = entry.reason;
			occupants = 0; elsewhere = 0; messages = 0; offers = 0; instances = array(); unnamed = array(); retracted = array();
		};
	end

	-- One room, with its instances; nil if it is not distributed.
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

	-- The links to all peers.
	function overview.links()
		return with_service(ask("links"));
	end

	-- What waits for a service to be named.
	function overview.parked()
		return with_service(dmuc.ask("parked"));
	end

	-- Our rooms that peers would not have.
	function overview.refused_rooms()
		return with_service(ask("refusals"));
	end

	-- What peers sent and was refused here since the last line about it in the log: each { what, more }.
	function overview.refused_stanzas()
		return with_service(dmuc.tally.refusals());
	end

	local default_max = 262144; -- of dmuc_max_stanza_size
	local most_skew = 60; -- in seconds

	local remedies = {
		silent = "it takes what it is sent and answers nothing: is Prosody stuck there, or does a firewall swallow it?";
		unreachable = "it cannot be reached, and no reason is known: see the log for its server's name, and prosodyctl mod_dmuc check";
		dns = "its name cannot be resolved: is it spelt right in dmuc_peers, and has it SRV or address records?";
		["connection-refused"] = "its server takes no connections: is Prosody running there, and is its port for servers open?";
		certificate = "one server does not accept the certificate of the other: both have to be valid for the names of the MUC "
			.."services, and not expired (prosodyctl check certs, on both)";
		["no-module"] = "it does not support distributed rooms: mod_dmuc has to be loaded for it";
		["not-peered"] = "it does not share rooms with this service: its dmuc_peers has to name "..module.host;
	};

	-- What is wrong with a link, with what to do about it, and what is worth knowing.
	local function judge(link)
		local problems, notes = array(), array();
		if link.cause then problems:push(remedies[link.cause]); end
		if link.speaks == "xep" then
			notes:push("it speaks only the text of XEP-0281: what its people say while the link is down does not arrive afterwards");
		end
		local ahead = link.clock_ahead or 0;
		if math.abs(ahead) > most_skew then
			problems:push(("its clock is %.0f s %s the one here: set the wrong one right (NTP)")
				:format(math.abs(ahead), ahead > 0 and "ahead of" or "behind"));
		end
		local ours = dmuc.options.dmuc_max_stanza_size or default_max;
		if link.takes_bytes and link.takes_bytes ~= ours then
			problems:push(("it takes messages of up to %d bytes, and this service of up to %d: set dmuc_max_stanza_size alike at both")
				:format(link.takes_bytes, ours));
		end
		return problems, notes;
	end

	-- The links to all peers, with what is wrong with them.
	function overview.judged_links()
		local judged = overview.links();
		for _, link in ipairs(judged) do link.problems, link.notes = judge(link); end
		return judged;
	end
end
