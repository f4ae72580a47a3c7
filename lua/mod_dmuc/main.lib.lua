-- The wiring: what the libraries share, in which order they are loaded, and what other modules find here.

local id = require "util.random".bytes;

return function (build)
	local mod_muc = module:depends("muc");

	-- What the libraries share. Every library gets this table and adds its own part; none keeps state of another.
	local dmuc = {
		native = build.native;
		in_force = build.in_force;
		seed = function () return id(32); end;
		get_room = mod_muc.get_room_from_jid;
		create_room = mod_muc.create_room;
		live_rooms = mod_muc.live_rooms;
		room_mt = mod_muc.room_mt;
		xmlns = "urn:xmpp:dmuc:0"; -- what XEP-0281 defines
		xmlns_ours = "urn:x-dmuc:0"; -- what this implementation adds
	};

	for _, name in ipairs {
		"prosody"; -- what is known of Prosody's inside
		"options"; -- what is configured
		"checks"; -- what is configured and will not do what was meant
		"tally"; -- lines of the log that come many at a time
		"stanzas"; -- pieces of stanzas
		"addresses"; -- room addresses inside stanzas
		"turns"; -- what goes on while hooks of other modules wait
		"metrics"; -- what Prosody's statistics show
		"engine"; -- calls into the engine, its timer, draining its actions
		"storage"; -- stores that may be away
		"retrying"; -- what could not be written waits
		"beside"; -- long lists of affiliations, stored beside their rooms
		"log"; -- messages into the stored log, and back
		"reading"; -- stored messages that are read while the room goes on
		"archive"; -- messages into mod_muc_mam's archive
		"together"; -- log and archive written as one
		"books"; -- by which addresses a session is in a room
		"fanout"; -- one text for many recipients
		"rooms"; -- what is different about a room that is distributed
		"persons"; -- one person with clients at several instances is one occupant
		"forms"; -- room configuration
		"limits"; -- what is refused because other instances would not take it
		"capacity"; -- how many occupants a distributed room takes
		"parked"; -- rooms that a configuration leaves out
		"lifecycle"; -- rooms become distributed and ordinary, are stored and evicted
		"seconds"; -- archives with fractions of seconds
		"restoring"; -- stored rooms come back, or are closed until they can be read
		"crowds"; -- what people here are told of many occupants at a time
		"presence"; -- occupants, here and elsewhere
		"affiliations"; -- the source's list of affiliations
		"hats"; -- what goes with an affiliation and is seen in presences
		"avatar"; -- the room's vCard
		"setters"; -- what the methods of a room set
		"listing"; -- the source's list put into a room as one
		"groupchat"; -- messages and history
		"moderation"; -- messages that are retracted
		"peers"; -- what occupants elsewhere send to occupants here
		"private"; -- what people here send to occupants elsewhere
		"requests"; -- IQs from peers, and what users here want done elsewhere
		"registration"; -- registered nicks
		"voice"; -- requests for voice and their answers
		"invitations"; -- mediated invitations and declines
		"serving"; -- users here go on using the address they know
		"tombstones"; -- destroyed rooms answer under all their addresses
		"direct"; -- direct invitations that users of this server get
		"links"; -- connections that swallow everything, and whose change did not hold
		"buffers"; -- what waits for peers that do not read
		"arriving"; -- stanzas that take long to arrive
		"pace"; -- peers that send more than they may are read more slowly
		"discovery"; -- disco, redirects
		"actions"; -- does what the engine says
		"overview"; -- what an administrator may see
		"steering"; -- what an administrator may do
		"commands"; -- the commands of the shell
		"shell"; -- where they stand
		"dialogs"; -- ad-hoc commands: sessions and steps
		"administering"; -- those of the shell, for administrators
		"owning"; -- those of a room, for its owners
	} do
		build.run(name, module.environment)(dmuc);
	end

	module:add_feature(dmuc.xmlns);
	module:add_feature(dmuc.xmlns_ours);
	module:add_feature(dmuc.xmlns_ours.."#packed");

	dmuc.lifecycle.start();
	dmuc.serving.start();
	dmuc.tombstones.start();
	dmuc.checks.run();
	dmuc.shell.start();

	-- For other modules, as mod_muc does it: role ("source", "shadow", "pending", "parked" or nil), source and id
	-- (unless it is parked) of a room, and the JIDs of its other instances that hold it now.
	function role(room_jid) -- luacheck: globals role
		local name, source, room_id = dmuc.role(room_jid);
		local entry = not name and dmuc.parked.of(room_jid);
		if entry then return "parked", entry.source; end
		return name, source, room_id;
	end
	function instances(room_jid) -- luacheck: globals instances
		return dmuc.ask("instances", room_jid);
	end

	-- The instances of which something is missing here, or may be: each { room, instance }. What is said there now is shown
	-- when that has been pulled.
	function behind() -- luacheck: globals behind
		local list = dmuc.ask("behind");
		for _, room_jid in ipairs(dmuc.restoring.awaited()) do list[#list + 1] = { room = room_jid; instance = room_jid }; end
		return list;
	end

	-- What waits for a configuration to name a service, here or there: each { room, peer, source, reason }, reason being
	-- "source_not_named", "not_shared" or "instance_not_named".
	function parked() -- luacheck: globals parked
		return dmuc.ask("parked");
	end
	-- Gives up what is parked of a room. Whether there was anything.
	function let_go(room_jid) -- luacheck: globals let_go
		for _, entry in ipairs(dmuc.ask("parked")) do
			if entry.room == room_jid then return dmuc.feed("let_go", room_jid) == "done"; end
		end
		return false;
	end

	-- What an administrator may see of this service, for a page that shows it (mod_http_dmuc): { links, rooms, more, parked }, of so many
	-- rooms. Called in a coroutine that may wait (util.async).
	function status(max_rooms) -- luacheck: globals status
		return dmuc.overview.status(max_rooms);
	end

	-- Over a reload: what could not be written yet.
	function module.save()
		dmuc.together.settle();
		return {
			retrying = dmuc.retrying.save(); log = dmuc.log.save(); reading = dmuc.reading.save(); beside = dmuc.beside.save();
			wanted = dmuc.reading.save_wanted();
		};
	end
	function module.restore(saved)
		dmuc.retrying.restore(saved.retrying or {});
		dmuc.log.restore(saved.log or {});
		dmuc.beside.restore(saved.beside or {});
		dmuc.reading.restore(saved.reading or {});
		dmuc.reading.restore_wanted(saved.wanted or {});
	end

	module:hook_global("server-stopping", dmuc.turns.finish, 1000);

	function module.unload()
		dmuc.shell.stop();
		dmuc.turns.finish();
		dmuc.retrying.stop();
		dmuc.fanout.stop();
		dmuc.serving.stop();
		dmuc.prosody.stop_looking();
		dmuc.tally.stop();
		dmuc.metrics.stop();
		dmuc.requests.stop();
		dmuc.lifecycle.stop();
	end
end
