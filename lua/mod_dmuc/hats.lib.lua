-- Hats (XEP-0317): kept with the affiliations, where mod_muc finds what it shows in a presence. They are the source's to
-- give (G7), and the same at every instance.

local st = require "util.stanza";
local xml_escape = st.xml_escape;

return function (dmuc)
	local hats = {};
	dmuc.hats = hats;

	local inside = dmuc.prosody;
	local own, methods = inside.own, inside.replaced;
	local xmlns_hats = "urn:xmpp:hats:0";
	local namespaces = inside.hats_namespaces;

	local limits = dmuc.native.limits; -- in bytes
	local max_hats, max_bytes = limits.hats, limits.hat;

	-- What a hat holds besides, an array of stanzas as Prosody stores them or not (XEP-0317: custom payloads), as text.
	local function held_by(hat)
		local texts = {};
		for _, child in ipairs(hat.children or {}) do
			texts[#texts + 1] = tostring(st.is_stanza(child) and child or st.deserialize(child));
		end
		return table.concat(texts);
	end

	local function depth_of(tag)
		local most = 0;
		for _, child in ipairs(tag.tags) do most = math.max(most, depth_of(child)); end
		return most + 1;
	end

	-- Why no instance would take a hat, or nil.
	local function problem_of_hat(uri, hat)
		for _, text in ipairs { uri, hat.title or "", tostring(hat.hue or "") } do
			if #text > max_bytes then return ("A hat in a distributed room has at most %d bytes"):format(max_bytes); end
		end
		if uri == "" then return "A hat in a distributed room has a URI"; end
		local works, held = pcall(held_by, hat);
		if held == "" then return; end
		local parsed = works and dmuc.stanzas.parse("<hat>"..held.."</hat>");
		if not parsed or depth_of(parsed) > limits.hat_depth + 1 or #held > limits.hat_payload then
			return ("A hat in a distributed room holds elements of at most %d bytes"):format(limits.hat_payload);
		end
	end

	-- What others are shown of somebody's hats, as text in an order of its own; empty for none. Nil and why for what no
	-- instance would take.
	local function written(worn)
		local uris = {};
		for uri, hat in pairs(worn or {}) do
			if hat.active then
				local problem = problem_of_hat(uri, hat);
				if problem then return nil, problem; end
				uris[#uris + 1] = uri;
			end
		end
		if #uris > max_hats then return nil, ("Nobody has more than %d hats in a distributed room"):format(max_hats); end
		if not uris[1] then return ""; end
		table.sort(uris);
		local texts = {};
		for _, uri in ipairs(uris) do
			local hat = worn[uri];
			-- Attributes in an order of their own: two that are the same have one text.
			local attrs = {};
			local function add(name, value)
				if value then attrs[#attrs + 1] = (" %s='%s'"):format(name, xml_escape(tostring(value))); end
			end
			add("uri", uri);
			add("title", hat.title);
			add("hue", hat.hue);
			add("xml:lang", hat.lang and hat.lang ~= "" and #hat.lang <= limits.lang and hat.lang);
			texts[#texts + 1] = "<hat"..table.concat(attrs)..">"..held_by(hat).."</hat>";
		end
		return ("<hats xmlns='%s'>%s</hats>"):format(xmlns_hats, table.concat(texts));
	end

	-- The opposite, as mod_muc keeps them; nil for none.
	local function read(element)
		local worn, count = {}, 0;
		for hat in element:childtags("hat") do
			local uri = hat.attr.uri;
			local found = { active = true; title = hat.attr.title; hue = hat.attr.hue; lang = hat.attr["xml:lang"] };
			for _, child in ipairs(hat.tags) do
				found.children = found.children or {};
				table.insert(found.children, st.preserialize(child));
			end
			if uri and count < max_hats and not problem_of_hat(uri, found) then
				worn[uri] = found;
				count = count + 1;
			end
		end
		return next(worn) and worn or nil;
	end

	local function worn_by(room, jid)
		local _, data = inside.listed(room, jid);
		return data and data.hats;
	end

	-- The source tells the engine what it has given; a shadow has it from there.
	function hats.given(room, jid)
		if not room._dmuc.is_source or not inside.listed(room, jid) then return; end
		local text, problem = written(worn_by(room, jid));
		if text then
			dmuc.tell("hats", room.jid, jid, text);
		else
			module:log("warn", "%s has hats in %s that other instances are not told of: %s", jid, room.jid, problem);
		end
	end

	-- Why a room as it is cannot be distributed, or nil: what no instance would take could not be kept either.
	function hats.problem_of(room)
		for jid in room:each_affiliation() do
			local text, problem = written(worn_by(room, jid));
			if not text then return ("%s (%s)"):format(problem, jid); end
		end
	end

	-- What to list with an affiliation, of what a module or mod_muc wants to list, with the hats that are in force: at a
	-- shadow what the source says, at the source what all instances take. A module may have changed the room's own table
	-- already. Who names no hats wants no others: mod_muc lists a nick without them. Returns as well what is wrong with
	-- other hats.
	function hats.settle(room, jid, data)
		local wanted = data and data.hats;
		local text, problem = written(wanted);
		if room._dmuc.is_source and text then return data; end
		local held = hats.told(room, jid);
		if not wanted and not held then return data; end
		-- mod_muc keeps what it has if it is given nothing, and nothing if it is given false.
		if data == nil then data = dmuc.listed_with(room, jid); end
		data = data or {};
		-- Not the text the engine has: attributes have no order.
		if text and (not wanted or hats.is_same(wanted, held)) then
			data.hats = wanted or held;
			return data;
		end
		data.hats = held;
		problem = problem or ("Hats are given at the source of the room, %s"):format(room._dmuc.source);
		module:log("info", "The hats of %s in %s stay: %s", jid, room.jid, problem);
		return data, problem;
	end

	-- The hats of an occupant here, for those who do not know who it is, as text.
	function hats.shown(room, occupant)
		return written(worn_by(room, occupant.bare_jid)) or "";
	end

	-- What a presence says of hats is taken out of it. From a client that counts for nothing; from the home of an occupant
	-- it is returned: as little as its affiliation it gives any rights.
	function hats.taken_out(stanza)
		local is_any, found = false, nil;
		for _, tag in ipairs(stanza.tags) do
			local xmlns = tag.attr.xmlns;
			is_any = is_any or namespaces[xmlns];
			if xmlns == xmlns_hats then found = found or tag; end
		end
		if not is_any then return nil; end
		dmuc.stanzas.strip(stanza, namespaces);
		return found and read(found);
	end

	function hats.is_same(a, b)
		local one, other = written(a) or "", written(b) or "";
		if one == other then return true; end
		-- Attributes of what they hold have no order.
		one, other = dmuc.stanzas.parse(one), dmuc.stanzas.parse(other);
		return one ~= nil and other ~= nil and dmuc.stanzas.same_children(one, other);
	end

	-- The hats of somebody as the source has given them; nil for none.
	function hats.told(room, jid)
		local told = dmuc.ask("hats_of", room.jid, jid);
		return told ~= "" and read(dmuc.stanzas.parse(told)) or nil;
	end

	-- Keeps what the source says with the affiliation. Returns whether it is different.
	function hats.set(room, action)
		local jid, worn = action.jid, action.hats ~= "" and read(dmuc.stanzas.parse(action.hats)) or nil;
		if hats.is_same(worn_by(room, jid), worn) then return false; end
		local affiliation, data = inside.listed(room, jid);
		data = data or {};
		data.hats = worn;
		inside.list(room, jid, affiliation, data);
		return true;
	end

	-- Not every Prosody takes from a client what XEP-0317 calls a hat: it is the room's to say.
	for _, event_name in ipairs { "muc-occupant-pre-join"; "muc-occupant-pre-change"; "muc-occupant-pre-leave" } do
		module:hook(event_name, function (event)
			if event.room._dmuc then hats.taken_out(event.stanza); end
		end, 1000);
	end

	-- mod_muc (0) shows a URI and a title.
	module:hook("muc-build-occupant-presence", function (event)
		local room = event.room;
		if not room._dmuc then return; end
		local bare_jid = event.occupant and event.occupant.bare_jid or event.bare_jid;
		local data = room:get_affiliation_data(bare_jid);
		local worn = data and data.hats;
		if not worn then return; end
		for _, element in ipairs(event.stanza.tags) do
			if element.name == "hats" and namespaces[element.attr.xmlns] then
				for hat in element:childtags("hat") do
					local found = worn[hat.attr.uri] or {};
					hat.attr.hue = hat.attr.hue or found.hue and tostring(found.hue);
					hat.attr["xml:lang"] = hat.attr["xml:lang"] or found.lang;
					for _, child in ipairs(not hat.tags[1] and found.children or {}) do
						hat:add_direct_child(st.is_stanza(child) and st.clone(child) or st.deserialize(child));
					end
				end
			end
		end
	end, -1);

	-- Of an occupant of another instance whose real JID is not known here, what its home says.
	function methods:get_affiliation_data(jid, key)
		local remote = self._dmuc.remotes[jid];
		if remote then
			local data = remote.hats and { hats = remote.hats } or nil;
			if key then return data and data[key]; end
			return data;
		end
		return own.get_affiliation_data(self, jid, key);
	end

	-- What a module gives without touching the affiliation.
	function methods:set_affiliation_data(jid, key, value)
		if key ~= "hats" then return own.set_affiliation_data(self, jid, key, value); end
		local wanted, problem = hats.settle(self, jid, { hats = value or {} });
		local affiliation, data = inside.listed(self, jid);
		if wanted.hats and not affiliation then
			problem = "Hats in a distributed room are for people with an affiliation";
		end
		if problem then
			if data then data.hats = wanted.hats; end
			return nil, problem;
		end
		local ok, err = own.set_affiliation_data(self, jid, key, value);
		hats.given(self, jid);
		return ok, err;
	end
end
