-- Registered nicks (XEP-0045 section 7.10): one registry, the source's. Every instance has a copy of it, which mod_muc
-- enforces there; who registers at a shadow registers at the source.

local dataforms = require "util.dataforms";
local jid_bare = require "util.jid".bare;
local jid_resource = require "util.jid".resource;
local resourceprep = require "util.encodings".stringprep.resourceprep;
local st = require "util.stanza";

return function (dmuc)
	local registration = {};
	dmuc.registration = registration;

	local xmlns_register = "jabber:iq:register";
	local form_type = "http://jabber.org/protocol/muc#register";
	local field_name = "muc#register_roomnick";
	local form = dataforms.new {
		{ name = "FORM_TYPE"; type = "hidden"; value = form_type };
		{ name = field_name; type = "text-single"; required = true };
	};

	-- The nick somebody registers; false to take the registration back; nil and what is wrong with the request.
	local function wanted(query)
		if query:get_child("remove") then return false; end
		local submitted = query:get_child("x", "jabber:x:data");
		if not submitted then return nil, "Missing dataform"; end
		if dataforms.get_type(submitted) ~= form_type then return nil, "Error in form"; end
		local nick = (form:data(submitted) or {})[field_name];
		nick = nick and resourceprep(nick, true);
		if not nick or nick == "" then return nil, "Invalid Nickname"; end
		return nick;
	end

	-- At the source: what somebody at a shadow asks for, as if asked here. mod_muc decides, and says no in its own words.
	function registration.submit(room, user, nick)
		local answer;
		local origin = dmuc.prosody.origin(function (reply) answer = reply; end);
		local stanza = st.iq({ type = "set"; from = user; to = room.jid; id = "dmuc" }):query(xmlns_register);
		if nick then
			stanza:add_child(form:form({ [field_name] = nick }, "submit"));
		else
			stanza:tag("remove", { xmlns = xmlns_register }):up();
		end
		room:handle_register_iq(origin, stanza);
		if answer and answer.attr.type == "error" then
			return nil, answer:get_error();
		end
		return true;
	end

	-- Under the name that mod_muc hooks (at -2), which is fired before that of the type.
	module:hook("iq/bare/"..xmlns_register..":query", function (event)
		local origin, stanza = event.origin, event.stanza;
		local from = stanza.attr.from;
		-- What is registered is in the copy of the list that is here.
		if stanza.attr.type ~= "set" or not dmuc.role(stanza.attr.to) then return; end
		local room = dmuc.get_room(stanza.attr.to);
		if not room or not room._dmuc then return; end
		if room._dmuc.is_source then return; end -- mod_muc decides
		local nick, problem = wanted(stanza.tags[1]);
		if nick == nil then
			origin.send(st.error_reply(stanza, "modify", "bad-request", problem));
			return true;
		end
		local occupant_jid = room:get_occupant_jid(from);
		local actor_nick, actor_jid = occupant_jid and jid_resource(occupant_jid), jid_bare(from);
		dmuc.requests.act(room, {
			register = true; nick = nick or nil; actor_nick = actor_nick; actor_jid = actor_jid;
		}, event, function (actor)
			dmuc.requests.provisionally(room, actor, function ()
				room:handle_register_iq(origin, stanza);
			end);
		end);
		return true;
	end, 10);
end
