-- The source's list of affiliations and hats put into a room here as one: its tables, one save, one pass over the
-- occupants. Entry by entry, as mod_muc takes them, a list of some hundred entries would stop the server for seconds.

local jid_host = require "util.jid".host;
local jid_split = require "util.jid".split;
local jid_bare = require "util.jid".bare;
local st = require "util.stanza";
local monotonic = require "util.time".monotonic;

return function (dmuc)
	local listing = {};
	dmuc.listing = listing;

	local inside = dmuc.prosody;

	local xmlns_muc_user = dmuc.stanzas.xmlns_muc_user;

	-- After so long the occupants who are still to be shown wait for another turn of the server.
	local turn_s, pause_s = 0.02, 0.005;
	-- Of longer lists nobody is told whose entry of people who are not here has changed: a client can ask for the list.
	local max_announced = 20;
	local max_saved_at_once = 200;

	local affiliation_ranks = { outcast = -1; none = 0; member = 1; admin = 2; owner = 3 };
	local role_ranks = { none = 0; visitor = 1; participant = 2; moderator = 3 };

	-- What modules keep with an affiliation: they may add to it, as in mod_muc, but the source has decided.
	local function asked(room, action, affiliation, data)
		local held, held_data = inside.listed(room, action.jid);
		local event = {
			room = room; jid = action.jid; affiliation = action.affiliation; reason = action.reason; data = data;
			actor = dmuc.rooms.session_of(room, action.actor);
			previous_affiliation = held or "none"; previous_data = held_data;
		};
		module:fire_event("muc-pre-set-affiliation", event);
		return affiliation and (data or event.data);
	end

	-- Sets one entry in the tables of the room. Returns whether anything is different.
	local function set_affiliation(room, action)
		local jid = action.jid;
		local affiliation = action.affiliation ~= "none" and action.affiliation or nil;
		if inside.listed(room, jid) == affiliation and room:get_registered_nick(jid) == action.nick then return false; end
		local data = asked(room, action, affiliation, affiliation and dmuc.listed_with(room, jid, action.nick, action.reason) or nil);
		if affiliation then
			data = data or {};
			data.reserved_nickname = action.nick;
		end
		inside.list(room, jid, affiliation, data);
		return true;
	end

	-- What mod_muc says with an affiliation: why somebody is removed.
	local function with_status(change, role)
		local x = st.stanza("x", { xmlns = xmlns_muc_user });
		if not role then x:tag("status", { code = change.affiliation == "outcast" and "301" or "321" }):up(); end
		return x;
	end

	-- An occupant has what the list says by now, and everybody here sees it.
	local function show(room, due)
		local occupant, change = inside.occupants(room)[due.nick], due.change;
		-- Who left meanwhile, or was changed once more, has been shown as that.
		if not occupant or not occupant.role or occupant.bare_jid ~= due.jid then return; end
		if inside.listed(room, change.jid) ~= change.affiliation then return; end
		local role, old_role = room:get_default_role(change.affiliation), occupant.role;
		local is_raised = role_ranks[old_role] < role_ranks[role or "none"];
		if change.is_affiliation and old_role ~= role and (change.is_lowered or is_raised) then
			occupant.role = role;
			room:save_occupant(occupant);
		end
		local actor = dmuc.rooms.session_of(room, change.actor);
		room:publicise_occupant_status(occupant, with_status(change, occupant.role), nil, actor, change.reason, old_role);
		if not occupant.role then
			module:fire_event("muc-occupant-left", { room = room; nick = occupant.nick; occupant = occupant });
		elseif room:get_whois() == "moderators" and (old_role == "moderator") ~= (occupant.role == "moderator") then
			-- Whether they may see who the others are has changed.
			for session in occupant:each_session() do
				room:send_occupant_list(session, function (_, other)
					return not other or other.bare_jid ~= occupant.bare_jid;
				end);
			end
		end
	end

	-- Shows those who are due, from the given one on, in turns.
	local function show_all(room, due, first)
		local enough = monotonic() + turn_s;
		for i = first, #due do
			if not room._dmuc then return; end
			show(room, due[i]);
			if due[i + 1] and monotonic() >= enough then
				local room_jid = room.jid;
				module:add_timer(pause_s, function ()
					local live = dmuc.get_room(room_jid);
					if live then dmuc.turns.run(nil, dmuc.hold, show_all, live, due, i + 1); end
				end);
				return;
			end
		end
	end

	local function announce(room, change)
		local x = with_status(change, room:get_default_role(change.affiliation))
			:tag("item", { affiliation = change.affiliation or "none"; jid = change.jid });
		if change.reason then x:text_tag("reason", change.reason); end
		local is_for_all = room:get_whois() == "anyone";
		room:broadcast(st.message({ from = room.jid }):add_child(x:reset()), function (_, occupant)
			return is_for_all or occupant.role == "moderator";
		end);
	end

	-- Who is here of those whose entry has changed: first those who lose something.
	local function present(room, changes)
		local domains = {};
		for jid, change in pairs(changes) do
			if change.affiliation == "outcast" and not jid_split(jid) then domains[jid] = change; end
		end
		local lowered, others = {}, {};
		for nick, occupant in pairs(inside.occupants(room)) do
			local change = changes[occupant.bare_jid] or domains[jid_host(occupant.bare_jid)];
			if change then
				change.is_present = true;
				local due = change.is_lowered and lowered or others;
				due[#due + 1] = { nick = nick; jid = occupant.bare_jid; change = change };
			end
		end
		table.move(others, 1, #others, #lowered + 1, lowered);
		return lowered;
	end

	-- A long list costs Prosody a turn of its own to store. What a crash before it loses the engine has.
	local function save(room, count)
		if count <= max_saved_at_once then return room:save(true); end
		local room_jid = room.jid;
		dmuc.turns.next(function ()
			local live = dmuc.get_room(room_jid);
			if live and live._dmuc then live:save(true); end
		end);
	end

	-- Takes in entries of the list (actions "apply_affiliation" and "apply_hats") in their order.
	function listing.take(room, entries)
		local changes, count = {}, 0;
		for _, action in ipairs(entries) do
			local jid = action.jid;
			local had = inside.listed(room, jid);
			local is_affiliation = action.kind == "apply_affiliation";
			local is_new;
			if is_affiliation then
				is_new = set_affiliation(room, action);
			else
				is_new = dmuc.hats.set(room, action);
			end
			if not room._dmuc then return; end -- closed while a hook waited
			if is_new then
				local change = changes[jid];
				if not change then
					change = { jid = jid; had = had };
					changes[jid], count = change, count + 1;
				end
				change.affiliation = inside.listed(room, jid);
				change.is_affiliation = change.is_affiliation or is_affiliation;
				change.is_lowered = affiliation_ranks[change.had or "none"] > affiliation_ranks[change.affiliation or "none"];
				change.reason, change.actor = action.reason or change.reason, action.actor or change.actor;
			end
		end
		if count == 0 then return; end
		inside.relisted(room);
		for _, remote in pairs(room._dmuc.remotes) do
			local change = remote.jid and changes[jid_bare(remote.jid)];
			if change and change.is_affiliation then remote.affiliation = change.affiliation or "none"; end
		end
		save(room, count);
		show_all(room, present(room, changes), 1);
		for jid, change in pairs(changes) do
			if change.is_affiliation then
				local _, data = inside.listed(room, jid);
				if count <= max_announced and not change.is_present then announce(room, change); end
				module:fire_event("muc-set-affiliation", {
					room = room; jid = jid; affiliation = change.affiliation or "none"; previous_affiliation = change.had or "none";
					reason = change.reason; data = data; in_room = change.is_present or false;
					is_of_list = true; -- all that this module does about it is done
				});
			end
		end
	end
end
