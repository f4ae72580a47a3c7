-- What is different about a distributed room: methods of the room object are replaced while it is distributed (the list of
-- them is in prosody.lib.lua).
--
-- Occupants of other instances are ordinary occupants whose session is their in-room JID at home, so that private
-- messages, IQs, nick lookup and lists work by themselves. Broadcasts are for local sessions only (the engine sends the
-- one copy each instance gets), and rights and item lists follow the real JID.
--
-- room._dmuc = {
--   locals = { [occupant JID] = occupant with a local session };
--   remotes = { [session JID] = { home, jid, affiliation, occupant_id, hats } };
--   left = { [occupant JID] = true for one that has lost its last local session, until that is shown };
-- }
--
-- What a coroutine is in the middle of (dmuc.turns.within):
--   only_locals: the room is walked by its local occupants;
--   skips_remotes: nothing is sent to sessions of other instances;
--   tells_all: what is sent goes to many;
--   takes_form: the source's configuration is taken in;
--   is_performing: this instance does what another one asked of it;
--   provisional: this instance decides what the source will be told, { nick, jid } of who wants it;
--   inviting: see invitations.lib.lua;
--   whispering: session of another instance from which a private message comes.

local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local st = require "util.stanza";
local time_now = require "util.time".now;

return function (dmuc)
	local rooms = {};
	dmuc.rooms = rooms;

	local inside, turns = dmuc.prosody, dmuc.turns;
	local own, occupants_of, listed = inside.own, inside.occupants, inside.listed;
	local current = turns.current;

	-- The engine outlives a reload of this module, and so do its tokens.
	local next_token = math.floor(time_now() * 1000000);

	-- Runs a method of mod_muc that broadcasts, on the local sessions only. Costs O(local occupants).
	local function locally(room, method, ...)
		return turns.within(room, { only_locals = true; skips_remotes = true }, own[method], room, ...);
	end
	rooms.locally = locally;

	-- The same of one that tells everybody the same.
	local function to_all(room, method, ...)
		return turns.within(room, { only_locals = true; skips_remotes = true; tells_all = true }, own[method], room, ...);
	end

	-- The session through which an occupant takes part elsewhere, and what is known of it.
	function rooms.remote_session(room, occupant)
		for jid in occupant:each_session() do
			local remote = room._dmuc.remotes[jid];
			if remote then return jid, remote; end
		end
	end

	-- A local session of the occupant: the primary one if it is local.
	function rooms.local_session(room, occupant)
		local remotes = room._dmuc.remotes;
		local primary = occupant.jid;
		if primary and not remotes[primary] and occupant:get_presence(primary) then return primary; end
		-- Whatever the order of the table: the peers are told of one session only, always the same one.
		local live, any;
		for jid, presence in occupant:each_session() do
			if not remotes[jid] then
				if not any or jid < any then any = jid; end
				if presence.attr.type == nil and (not live or jid < live) then live = jid; end
			end
		end
		return live or any;
	end

	-- A session that leads mod_muc to this nick, wherever its home is.
	function rooms.session_of(room, nick)
		local occupant = nick and occupants_of(room)[room.jid.."/"..nick];
		return occupant and (rooms.local_session(room, occupant) or rooms.remote_session(room, occupant)) or nil;
	end

	function rooms.has_live_local_session(room, occupant)
		if occupant.role == nil then return false; end
		local remotes = room._dmuc.remotes;
		for jid, presence in occupant:each_session() do
			if not remotes[jid] and presence.attr.type == nil then return true; end
		end
		return false;
	end

	-- The bare real JID of an occupant, wherever its home is, if it is known.
	function rooms.real_jid(room, occupant)
		if rooms.local_session(room, occupant) then return occupant.bare_jid; end
		local _, remote = rooms.remote_session(room, occupant);
		return remote and remote.jid and jid_bare(remote.jid);
	end

	-- The affiliation of an occupant of another instance: the source's own as the source says, of others the list's, as soon
	-- as it has changed, where the real JID is known, otherwise what its home says. Who is removed is what made it go.
	local function affiliation_of(room, remote)
		if remote.parting then return remote.parting; end
		if remote.home == room._dmuc.source then return remote.affiliation; end
		local affiliation = remote.jid and listed(room, jid_bare(remote.jid));
		if affiliation or not remote.jid then return affiliation or remote.affiliation; end
		return "none";
	end

	function rooms.next_token()
		next_token = next_token + 1;
		return next_token;
	end

	-- The occupant-id is the one its home gave (G5). mod_muc computes it unless it is set.
	local function identify(room, occupant)
		local _, remote = rooms.remote_session(room, occupant);
		inside.set_occupant_id(occupant, remote and not room._dmuc.locals[occupant.nick] and remote.occupant_id or nil);
	end

	-- Who acts may be known by the real JID only (the list of affiliations knows people), or not be here at all.
	function rooms.acting_session(room, actor)
		if room:get_occupant_jid(actor) then return actor; end
		for nick, occupant in pairs(occupants_of(room)) do
			if rooms.real_jid(room, occupant) == actor then return rooms.session_of(room, jid_resource(nick)); end
		end
		return actor;
	end

	-- Whether what this coroutine sets counts here: at the source, and provisionally.
	function rooms.decides(room)
		return room._dmuc.is_source or current(room, "provisional") ~= nil;
	end

	local methods = inside.replaced;

	function methods:each_occupant(...)
		if current(self, "only_locals") then return next, self._dmuc.locals, nil; end
		return own.each_occupant(self, ...);
	end

	function methods:route_stanza(stanza)
		local to = stanza.attr.to;
		if self._dmuc.remotes[to] then
			-- Who sent a private message is told why it is refused here.
			if current(self, "skips_remotes") and (stanza.attr.type ~= "error" or current(self, "whispering") ~= to) then return; end
			local passes = current(self, "passes"); -- persons.lib.lua
			if passes and not passes(self, stanza) then return; end
		elseif current(self, "tells_all") then
			return dmuc.fanout.route(self, stanza);
		end
		return own.route_stanza(self, stanza);
	end

	function methods:save_occupant(occupant)
		local state = self._dmuc;
		dmuc.persons.choose_primary(self, occupant);
		local saved = own.save_occupant(self, occupant);
		local was_local = state.locals[occupant.nick];
		state.locals[occupant.nick] = saved and rooms.has_live_local_session(self, saved) and saved or nil;
		if state.locals[occupant.nick] then
			state.left[occupant.nick] = nil;
		elseif was_local then
			state.left[occupant.nick] = true;
		end
		if saved then
			identify(self, saved);
		end
		return saved;
	end

	function methods:broadcast(stanza, condition)
		dmuc.together.settle();
		local remotes, to = self._dmuc.remotes, stanza.attr.to;
		-- Another module may have put its own in this place.
		local route = self.route_stanza == methods.route_stanza and dmuc.fanout.route or self.route_stanza;
		for nick, occupant in next, self._dmuc.locals do
			if condition == nil or condition(nick, occupant) then
				for jid in occupant:each_session() do
					if not remotes[jid] then
						stanza.attr.to = jid;
						route(self, stanza);
					end
				end
			end
		end
		dmuc.fanout.finish(stanza);
		stanza.attr.to = to;
	end

	-- The home of an occupant learns of everybody in its own way, once.
	function methods:send_occupant_list(to, filter)
		if self._dmuc.remotes[to] then return; end
		return own.send_occupant_list(self, to, filter);
	end

	local function publicise(room, occupant, x, nick, actor, reason, prev_role, force_unavailable, recipient)
		local state, has_left = room._dmuc, nil;
		if not recipient and not force_unavailable then
			has_left = state.left[occupant.nick];
			state.left[occupant.nick] = nil;
		end
		identify(room, occupant);
		-- mod_muc does not say who is removed when a room becomes members-only: nobody would see it.
		if occupant.role == nil and prev_role == nil then prev_role = "participant"; end
		actor = actor and rooms.acting_session(room, actor);
		local publicise_it = recipient and locally or to_all;
		publicise_it(room, "publicise_occupant_status", occupant, x, nick, actor, reason, prev_role, force_unavailable, recipient);
		if not recipient and not force_unavailable and room._dmuc == state then
			local actor_nick = actor and jid_resource(room:get_occupant_jid(actor));
			dmuc.presence.publicised(room, occupant, has_left, x.base or x, nick, actor_nick, reason);
		end
	end

	-- Each instance sees to its own people when a room becomes members-only.
	function methods:process_form(...)
		return locally(self, "process_form", ...);
	end

	function methods:publicise_occupant_status(...)
		return dmuc.hold(publicise, self, ...);
	end

	-- Item lists name the real JID where it is known, and the affiliation its home or the list gives it.
	function methods:build_item_list(occupant, x, is_anonymous, nick, actor_nick, actor_jid, reason)
		local acting = actor_jid and self._dmuc.remotes[actor_jid];
		if acting then actor_jid = acting.jid; end -- not the session through which it takes part
		local _, remote = rooms.remote_session(self, occupant);
		if not remote then
			return own.build_item_list(self, occupant, x, is_anonymous, nick, actor_nick, actor_jid, reason);
		end
		local function add_item(jid)
			x:tag("item", { affiliation = affiliation_of(self, remote); role = occupant.role or "none"; jid = jid; nick = nick });
			if actor_nick or actor_jid then
				x:tag("actor", { nick = actor_nick; jid = actor_jid }):up();
			end
			if reason then x:text_tag("reason", reason); end
			x:up();
		end
		local is_listed = false;
		if not is_anonymous then
			for jid in occupant:each_session() do
				local other = self._dmuc.remotes[jid];
				local real_jid = jid;
				if other then real_jid = other.jid; end
				if real_jid then
					add_item(real_jid);
					is_listed = true;
				end
			end
		end
		if not is_listed then add_item(nil); end
		return x;
	end

	-- Whether somebody who is not known here may send a private message because of an affiliation its home has decided:
	-- that it is on the list is believed, and nothing more (G11).
	local function as_its_home_says(room, session, remote)
		if room._dmuc.is_source and remote.is_verified then return "none"; end
		local claimed = dmuc.ask("claimed_affiliation", room.jid, remote.home, jid_resource(session));
		return claimed and claimed ~= "none" and claimed ~= "outcast" and "member" or "none";
	end

	function methods:get_affiliation(jid)
		local remote = self._dmuc.remotes[jid];
		if remote then
			-- Rights only where they can be known: by a real JID its home may name, or from the source.
			local inviting = current(self, "inviting");
			local is_believed = remote.is_verified or inviting and inviting.by == jid; -- the source has checked it, or will
			local rights = is_believed and affiliation_of(self, remote) or "none";
			if rights == "none" and current(self, "whispering") == jid then rights = as_its_home_says(self, jid, remote); end
			return rights ~= "none" and rights or nil;
		end
		if self._dmuc.is_source then
			return own.get_affiliation(self, jid);
		end
		-- A shadow follows the source's list: being an administrator of this server gives no rights in it.
		return listed(self, jid_bare(jid)) or listed(self, jid_host(jid)) == "outcast" and "outcast" or nil;
	end

	-- Nothing of what it tells about occupants is for their sessions elsewhere.
	function methods:set_affiliation(actor, jid, affiliation, reason, data)
		local state = self._dmuc;
		local problem;
		data, problem = dmuc.hats.settle(self, jid_bare(jid), data);
		if problem then return nil, "cancel", "not-allowed", problem; end
		local inviting, provisional = current(self, "inviting"), nil;
		if inviting and not state.is_source then
			provisional = dmuc.invitations.admits(self, inviting);
			if not provisional then return true; end
		end
		return turns.within(self, { skips_remotes = true; provisional = provisional },
			own.set_affiliation, self, actor, jid, affiliation, reason, data);
	end

	local roles = { none = true; visitor = true; participant = true; moderator = true };

	-- What the homes of an occupant are asked if somebody here gives it a role, or nil and why nobody is asked.
	function rooms.role_act(room, actor, occupant, role, reason)
		if not actor then return nil, "modify", "not-acceptable"; end
		if role == nil or role == false then role = "none"; end
		if not roles[role] then return nil, "modify", "not-acceptable"; end
		local act = { role = role; nick = jid_resource(occupant.nick); reason = reason };
		if actor ~= true then
			local allowed, err, condition = room:may_set_role(actor, occupant, role ~= "none" and role or nil);
			if not allowed then return nil, err, condition; end
			act.actor_nick = jid_resource(room:get_occupant_jid(actor));
			act.actor_jid = jid_bare(actor);
		end
		return act;
	end

	-- A role of an occupant is its home's to set, and that of somebody with clients at several instances every home's.
	-- Modules that call this do not learn what the homes decide; users do (requests.lib.lua).
	function methods:set_role(actor, occupant_jid, role, reason)
		local occupant = self:get_occupant_by_nick(occupant_jid);
		local is_here = not occupant or rooms.local_session(self, occupant);
		local is_elsewhere = occupant and rooms.remote_session(self, occupant);
		-- Who asks from elsewhere asks every home, and of what only the source does by itself every instance sees to its own.
		if is_here and (not is_elsewhere or current(self, "is_performing") or actor == true and not self._dmuc.is_source) then
			return own.set_role(self, actor, occupant_jid, role, reason);
		end
		local act, err, condition = rooms.role_act(self, actor, occupant, role, reason);
		if not act then return nil, err, condition; end
		local problem, problem_condition = dmuc.requests.problem();
		if problem then return nil, problem, problem_condition; end
		if is_here then
			local ok, here_err, here_condition = own.set_role(self, actor, occupant_jid, role, reason);
			if not ok then return ok, here_err, here_condition; end
		end
		dmuc.requests.act(self, act);
		return true;
	end

	-- The configuration of a room was stored.
	function rooms.saved(room)
		if room._dmuc and room._dmuc.is_source then dmuc.forms.changed(room); end
	end

	-- Makes a live room distributed, and brings its occupants in line with the engine's.
	function rooms.attach(room)
		local role, source = dmuc.role(room.jid);
		if not role or room._dmuc then return; end
		local state = {
			locals = {};
			remotes = {};
			left = {};
			unseen = {}; -- occupants here of whom other instances are not told, by in-room JID
			is_source = role == "source";
			source = source;
		};
		room._dmuc = state;
		inside.kept(room).dmuc_source = not state.is_source and source or nil; -- outlives what is distributed about it
		inside.take(room, rooms.closed_setter);
		-- Sessions of other instances that Prosody froze with the room, and those that came since.
		local there = {};
		for _, remote in ipairs(dmuc.ask("remote_occupants", room.jid)) do
			there[remote.home.."/"..remote.nick] = remote;
		end
		for _, occupant in pairs(occupants_of(room)) do
			for jid, presence in occupant:each_session() do
				if dmuc.ask("is_instance", room.jid, jid_bare(jid)) then
					state.remotes[jid] = dmuc.presence.remote_of(room, there[jid] or { home = jid_bare(jid); affiliation = "none" });
				else
					dmuc.hats.taken_out(presence); -- a client may have said so while nobody took it out
				end
			end
		end
		local gone = {};
		for nick, occupant in pairs(occupants_of(room)) do
			room:save_occupant(occupant);
			for jid in occupant:each_session() do
				if state.remotes[jid] and not there[jid] then
					gone[#gone + 1] = { nick = jid_resource(nick); home = jid_bare(jid) };
				end
			end
		end
		for _, remote in ipairs(gone) do
			dmuc.presence.hide(room, remote, true);
		end
		for _, remote in pairs(there) do
			dmuc.presence.show(room, remote, true);
		end
		-- And ours: what the engine has missed while nobody told it.
		for _, occupant in pairs(state.locals) do
			dmuc.presence.announce(room, occupant);
		end
		for _, nick in ipairs(dmuc.ask("local_nicks", room.jid)) do
			if not state.locals[room.jid.."/"..nick] then
				dmuc.tell("occupant_left", room.jid, { nick = nick });
			end
		end
	end

	-- Gives the room back to mod_muc, without its remote occupants.
	function rooms.detach(room)
		local state = room._dmuc;
		if not state then return; end
		for jid in pairs(state.remotes) do
			local occupant = room:get_occupant_by_real_jid(jid);
			if occupant then
				occupant:remove_session(jid);
				if not occupant.jid then occupant.role = nil; end
				own.save_occupant(room, occupant);
			end
		end
		inside.give_back(room);
		room._dmuc = nil;
	end

	-- A line in the room from the room itself, to everybody here or to some.
	function rooms.tell(room, text, condition)
		local message = st.message({ from = room.jid; type = "groupchat" }, text);
		room:broadcast(message, condition);
	end
end
