-- Does what the engine says: one function per kind of action.

local st = require "util.stanza";
local jid_host = require "util.jid".host;

return function (dmuc)
	local presence, groupchat, requests, lifecycle, forms = dmuc.presence, dmuc.groupchat, dmuc.requests, dmuc.lifecycle, dmuc.forms;
	local inside, turns = dmuc.prosody, dmuc.turns;

	-- The room of an action, which is in memory and distributed.
	local function room_of(action)
		local room = dmuc.get_room(action.room);
		return room and room._dmuc and room or nil;
	end

	-- Runs on the room, if it is there.
	local function on_room(perform)
		return function (action)
			local room = room_of(action);
			if room then return perform(room, action); end
		end
	end

	-- The same of a room that may have been parked until now.
	local function on_any(perform)
		return function (action)
			local room = dmuc.get_room(action.room);
			if room then return perform(room, action); end
		end
	end

	local actions = {
		call = function (action) action.work(); end;
		send_iq = requests.send;
		send_presence = presence.send;
		send_groupchat = groupchat.send;
		send_subject = groupchat.send_subject;
		send_moderation = dmuc.moderation.send;
		hide_message = on_room(dmuc.moderation.hide);
		restore_message = on_room(dmuc.moderation.restore);
		perform_act = requests.perform;
		act_answered = requests.act_answered;
		show_voice_request = on_room(dmuc.voice.show);
		send_invitation = function (action) return dmuc.invitations.send(room_of(action), action); end;
		deliver_decline = on_room(dmuc.invitations.decline);
		apply_list = on_room(function (room, action) dmuc.listing.take(room, action.entries); end);
		show_occupant = on_room(presence.show);
		hide_occupant = on_room(presence.hide);
		add_messages = on_room(groupchat.add);
		rename = on_room(function (room, action) presence.rename(room, action.nick, action.new_nick); end);
		destroy = on_any(function (room, action) lifecycle.destroy(room, action.venue, action.reason, action.password); end);
		close = on_any(function (room, action) lifecycle.close(room, action.source, action.reason); end);
		park = dmuc.parked.begin;
		unpark = dmuc.parked.finish;
		store = function (action) lifecycle.store(action.room); end;
		trim_log = dmuc.log.trim;
		apply_avatar = on_room(dmuc.avatar.apply);
		read_avatar = dmuc.avatar.hand_over;
		read_log = function (action) dmuc.reading.hurry(action.room); end;
		read_messages = dmuc.reading.want;
		private_done = dmuc.private.done;
		private_failed = dmuc.private.failed;
		served = function (action) dmuc.serving.take(action); end;
		overridden = on_room(dmuc.links.overridden);
		reset_link = function (action) dmuc.links.reset(action.service); end;
		slow_down = function (action) dmuc.pace.slow_down(action.service, action.pause_ms / 1000); end;
	};

	function actions.apply_settings(action)
		-- The room may have ended here while this waited for its turn.
		if not dmuc.ask("room", action.room) then return; end
		local is_new = not dmuc.get_room(action.room);
		local room, err = lifecycle.make_shadow(action.room);
		if not room then
			module:log("error", "The shadow %s of %s cannot be made: %s", action.room, action.source, err);
			dmuc.tell("destroyed", action.room);
			return;
		end
		if is_new then module:log("info", "%s is an instance of %s now", action.room, action.source); end
		if action.salt then inside.set_salt(room, action.salt); end
		room._dmuc.source, inside.kept(room).dmuc_source = action.source, action.source;
		local was_open = room:get_whois() == "anyone";
		forms.apply(room, action.form);
		lifecycle.reopen(room);
		-- Other instances may have heard of it first, and have told whom people here were not to see yet.
		if not was_open and room:get_whois() == "anyone" then presence.reveal(room); end
	end

	-- Another instance is the source from now on, or this one is.
	actions.source_moved = on_room(function (room, action)
		room._dmuc.is_source, room._dmuc.source = action.is_here, action.source;
		inside.kept(room).dmuc_source = not action.is_here and action.source or nil;
		room:save(true);
		module:log("info", "%s", action.line);
		dmuc.rooms.tell(room, action.text);
	end);

	actions.apply_subject = on_room(function (room, action)
		local from = action.nick and room.jid.."/"..action.nick or room.jid;
		local had_from, had = room:get_subject();
		if (had or "") == action.text and (action.text == "" or had_from == from) then return; end
		inside.own.set_subject(room, from, action.text);
		room:save();
	end);

	-- A message from the room to the owners who are here.
	function dmuc.tell_owners(room, text)
		room:broadcast(st.message({ from = room.jid; type = "groupchat" }, text), function (_, occupant)
			return room:get_affiliation(occupant.bare_jid) == "owner";
		end);
	end

	-- What owners or everybody who are here, and the log, are told.
	function actions.notice(action)
		if action.notice == "not_named" then dmuc.parked.warn(); end
		if action.notice == "gap" then dmuc.metrics.lost(action.messages); end
		if action.key then
			dmuc.tally.room(action.level, action.key, action.room, action.text, action.many, action.number);
		else
			module:log(action.level, "%s: %s", action.room, action.text);
		end
		local room = room_of(action);
		if room and action.everybody then dmuc.rooms.tell(room, action.everybody); end
		if room and action.owners then dmuc.tell_owners(room, action.owners); end
	end

	function dmuc.perform(action)
		return actions[action.kind](action);
	end

	local function to_service(action)
		return "to "..jid_host(action.to);
	end

	local function of_nick(action)
		return presence.lane(action.room, action.nick);
	end

	local function of_list(action)
		return "list of "..action.room;
	end

	local function of_settings(action)
		return "settings of "..action.room;
	end

	-- Which actions have to stay in order among themselves, even if a hook of another module waits in one of them: those
	-- for one occupant, one list, one peer ... Of the others each stands for itself.
	local lanes = {
		send_iq = to_service;
		send_presence = to_service;
		send_groupchat = to_service;
		send_subject = to_service;
		send_moderation = to_service;
		show_occupant = of_nick;
		hide_occupant = of_nick;
		rename = of_nick;
		restore_message = function (action) return groupchat.lane(action.room, action.id); end;
		hide_message = function (action) return groupchat.lane(action.room, action.moderation.id); end;
		apply_list = of_list;
		apply_settings = of_settings;
		source_moved = of_settings;
		apply_subject = function (action) return "subject of "..action.room; end;
		apply_avatar = function (action) return "avatar of "..action.room; end;
		perform_act = function (action) return "acts of "..action.actor.." in "..action.room; end;
	};
	-- What does not need the room.
	local is_for_nobody_here = {
		call = true; served = true; store = true; trim_log = true; private_done = true; private_failed = true; reset_link = true; notice = true;
		read_avatar = true; send_iq = true; send_presence = true; send_groupchat = true; send_subject = true; send_moderation = true;
	};
	-- Rooms that are being made: until that is done everything for them waits for it.
	local is_in_the_making = {};

	function dmuc.lane_of(action)
		local kind, room_jid = action.kind, action.room;
		if is_in_the_making[room_jid] and not is_for_nobody_here[kind] then
			if turns.is_busy(of_settings(action)) then return of_settings(action); end
			is_in_the_making[room_jid] = nil;
		end
		if kind == "apply_settings" and not room_of(action) then is_in_the_making[room_jid] = true; end
		return lanes[kind] and lanes[kind](action);
	end
end
