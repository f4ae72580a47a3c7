-- Occupants: ours to the engine, those of other instances into the room.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local presence = {};
	dmuc.presence = presence;

	local inside, stanzas, rooms = dmuc.prosody, dmuc.stanzas, dmuc.rooms;
	local xmlns_muc_user = stanzas.xmlns_muc_user;

	-- The key of what has to stay in order about an occupant, wherever its home is.
	function presence.lane(room_jid, nick)
		return room_jid.."/"..nick;
	end

	-- The peer's presence of which the engine has been told, in an action that shows it.
	local function at_hand(action, session)
		local stanza = action.cause;
		return stanza and stanza.attr and stanza.attr.from == session and stanza or nil;
	end

	local function item_in(stanza)
		local x = stanza:get_child("x", xmlns_muc_user);
		return x and x:get_child("item");
	end

	-- Tells the engine of a local occupant as it is now, and who has made it so: { actor, reason } or nil.
	function presence.announce(room, occupant, why)
		local session = rooms.local_session(room, occupant);
		local pr = session and occupant:get_presence(session);
		if not pr then return; end
		local occupant_id = pr:get_child("occupant-id", stanzas.xmlns_occupant_id);
		local is_told = dmuc.tell_because({ why = why; nick = jid_resource(occupant.nick) }, "occupant", room.jid,
			jid_resource(occupant.nick), session,
			room:get_affiliation(occupant.bare_jid) or "none", occupant.role,
			occupant_id and occupant_id.attr.id or room:get_occupant_id({ bare_jid = occupant.bare_jid }),
			stanzas.payload(pr)..dmuc.hats.shown(room, occupant));
		if not is_told and not room._dmuc.unseen[occupant.nick] then
			room:route_stanza(st.message({ from = room.jid; to = session; type = "groupchat" },
				"People on other servers do not see you in this room: their servers would not take your address or your nickname."));
		end
		room._dmuc.unseen[occupant.nick] = not is_told or nil;
		dmuc.persons.announced(room, occupant);
	end

	-- mod_muc has shown something of an occupant to everybody here. A hook may have waited meanwhile: what counts is what
	-- there is now.
	function presence.publicised(room, occupant, has_left, x, nick, actor, reason)
		local session = rooms.local_session(room, occupant);
		if not session then
			-- Its client here has another nick now, which another client of the same person has as well, or keeps this one.
			if has_left and not room._dmuc.locals[occupant.nick] then
				dmuc.tell("occupant_left", room.jid, { nick = jid_resource(occupant.nick) });
			end
			return;
		end
		local current = room._dmuc.locals[occupant.nick];
		if rooms.has_live_local_session(room, occupant) then
			if current then
				presence.announce(room, current, (actor or reason) and { actor = actor; reason = reason } or nil);
			end
			return;
		end
		local pr = occupant:get_presence(session);
		dmuc.tell("occupant_left", room.jid, {
			nick = jid_resource(occupant.nick);
			codes = stanzas.codes(x);
			new_nick = nick;
			affiliation = room:get_affiliation(occupant.bare_jid) or "none";
			actor = actor;
			reason = reason;
			payload = pr and pr.attr.type == "unavailable" and stanzas.payload(pr) or "";
		});
		-- Somebody has this nick already.
		if current then presence.announce(room, current); end
	end

	-- What the room keeps of a remote session.
	function presence.remote_of(room, action)
		return {
			home = action.home;
			jid = action.jid;
			affiliation = action.affiliation;
			is_verified = action.jid ~= nil or action.home == room._dmuc.source;
			occupant_id = action.occupant_id;
		};
	end

	-- An occupant of another instance as the room has it: { remote, pr, role }; nil if it has not.
	local function held(room, occupant, session)
		local remote, pr = room._dmuc.remotes[session], occupant and occupant:get_presence(session);
		if not remote or not pr or pr.attr.type then return nil; end
		return { remote = remote; pr = pr; role = occupant.role };
	end

	-- Whether everybody sees the same of it.
	local function is_same(one, other)
		if one.role ~= other.role then return false; end
		for _, key in ipairs { "jid"; "affiliation"; "is_verified"; "occupant_id" } do
			if one.remote[key] ~= other.remote[key] then return false; end
		end
		return dmuc.hats.is_same(one.remote.hats, other.remote.hats) and stanzas.same_children(one.pr, other.pr);
	end

	-- Puts an occupant of another instance into the room, or changes it.
	function presence.show(room, action, is_silent)
		local session, nick_jid = action.home.."/"..action.nick, room.jid.."/"..action.nick;
		local occupant = room:get_occupant_by_nick(nick_jid);
		local told = at_hand(action, session);
		local pr;
		if action.payload then
			pr = stanzas.add_payload(st.presence(), action.payload);
		else
			pr = told or occupant and occupant:get_presence(session);
			pr = pr and st.clone(pr) or st.presence();
		end
		pr.attr.type = nil;
		stanzas.strip(pr, stanzas.made_here);
		if action.occupant_id then pr:add_direct_child(stanzas.occupant_id(action.occupant_id)); end

		local remote, known = presence.remote_of(room, action), room._dmuc.remotes[session];
		-- Who is known by name has the hats of the list. Of others they are believed as far as the affiliation is.
		local hats = dmuc.hats.taken_out(pr);
		if not action.payload and not told then hats = known and known.hats; end
		remote.hats = not action.jid and action.affiliation ~= "none" and hats or nil;
		-- A roster repeats what is so already, and so does a home of a change of affiliation.
		local was = held(room, occupant, session);
		if was and is_same(was, { remote = remote; pr = pr; role = action.role }) then return; end
		local prev_role = occupant and occupant.role;
		local is_new = not occupant;
		-- Without a real JID that is known to be true an occupant is nobody in particular.
		local bare_jid = action.jid and jid_bare(action.jid) or session;
		if is_new then
			occupant = room:new_occupant(bare_jid, nick_jid);
		elseif not rooms.local_session(room, occupant) then
			occupant.bare_jid = bare_jid;
		end
		if is_new or not rooms.local_session(room, occupant) then
			occupant.role = action.role;
		end
		room._dmuc.remotes[session] = remote;
		occupant:set_session(session, pr);
		room:save_occupant(occupant);
		if is_silent then return; end
		-- Its home may have said who has made it what it is now.
		local item = told and item_in(told);
		local actor = item and item:get_child("actor");
		dmuc.crowds.tell(room, nick_jid, session, not is_new and { shown = was; role = prev_role }, function (live, before)
			local current = live:get_occupant_by_nick(nick_jid);
			local is = held(live, current, session);
			if not is or before and before.shown and is_same(before.shown, is) then return; end
			live:publicise_occupant_status(current, st.stanza("x", { xmlns = xmlns_muc_user }), nil,
				actor and rooms.session_of(live, actor.attr.nick), item and item:get_child_text("reason"),
				before and before.role or nil);
			if not before then
				-- As mod_muc has it: modules answer whoever this is from (with the room's avatar, say).
				pr.attr.from, pr.attr.to = session, nick_jid;
				module:fire_event("muc-occupant-joined", {
					room = live; nick = nick_jid; occupant = current; stanza = pr; origin = inside.origin();
				});
			end
		end);
	end

	-- Everybody may see real JIDs from now on: shows those that are known of other instances.
	function presence.reveal(room)
		for session, remote in pairs(room._dmuc.remotes) do
			local occupant = remote.jid and room:get_occupant_by_real_jid(session);
			if occupant and occupant.jid == session then
				room:publicise_occupant_status(occupant, st.stanza("x", { xmlns = xmlns_muc_user }), nil, nil, nil, occupant.role);
			end
		end
	end

	-- Takes an occupant of another instance out of the room.
	function presence.hide(room, action, is_silent)
		local session, nick_jid = action.home.."/"..action.nick, room.jid.."/"..action.nick;
		local remotes = room._dmuc.remotes;
		local occupant = room:get_occupant_by_nick(nick_jid);
		if not occupant or not occupant:get_presence(session) then
			remotes[session] = nil;
			return;
		end
		local has_others = false;
		for jid in occupant:each_session() do
			if jid ~= session then has_others = true; end
		end
		if has_others then
			-- The same person is here by another way, and is shown as it is there.
			local was_shown = occupant.jid == session;
			occupant:remove_session(session);
			remotes[session] = nil;
			occupant = room:save_occupant(occupant);
			if occupant and was_shown and not is_silent then
				room:publicise_occupant_status(occupant, st.stanza("x", { xmlns = xmlns_muc_user }), nil, nil, nil, occupant.role);
			end
			return;
		end
		local was, prev_role = held(room, occupant, session), occupant.role;
		local told = at_hand(action, session);
		local pr = told;
		if action.new_nick then
			pr = st.presence({ type = "unavailable" }); -- the role stays (XEP-0045 section 7.6), and nobody says good-bye
		else
			occupant.role = nil;
			pr = pr and pr.attr.type == "unavailable" and stanzas.strip(st.clone(pr), stanzas.made_here)
				or st.presence({ type = "unavailable" });
			dmuc.hats.taken_out(pr);
		end
		if action.occupant_id or remotes[session] and remotes[session].occupant_id then
			pr:add_direct_child(stanzas.occupant_id(action.occupant_id or remotes[session].occupant_id));
		end
		occupant:set_session(session, pr);
		room:save_occupant(occupant);
		local remote = remotes[session];
		remotes[session] = nil;
		if is_silent then return; end
		-- What made it go may not be in the list here yet.
		local item = told and item_in(told);
		if item and remote then remote.parting = item.attr.affiliation; end
		local x = st.stanza("x", { xmlns = xmlns_muc_user });
		for _, code in ipairs(action.codes) do
			x:tag("status", { code = ("%03d"):format(code) }):up();
		end
		local actor = rooms.session_of(room, action.actor);
		local function publicise(live, before)
			if not before then return; end -- nobody has seen it come
			local there = live._dmuc.remotes;
			there[session] = remote;
			live:publicise_occupant_status(occupant, x, action.new_nick, actor, action.reason, before.role);
			if there[session] == remote then there[session] = nil; end
			module:fire_event("muc-occupant-left", { room = live; nick = nick_jid; occupant = occupant });
		end
		local before = { shown = was; role = prev_role };
		if not action.new_nick and not action.codes[1] then
			return dmuc.crowds.tell(room, nick_jid, session, before, publicise);
		end
		-- Why it goes is told whether it comes back or not.
		dmuc.crowds.settle(nick_jid);
		publicise(room, before);
	end

	-- Instances tell each other of occupants, and nothing else by presence: what a room says of itself (its avatar) each
	-- instance tells its own people. Before mod_s2s (-1) sends it.
	module:hook("route/remote", function (event)
		local from, to = event.stanza.attr.from, event.stanza.attr.to;
		if event.stanza.name ~= "presence" or not from or not to or jid_resource(from) or not dmuc.role(from) then return; end
		if dmuc.ask("is_instance", from, jid_bare(to)) then return true; end
	end, 100);

	for _, event_name in ipairs { "muc-occupant-pre-join"; "muc-occupant-pre-change"; "muc-occupant-pre-leave" } do
		module:hook(event_name, stanzas.only_theirs, 1000);
	end

	module:hook("muc-occupant-pre-change", inside.renamed, 1000);

	-- Somebody here lost a nick clash: a forced change of nick (303, then 210), never a kick (G8).
	function presence.rename(room, nick, new_nick)
		local occupant = room:get_occupant_by_nick(room.jid.."/"..nick);
		if not occupant then return; end
		local to = room.jid.."/"..new_nick;
		local is_first = true;
		for jid, pr in occupant:each_session() do
			if not room._dmuc.remotes[jid] and pr.attr.type == nil then
				local stanza = st.clone(pr);
				stanza.attr.from = jid;
				inside.rename(room, stanza, to, is_first);
				is_first = false;
			end
		end
		module:log("info", "%s had to give up the nick %s in %s: somebody at another instance keeps it", new_nick, nick, room.jid);
	end

	-- Our occupant's presence on its way to one peer instance.
	function presence.send(action)
		local from, to = action.room.."/"..action.nick, action.to.."/"..action.nick;
		local pr;
		if action.available then
			local room = dmuc.get_room(action.room);
			local occupant = room and inside.occupants(room)[from];
			local session = occupant and rooms.local_session(room, occupant);
			if not session then return; end -- gone meanwhile; that is announced next
			pr = stanzas.strip(st.clone(occupant:get_presence(session)), stanzas.made_here);
			stanzas.add_payload(pr, dmuc.hats.shown(room, occupant));
			pr.attr.from, pr.attr.to = from, to;
			local cause = action.cause;
			local why = cause and cause.nick == action.nick and cause.why;
			if why then action.actor, action.reason = why.actor, why.reason; end
		else
			pr = stanzas.add_payload(st.presence({ from = from; to = to; type = "unavailable" }), action.payload);
		end
		pr:tag("x", { xmlns = xmlns_muc_user })
			:tag("item", { affiliation = action.affiliation; role = action.role; jid = action.jid; nick = action.new_nick });
		if action.actor then pr:tag("actor", { nick = action.actor }):up(); end
		if action.reason then pr:text_tag("reason", action.reason); end
		pr:up();
		for _, code in ipairs(action.codes) do
			pr:tag("status", { code = ("%03d"):format(code) }):up();
		end
		pr:up();
		if action.serial then
			pr:tag("occupant", { xmlns = dmuc.xmlns_ours; id = action.occupant_id; serial = action.serial; version = action.version }):up();
		end
		module:send(pr);
	end

	local function item_of(stanza)
		local x, item = stanza:get_child("x", xmlns_muc_user), item_in(stanza);
		local stamp = stanza:get_child("occupant", dmuc.xmlns_ours);
		local occupant_id = stanza:get_child("occupant-id", stanzas.xmlns_occupant_id);
		local actor = item and item:get_child("actor");
		return {
			affiliation = item and item.attr.affiliation;
			role = item and item.attr.role;
			jid = item and item.attr.jid;
			new_nick = item and item.attr.nick;
			reason = item and item:get_child_text("reason");
			actor = actor and actor.attr.nick;
			codes = x and stanzas.codes(x);
			occupant_id = stamp and stamp.attr.id or occupant_id and occupant_id.attr.id;
			serial = stamp and stamp.attr.serial;
			version = stamp and stamp.attr.version;
			payload = stanzas.payload(stanza);
		};
	end

	local function refuse(origin, stanza, room_jid, err_type, condition, text)
		dmuc.metrics.refused("presence", condition);
		dmuc.tally.refusal("warn", ("Refused presence from %s: %s (%s)"):format(jid_host(stanza.attr.from), condition, text),
			("Refused presence from %s for %s: %s (%s)"):format(stanza.attr.from, room_jid, condition, text));
		if stanza.attr.type ~= "unavailable" then
			origin.send(st.error_reply(stanza, err_type, condition, text, room_jid));
		end
		return true;
	end

	-- Presence from one room JID to another (XEP-0281 sections 3.4 and 3.5).
	module:hook("presence/full", function (event)
		local origin, stanza = event.origin, event.stanza;
		local from, to, type = stanza.attr.from, stanza.attr.to, stanza.attr.type;
		local room_jid = jid_bare(to);
		if not dmuc.role(room_jid) then return; end
		local is_instance = dmuc.ask("is_instance", room_jid, jid_bare(from));
		if not is_instance and not dmuc.ask("is_peer", jid_host(from)) then return; end
		if type == "error" then
			if not is_instance then return; end
			dmuc.requests.peer_error(origin, stanza);
			return true;
		end
		if type ~= nil and type ~= "unavailable" then
			if is_instance then
				return refuse(origin, stanza, room_jid, "modify", "bad-request", "Instances send only presence of occupants");
			end
			return;
		end
		if not jid_resource(from) then
			-- What a room tells its occupants of its avatar (XEP-0153), harmlessly: each instance has its own.
			if is_instance and stanza:get_child("x", "vcard-temp:x:update") then return true; end
			if not is_instance then return; end
			return refuse(origin, stanza, room_jid, "modify", "bad-request", "Instances send presence of their occupants");
		end
		dmuc.get_room(room_jid); -- an evicted room comes back first
		local verdict, err_type, condition, text = dmuc.feed_because(stanza, "peer_presence", from, to, type == nil, item_of(stanza));
		if verdict == "continue" then return; end
		if not verdict then return refuse(origin, stanza, room_jid, err_type, condition, text); end
		return true;
	end, 10);

	-- What a room itself had sent to a peer's occupant, and what comes of it: mod_muc would remove the occupant (G8).
	module:hook("presence/bare", function (event)
		local stanza = event.stanza;
		local from, room_jid = stanza.attr.from, stanza.attr.to;
		if stanza.attr.type ~= "error" or not dmuc.role(room_jid) then return; end
		if not dmuc.ask("is_instance", room_jid, jid_bare(from)) then return; end
		dmuc.requests.peer_error(event.origin, stanza);
		return true;
	end, 10);
end
