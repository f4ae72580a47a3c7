-- What no instance would take from another is refused to who asks for it here, and changes nothing (G13).

local st = require "util.stanza";

return function (dmuc)
	local limits = {};
	dmuc.limits = limits;

	local max = dmuc.native.limits; -- in bytes

	-- The first field of a form with a value that is too long.
	local function too_long(form)
		for field in form:childtags("field") do
			for value in field:childtags("value") do
				if #(value:get_text() or "") > max.form_value then return field.attr.var or "?"; end
			end
		end
	end

	local function field_text(var)
		return ("A distributed room takes %d bytes for %s"):format(max.form_value, var);
	end

	local subject_text = ("A distributed room takes a subject of %d bytes"):format(max.text);

	-- Why a room as it is cannot be distributed, or nil.
	function limits.problem_of(room)
		local _, subject = room:get_subject();
		if subject and #subject > max.text then return subject_text; end
		local form, problem = dmuc.forms.get(room);
		if not form then return problem; end
		local var = too_long(dmuc.stanzas.parse(form) or st.stanza("x"));
		return var and field_text(var) or dmuc.hats.problem_of(room);
	end

	-- Before the source, or mod_muc for it, changes anything.
	module:hook("iq-set/bare/http://jabber.org/protocol/muc#owner:query", function (event)
		local origin, stanza = event.origin, event.stanza;
		if not dmuc.role(stanza.attr.to) then return; end
		local room = dmuc.get_room(stanza.attr.to);
		if not room or room:get_affiliation(stanza.attr.from) ~= "owner" then return; end
		local form = stanza.tags[1]:get_child("x", "jabber:x:data");
		local var = form and form.attr.type == "submit" and too_long(form);
		if not var then return; end
		origin.send(st.error_reply(stanza, "modify", "not-acceptable", field_text(var), room.jid));
		return true;
	end, 12);

	-- After the check of roles (50), before anybody decides (30, 20).
	module:hook("muc-occupant-groupchat", function (event)
		local room, stanza, origin = event.room, event.stanza, event.origin;
		if not room._dmuc or not dmuc.stanzas.is_subject_change(stanza) then return; end
		if #(stanza:get_child_text("subject") or "") <= max.text then return; end
		origin.send(st.error_reply(stanza, "modify", "policy-violation", subject_text, room.jid));
		return true;
	end, 35);
end
