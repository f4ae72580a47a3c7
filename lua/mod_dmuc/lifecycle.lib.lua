-- Rooms become distributed and ordinary again, are stored, restored, evicted and closed.

local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local jid_split = require "util.jid".split;
local jid_join = require "util.jid".join;
local datetime = require "util.datetime";
local st = require "util.stanza";

return function (dmuc)
	local lifecycle = {};
	dmuc.lifecycle = lifecycle;

	local inside = dmuc.prosody;
	local kept, is_destroyed = inside.kept, inside.is_destroyed;

	local store = module:open_store("dmuc");

	function lifecycle.forget_log(room_jid)
		dmuc.reading.forget(room_jid);
		dmuc.log.forget(room_jid);
	end

	-- The messages a room has from before it was distributed, as it would send them to somebody who joins.
	local function past_of(room)
		local past = {};
		local event = {
			room = room;
			to = module.host;
			maxstanzas = room:get_historylength();
			stanza = st.presence({ to = room.jid; from = module.host });
			next_stanza = function () end;
		};
		module:fire_event("muc-get-history", event);
		for stanza in event.next_stanza, event do
			local nick = jid_resource(stanza.attr.from);
			local delay, delay_from;
			for tag in stanza:childtags("delay", "urn:xmpp:delay") do
				if tag.attr.from == room.jid then delay, delay_from = tag, room.jid; end
			end
			local stanza_id;
			for tag in stanza:childtags("stanza-id", dmuc.stanzas.xmlns_stanza_id) do
				if tag.attr.by == room.jid then stanza_id = tag.attr.id; end
			end
			local occupant_id = stanza:get_child("occupant-id", dmuc.stanzas.xmlns_occupant_id);
			if nick and delay then
				local copy = st.clone(stanza):maptags(function (tag)
					if tag.name == "delay" and tag.attr.from == delay_from then return nil; end
					return tag;
				end);
				past[#past + 1] = {
					nick = nick;
					id = stanza.attr.id;
					lang = stanza.attr["xml:lang"];
					stanza_id = stanza_id;
					occupant_id = occupant_id and occupant_id.attr.id;
					time = datetime.parse(delay.attr.stamp) or os.time();
					payload = dmuc.stanzas.payload(copy, room.jid);
				};
			end
		end
		return past;
	end

	local function not_distributed(room, problem)
		module:log("warn", "%s cannot be distributed: %s", room.jid, problem);
		return dmuc.tell_owners(room, "This room is not distributed. "..problem);
	end

	local function distribute(room)
		if dmuc.role(room.jid) or dmuc.parked.of(room.jid) then return; end
		local problem = dmuc.limits.problem_of(room);
		if problem then return not_distributed(room, problem); end
		-- It has to outlive the moment in which nobody happens to be here: there may be people elsewhere.
		room:set_persistent(true);
		local subject_from, subject = room:get_subject();
		local past = past_of(room);
		lifecycle.forget_log(room.jid); -- of an earlier life, if a crash left it
		local form, no_form = dmuc.forms.get(room);
		local verdict, _, condition, text = nil, nil, "internal-server-error", no_form;
		if form then
			verdict, _, condition, text = dmuc.feed("distribute", room.jid, form, room:get_salt(),
				subject and (jid_resource(subject_from) or ""), subject);
		end
		if not verdict then return not_distributed(room, text or condition); end
		dmuc.rooms.attach(room);
		for _, message in ipairs(past) do
			local taken, stanza_id = dmuc.feed("past", room.jid, message);
			if taken == "accepted" then dmuc.groupchat.log_past(room, stanza_id); end
		end
		-- The list may be long, and may change meanwhile: then the engine is told as of any change.
		local listed, breathe = {}, dmuc.turns.breather();
		for jid in room:each_affiliation() do listed[#listed + 1] = jid; end
		for _, jid in ipairs(listed) do
			local affiliation = inside.listed(room, jid);
			if affiliation then
				dmuc.tell("affiliation", room.jid, jid, { affiliation = affiliation; nick = room:get_registered_nick(jid) });
				dmuc.hats.given(room, jid);
			end
			breathe();
			if dmuc.role(room.jid) ~= "source" then return; end -- destroyed, or an ordinary one again
		end
		dmuc.tell("started", room.jid, true);
		dmuc.restoring.mark(room, true);
		module:log("info", "%s is distributed now", room.jid);
	end

	local function undistribute(room, reason)
		if dmuc.role(room.jid) ~= "source" then return; end
		dmuc.groupchat.keep_history(room);
		dmuc.tell("undistribute", room.jid, reason);
		dmuc.rooms.detach(room);
		dmuc.restoring.mark(room, false);
		module:log("info", "%s is an ordinary room again", room.jid);
	end

	-- After the configuration that asks for it has been taken in as a whole.
	function lifecycle.schedule(room, is_wanted)
		dmuc.turns.next(function ()
			dmuc.turns.run("distribution of "..room.jid, function ()
				if is_wanted then
					dmuc.hold(distribute, room);
				else
					undistribute(room, "The owner of the room ended its distribution");
				end
			end);
		end);
	end

	-- New rooms, where the administrator wants them distributed without asking.
	local function by_default(event)
		local room = event.room;
		if not dmuc.default_distributed or dmuc.role(room.jid) or kept(room).dmuc_chosen then
			return;
		end
		if inside.locked_until(room) or is_destroyed(room) then return; end
		lifecycle.schedule(room, true);
	end
	module:hook("muc-room-created", by_default, -100);
	module:hook("muc-config-submitted", function (event)
		-- Whether the owner says no is known when the fields have been gone through.
		dmuc.turns.next(function () by_default(event); end);
	end, -100);

	-- Until its configuration has arrived a shadow cannot be joined, and nobody can make another room of its name.
	module:hook("muc-room-pre-create", function (event)
		if dmuc.role(event.room.jid) then
			event.origin.send(st.error_reply(event.stanza, "cancel", "item-not-found", "This room is being set up", module.host));
			return true;
		end
	end, 5);

	-- The shadow's room, which exists once the source has configured it.
	function lifecycle.make_shadow(room_jid)
		local room = dmuc.get_room(room_jid);
		if room and is_destroyed(room) then
			module:fire_event("muc-room-destroyed", { room = room }); -- the tombstone of an earlier room
			room = nil;
		end
		if not room then
			local made, err = dmuc.create_room(room_jid, {
				hidden = true; persistent = true; dmuc_chosen = true; dmuc_distributed = true;
			});
			if not made then return nil, err or "the service has as many rooms as it may"; end
			room = made;
		end
		if not room._dmuc then dmuc.avatar.forget(room_jid); end
		dmuc.rooms.attach(room);
		kept(room).dmuc_distributed = true;
		return room;
	end

	local function is_of(known, service, source)
		return known ~= nil and jid_host(known) == service and (source == nil or source == known);
	end

	-- Whether the closed room is what is left of a shadow of this source, which may take it up again.
	function lifecycle.was_shadow_of(room, service, source)
		return is_of(kept(room).dmuc_closed, service, source);
	end

	-- A closed shadow has its source back: the people in it may speak again.
	function lifecycle.reopen(room)
		if not kept(room).dmuc_closed then return; end
		kept(room).dmuc_closed = nil;
		for nick, occupant in pairs(room._dmuc.locals) do
			local role = room:get_default_role(room:get_affiliation(occupant.bare_jid));
			if occupant.role == "visitor" and role ~= "visitor" then room:set_role(true, nick, role); end
		end
		room:save(true);
	end

	-- Evicted rooms come back without anything set on the Lua object.
	module:hook("muc-room-restored", function (event)
		local room = event.room;
		if not dmuc.role(room.jid) then return; end
		dmuc.rooms.attach(room);
	end, 100);

	-- The sessions of those who are here. A parked room has no others.
	local function sessions_here(room)
		local people, state = {}, room._dmuc;
		for _, occupant in pairs(state and state.locals or inside.occupants(room)) do
			for jid in occupant:each_session() do
				if not state or not state.remotes[jid] then people[#people + 1] = jid; end
			end
		end
		return people;
	end

	local function invite(room, people, to, reason)
		for _, jid in ipairs(people) do
			room:route_stanza(st.message({ from = room.jid; to = jid })
				:tag("x", { xmlns = "jabber:x:conference"; jid = to; reason = reason }):up());
		end
	end

	-- Shadows that are being destroyed here: [room] = { people, source, reason }.
	local leaving = setmetatable({}, { __mode = "k" });

	-- Only now is it certain that the room goes. Whoever administers this service may destroy a shadow, and so may a
	-- module or the shell: it leaves, the room goes on elsewhere, and whoever was in it here is invited to the source.
	module:hook("muc-pre-room-destroy", function (event)
		local room = event.room;
		if event.allowed == false or dmuc.turns.current(room, "is_ending") then return; end
		local shadow = room._dmuc or dmuc.parked.of(room.jid);
		if not shadow then return; end
		if not shadow.is_source then
			dmuc.serving.close(room.jid);
			leaving[room] = { people = sessions_here(room); source = shadow.source; reason = event.reason };
			event.newjid = event.newjid or shadow.source;
		end
		dmuc.tell("destroyed", room.jid, event.reason, event.newjid, event.password);
	end, -1000);
	-- The tombstone, as soon as there is one, keeps the name for the source that has ended its shadow.
	local function keep_name(room_jid, source)
		dmuc.turns.next(function ()
			local tombstone = dmuc.get_room(room_jid);
			if not tombstone or not is_destroyed(tombstone) then return; end
			kept(tombstone).dmuc_ended_by = source;
			tombstone:save(true);
		end);
	end

	module:hook("muc-room-destroyed", function (event)
		local room = event.room;
		local left = leaving[room];
		leaving[room] = nil;
		if dmuc.turns.current(room, "is_ending") then keep_name(room.jid, kept(room).dmuc_source); end
		if not room._dmuc and not left and not dmuc.parked.of(room.jid) then return; end
		if not inside.is_being_destroyed(room) then dmuc.tell("destroyed", room.jid); end
		dmuc.rooms.detach(room);
		if left then
			module:log("info", "%s leaves its source %s", room.jid, left.source);
			invite(room, left.people, left.source, left.reason);
		end
	end, 1000);

	-- Whether there is a room of this name that is not distributed and stays: an ordinary one, or the tombstone of any, as
	-- long as it lasts. Only the source that has ended its shadow may take the name again.
	function lifecycle.is_taken(room, service, source)
		if is_destroyed(room) then
			local is_over = (inside.locked_until(room) or 0) < os.time();
			return not is_over and not is_of(kept(room).dmuc_ended_by, service, source);
		end
		-- What was a shadow and is none any more, without having been closed, has lost what was stored of it.
		local is_lost = kept(room).dmuc_distributed and is_of(kept(room).dmuc_source, service, source);
		return not is_lost and not lifecycle.was_shadow_of(room, service, source);
	end

	function lifecycle.destroy(room, venue, reason, password)
		dmuc.turns.within(room, { is_ending = true }, room.destroy, room, venue, reason, password);
	end

	-- The source is an ordinary room again: what is here stays as history that is closed to new messages.
	function lifecycle.close(room, source, reason)
		-- The engine does not know the room any more.
		dmuc.parked.keep_history(room);
		dmuc.rooms.tell(room, ("This room is no longer shared with %s%s. It stays here to be read; to go on, join %s")
			:format(source, reason and (" ("..reason..")") or "", dmuc.stanzas.join_uri(source)));
		dmuc.rooms.detach(room);
		-- Who knows it by another address joins where it is now.
		dmuc.serving.close(room.jid);
		local people = sessions_here(room);
		kept(room).dmuc_closed, kept(room).dmuc_distributed = source, false;
		room:set_moderated(true);
		for nick, occupant in pairs(inside.occupants(room)) do
			if occupant.role == "participant" then room:set_role(true, nick, "visitor"); end
		end
		room:save(true);
		invite(room, people, source, reason);
		module:log("info", "%s was closed by its source %s", room.jid, source);
	end

	local states = dmuc.retrying.queue("state", function (node)
		-- As it is by now.
		local room_jid = jid_join(node, module.host);
		local beside = dmuc.beside;
		local snapshot, kind, list = dmuc.ask("snapshot_in_parts", room_jid, beside.has_none(node), beside.most_within);
		if not snapshot then
			beside.look_up(node);
			local ok, err = dmuc.storage.write(store, "set", node, nil);
			if ok then beside.forget(node); end
			return ok, err;
		end
		beside.take(node, kind, list);
		local known, err = beside.write(node);
		if known == false then return false, err; end
		-- In version 1 the whole log is in one archive, in version 2 the list is in the snapshot; who reads those alone, leaves the
		-- room closed.
		local ok, problem = dmuc.storage.write(store, "set", node, {
			version = known and not known.is_within and 3 or 2; snapshot = snapshot; list = known; log = dmuc.log.place(room_jid);
			written_by = inside.version;
		});
		if ok then beside.written(node); end
		return ok, problem;
	end, true);

	function lifecycle.store(room_jid)
		local node = jid_split(room_jid);
		if states.waiting[node] then states:forget(node); end
		states:put(node, {}, 0);
		if not dmuc.role(room_jid) and not dmuc.parked.of(room_jid) then lifecycle.forget_log(room_jid); end
	end

	function lifecycle.start()
		if dmuc.engine_is_new then
			-- When the other modules are there, too: mod_s2s to reach peers, mod_muc_mam for what was said.
			dmuc.turns.later(function ()
				dmuc.hold(dmuc.restoring.start);
				dmuc.parked.warn();
			end);
			return;
		end
		dmuc.hold(function ()
			for room in dmuc.live_rooms() do
				dmuc.restoring.take_up(room);
			end
			-- The storage was away before this module was reloaded.
			if dmuc.ask("has_unread") then dmuc.restoring.start(); end
		end);
		dmuc.configure();
		dmuc.checks.loaded();
		dmuc.parked.warn();
	end

	module:hook_global("server-stopping", function () dmuc.log.settle(lifecycle.store); end, 900);

	function lifecycle.stop()
		for room in dmuc.live_rooms() do
			dmuc.rooms.detach(room);
		end
	end
end
