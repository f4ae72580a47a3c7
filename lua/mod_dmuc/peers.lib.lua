-- What peers send that is for mod_muc or other modules to answer: private messages and IQs of their occupants. Everything
-- from a peer comes in one stream. If a hook waits for one of them, only what the same sender sends next waits for it.

local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local jid_resource = require "util.jid".resource;

return function (dmuc)
	local turns = dmuc.turns;

	-- Stanzas that have their turn: [stanza] = true.
	local has_turn = setmetatable({}, { __mode = "k" });

	local function is_ours(stanza)
		if stanza.name == "message" then return stanza.attr.type == "groupchat"; end
		local type, payload = stanza.attr.type, stanza.tags[1];
		if type == "get" or type == "set" then
			local xmlns = payload and payload.attr.xmlns;
			return xmlns == dmuc.xmlns or xmlns == dmuc.xmlns_ours;
		end
		return (stanza.attr.id or ""):sub(1, 5) == "dmuc-";
	end

	local function turn_of(origin, stanza)
		has_turn[stanza] = true;
		dmuc.prosody.process(origin, stanza);
	end

	local function in_turn(event)
		local origin, stanza = event.origin, event.stanza;
		local from = stanza.attr.from;
		if has_turn[stanza] or not from or not dmuc.ask("is_peer", jid_host(from)) or is_ours(stanza) then return; end
		local room_jid, nick = jid_bare(stanza.attr.to), jid_resource(from);
		local lane = from;
		if stanza.name == "message" and nick then lane = dmuc.presence.lane(room_jid, nick); end
		turns.run(lane, turn_of, origin, stanza);
		return true;
	end

	-- Before everything else, which gets it in its turn.
	for _, event_name in ipairs { "message/full"; "message/bare"; "iq/full"; "iq/bare"; "iq/host" } do
		module:hook(event_name, in_turn, 1000000);
	end
end
