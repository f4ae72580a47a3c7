-- Direct invitations (XEP-0249) that users of this server get: one into another instance of a room that is here, too,
-- names the one that is here, or the address by which the user is in it already.

local st = require "util.stanza";
local jid_bare = require "util.jid".bare;
local jid_prep = require "util.jid".prep;

local xmlns_conference = "jabber:x:conference";

return function (dmuc)
	if not dmuc.rewrite_invitations then return; end

	local function rewrite(event)
		local stanza = event.stanza;
		local type = stanza.attr.type;
		if type == "error" or type == "groupchat" then return; end
		local direct = stanza:get_child("x", xmlns_conference);
		local jid = direct and direct.attr.jid and jid_prep(direct.attr.jid);
		if not jid then return; end
		-- A mediated invitation is from the room it names.
		local x = stanza:get_child("x", dmuc.stanzas.xmlns_muc_user);
		if x and x:get_child("invite") then return; end
		local bare = jid_bare(jid);
		local here = dmuc.serving.meant(bare) or dmuc.ask("instance_here", bare);
		local room = here and dmuc.get_room(here);
		if not room or dmuc.prosody.is_destroyed(room) then return; end
		-- Who is in it already goes on there. What somebody sends to their own address has none.
		here = dmuc.serving.in_use(stanza.attr.to or stanza.attr.from, here) or here;
		if here == jid then return; end
		-- A new child: whoever kept the old one (the sender's archive) has the invitation as it was sent.
		stanza:maptags(function (tag)
			if tag ~= direct then return tag; end
			local changed = st.clone(tag);
			changed.attr.jid = here;
			return changed;
		end);
		module:log("debug", "An invitation to %s names %s now, in place of %s", stanza.attr.to, here, jid);
	end

	-- The users are those of the parent domain, as for redirects. Before the recipient's archive and copies to further
	-- devices, which have what the user gets.
	local users = dmuc.parent_host;
	local function listen()
		local events = dmuc.prosody.users_of(users);
		if not events then return; end
		module:hook_object_event(events, "message/bare", rewrite, 100);
		module:hook_object_event(events, "message/full", rewrite, 100);
	end
	listen();
	module:hook_global("host-activated", function (host)
		if host == users then listen(); end
	end);
end
