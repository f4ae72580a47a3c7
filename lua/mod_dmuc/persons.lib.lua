-- One person with clients at several instances is one occupant (XEP-0045 section 7.2.9): who that is, which of the clients
-- is shown, and which of them gets what is for the occupant.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local persons = {};
	dmuc.persons = persons;

	local rooms = dmuc.rooms;
	local own, methods = dmuc.prosody.own, dmuc.prosody.replaced;

	-- Whether an occupant who is elsewhere only, and whose real JID is not for this instance to know, is this person: all
	-- instances compute the same occupant-id (XEP-0421) of the same bare JID, and nobody learns a JID by the comparison.
	local function is_same_person(room, occupant, bare_jid)
		local occupant_id = room:get_occupant_id({ bare_jid = bare_jid });
		local is_same = false;
		for session in occupant:each_session() do
			local remote = room._dmuc.remotes[session];
			if not remote or remote.jid then return false; end -- mod_muc compares real JIDs
			is_same = is_same or remote.occupant_id == occupant_id;
		end
		return is_same;
	end

	-- Before the occupant-id is put into the presence (0), and mod_muc looks for a conflict of nicks.
	local function recognise(occupant, event)
		local bare_jid = jid_bare(event.stanza.attr.from);
		if not event.room._dmuc or event.is_first_session or occupant.bare_jid == bare_jid then return; end
		if not is_same_person(event.room, occupant, bare_jid) then return; end
		occupant.bare_jid = bare_jid;
		-- Nobody becomes a moderator here because another service says so of an occupant-id (G11).
		local default_role = event.room:get_default_role(event.room:get_affiliation(bare_jid));
		if occupant.role == "moderator" and default_role ~= "moderator" then occupant.role = default_role; end
	end
	module:hook("muc-occupant-pre-join", function (event) recognise(event.occupant, event); end, 500);
	module:hook("muc-occupant-pre-change", function (event) recognise(event.dest_occupant, event); end, 500);

	-- Whether an occupant has clients at several instances.
	local function has_several(room, occupant)
		local home;
		for jid in occupant:each_session() do
			local remote = room._dmuc.remotes[jid];
			local this = remote and remote.home or room.jid;
			if home and home ~= this then return true; end
			home = this;
		end
		return false;
	end

	persons.has_several = has_several;

	-- Which of the clients is shown is decided alike everywhere: one of the instance that was joined first.
	function persons.choose_primary(room, occupant)
		if not has_several(room, occupant) then return; end
		local home = dmuc.ask("first_home", room.jid, jid_resource(occupant.nick));
		if not home then return; end
		local session = home == room.jid and rooms.local_session(room, occupant) or home.."/"..jid_resource(occupant.nick);
		local presence = occupant:get_presence(session);
		if presence and presence.attr.type == nil then occupant.jid = session; end
	end

	-- The engine has heard of a client here, which may have been the first one.
	function persons.announced(room, occupant)
		if not has_several(room, occupant) then return; end
		local current = room:get_occupant_by_nick(occupant.nick);
		local before = current and current.jid;
		current = current and room:save_occupant(current);
		if current and current.jid ~= before then
			room:publicise_occupant_status(current, st.stanza("x", { xmlns = dmuc.stanzas.xmlns_muc_user }),
				nil, nil, nil, current.role);
		end
	end

	-- A removal that did not happen everywhere: who is still there by way of another instance is shown.
	function persons.show_again(room, nick)
		for _, remote in ipairs(dmuc.ask("remote_occupants", room.jid)) do
			if remote.nick == nick then
				dmuc.turns.run(dmuc.presence.lane(room.jid, nick), dmuc.presence.show, room, remote);
			end
		end
	end

	-- Whether what is for the occupant alone is for this session: an occupant-id is public, and which home may say whose
	-- client it has where the person is known here the engine knows.
	local function is_vouched_for(room, occupant, session)
		local remote = room._dmuc.remotes[session];
		return not remote or dmuc.ask("is_vouched_for", room.jid, remote.home, jid_resource(occupant.nick));
	end

	local function is_out_of_reach(remote)
		return dmuc.ask("link", jid_host(remote.home)) == "down";
	end

	-- The session through which an occupant is asked something: one here, else one that can be reached; nil if nobody is
	-- vouched for.
	function persons.reached(room, occupant)
		local session = rooms.local_session(room, occupant);
		if session then return session; end
		for jid in occupant:each_session() do
			if is_vouched_for(room, occupant, jid) then
				session = session or jid;
				if not is_out_of_reach(room._dmuc.remotes[jid]) then return jid; end
			end
		end
		return session;
	end

	-- As mod_muc says it.
	local function not_here(room, origin, stanza)
		origin.send(st.error_reply(stanza, "cancel", "item-not-found", "Recipient not in room", room.jid));
		return true;
	end

	-- To an occupant who is not here (any more) nothing is passed on for somebody who is not here either.
	local function is_for_nobody(room, origin, stanza)
		if not room._dmuc.remotes[stanza.attr.from] or stanza.attr.type == "error" or stanza.attr.type == "result" then
			return false;
		end
		local occupant = room:get_occupant_by_nick(stanza.attr.to);
		if not occupant or rooms.local_session(room, occupant) then return false; end
		return not_here(room, origin, stanza);
	end

	-- Where hooks of other modules send what they answer somebody elsewhere: to them it came from the room.
	local function answering(origin, session)
		local function send(stanza)
			local answer = st.clone(stanza);
			answer.attr.to = session;
			module:send(answer);
			return true;
		end
		return setmetatable({ send = send }, { __index = origin });
	end

	-- Who sends a private message from elsewhere sends it to every home of the addressee, and so do we.
	function methods:handle_message_to_occupant(origin, stanza)
		if is_for_nobody(self, origin, stanza) then return true; end
		local from = stanza.attr.from;
		if self._dmuc.remotes[from] then
			return dmuc.turns.within(self, { whispering = from }, rooms.locally, self, "handle_message_to_occupant",
				answering(origin, from), stanza);
		end
		local occupant = self:get_occupant_by_nick(stanza.attr.to);
		if not occupant or not has_several(self, occupant) then
			return own.handle_message_to_occupant(self, origin, stanza);
		end
		local type, reached = stanza.attr.type, persons.reached(self, occupant);
		if not reached and type ~= "error" and type ~= "groupchat" and self:get_occupant_jid(stanza.attr.from) then
			return not_here(self, origin, stanza);
		end
		-- One that gets it will do: no error for the others.
		local function passes(room, copy)
			local remote = room._dmuc.remotes[copy.attr.to];
			if not is_vouched_for(room, occupant, copy.attr.to) then return false; end
			return not remote or copy.attr.to == reached or not is_out_of_reach(remote);
		end
		return dmuc.turns.within(self, { passes = passes }, own.handle_message_to_occupant, self, origin, stanza);
	end

	function methods:get_occupant_by_nick(nick)
		local occupant = own.get_occupant_by_nick(self, nick);
		if not occupant or not dmuc.turns.current(self, "asks_one") or not has_several(self, occupant) then return occupant; end
		occupant.jid = persons.reached(self, occupant);
		-- For mod_muc somebody who is not here, if there is no home that may have it.
		return occupant.jid and occupant or nil;
	end

	-- A request goes to one client, here if there is one.
	function methods:handle_iq_to_occupant(origin, stanza)
		local type = stanza.attr.type;
		if type ~= "get" and type ~= "set" then return own.handle_iq_to_occupant(self, origin, stanza); end
		if is_for_nobody(self, origin, stanza) then return true; end
		return dmuc.turns.within(self, { asks_one = true }, own.handle_iq_to_occupant, self, origin, stanza);
	end
end
