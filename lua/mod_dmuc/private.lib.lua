-- Private messages and IQs from people here to occupants elsewhere: who sends one learns if it did not arrive.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;
local new_cache = require "util.cache".new;

return function (dmuc)
	local private = {};
	dmuc.private = private;

	-- On their way: [token] = { stanza as it came, key }, and [key] = token.
	local waiting, tokens = {}, {};
	-- Given up: who sent it was told so once, and whatever still comes back says nothing new. [key] = true.
	local given_up = new_cache(1000);

	local function key_of(room_jid, nick, other_nick, id)
		return table.concat({ room_jid, nick, other_nick, id or "" }, "\0");
	end

	local function forget(token)
		local sent = waiting[token];
		waiting[token] = nil;
		if sent and tokens[sent.key] == token then tokens[sent.key] = nil; end
		return sent;
	end

	-- Who sends something to whom, if the sender takes part here and the addressee is somebody else.
	local function between(stanza)
		local room_jid, to_nick = jid_bare(stanza.attr.to), jid_resource(stanza.attr.to);
		if not to_nick or not dmuc.role(room_jid) then return; end
		local room = dmuc.get_room(room_jid);
		if not room or not room._dmuc or room._dmuc.remotes[stanza.attr.from] then return; end
		local from_nick = room:get_occupant_jid(stanza.attr.from);
		if not from_nick or from_nick == stanza.attr.to then return; end
		return room, jid_resource(from_nick), to_nick;
	end

	local function track(event, is_request)
		local origin, stanza = event.origin, event.stanza;
		local room, from_nick, to_nick = between(stanza);
		if not room then return; end
		local token = dmuc.rooms.next_token();
		local verdict, err_type, condition, text = dmuc.feed("private", room.jid, to_nick, token, is_request);
		if not verdict then
			origin.send(st.error_reply(stanza, err_type, condition, text));
			return true;
		end
		if verdict ~= "done" then return; end
		local key = key_of(room.jid, from_nick, to_nick, stanza.attr.id);
		given_up:set(key, nil);
		waiting[token], tokens[key] = { stanza = st.clone(stanza); key = key }, token;
	end

	-- Before mod_muc's own handlers (-2).
	module:hook("message/full", function (event)
		local type = event.stanza.attr.type;
		-- Who is typing is not worth an error.
		if type == "groupchat" or type == "error" or not event.stanza:get_child("body") then return; end
		return track(event, false);
	end, -1);

	-- Before those that find vCards elsewhere (5).
	module:hook("iq/full", function (event)
		local type = event.stanza.attr.type;
		if type ~= "get" and type ~= "set" then return; end
		return track(event, true);
	end, 6);

	-- What mod_smacks gives back when a connection died says that the recipient is unavailable. Nobody knows that, nor
	-- whether it arrived. Errors of a peer, and those of mod_s2s, stay as they are.
	function private.reword(origin, stanza)
		local _, condition = stanza:get_error();
		if condition ~= "recipient-unavailable" or origin.type == "s2sin" or origin.host == jid_host(stanza.attr.from) then return; end
		stanza:maptags(function (tag)
			if tag.name ~= "error" then return tag; end
			return st.stanza("error", { type = "wait" })
				:tag("remote-server-timeout", { xmlns = "urn:ietf:params:xml:ns:xmpp-stanzas" }):up();
		end);
	end

	-- An answer from an occupant elsewhere: mod_muc has put the id of the question into its own.
	module:hook("iq/full", function (event)
		local stanza = event.stanza;
		local type, to_nick = stanza.attr.type, jid_resource(stanza.attr.to);
		if type ~= "result" and type ~= "error" or not to_nick or not dmuc.role(jid_bare(stanza.attr.to)) then return; end
		if type == "error" then private.reword(event.origin, stanza); end
		local id = dmuc.prosody.question_id(stanza.attr.id);
		if not id then return; end
		local key = key_of(jid_bare(stanza.attr.to), to_nick, jid_resource(stanza.attr.from) or "", id);
		if given_up:get(key) then return true; end
		local token = tokens[key];
		if token and forget(token) then dmuc.tell("private_answered", token); end
	end, 7);

	-- A private message came back: its sender is told by the bounce. Returns whether that is news; has_several says whether
	-- it went to several homes, of which each may send it back.
	function private.bounced(stanza, room_jid, has_several)
		local key = key_of(room_jid, jid_resource(stanza.attr.to), jid_resource(stanza.attr.from), stanza.attr.id);
		if given_up:get(key) then return false; end
		local token = tokens[key];
		if token and forget(token) then
			if has_several then given_up:set(key, true); end
			dmuc.tell("private_answered", token);
		end
		return true;
	end

	function private.done(action)
		forget(action.token);
	end

	function private.failed(action)
		local sent = forget(action.token);
		if not sent then return; end
		given_up:set(sent.key, true);
		module:send(st.error_reply(sent.stanza, action.error_type, action.error_condition, action.error_text));
	end
end
