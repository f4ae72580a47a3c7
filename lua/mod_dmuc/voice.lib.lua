-- Requests for voice (XEP-0045 sections 7.13 and 8.6): they reach the moderators of every instance, and the first answer
-- counts, which the home of who asks knows.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local new_form = require "util.dataforms".new;

return function (dmuc)
	local voice = {};
	dmuc.voice = voice;

	local rooms = dmuc.rooms;

	-- What moderators are shown, as in mod_muc.
	local request_form = new_form({
		title = "Voice Request";
		{ name = "FORM_TYPE"; type = "hidden"; value = "http://jabber.org/protocol/muc#request" };
		{ name = "muc#jid"; type = "jid-single"; label = "User ID"; desc = "The user's JID (address)" };
		{ name = "muc#roomnick"; type = "text-single"; label = "Room nickname"; desc = "The user's nickname within the room" };
		{
			name = "muc#role"; type = "list-single"; label = "Requested role"; value = "participant";
			options = { "none"; "visitor"; "participant"; "moderator" };
		};
		{
			name = "muc#request_allow"; type = "boolean"; label = "Grant voice to this person?"; value = false;
			desc = "Specify whether this person is able to speak in a moderated room";
		};
	});

	local function is_moderator(_, occupant)
		return occupant.role == "moderator";
	end

	-- An occupant elsewhere asks. Without a real JID it is known by its place in the room.
	function voice.show(room, action)
		local data = { ["muc#jid"] = action.jid or room.jid.."/"..action.nick; ["muc#roomnick"] = action.nick };
		room:broadcast(st.message({ type = "normal"; from = room.jid }):add_child(request_form:form(data)), is_moderator);
	end

	-- Peers ask and answer in their own way, which is checked.
	local function only_from_here(event)
		if event.room._dmuc and event.room._dmuc.remotes[event.stanza.attr.from] then return true; end
	end
	module:hook("muc-voice-request", only_from_here, 10);
	module:hook("muc-voice-response", only_from_here, 10);

	-- After mod_muc has told the moderators here (0).
	module:hook("muc-voice-request", function (event)
		local room, occupant = event.room, event.occupant;
		if room._dmuc and occupant.role == "visitor" then
			dmuc.tell("voice_request", room.jid, jid_resource(occupant.nick));
		end
	end, -1);

	-- Whom an answer is about: the form says it as voice.show or mod_muc has put it.
	local function asked_by(room, jid)
		if not jid then return; end
		if jid_bare(jid) == room.jid then return room:get_occupant_by_nick(jid); end
		local found = room:get_occupant_by_real_jid(jid);
		if found then return found; end
		for _, occupant in pairs(dmuc.prosody.occupants(room)) do
			local _, remote = rooms.remote_session(room, occupant);
			if remote and remote.jid == jid then return occupant; end
			-- Its home may name another session by now.
			if occupant.role == "visitor" and rooms.real_jid(room, occupant) == jid_bare(jid) then found = occupant; end
		end
		return found;
	end

	-- Before mod_muc gives voice (0).
	module:hook("muc-voice-response", function (event)
		local room, origin, stanza, fields = event.room, event.origin, event.stanza, event.fields;
		if not room._dmuc then return; end
		local asker = asked_by(room, fields["muc#jid"]);
		if not asker then return; end -- mod_muc says so in the log
		local token = rooms.next_token();
		if not rooms.local_session(room, asker) then
			local problem, problem_condition, problem_text = dmuc.requests.problem();
			if problem then
				origin.send(st.error_reply(stanza, problem, problem_condition, problem_text, room.jid));
				return true;
			end
			dmuc.requests.await(token, { origin = origin; stanza = stanza; is_race = true });
		end
		local verdict, err_type, condition, text = dmuc.feed("voice_answer", room.jid, jid_resource(asker.nick), token, {
			nick = jid_resource(event.occupant.nick); jid = jid_bare(stanza.attr.from);
			is_granted = fields["muc#request_allow"] == true;
		});
		if verdict == "continue" then
			fields["muc#jid"] = rooms.local_session(room, asker);
			return;
		end
		if not verdict then
			dmuc.requests.take(token);
			origin.send(st.error_reply(stanza, err_type, condition, text, room.jid));
		end
		return true;
	end, 1);

	-- A moderator elsewhere answers somebody here, the first to do so.
	function voice.answered(room, actor, action)
		local occupant = room:get_occupant_by_nick(room.jid.."/"..action.nick);
		if not occupant then return nil, "cancel", "item-not-found"; end
		if action.role == "participant" then
			return room:set_role(actor, occupant.nick, action.role, action.reason or "Voice granted");
		end
		-- Who may grant it may refuse it.
		local is_allowed, err_type, condition = room:may_set_role(actor, occupant, "participant");
		if not is_allowed then return nil, err_type, condition; end
		local verdict, problem, problem_condition = dmuc.feed("voice_answer", room.jid, action.nick, rooms.next_token(), { is_granted = false });
		if not verdict then return nil, problem, problem_condition; end
		return true;
	end
end
