-- The options: which there are, and what they are now. A wrong value keeps the module from loading; when it is reloaded,
-- what was in force before stays, so that a slip of the pen never cuts a room off.

local jid_prep = require "util.jid".prep;

return function (dmuc)
	-- The domains of the users of this server, as configured: hosts are loaded in any order.
	local function user_hosts()
		local hosts = {};
		for host, section in pairs(dmuc.prosody.sections()) do
			if host ~= "*" and section.component_module == nil and section.enabled ~= false then table.insert(hosts, host); end
		end
		table.sort(hosts);
		return hosts;
	end

	-- Those of the Lua files: true or false, with their defaults. The engine checks the others, and names a wrong one in one line.
	local flags = { dmuc_offer_choice = true; dmuc_default_distributed = false; dmuc_rewrite_invitations = true };
	dmuc.flag_names = {};
	for name in pairs(flags) do table.insert(dmuc.flag_names, name); end
	table.insert(dmuc.flag_names, "dmuc_serve");

	-- Whose users are served here under every address of a room: a list of hosts, or nil and what is wrong with the option.
	dmuc.parent_host = module:get_option_string("parent_host", (module.host:gsub("^[^.]+%.", "")));
	local function served_hosts()
		local value = module:get_option("dmuc_serve", "all");
		if value == "all" then return { dmuc.parent_host }; end
		if value == "off" then return {}; end
		local hosts = {};
		for key, name in pairs(type(value) == "table" and value or { false }) do
			local host = type(key) == "number" and type(name) == "string" and jid_prep(name);
			if not host or host:find("[@/]") then
				return nil, ("dmuc_serve = %s: accepted is \"all\", \"off\" or a list of this server's user hosts")
					:format(type(value) == "table" and tostring(type(key) == "number" and name or key) or tostring(value));
			end
			table.insert(hosts, host);
		end
		return hosts;
	end

	-- Prosody gives up a connection on which a larger stanza arrives: at both ends of every link, so that is the limit.
	local default_s2s_limit, envelope = 512 * 1024, 8192;
	dmuc.s2s_limit = module:context("*"):get_option_number("s2s_stanza_size_limit", default_s2s_limit);
	local function within_s2s_limit(max)
		local most = math.max(1024, dmuc.s2s_limit - envelope);
		local taken = max or dmuc.native.default_max_stanza_size;
		if type(taken) == "number" and taken > most then return most; end
		return max;
	end

	-- The values as configured, or nil and what is wrong with them.
	local function read()
		local read_now = { engine = {}; flags = {} };
		for _, name in ipairs(dmuc.native.option_names) do read_now.engine[name] = module:get_option(name); end
		for name, default in pairs(flags) do
			local value = module:get_option(name, default);
			if type(value) ~= "boolean" then
				return nil, ("%s = %s: accepted is true or false"):format(name, tostring(value));
			end
			read_now.flags[name] = value;
		end
		local hosts, wrong = served_hosts();
		if not hosts then return nil, wrong; end
		read_now.served_hosts = hosts;
		local max = within_s2s_limit(read_now.engine.dmuc_max_stanza_size);
		read_now.is_lowered = max ~= read_now.engine.dmuc_max_stanza_size;
		read_now.engine.dmuc_max_stanza_size = max;
		if read_now.engine.dmuc_own_domains == nil then read_now.engine.dmuc_own_domains = user_hosts(); end
		local ok, problem = dmuc.native.check(module.host, read_now.engine);
		if not ok then return nil, problem; end
		return read_now;
	end

	local in_force = dmuc.in_force;
	local values, problem = read();
	if not values then
		values = in_force[module.host];
		if not values then error(problem, 0); end
		module:log("error", "%s. Until that is put right and the module reloaded again, the options from before stay", problem);
	end
	in_force[module.host] = values;

	dmuc.options = values.engine;
	dmuc.is_stanza_size_lowered = values.is_lowered;
	dmuc.offer_choice = values.flags.dmuc_offer_choice;
	dmuc.default_distributed = values.flags.dmuc_default_distributed;
	dmuc.rewrite_invitations = values.flags.dmuc_rewrite_invitations;
	dmuc.served_hosts = values.served_hosts or { dmuc.parent_host }; -- of a build that had none
end
