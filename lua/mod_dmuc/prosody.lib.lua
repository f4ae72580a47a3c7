-- All that this module knows of Prosody's inside, and nothing else does (tests/lint/inside.sh): fields of rooms, sessions and
-- connections that are nobody's interface, the methods of rooms that are replaced while a room is distributed, Prosody's core, and
-- what differs between releases (COMPAT).
--
-- Read in 0.12.3, 13.0.1 and 13.0.7. A Prosody whose rooms have other methods is told at load, in one line, before anything
-- is hooked.

local array = require "util.array";
local st = require "util.stanza";
local datetime = require "util.datetime";
local filters = require "util.filters";
local base64 = require "util.encodings".base64;
local hmac_sha256 = require "util.hashes".hmac_sha256;
local resolve_path = require "util.paths".resolve_relative_path;
local timer = require "util.timer";
local monotonic = require "util.time".monotonic;
local config = require "core.configmanager";
local s2smanager = require "core.s2smanager";
local storagemanager = require "core.storagemanager";
local um_is_admin = require "core.usermanager".is_admin;

local global = prosody;
local files = storagemanager.olddm; -- what the internal driver is made of
local host = module.host;

-- Methods of rooms that are replaced (`replaced` below) or called with arguments that only mod_muc itself gives them, with the
-- parameters after the room.
local methods = {
	broadcast = "stanza, cond_func";
	broadcast_message = "stanza";
	build_item_list = "occupant, x, is_anonymous, nick, actor_nick, actor_jid, reason";
	destroy = "newjid, reason, password";
	each_occupant = "read_only";
	get_affiliation = "jid";
	get_affiliation_data = "jid, key";
	get_occupant_by_nick = "nick";
	handle_admin_query_set_command = "origin, stanza";
	handle_iq_to_occupant = "origin, stanza";
	handle_mediated_invite = "origin, stanza";
	handle_message_to_occupant = "origin, stanza";
	handle_normal_presence = "origin, stanza";
	handle_owner_query_set_to_room = "origin, stanza";
	handle_register_iq = "origin, stanza";
	may_set_role = "actor, occupant, role";
	process_form = "origin, stanza";
	publicise_occupant_status = "occupant, x, nick, actor, reason, prev_role, force_unavailable, recipient";
	route_stanza = "stanza";
	save_occupant = "occupant";
	send_occupant_list = "to, filter";
	set_affiliation = "actor, jid, affiliation, reason, data";
	set_affiliation_data = "jid, key, value";
	set_role = "actor, occupant_jid, role, reason";
	set_subject = "from, subject";
};

-- The parameters of a method after the room, and whether it takes any number of them: what passes everything on does so with
-- what mod_muc is given, too.
local function parameters_of(method)
	local info, names = debug.getinfo(method, "u"), {};
	for i = 2, info.nparams do names[i - 1] = debug.getlocal(method, i) or "?"; end
	return table.concat(names, ", "), info.isvararg;
end

