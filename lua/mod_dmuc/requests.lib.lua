-- IQs: what peers ask, what they answer, and what people here want done at another instance.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local jid_prep = require "util.jid".prep;
local resourceprep = require "util.encodings".stringprep.resourceprep;

return function (dmuc)
	local requests = {};
	dmuc.requests = requests;

	local inside, rooms, xmlns, xmlns_ours = dmuc.prosody, dmuc.rooms, dmuc.xmlns, dmuc.xmlns_ours;

	-- What other instances are asked for and have not answered yet: [token] = { origin, stanza } of the user's stanza, with
	-- is_race where somebody else may be first, or { nick } of whom a role is for. The engine answers each within the link
	-- timeout.
	local waiting, waiting_count = {}, 0;
	local max_waiting = 1000;
	local too_many = "Too many requests wait for other services";

	-- Error type, condition and text if nothing more may wait.
	function requests.problem()
		if waiting_count >= max_waiting then return "wait", "resource-constraint", too_many; end
	end

	-- Remembers what the answer is for. Where there may be too much of that, the caller asks requests.problem() before.
	function requests.await(token, request)
		waiting[token] = request;
		waiting_count = waiting_count + 1;
	end

	-- Whatever it was waits no longer.
	function requests.take(token)
		local request = waiting[token];
		if request then
			waiting[token] = nil;
			waiting_count = waiting_count - 1;
		end
		return request;
	end

	-- What says that a stanza has not arrived.
	local of_a_link = { ["remote-server-not-found"] = true; ["remote-server-timeout"] = true; ["recipient-unavailable"] = true };

	-- The error in a stanza: type, condition, text. One that our own server has made is none of the peer's answers, whatever
	-- it says: the peer was not reached.
	local function error_of(origin, stanza)
		local err_type, condition, text = stanza:get_error();
		err_type, condition = err_type or "cancel", condition or "undefined-condition";
		if not inside.is_from_there(origin) and not inside.is_here(jid_host(stanza.attr.from)) and not of_a_link[condition] then
			return "cancel", "remote-server-not-found", text;
		end
		return err_type, condition, text;
	end

	-- While this server stops, connections are closed one after the other: what comes back then says nothing of a peer.
	local is_stopping = false;
	module:hook_global("server-stopping", function () is_stopping = true; end, 1000);

	-- A bounce from a peer instance: it moves link state, never occupants (G8).
	function requests.peer_error(origin, stanza)
		if is_stopping then return; end
		local err_type, condition, text = error_of(origin, stanza);
		local verdict = dmuc.feed("peer_error", stanza.attr.from, err_type, condition, text);
		if verdict == "continue" and condition == "conflict" then
			module:log("warn", "Ignored that %s says again that an occupant of ours has lost its nick", stanza.attr.from);
		end
	end

	local function ask(event)
		local origin, stanza = event.origin, event.stanza;
		local payload = stanza.tags[1];
		local from, to = stanza.attr.from, stanza.attr.to;
		local taken, new_jid, left = false, nil, nil;
		if payload.name == "replicate" then
			local room_id = payload:get_child("room");
			local room_jid = room_id and room_id.attr.id and dmuc.ask("shadow_room", room_id.attr.id);
			if room_jid then dmuc.restoring.read_now(room_jid); end
			new_jid = room_jid and not dmuc.role(room_jid) and room_jid or nil;
			local room = new_jid and dmuc.get_room(new_jid) or nil;
			taken = room and dmuc.lifecycle.is_taken(room, from, payload.attr.source) or false;
			if new_jid and not taken and requests.is_peer(from) and not dmuc.parked.of(new_jid) then
				local err;
				left, err = dmuc.restoring.left_of(room);
				if not left then
					module:log("warn", "%s is not made a shadow again now, its stored messages cannot be read: %s", new_jid, err);
					origin.send(st.error_reply(stanza, "wait", "resource-constraint",
						"The storage of this room cannot be reached yet; try again", to));
					return true;
				end
			end
		else
			dmuc.get_room(jid_bare(to)); -- an evicted room comes back first
		end
		local verdict, err_type, condition, text = dmuc.feed("peer_iq", from, to, stanza.attr.type, stanza.attr.id,
			tostring(payload), taken);
		if not verdict then
			dmuc.metrics.refused("iq", condition);
			-- What a peer does wrong is for the administrator to see; anybody else may send anything.
			dmuc.tally.refusal(requests.is_peer(from) and "warn" or "info",
				("Refused <%s/> from %s: %s (%s)"):format(payload.name, jid_host(from), condition, text),
				("Refused <%s/> from %s: %s (%s)"):format(payload.name, from, condition, text));
			origin.send(st.error_reply(stanza, err_type, condition, text, to));
		elseif left and dmuc.role(new_jid) then
			dmuc.restoring.make_up(new_jid, left);
		end
		return true;
	end

	local function answer(event)
		local stanza = event.stanza;
		local id = stanza.attr.id;
		if not id or id:sub(1, 5) ~= "dmuc-" then return; end
		local verdict;
		if stanza.attr.type == "error" then
			if is_stopping then return true; end
			local err_type, condition, text = error_of(event.origin, stanza);
			verdict = dmuc.feed("peer_answer", stanza.attr.from, id, nil, err_type, condition, text);
		else
			local payload = stanza.tags[1];
			verdict = dmuc.feed("peer_answer", stanza.attr.from, id, payload and tostring(payload) or "");
		end
		if verdict == "done" then return true; end
	end

	local function control(event)
		local stanza = event.stanza;
		if stanza.attr.type == "get" or stanza.attr.type == "set" then
			local payload = stanza.tags[1];
			local ns = payload and payload.attr.xmlns;
			if ns == xmlns or ns == xmlns_ours then return ask(event); end
		else
			return answer(event);
		end
	end
	module:hook("iq/bare", control, 10);
	module:hook("iq/host", control, 10);
	module:hook("iq/full", control, 10);

	-- People ask their own instance. Instances ask each other in their own way, which the engine judges: what clients ask of a
	-- room (lists, roles, forms, registration, archives, moderation) is for none of them, whatever its home says of the
	-- occupant in whose name it comes. Before mod_iq tells what it is about.
	local of_anybody = {
		["http://jabber.org/protocol/disco#info"] = true;
		["http://jabber.org/protocol/disco#items"] = true;
		["urn:xmpp:ping"] = true;
	};
	module:hook("iq/bare", function (event)
		local origin, stanza = event.origin, event.stanza;
		local from, to, type, payload = stanza.attr.from, stanza.attr.to, stanza.attr.type, stanza.tags[1];
		if type ~= "get" and type ~= "set" or of_anybody[payload.attr.xmlns] then return; end
		if not dmuc.role(to) or not dmuc.ask("is_instance", to, jid_bare(from)) then return; end
		dmuc.metrics.refused("iq", "forbidden");
		local why = "forbidden (its home asks for it, in the way of instances)";
		dmuc.tally.refusal("warn",
			("Refused <%s/> from %s: %s"):format(payload.name, jid_host(from), why),
			("Refused <%s/> from %s: %s"):format(payload.name, from, why));
		origin.send(st.error_reply(stanza, "auth", "forbidden", "An instance does not ask this as a client does", to));
		return true;
	end, 9);

	-- vCards and PEP nodes of an occupant elsewhere are found by its home (mod_muc would ask the bare JID of its
	-- session, which is the room).
	local of_the_account = {
		["vcard-temp"] = true;
		["http://jabber.org/protocol/pubsub"] = true;
		["urn:ietf:params:xml:ns:vcard-4.0"] = true;
	};
	module:hook("iq/full", function (event)
		local stanza = event.stanza;
		local from, to, type, id = stanza.attr.from, stanza.attr.to, stanza.attr.type, stanza.attr.id;
		if type ~= "get" and type ~= "set" or not of_the_account[stanza.tags[1] and stanza.tags[1].attr.xmlns] then return; end
		if not dmuc.role(jid_bare(to)) then return; end
		local room = dmuc.get_room(jid_bare(to));
		local occupant = room and room._dmuc and room:get_occupant_by_nick(to);
		local session = occupant and not rooms.local_session(room, occupant) and dmuc.persons.reached(room, occupant);
		local current_nick = session and not room._dmuc.remotes[from] and room:get_occupant_jid(from);
		if not current_nick then return; end
		stanza.attr.id = inside.private_id(room, session, id, from);
		stanza.attr.from, stanza.attr.to = current_nick, session;
		room:route_stanza(stanza);
		stanza.attr.from, stanza.attr.to, stanza.attr.id = from, to, id;
		return true;
	end, 5);

	-- Something only another instance can do. The user's IQ, if there is one, is answered when that instance has. What the
	-- source decides holds here provisionally if it cannot be asked: that is done by hold, in the name of whom it is told.
	-- Instead of an IQ that is answered, event may have answer(error type, condition, text), which is called once.
	function requests.act(room, act, event, hold)
		local problem, problem_condition, problem_text = requests.problem();
		if problem then
			if event and event.answer then
				event.answer(problem, problem_condition, problem_text);
			elseif event then
				event.origin.send(st.error_reply(event.stanza, problem, problem_condition, problem_text));
			end
			return nil, problem, problem_condition, problem_text;
		end
		local token = rooms.next_token();
		requests.await(token, event and { origin = event.origin; stanza = event.stanza; answer = event.answer }
			or { nick = act.role and act.nick });
		local verdict, err_type, condition, text = dmuc.feed("act", room.jid, token, act);
		if not verdict then
			if act.form and condition == "jid-malformed" then condition, text = "bad-request", "This form is not taken here"; end
			requests.act_answered({ room = room.jid; token = token; error_type = err_type; error_condition = condition; error_text = text });
			return nil, err_type, condition, text;
		end
		if verdict == "hold" then
			requests.take(token);
			return hold({ nick = act.actor_nick; jid = act.actor_jid });
		end
		return true;
	end

	function requests.act_answered(action)
		local request = requests.take(action.token);
		if action.error_condition then
			module:log("info", "A request to another instance of %s was refused: %s", action.room, action.error_condition);
		end
		if not request then return; end
		if request.answer then return request.answer(action.error_type, action.error_condition, action.error_text); end
		if not request.origin then
			-- Who was removed here, and stays where it was to be removed as well, is here by way of there.
			local room = action.error_condition and request.nick and dmuc.get_room(action.room);
			if room and room._dmuc then dmuc.persons.show_again(room, request.nick); end
			return;
		end
		local condition = action.error_condition;
		if request.stanza.name == "message" then
			if not condition then return; end
			-- Somebody else was first, or who asked has left: on one server nobody would say so.
			if request.is_race and (condition == "conflict" or condition == "item-not-found") then return; end
		end
		if condition then
			local by = request.stanza.name == "message" and action.room or nil;
			request.origin.send(st.error_reply(request.stanza, action.error_type, condition, action.error_text, by));
		else
			request.origin.send(st.reply(request.stanza));
		end
	end

	-- This module goes: the answers that are still to come would find nobody.
	function requests.stop()
		for _, request in pairs(waiting) do
			if request.answer then
				request.answer("wait", "remote-server-timeout", "The room service was reloaded before the other service answered");
			elseif request.origin then
				request.origin.send(st.error_reply(request.stanza, "wait", "remote-server-timeout",
					"The room service was reloaded before the other service answered"));
			end
		end
		waiting, waiting_count = {}, 0;
	end

	local function shadow_of(event)
		local room_jid = event.stanza.attr.to;
		if dmuc.role(room_jid) ~= "shadow" then return; end
		local room = dmuc.get_room(room_jid);
		return room and room._dmuc and room;
	end

	function requests.actor_of(room, from)
		local nick = room:get_occupant_jid(from);
		return nick and jid_resource(nick), jid_bare(from);
	end

	local affiliations = { owner = true; admin = true; member = true; none = true; outcast = true };

	-- Roles are set by the homes of whom they are for, which answer: so does the room.
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#admin:query", function (event)
		local origin, stanza = event.origin, event.stanza;
		local item = stanza.tags[1].tags[1];
		if not item or not item.attr.role or item.attr.affiliation or not dmuc.role(stanza.attr.to) then return; end
		local room = dmuc.get_room(stanza.attr.to);
		local nick = item.attr.nick and resourceprep(item.attr.nick);
		local occupant = nick and room and room._dmuc and room:get_occupant_by_nick(room.jid.."/"..nick);
		if not occupant or rooms.local_session(room, occupant) then return; end
		local reason = item:get_child_text("reason");
		local act, err_type, condition = rooms.role_act(room, stanza.attr.from, occupant, item.attr.role, reason);
		if act then
			requests.act(room, act, event);
		else
			origin.send(st.error_reply(stanza, err_type, condition));
		end
		return true;
	end, 15);

	-- Has mod_muc decide provisionally at a shadow whose source is out of reach, and the source when it is back (G7).
	function requests.provisionally(room, actor, work)
		return dmuc.turns.within(room, { provisional = actor }, work);
	end

	-- Affiliations are edited at the source.
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#admin:query", function (event)
		local room, stanza = shadow_of(event), event.stanza;
		local item = room and stanza.tags[1].tags[1];
		if not item or not item.attr.affiliation or item.attr.role then return; end
		local jid = item.attr.jid and jid_prep(item.attr.jid);
		if not jid and item.attr.nick then
			local occupant = room:get_occupant_by_nick(room.jid.."/"..item.attr.nick);
			jid = occupant and rooms.real_jid(room, occupant);
		end
		if not jid or jid_resource(jid) then
			-- What has the form of an address may be one elsewhere: releases of Prosody differ.
			local given = item.attr.jid or "";
			local is_formed = given:find("^[^@/%c%s]+@[^@/%c%s]+$") or given:find("^[^@/%c%s]+$");
			local text = "This server does not take this as a user's address; the room's other servers may";
			event.origin.send(st.error_reply(stanza, "modify", "jid-malformed", not jid and is_formed and text or nil));
			return true;
		end
		if not affiliations[item.attr.affiliation] then
			event.origin.send(st.error_reply(stanza, "modify", "not-acceptable"));
			return true;
		end
		local actor_nick, actor_jid = requests.actor_of(room, stanza.attr.from);
		requests.act(room, {
			actor_nick = actor_nick; actor_jid = actor_jid; reason = item:get_child_text("reason");
			affiliation = item.attr.affiliation; jid = jid; nick = item.attr.nick;
		}, event, function (actor)
			requests.provisionally(room, actor, function ()
				room:handle_admin_query_set_command(event.origin, stanza);
			end);
		end);
		return true;
	end, 10);

	-- Who is named as a voter has to be able to vote.
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#owner:query", function (event)
		local stanza = event.stanza;
		local form = dmuc.role(stanza.attr.to) == "source" and stanza.tags[1]:get_child("x", "jabber:x:data");
		local room = form and dmuc.get_room(stanza.attr.to);
		-- Who is no owner is told that by mod_muc, and nothing of who could vote.
		local is_owner = room and room:get_affiliation(stanza.attr.from) == "owner";
		local problem = is_owner and dmuc.forms.voters_problem(stanza.attr.to, form);
		if not problem then return; end
		event.origin.send(st.error_reply(stanza, "modify", "not-acceptable", problem));
		return true;
	end, 10);

	-- Configuration is decided, and the room destroyed, at the source.
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#owner:query", function (event)
		local room, stanza = shadow_of(event), event.stanza;
		if not room then return; end
		local child = stanza.tags[1].tags[1];
		if room:get_affiliation(stanza.attr.from) ~= "owner" then
			-- Who administers this service, but not the room, may end what this service has of it.
			if not child or child.name ~= "destroy" or not inside.is_service_admin(stanza.attr.from) then return; end
			local ok, err = room:destroy(child.attr.jid, child:get_child_text("reason"), child:get_child_text("password"));
			event.origin.send(ok and st.reply(stanza) or st.error_reply(stanza, err or "cancel", "not-allowed"));
			return true;
		end
		local actor_nick, actor_jid = requests.actor_of(room, stanza.attr.from);
		local act = { actor_nick = actor_nick; actor_jid = actor_jid };
		if child and child.name == "x" and child.attr.xmlns == "jabber:x:data" and child.attr.type == "submit" and child.tags[1] then
			local err_type, condition, text = dmuc.forms.check_at_shadow(room, child);
			if err_type then
				event.origin.send(st.error_reply(stanza, err_type, condition, text));
				return true;
			end
			act.form = tostring(child);
		elseif child and child.name == "destroy" then
			act.venue, act.reason, act.password = child.attr.jid, child:get_child_text("reason"), child:get_child_text("password");
		else
			return; -- mod_muc answers
		end
		requests.act(room, act, event, function (actor)
			dmuc.forms.provisionally(room, actor, function ()
				room:handle_owner_query_set_to_room(event.origin, stanza);
			end);
		end);
		return true;
	end, 10);

	-- Who reserves a nick for somebody takes it from whoever uses it, as mod_muc has it.
	local function make_room_for(room, actor, jid, nick)
		local rank = actor == true and "owner" or room:get_affiliation(actor);
		if not nick or rank ~= "owner" and rank ~= "admin" then return; end
		local nick_jid = room.jid.."/"..nick;
		local occupant = room:get_occupant_by_nick(nick_jid);
		if occupant and occupant.bare_jid ~= jid then
			room:set_role(true, nick_jid, nil, "This nickname is reserved");
		end
	end

	local function perform(room, action)
		local actor = action.actor;
		-- The source itself, for a module of its server.
		if actor == room._dmuc.source then actor = true; end
		if action.is_answer then
			return dmuc.voice.answered(room, actor, action);
		elseif action.act == "invite" then
			return dmuc.invitations.perform(room, actor, action);
		elseif action.is_invited then
			return dmuc.invitations.admit(room, actor, action);
		elseif action.act == "role" then
			return room:set_role(actor, room.jid.."/"..action.nick, action.role, action.reason);
		elseif action.act == "affiliation" then
			make_room_for(room, actor, action.jid, action.nick);
			return room:set_affiliation(actor, action.jid, action.affiliation, action.reason,
				dmuc.listed_with(room, action.jid, action.nick, action.reason));
		elseif action.act == "moderate" then
			return dmuc.moderation.perform(room, actor, action);
		elseif action.act == "register" then
			return dmuc.registration.submit(room, actor, action.nick);
		elseif actor ~= true and room:get_affiliation(actor) ~= "owner" then
			return nil, "auth", "forbidden";
		elseif action.act == "config" then
			local reply = dmuc.forms.submit(room, actor, action.form);
			if reply and reply.attr.type == "error" then
				return nil, reply:get_error();
			end
			return true;
		else
			-- Answered first: afterwards there is no room to answer from.
			dmuc.turns.next(function ()
				dmuc.turns.run(nil, room.destroy, room, action.venue, action.reason, action.password);
			end);
			return true;
		end
	end

	-- What a peer's occupant asks for, with that occupant's rights, which mod_muc checks.
	function requests.perform(action)
		local room = dmuc.get_room(action.room);
		local reply = { to = action.to; from = action.from; id = action.id };
		local ok, err_type, condition, text = nil, "cancel", "item-not-found", nil;
		if room and room._dmuc then
			local works, a, b, c, d = pcall(dmuc.turns.within, room, { is_performing = true }, perform, room, action);
			if works then
				ok, err_type, condition, text = a, b, c, d;
			else
				module:log("error", "An act of %s in %s failed: %s", action.actor, action.room, a);
				err_type, condition = "cancel", "internal-server-error";
			end
		end
		if ok then
			reply.type = "result";
			-- Whoever asked sees what it has got.
			dmuc.afterwards(function () module:send(st.iq(reply)); end);
		else
			module:log("info", "%s may not do what its instance asks in %s: %s", action.actor, action.room, condition or err_type);
			reply.type, reply.from, reply.to = "set", action.to, action.from;
			module:send(st.error_reply(st.iq(reply), condition and err_type or "cancel", condition or err_type or "not-allowed", text));
		end
	end

	-- An IQ of the engine's.
	function requests.send(action)
		local iq = st.iq({ from = action.from; to = action.to; id = action.id; type = action.type });
		local payload = dmuc.stanzas.parse(action.payload);
		if payload then iq:add_direct_child(payload); end
		module:send(iq);
	end

	-- Whether a JID belongs to a service we peer with.
	function requests.is_peer(jid)
		return dmuc.ask("is_peer", jid_host(jid));
	end
end
