-- What an administrator may have got wrong without any single value being wrong: one warning each, when the module is
-- loaded, that names the option and what to do.

local st = require "util.stanza";
local set = require "util.set";
local jid_prep = require "util.jid".prep;

-- How often a peer that cannot be reached is asked again what it is, in seconds.
local ask_again = { 10, 30, 60, 300 };
-- How many services of a host are looked at for the right one.
local max_items = 20;

local xmlns_info, xmlns_items = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items";

local unreachable = set.new { "remote-server-not-found"; "remote-server-timeout"; "recipient-unavailable"; "timeout" };

return function (dmuc)
	local checks = {};
	dmuc.checks = checks;

	local inside = dmuc.prosody;

	local function warn(...)
		module:log("warn", ...);
	end

	-- Hosts whose users are to be served, and that are none of this server's.
	local function serving()
		local sections = inside.sections();
		for _, host in ipairs(dmuc.served_hosts) do
			if host ~= dmuc.parent_host and not sections[host] then
				warn("dmuc_serve names %s, which is not a host of this server: name the VirtualHosts whose users are to be served", host);
			end
		end
	end

	-- The names of all options that are set for this service or for all hosts.
	local function configured()
		local names, seen, sections = {}, {}, inside.sections();
		for _, section in ipairs { module.host; "*" } do
			for name in pairs(sections[section] or {}) do
				if type(name) == "string" and not seen[name] then table.insert(names, name); end
				seen[name] = true;
			end
		end
		return names;
	end

	-- The peers: [JID] = true.
	local function peers()
		local found = {};
		for key, value in pairs(dmuc.options.dmuc_peers or {}) do
			local jid = type(key) == "number" and value or key;
			local prepped = type(jid) == "string" and jid_prep(jid);
			if prepped then found[prepped] = true; end
		end
		return found;
	end

	-- Nobody is named here; maybe the option stands under another host.
	local function no_peers()
		local elsewhere = {};
		for host, section in pairs(inside.sections()) do
			if host ~= module.host and host ~= "*" and section.dmuc_peers ~= nil and not inside.has_module("dmuc", host) then
				table.insert(elsewhere, host);
			end
		end
		table.sort(elsewhere);
		if dmuc.options.dmuc_peers == nil and elsewhere[1] then
			warn("dmuc_peers is set for %s, not for %s: move it under this component, or no room here has instances elsewhere",
				table.concat(elsewhere, ", "), module.host);
		else
			warn("dmuc_peers names no other service, so no room here has instances elsewhere: name the MUC services to share rooms with");
		end
	end

	local forgetful = set.new { "memory"; "none"; "null" };

	-- Stores that keep nothing over a restart.
	local function storage()
		local lost = {};
		for _, name in ipairs { "persistent"; "config"; "dmuc"; "dmuc_list"; "dmuc_log" } do
			local driver = inside.driver_of(name);
			if forgetful:contains(driver) then
				lost[driver] = lost[driver] or {};
				table.insert(lost[driver], name);
			end
		end
		for driver, names in pairs(lost) do
			local better = {};
			for i, name in ipairs(names) do better[i] = name.." = \"internal\""; end
			warn("storage is %q for the %s %s: rooms, or what is said in them, are gone after a restart; set storage = { %s } for %s",
				driver, names[2] and "stores" or "store", table.concat(names, ", "), table.concat(better, "; "), module.host);
		end
	end

	-- What Prosody takes between servers counts for rooms as well.
	local function stanza_size()
		if not dmuc.is_stanza_size_lowered then return; end
		warn("s2s_stanza_size_limit is %d: messages in distributed rooms are limited to %d bytes here (dmuc_max_stanza_size), and larger "
			.."ones of other services do not arrive; raise it, or set dmuc_max_stanza_size to that at all services",
			dmuc.s2s_limit, dmuc.options.dmuc_max_stanza_size);
	end

	-- What a peer says is believed because Prosody knows who it is.
	local function authentication(found)
		local is_secure = module:context("*"):get_option_boolean("s2s_secure_auth", false);
		local secure = module:context("*"):get_option_set("s2s_secure_domains", {});
		local insecure = module:context("*"):get_option_set("s2s_insecure_domains", {});
		local unproven, excepted = {}, {};
		for jid in pairs(found) do
			if not is_secure and not secure:contains(jid) then
				table.insert(unproven, jid);
			elseif is_secure and insecure:contains(jid) then
				table.insert(excepted, jid);
			end
		end
		table.sort(unproven); table.sort(excepted);
		if unproven[1] then
			warn("s2s_secure_auth is off: whoever answers for the DNS name of a peer (%s) can speak as that peer; "
				.."set s2s_secure_auth = true, or name the peers in s2s_secure_domains", table.concat(unproven, ", "));
		end
		if excepted[1] then
			warn("s2s_insecure_domains has peers (%s): whoever answers for their DNS name can speak as them; take them out of it",
				table.concat(excepted, ", "));
		end
	end

	local function query(to, xmlns)
		local iq = st.iq({ type = "get"; from = module.host; to = to; id = "check-"..dmuc.rooms.next_token() }):query(xmlns);
		return module:send_iq(iq):next(function (event)
			return event.stanza:get_child("query", xmlns) or st.stanza("query");
		end);
	end

	local function is_muc(info)
		for identity in info:childtags("identity") do
			if identity.attr.category == "conference" and identity.attr.type == "text" then return true; end
		end
		return false;
	end

	-- A MUC service among what the host offers may be the one that was meant.
	local function look_for_service(peer, found)
		local function say(services)
			local text = ("dmuc_peers names %s, which is not a MUC service"):format(peer);
			table.sort(services);
			if not services[1] then
				return warn("%s: name the MUC service of that server instead", text);
			end
			for _, service in ipairs(services) do
				if found[service] then return warn("%s, but %s is, which is named as well: take %s out", text, service, peer); end
			end
			return warn("%s: did you mean %s?", text, table.concat(services, " or "));
		end
		query(peer, xmlns_items):next(function (items)
			local services, open = {}, 1;
			local function one_less()
				open = open - 1;
				if open == 0 then say(services); end
			end
			local count = 0;
			for item in items:childtags("item") do
				local jid = jid_prep(item.attr.jid or "");
				if jid and not jid:find("[@/]") and count < max_items then
					count, open = count + 1, open + 1;
					query(jid, xmlns_info):next(function (info)
						if is_muc(info) then table.insert(services, jid); end
						one_less();
					end, one_less);
				end
			end
			one_less();
		end, function () say({}); end);
	end

	-- The domain of a server's users is easily taken for that of its rooms.
	local function ask(peer, found, attempt)
		query(peer, xmlns_info):next(function (info)
			if not is_muc(info) then look_for_service(peer, found); end
		end, function (err)
			local condition = type(err) == "table" and err.condition or tostring(err);
			if not unreachable:contains(condition) then
				return look_for_service(peer, found);
			end
			module:add_timer(ask_again[attempt] or ask_again[#ask_again], function () ask(peer, found, attempt + 1); end);
		end);
	end

	-- When everything is loaded, and the rooms are there.
	function checks.loaded()
		local names = {};
		for jid in pairs(peers()) do table.insert(names, jid); end
		table.sort(names);
		local rooms = #dmuc.ask("rooms");
		module:log("info", "Loaded: %d %s (%s), %d distributed %s", #names, #names == 1 and "peer" or "peers",
			names[1] and table.concat(names, ", ") or "nobody", rooms, rooms == 1 and "room" or "rooms");
	end

	-- What the configuration says, without asking anybody. Returns the peers.
	function checks.configured()
		local found = peers();
		for _, line in ipairs(dmuc.native.advice(dmuc.options, configured(), dmuc.flag_names)) do warn("%s", line); end
		if next(found) then
			authentication(found);
		else
			no_peers();
		end
		storage();
		stanza_size();
		serving();
		return found;
	end

	function checks.run()
		local found = checks.configured();
		module:add_timer(0, function ()
			for peer in pairs(found) do ask(peer, found, 1); end
		end);
	end
end
