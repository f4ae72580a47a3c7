-- What users find: the source of a shadow (XEP-0281 section 3.3), and the way to their own instance (section 3.5).

local jid_node = require "util.jid".node;
local st = require "util.stanza";

return function (dmuc)
	module:hook("muc-disco#info", function (event)
		local role, source = dmuc.role(event.room.jid);
		if role ~= "shadow" or not event.form then return; end
		table.insert(event.form, { name = "dmuc-source"; type = "jid-single"; label = "Source Room" });
		event.formdata["dmuc-source"] = source;
	end);

	local ranks = { owner = true; admin = true; member = true };
	module:hook("muc-disco#info", function (event)
		local room = event.room;
		if not event.form or not room._dmuc or not ranks[room:get_affiliation(event.stanza.attr.from)] then return; end
		local name = dmuc.forms.voters_name;
		table.insert(event.form, { name = name; type = "list-multi"; label = "Services That Vote on Who Follows the Source" });
		event.formdata[name] = dmuc.forms.voters(room);
	end);

	-- After the checks for bans and membership, before those for what a join needs besides (password, unlocked room).
	module:hook("muc-occupant-pre-join", function (event)
		local room, stanza, origin = event.room, event.stanza, event.origin;
		if not room._dmuc or not room._dmuc.is_source or not event.is_first_session then return; end
		local user, to = stanza.attr.from, stanza.attr.to;
		local verdict, shadow, text, is_invited = dmuc.feed("join_request", room.jid, user);
		if verdict ~= "redirect" then return; end
		local reply = st.error_reply(stanza, "cancel", "redirect", text, room.jid);
		reply.attr.from = to;
		reply:get_child("error"):child_with_name("redirect"):text(dmuc.stanzas.join_uri(shadow));
		-- XEP-0045 section 7.2.6 shows it, and some clients take a refusal without it for none.
		table.insert(reply, 1, st.stanza("x", { xmlns = "http://jabber.org/protocol/muc" }));
		table.insert(reply.tags, 1, reply[1]);
		origin.send(reply);
		if not is_invited then return true; end
		module:send(st.message({ from = room.jid; to = user })
			:tag("x", { xmlns = "jabber:x:conference"; jid = shadow; reason = (room:get_name() or jid_node(room.jid))..": "..text }):up());
		module:log("info", "%s was invited to its own instance %s of %s", user, shadow, room.jid);
		return true;
	end, -15);
end
