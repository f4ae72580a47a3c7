-- Mediated invitations and declines (XEP-0045 section 7.8.2): the instance that serves the invitee best sends the
-- invitation, the source makes a member where only members may join, and declines find who invited.
--
-- mod_muc checks who may invite and puts the stanzas together. While it does so for a distributed room, its coroutine is
-- inviting = { is_new = whether it was just asked for here; by = session in whose name it is done elsewhere }.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local invitations = {};
	dmuc.invitations = invitations;

	local inside, rooms = dmuc.prosody, dmuc.rooms;
	local xmlns_muc_user = dmuc.stanzas.xmlns_muc_user;

	local function invite_of(stanza)
		return stanza:get_child("x", xmlns_muc_user):get_child("invite");
	end

	-- What mod_muc answers is for the instance that asks.
	local function recorder()
		local origin;
		origin = inside.origin(function (reply) origin.answer = reply; end);
		function origin.error()
			if not origin.answer then return nil, "auth", "forbidden"; end
			return nil, origin.answer:get_error();
		end
		return origin;
	end

	local function an_invite(room, from, jid, reason)
		local stanza = st.message({ from = from; to = room.jid })
			:tag("x", { xmlns = xmlns_muc_user }):tag("invite", { to = jid });
		if reason then stanza:text_tag("reason", reason); end
		return stanza:reset();
	end

	local function inviting(room, how, origin, stanza)
		return dmuc.turns.within(room, { inviting = how }, inside.own.handle_mediated_invite,
			room, origin, stanza);
	end

	function inside.replaced:handle_mediated_invite(origin, stanza)
		if self._dmuc.remotes[stanza.attr.from] then
			-- Peers invite in their own way, which is checked.
			origin.send(st.error_reply(stanza, "auth", "forbidden", nil, self.jid));
			return true;
		end
		return inviting(self, { is_new = true }, origin, stanza);
	end

	local banned = { "auth"; "forbidden"; "Who is banned from this room cannot be invited" };

	-- As mod_muc does it, at the source; but mod_muc makes a member of whom the room has banned, too.
	local function make_member(room, jid, by)
		local held = room:get_affiliation(jid);
		if held == "outcast" then return nil, banned[1], banned[2], banned[3]; end
		if not room:get_members_only() or held then return true; end
		return room:set_affiliation(true, jid, "member", "Invited by "..by);
	end

	-- Before anybody is invited, by whomever.
	module:hook("muc-invite", function (event)
		local room = event.room;
		if not room._dmuc or room:get_affiliation(event.stanza.attr.to) ~= "outcast" then return; end
		event.origin.send(st.error_reply(event.incoming, banned[1], banned[2], banned[3], room.jid));
		return true;
	end, 110);

	-- Before mod_muc's own handlers, of which one makes a member (0) and one hides who invites (50).
	module:hook("muc-invite", function (event)
		local room, origin, incoming = event.room, event.origin, event.incoming;
		local how = room._dmuc and dmuc.turns.current(room, "inviting");
		if not how or not how.is_new then return; end
		local problem, problem_condition, problem_text = dmuc.requests.problem();
		if problem then
			origin.send(st.error_reply(incoming, problem, problem_condition, problem_text, room.jid));
			return true;
		end
		local from = incoming.attr.from;
		local nick = room:get_occupant_jid(from);
		-- Before another instance invites it.
		if room._dmuc.is_source then make_member(room, event.stanza.attr.to, nick or from); end
		local token = rooms.next_token();
		dmuc.requests.await(token, { origin = origin; stanza = st.clone(incoming) });
		local verdict, err_type, condition, text = dmuc.feed("invite", room.jid, token, {
			nick = nick and jid_resource(nick); jid = from;
			invitee = event.stanza.attr.to; reason = invite_of(event.stanza):get_child_text("reason");
		});
		if verdict == "done" then return true; end
		dmuc.requests.take(token);
		if verdict then
			how.from = verdict == "hold" and from or nil;
			return;
		end
		origin.send(st.error_reply(incoming, err_type, condition, text, room.jid));
		return true;
	end, 100);

	-- Who invites from elsewhere: by the real JID where mod_muc shows it and it is known, else by its place in the room.
	module:hook("muc-invite", function (event)
		local room = event.room;
		local invite = room._dmuc and invite_of(event.stanza);
		local remote = invite and room._dmuc.remotes[invite.attr.from];
		if remote then invite.attr.from = remote.jid or room:get_occupant_jid(invite.attr.from); end
	end, 40);

	-- mod_muc makes a member of who is invited at a shadow: the source has done so, or is out of reach. Returns for whom
	-- it may do so itself, provisionally, or nil.
	function invitations.admits(room, how)
		local from = how.from;
		if not from then return nil; end
		local nick = room:get_occupant_jid(from);
		return { nick = nick and jid_resource(nick); jid = jid_bare(from); is_invited = true };
	end

	-- The source has made a member of the invitee, or another instance could not send the invitation: this one does. Who
	-- invites waits for it also if the room (nil then) has gone meanwhile.
	function invitations.send(room, action)
		local sent = dmuc.requests.take(action.token);
		if not sent then return; end
		if room then
			inviting(room, {}, sent.origin, sent.stanza);
		else
			sent.origin.send(st.error_reply(sent.stanza, "cancel", "item-not-found", nil, action.room));
		end
	end

	-- An occupant of another instance invites a user of this server.
	function invitations.perform(room, actor, action)
		if not inside.users_of(jid_host(action.jid)) then return nil, "cancel", "item-not-found"; end
		local origin = recorder();
		inviting(room, { by = actor }, origin, an_invite(room, actor, action.jid, action.reason));
		if origin.answer then return origin.error(); end
		return true;
	end

	-- At the source: somebody invited a user at a shadow, which is to become a member.
	function invitations.admit(room, actor, action)
		if action.affiliation ~= "member" then return nil, "cancel", "not-allowed"; end
		if actor ~= true then
			local origin = recorder();
			local session = rooms.acting_session(room, actor);
			local event = { room = room; origin = origin; stanza = an_invite(room, session, action.jid) };
			if module:fire_event("muc-pre-invite", event) then return origin.error(); end
		end
		local nick = actor ~= true and room:get_occupant_jid(rooms.acting_session(room, actor));
		return make_member(room, action.jid, nick or room.jid);
	end

	-- Before mod_muc delivers it.
	local is_found = setmetatable({}, { __mode = "k" }); -- [stanza] = true for one whose addressee is known to be here
	module:hook("muc-decline", function (event)
		local room, origin, incoming = event.room, event.origin, event.incoming;
		if not room._dmuc or is_found[event.stanza] then return; end
		if room._dmuc.remotes[incoming.attr.from] then
			-- Peers decline in their own way, too.
			origin.send(st.error_reply(incoming, "auth", "forbidden", nil, room.jid));
			return true;
		end
		local decline = event.stanza:get_child("x", xmlns_muc_user):get_child("decline");
		local verdict, err_type, condition, text = dmuc.feed("decline", room.jid, incoming.attr.from, event.stanza.attr.to,
			decline:get_child_text("reason"));
		if verdict == "continue" then return; end
		if not verdict then origin.send(st.error_reply(incoming, err_type, condition, text, room.jid)); end
		return true;
	end, 100);

	-- To who invited: to its sessions here if it is in the room.
	function invitations.decline(room, action)
		local stanza = st.message({ from = room.jid; to = action.to })
			:tag("x", { xmlns = xmlns_muc_user }):tag("decline", { from = action.invitee });
		if action.reason then stanza:text_tag("reason", action.reason); end
		stanza:reset();
		is_found[stanza] = true;
		if module:fire_event("muc-decline", { room = room; stanza = stanza; incoming = stanza; origin = recorder() }) then
			return;
		end
		local occupant = room:get_occupant_by_real_jid(action.to);
		if not occupant then return room:route_stanza(stanza); end
		for session in occupant:each_session() do
			if not room._dmuc.remotes[session] then
				local copy = st.clone(stanza);
				copy.attr.to = session;
				room:route_stanza(copy);
			end
		end
	end
end