-- What is wrong with the methods of rooms, or nil.
local function incompatibility(own)
	if type(own) ~= "table" then return "mod_muc has no room_mt"; end
	local names = {};
	for name in pairs(methods) do names[#names + 1] = name; end
	table.sort(names);
	for _, name in ipairs(names) do
		local method, expected = own[name], methods[name];
		if type(method) ~= "function" then return ("room:%s(%s) is not there"):format(name, expected); end
		local found, takes_any = parameters_of(method);
		local fits = found == expected or takes_any and (found == "" or (expected..","):find(found..",", 1, true) == 1);
		if takes_any then found = found == "" and "..." or found..", ..."; end
		if not fits then return ("room:%s(%s) is room:%s(%s) here"):format(name, expected, name, found); end
	end
end

return function (dmuc)
	local inside = {};
	dmuc.prosody = inside;

	-- Methods of rooms --

	-- mod_muc's own, whatever stands in their place: own.set_role(room, ...).
	local own = dmuc.room_mt;
	inside.own = own;

	local problem = incompatibility(own);
	if problem then
		problem = ("This Prosody (%s) does not fit mod_dmuc, or another module has changed it: %s. See README.md for the versions that do")
			:format(global.version, problem);
		-- At a reload they have been in use already.
		if not dmuc.in_force[host] then error(problem, 0); end
		module:log("error", "%s. It goes on as before", problem);
	end

	-- What a distributed room has in their place: function replaced:set_role(...). Libraries that are loaded later may put
	-- theirs around an earlier one.
	local replaced = setmetatable({}, {
		__newindex = function (self, name, method)
			assert(methods[name], name.." is not among the methods that are checked");
			rawset(self, name, method);
		end;
	});
	inside.replaced = replaced;

	-- Puts ours in the place of a room's methods, and other(name, method) in that of all further ones that set something.
	function inside.take(room, other)
		local state = room._dmuc;
		-- Each room has its own, from mod_muc.
		state.save = room.save;
		function room.save(self, forced, savestate)
			local ok, err = state.save(self, forced, savestate);
			if forced then dmuc.rooms.saved(self); end
			return ok, err;
		end
		for name, method in pairs(replaced) do room[name] = method; end
		state.setters = {};
		for name, method in pairs(own) do
			if type(name) == "string" and name:find("^set_") and type(method) == "function" and not replaced[name] then
				table.insert(state.setters, name);
				room[name] = other(name, method);
			end
		end
	end

	-- Gives them back.
	function inside.give_back(room)
		local state = room._dmuc;
		for name in pairs(replaced) do room[name] = nil; end
		for _, name in ipairs(state.setters) do room[name] = nil; end
		room.save = state.save;
	end

	-- Fields of rooms --

	-- What mod_muc stores with a room, and so survives it: ours are called dmuc_….
	function inside.kept(room)
		return room._data;
	end

	function inside.is_destroyed(room)
		return room._data.destroyed;
	end

	-- Until when nobody gets in, as in a room that is being configured, or a tombstone; nil where anybody may.
	function inside.locked_until(room)
		return room._data.locked;
	end

	function inside.is_being_destroyed(room)
		return room.destroying;
	end

	-- mod_muc_mam's; nil if nobody has chosen.
	function inside.is_archiving(room)
		return room._data.archiving;
	end

	-- What occupant-ids are made with.
	function inside.set_salt(room, salt)
		room._data.occupant_id_salt = salt;
	end

	-- In the place of the one that mod_muc would compute; nil for that.
	function inside.set_occupant_id(occupant, occupant_id)
		occupant.stable_id = occupant_id;
	end

	-- The occupants by in-room JID, not copied: to look at, and never to be changed.
	function inside.occupants(room)
		return room._occupants;
	end

	-- What the list of affiliations says of a JID, and not what follows from it: affiliation and data, or nil.
	function inside.listed(room, jid)
		return room._affiliations[jid], room._affiliation_data[jid];
	end

	-- Sets an entry without any of what mod_muc does about it.
	function inside.list(room, jid, affiliation, data)
		room._affiliations[jid] = affiliation;
		room._affiliation_data[jid] = data and next(data) and data or nil;
	end

	-- After entries were set: mod_muc has an index of their nicks.
	function inside.relisted(room)
		room._reserved_nicks = nil;
	end

	function inside.has_history(room)
		return room._history ~= nil;
	end

	-- The history that mod_muc shows from memory: stanzas with times, oldest first; none for what is elsewhere.
	function inside.set_history(room, history)
		room._history = history and history[1] and history or nil;
	end

	-- Whether mod_muc could not read this room, and answers with errors in its name.
	function inside.is_broken(room)
		return rawget(room, "handle_first_presence") ~= nil;
	end

	-- What mod_muc takes for a stanza's origin --

	local function discard() end
	function inside.origin(send)
		return { type = "component"; host = host; send = send or discard };
	end

	-- The origin of what this service itself sends.
	function inside.is_of_service(origin)
		return origin == global.hosts[host];
	end

	-- In the place of an origin: what is answered to it goes to send(answer, on), of which on(answer) is the way that the origin
	-- has by then. Everything else is its own.
	function inside.stand_in(origin, send)
		local function on(answer) return origin.send(answer); end
		return setmetatable({ send = function (answer) return send(answer, on); end }, { __index = origin; __newindex = origin });
	end

	-- Has a stanza of this service handled as if it had just sent it.
	function inside.deliver(stanza)
		global.core_post_stanza(global.hosts[host], stanza);
	end

	-- Who does something in no user's name. COMPAT 13: an actor needs a localpart.
	inside.itself = "dmuc@"..host;

	-- Moves a client here to another nick, told as one that it did not ask for (303, and 210): mod_muc says so when a hook has
	-- changed the nick on its way. Of further clients of the same occupant nothing is said.
	local renaming = setmetatable({}, { __mode = "k" }); -- [stanza] = the in-room JID it asks for in truth
	function inside.rename(room, presence, to, is_first)
		presence.attr.to = to;
		if is_first then
			presence.attr.to = to.." ";
			renaming[presence] = to;
		end
		room:handle_normal_presence(inside.origin(), presence);
	end
	-- In the event muc-occupant-pre-change.
	function inside.renamed(event)
		local to = renaming[event.stanza];
		if to and event.dest_occupant then event.dest_occupant.nick = to; end
	end

	-- The id by which mod_muc finds the way back of a question that it passes on to a session.
	function inside.private_id(room, session, id, from)
		return base64.encode(session.."\0"..id.."\0"..hmac_sha256(room:get_salt(), from):sub(1, 8));
	end

	-- The opposite: the id of the question, or nil.
	function inside.question_id(id)
		return (base64.decode(id or "") or ""):match("^%Z+%z(%Z*)%z.+$");
	end

	-- Has a stanza handled as if it had just come.
	function inside.process(origin, stanza)
		global.core_post_stanza(origin, stanza);
	end

	-- Hosts, modules, options --

	function inside.has_module(name, on)
		local entry = global.hosts[on or host];
		return entry ~= nil and entry.modules[name] ~= nil;
	end

	function inside.is_here(name)
		return global.hosts[name] ~= nil;
	end

	-- The events of a host whose users are this server's, or nil.
	function inside.users_of(name)
		local entry = global.hosts[name];
		return entry and entry.type == "local" and entry.events or nil;
	end

	function inside.has_listeners(event_name)
		local handlers = global.hosts[host].events.get_handlers(event_name);
		return handlers ~= nil and next(handlers) ~= nil;
	end

	-- All sections of the configuration, each [option] = value without what it inherits, by host or "*".
	function inside.sections()
		local sections = {};
		for name, section in pairs(config.getconfig()) do
			sections[name] = {};
			for option, value in next, section do sections[name][option] = value; end
		end
		return sections;
	end

	-- In seconds. COMPAT 0.12: it has no get_option_period, and mod_muc_mam reads this by itself.
	function inside.period(name, default)
		if module.get_option_period then return module:get_option_period(name, default); end
		local day = 86400;
		local units = { d = day, w = 7 * day, m = 31 * day, y = 365.2425 * day };
		local number, unit = module:get_option_string(name, default):lower():match("(%d+)%s*([dwmy]?)");
		return number and tonumber(number) * (units[unit] or 1) or math.huge;
	end

	-- COMPAT 0.12: it has no roles.
	function inside.is_service_admin(jid)
		if module.could then return module:could("muc:automatic-ownership", jid); end
		return um_is_admin(jid, host);
	end

	-- Ad-hoc commands of this service for its administrators: mod_adhoc, which mod_muc loads, lists them, and knows who may use them.
	-- What they do is not its affair.
	function inside.offer_command(node, name)
		module:provides("adhoc", module:require "adhoc".new(name, node, nil, "admin"));
	end
	-- COMPAT 0.12: it has no roles.
	function inside.may_command(event, node)
		if module.could then return module:may("adhoc:"..node, event); end
		return um_is_admin(event.stanza.attr.from, host);
	end

	-- Times --

	-- COMPAT 0.12: whole seconds only.
	local has_fractions = pcall(datetime.datetime, 0.5);
	inside.has_fractions = has_fractions;
	-- Of Prosody, as it calls itself.
	inside.version = global.version;
	function inside.stamp(seconds)
		return datetime.datetime(has_fractions and seconds or math.floor(seconds));
	end

	-- Presences --

	-- In which a room says of somebody's hats. COMPAT 0.12: it has a namespace of its own, and takes the other from clients.
	inside.hats_namespaces = { ["urn:xmpp:hats:0"] = true; ["xmpp:prosody.im/protocol/hats:1"] = true };

	-- vCards of rooms --

	-- COMPAT 0.12: only the community module mod_vcard_muc has them. 13 brings them with mod_muc, in the same store unless it is told
	-- otherwise, and remembers with the room what the hash of its photo was (13.0.1 for good).
	local has_vcards = module.could and inside.has_module("vcard") and module:get_option_boolean("muc_vcard", true);
	inside.vcard_store = has_vcards and module:get_option_string("vcard_store_name")
		or has_vcards and module:get_option_string("component_module") ~= "muc" and "vcard" or "vcard_muc";

	function inside.avatar_changed(room)
		room.avatar_hash = nil;
	end

	-- Whether another module tells who joins.
	function inside.greets_with_avatar()
		return has_vcards or inside.has_module("vcard_muc");
	end

	-- Whether people are told of avatars in this way, or in any. The option is that of 13.
	local told_by = module:get_option_string("muc_avatar_advertise_hashes");
	function inside.tells_avatar(way)
		return told_by == nil or told_by ~= "none" and (way == nil or told_by == way);
	end

	-- Storage --

	function inside.driver_of(store_name)
		local _, driver_name = storagemanager.get_driver(host, store_name);
		return driver_name;
	end

	-- The internal driver takes a folder that it may not look into for one that is not there: the folder, of any other driver
	-- nil.
	function inside.folder_of(store_name)
		if inside.driver_of(store_name) ~= "internal" then return nil; end
		return files.getpath("x", host, store_name):match("^(.*)/");
	end

	-- Lists of the internal driver: items, or nil and maybe an error.
	function inside.load_list(node, store_name)
		return files.list_load(node, host, store_name);
	end
	-- Appends a stanza to an archive of that driver, as it does itself where it is given no key. The stanza stays as it is.
	function inside.append_to_archive(node, store_name, stanza, key, when, with)
		local item, attr = st.preserialize(stanza), {};
		for name, value in next, stanza.attr do attr[name] = value; end
		attr.stamp = datetime.datetime(when);
		item.attr, item.key, item.when, item.with = attr, key, when, with;
		return files.list_append(node, host, store_name, item);
	end
	function inside.store_list(node, store_name, items)
		return files.list_store(node, host, store_name, items);
	end

	-- The connections of mod_storage_sql, by database: it shares them with other modules.
	local databases = module:shared("/*/sql/connections");

	-- While a transaction goes on, whatever stores do is part of it.
	local function as_part_of_it(_, work, ...)
		return true, work(...);
	end

	-- The database in which an archive store is, as what begins a transaction on it: begin(work); nil if it is in none, or
	-- somebody else has put something in the place of the method.
	function inside.database_of(store)
		if next(databases) == nil then return nil; end
		local found;
		local asked = {};
		for _, database in pairs(databases) do
			if type(database.transaction) == "function" and rawget(database, "transaction") == nil then
				asked[database] = true;
				function database:transaction(...)
					found, asked[self], self.transaction = self, nil, nil;
					return self:transaction(...);
				end
			end
		end
		pcall(store.find, store, "", { limit = 1 });
		for database in pairs(asked) do database.transaction = nil; end
		return found;
	end

	-- Calls work() in one transaction of a database: all that stores write there meanwhile is kept as a whole, or not at all if
	-- work raises, or returns nothing. work waits for nobody. Returns whether it is kept.
	function inside.in_one_transaction(database, work)
		if rawget(database, "transaction") ~= nil then return false; end
		local ok = database:transaction(function ()
			database.transaction = as_part_of_it;
			local works, is_whole = pcall(work);
			database.transaction = nil;
			if not works or not is_whole then error(is_whole or "a part could not be written", 0); end
			return true;
		end);
		return ok and true or false;
	end

	-- Runs a statement on every SQLite database that mod_storage_sql has open; returns how many rows it has changed.
	function inside.on_sqlite(statement, ...)
		local changed, values = 0, table.pack(...);
		for _, engine in pairs(databases) do
			if engine.params.driver == "SQLite3" then
				local ok, result = engine:transaction(function ()
					return engine:update(statement, table.unpack(values, 1, values.n));
				end);
				if ok then changed = changed + result:affected(); end
			end
		end
		return changed;
	end

	-- Sessions and connections --

	-- The sessions of clients of this server: [full JID] = session.
	inside.clients = global.full_sessions;

	-- What this module keeps with a session: it goes and stays with that, over resumptions (XEP-0198) and reloads.
	function inside.kept_with(session)
		local known = session.dmuc;
		if not known then
			known = {};
			session.dmuc = known;
		end
		return known;
	end
	-- The same, or nil.
	function inside.known_of(session)
		return session.dmuc;
	end

	-- The sessions of a user of this server.
	function inside.sessions_of(bare_jid)
		local user, list = global.bare_sessions[bare_jid], {};
		for _, session in pairs(user and user.sessions or {}) do list[#list + 1] = session; end
		return list;
	end

	-- Has everything that goes to a session's client pass work(stanza, session). A stream that was resumed forgets it.
	function inside.watch(session, work)
		if session.filters then filters.add_filter(session, "stanzas/out", work); end
	end
	function inside.unwatch(session, work)
		filters.remove_filter(session, "stanzas/out", work);
	end

	-- Whether a function is Prosody's own, from this file, and no other module's in its place.
	local function is_of(method, file)
		return debug.getinfo(method, "S").source:sub(-#file) == file;
	end

	local routes, routes_plainly; -- the last method that was looked at
	local full_events = { message = "message/full"; presence = "presence/full" };

	-- What room:route_stanza() does with a stanza for clients of this server, without looking for who that is: a function of the
	-- session, which returns nil, and has done nothing, where it is not known to come to the same. nil if it is nowhere.
	function inside.poster(stanza)
		if own.route_stanza ~= routes then
			routes, routes_plainly = own.route_stanza, is_of(own.route_stanza, "/muc.lib.lua");
		end
		local name, origin = stanza.name, global.hosts[host];
		local event_name = full_events[name];
		if not routes_plainly or not event_name then return nil; end
		local fire = {}; -- by host; false where nothing here handles it
		return function (session)
			local there = session.host;
			local fire_there = fire[there];
			if fire_there == nil then
				local entry = global.hosts[there];
				fire_there = entry and entry.modules[name] and entry.events.fire_event or false;
				fire[there] = fire_there;
			end
			if not fire_there then return nil; end
			fire_there(event_name, { origin = origin; stanza = stanza });
			return true;
		end;
	end

	local swift = setmetatable({}, { __mode = "k" }); -- [what stands in a session] = what Prosody had there
	-- For the log, which makes text of it while somebody keeps one.
	local shown = setmetatable({}, { __mode = "v"; __tostring = function (self) return self.stanza:top_tag(); end });

	-- Has a stanza of which is_ours(stanza) is true go to a client as Prosody sends it, but for the text of its first tag, which is
	-- made for a log that nobody keeps. Nothing changes where another module sends in Prosody's place (as BOSH does).
	function inside.send_swiftly(session, is_ours)
		local send = session.send;
		if swift[send] or not session.rawsend or not is_of(send, "/core/sessionmanager.lua") then return; end
		local function ours(stanza)
			if not is_ours(stanza) then return send(stanza); end
			shown.stanza = stanza;
			session.log("debug", "Sending[%s]: %s", session.type, shown);
			local data = session.filter("stanzas/out", stanza);
			return data == nil or session.rawsend(data);
		end
		swift[ours] = send;
		session.send = ours;
	end
	function inside.send_as_before(session)
		session.send = swift[session.send] or session.send;
	end

	-- Connections to other servers: [service] = session.
	local function outgoing()
		local entry = global.hosts[host];
		return entry and entry.s2sout or {};
	end
	inside.outgoing = outgoing;

	-- Bytes in the write buffer of a connection, and bytes and stanzas that wait until it is up; net.server's other backends
	-- have limits of their own. COMPAT 0.12: lists; in 13 a util.dbuffer and a util.queue of stanzas.
	local function unsent_of(conn)
		local buffer = conn and conn.writebuffer;
		if type(buffer) == "string" or getmetatable(buffer) then return #buffer; end
		local bytes = 0;
		if type(buffer) == "table" then
			for _, text in ipairs(buffer) do bytes = bytes + #text; end
		end
		return bytes;
	end
	local function queued_of(session)
		local queue = session.sendq;
		if not queue then return 0, 0; end
		if queue.count then return 0, queue.count(); end
		local bytes = 0;
		for _, item in ipairs(queue) do
			if type(item[1]) == "string" then bytes = bytes + #item[1]; end
		end
		return bytes, #queue;
	end

	-- Bytes and stanzas that wait to be sent over a session.
	function inside.unsent(session)
		local bytes, stanzas = queued_of(session);
		return bytes + unsent_of(session.conn), stanzas;
	end

	-- Gives up the connection to a service: a new one is tried with the next stanza. Returns whether there was one.
	function inside.give_up(service, why)
		local session = outgoing()[service];
		if not session then return false; end
		local conn = session.conn;
		s2smanager.destroy_session(session, why);
		if conn then (conn.destroy or conn.close)(conn); end
		return true;
	end

	-- Every session over which stanzas of a service come; those of others of its server may come over the same.
	function inside.sessions_from(service)
		local found = {};
		for session in pairs(global.incoming_s2s) do
			local known = session.hosts and session.hosts[service];
			if session.from_host == service or known and known.authed then table.insert(found, session); end
		end
		local both = outgoing()[service];
		if both and both.incoming then table.insert(found, both); end -- used in both directions (XEP-0288)
		return found;
	end

	-- Every session over which stanzas of other servers come: [session] = services.
	function inside.incoming()
		local found = {};
		local function add(session, service)
			local services = found[session] or {};
			services[#services + 1] = service;
			found[session] = services;
		end
		for session in pairs(global.incoming_s2s) do
			for service, known in pairs(session.hosts or {}) do
				if known.authed then add(session, service); end
			end
		end
		for service, session in pairs(outgoing()) do
			if session.incoming then add(session, service); end -- used in both directions (XEP-0288)
		end
		return found;
	end

	-- What has been read of the stanza that a session is in the middle of: [session] = { bytes, how many there were at the last
	-- look }. Filters are how other modules see bytes, and none of this module's after it is unloaded.
	local unfinished = setmetatable({}, { __mode = "k" });
	local function note_bytes(data, session)
		local part = unfinished[session];
		if part and data:find("%S") then part.bytes = part.bytes + #data; end
		return data;
	end
	local function note_stanza(stanza, session)
		local part = unfinished[session];
		if part then part.bytes, part.looked = 0, 0; end
		return stanza;
	end

	-- TLS gives out nothing of a record, which has up to 16 KiB, before it is whole: that net.server_epoll has found something to
	-- read is what shows of it.
	local function watch_socket(conn, part)
		local inner = conn.onreadable;
		if not inner then return; end -- another backend
		function part.onreadable(self, ...)
			part.bytes = part.bytes + 1;
			return inner(self, ...);
		end
		part.conn, conn.onreadable = conn, part.onreadable;
	end

	-- Whether a session is in the middle of the same stanza as at the last look, and more of it has come since.
	function inside.is_arriving(session)
		local part = unfinished[session];
		if not part then
			part = { bytes = 0; looked = 0 };
			unfinished[session] = part;
			filters.add_filter(session, "bytes/in", note_bytes);
			filters.add_filter(session, "stanzas/in", note_stanza);
			if session.conn then watch_socket(session.conn, part); end
		end
		local is_more = part.looked > 0 and part.bytes > part.looked;
		part.looked = part.bytes;
		return is_more;
	end
	function inside.stop_looking()
		for session, part in pairs(unfinished) do
			local conn = part.conn;
			if conn and rawget(conn, "onreadable") == part.onreadable then conn.onreadable = nil; end
			filters.remove_filter(session, "bytes/in", note_bytes);
			filters.remove_filter(session, "stanzas/in", note_stanza);
		end
	end

	-- Whether a stanza came over the session of another server, and is none that our own has made in its name.
	function inside.is_from_there(origin)
		return (origin.type == "s2sin" or origin.type == "s2sout") and not origin.dummy;
	end

	-- Whether a stanza says what did not arrive there.
	function inside.is_bounce(origin)
		return origin.dummy;
	end

	-- Network backends other than the default one do not pause for a time: [session] = when it is read again.
	local paused = setmetatable({}, { __mode = "k" });

	-- Reads nothing from a session for a time. One that has ended meanwhile has no connection. These are no timers of this
	-- module: they outlive a reload of it.
	function inside.pause(session, pause_s)
		local conn = session.conn;
		if not conn then return; end
		if conn.pausefor then return conn:pausefor(pause_s); end
		if not conn.pause then return; end
		local is_paused = paused[session];
		paused[session] = monotonic() + pause_s;
		if is_paused then return; end
		conn:pause();
		timer.add_task(pause_s, function ()
			local left = paused[session] - monotonic();
			if left > 0 then return left; end
			paused[session] = nil;
			if session.conn == conn then conn:resume(); end
		end);
	end

	-- The admin shell --

	-- Puts a section into the environment of Prosody's shell, which all modules share: its commands, and each one's { name, args,
	-- desc } for help and for the arguments of prosodyctl. Sessions of the shell that are open keep the table.
	--
	-- COMPAT: the items of 13 ("shell-command") are no alternative for components. 13.0.1 sees them only where the shell is enabled
	-- for that component, and never forgets them; 13.0.6 forgets those of all components when one of them goes; 0.12 knows none,
	-- and no help but its own.
	function inside.put_into_shell(name, section, desc, commands)
		local described = {};
		for _, command in ipairs(commands) do
			local args = array();
			for _, arg in ipairs(command.args) do args:push({ name = arg.name; type = "string" }); end
			described[command.name] = { desc = command.desc; args = args; module = module.name };
		end
		module:shared("/*/admin_shell/env")[name] = setmetatable(section, { help = { desc = desc; commands = described } });
	end
	function inside.take_out_of_shell(name)
		module:shared("/*/admin_shell/env")[name] = nil;
	end

	-- prosodyctl, in whose process no server runs --

	-- Where the server would find the certificate of a host; nil if it has none, nil and what is wrong if it would not start with it.
	function inside.certificate_of(name)
		local its, all = module:context(name):get_option("ssl"), module:context("*"):get_option("ssl");
		local ok, trouble, found = require "core.certmanager".create_context(name, "server", its, all);
		if not ok then return nil, trouble; end
		return found and found.certificate;
	end

	-- Records of the DNS, as many as there are, each { srv = { target, port } }, { a } or { aaaa }. It waits for them.
	function inside.look_up(name, kind)
		local dns = require "net.dns";
		pcall(function () dns = require "net.unbound".dns; end);
		return dns.lookup(name, kind) or {};
	end

	-- A client of the admin shell of the server with this configuration: it has events and send, and goes to work when it is told to
	-- connect, by the second value; which returns whether somebody listens there.
	function inside.admin_stream()
		local adminstream = require "util.adminstream";
		local path = resolve_path(global.paths.data, module:context("*"):get_option_string("admin_socket", "prosody.sock"));
		local client = adminstream.client();
		return client, function () return adminstream.connection(path, client.listeners):connect(); end;
	end
end
