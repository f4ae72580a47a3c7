-- prosodyctl mod_dmuc check: what is wrong with the configuration, and with the links if the server runs, in a line each that says
-- what to do about it, as prosodyctl check does. There is no server in this process, only its configuration.

local async = require "util.async";
local json = require "util.json";
local idna_to_ascii = require "util.encodings".idna.to_ascii;
local iterators = require "util.iterators";
local set = require "util.set";
local softreq = require "util.dependencies".softreq;
local st = require "util.stanza";
local timer = require "util.timer";

-- In seconds: for a connection to another server, and for an answer of the one that runs here.
local connect_timeout, shell_timeout = 5, 40;
local s2s_port = 5269;

local is_fine;
local inside; -- all that is known of Prosody, on no host

local function problem(...)
	is_fine = false;
	print("    "..string.format(...));
end

-- What is worth knowing, and may be meant so.
local function note(...)
	print("    Note: "..string.format(...));
end

local function section_of(title, work)
	print(title);
	work();
	print("Done.\n");
end

-- The module as it would be on that host; what the libraries say about the configuration is a problem.
local function libraries_on(host, build)
	local is_quiet = true;
	local stand_in = setmetatable({ host = host; log = function (_, level, ...)
		if not is_quiet and (level == "warn" or level == "error") then problem(...); end
	end }, { __index = module });
	local environment = setmetatable({ module = stand_in }, { __index = module.environment });
	-- Whether the methods of rooms fit is seen when the server starts.
	local dmuc = { native = build.native; in_force = { [host] = true } };
	local ok, trouble = pcall(function () build.run("prosody", environment)(dmuc); end);
	is_quiet, dmuc.in_force = false, {};
	return ok and dmuc or nil, environment, trouble;
end

local function has(section, module_name)
	return set.new(type(section.modules_enabled) == "table" and section.modules_enabled or {}):contains(module_name);
end

-- Where the module is loaded, and what it needs beside it. Returns the MUC services with it, in their order.
local function check_modules(sections)
	local services, global = {}, sections["*"];
	if has(global, "dmuc") then
		problem("dmuc is among the global modules_enabled, where it is loaded for users' hosts: "
			.."move it into that of Component \"...\" \"muc\"");
	end
	local disabled = set.new(type(global.modules_disabled) == "table" and global.modules_disabled or {});
	for _, name in ipairs { "dmuc"; "s2s"; "disco" } do
		if disabled:contains(name) then problem("%s is among modules_disabled: take it out, distributed rooms need it", name); end
	end
	for host, section in iterators.sorted_pairs(sections) do
		if host ~= "*" and section.enabled ~= false and has(section, "dmuc") then
			if section.component_module == "muc" then
				services[#services + 1] = host;
				if not has(section, "muc_mam") then
					note("muc_mam is not enabled for %s: without an archive messages have no ids that last, and nothing can be moderated "
						.."there", host);
				end
			else
				problem("dmuc is enabled for %s, which is no MUC component: move it into modules_enabled of Component \"...\" \"muc\"", host);
			end
		end
	end
	if not services[1] then
		problem("No MUC service has dmuc: add it to modules_enabled of Component \"...\" \"muc\"");
	end
	local is_asked = false;
	for _, section in pairs(sections) do is_asked = is_asked or has(section, "admin_shell"); end
	if not is_asked then
		note("admin_shell is not among the global modules_enabled: the running server can be asked nothing, here or with prosodyctl shell");
	end
	return services;
end

-- Every option of one service. Returns the peers.
local function check_options(host, build, section)
	local dmuc, environment, trouble = libraries_on(host, build);
	if not dmuc then problem("%s", trouble); return {}; end
	function dmuc.prosody.has_module(name, on) return has(dmuc.prosody.sections()[on or host] or {}, name); end
	-- Drivers are loaded for hosts that run.
	function dmuc.prosody.driver_of(store)
		local storage = environment.module:get_option("storage");
		if type(storage) == "table" then storage = storage[store]; end
		return storage or environment.module:get_option("default_storage", "internal");
	end
	local ok, wrong = pcall(function () build.run("options", environment)(dmuc); end);
	if not ok then problem("%s", wrong); return {}; end
	build.run("checks", environment)(dmuc);
	local peers = {};
	for jid in iterators.sorted_pairs(dmuc.checks.configured()) do peers[#peers + 1] = jid; end
	if section.enforce_registered_nickname then
		note("enforce_registered_nickname is on for %s: each service applies its own, so set it alike at all peers", host);
	end
	return peers;
end

-- Peers believe who this service is by its certificate.
local function check_certificate(host)
	local ssl = softreq "ssl";
	if not ssl or not ssl.loadcertificate then return problem("LuaSec is not installed, or too old to look into certificates"); end
	local path, trouble = inside.certificate_of(host);
	if trouble then
		return problem("%s: %s", host, trouble);
	elseif not path then
		return problem("%s has no certificate: peers do not believe it; run prosodyctl cert import, or set certificate for it", host);
	end
	local file, missing = io.open(path);
	if not file then return problem("The certificate of %s cannot be read: %s", host, missing); end
	local certificate = ssl.loadcertificate(file:read("a"));
	file:close();
	if not certificate then return problem("%s is no certificate", path); end
	if not require "util.x509".verify_identity(host, "_xmpp-server", certificate) then
		return problem("The certificate of %s (%s) is not for that name: get one that names it as well", host, path);
	end
	local day = 86400;
	local dues = { { 0, problem, "has expired" }, { day, problem, "expires within a day" }, { 7 * day, note, "expires within a week" } };
	for _, due in ipairs(dues) do
		if not certificate:validat(os.time() + due[1]) then
			return due[2]("The certificate of %s (%s) %s: renew it", host, path, due[3]);
		end
	end
end

-- Where a peer's server listens: each { address, port }, or nil and what is wrong.
local function addresses_of(peer)
	local name, targets, found = idna_to_ascii(peer), {}, {};
	if not name then return nil, "this is no domain name"; end
	-- The names that mod_s2s tries: Direct TLS (XEP-0368), which nobody has who does not say so, and the other, in place of which the
	-- host itself stands.
	local is_closed = false;
	for _, service in ipairs { "_xmpps-server"; "_xmpp-server" } do
		local records = inside.look_up(table.concat({ service; "_tcp"; name; "" }, "."), "SRV");
		for _, record in ipairs(records) do
			local target = record.srv.target:gsub("%.$", "");
			if target == "" then is_closed = true; else targets[#targets + 1] = { target; record.srv.port }; end
		end
		if service == "_xmpp-server" and not records[1] then targets[#targets + 1] = { name; s2s_port }; end
	end
	if not targets[1] and is_closed then return nil, "its SRV records say that it takes no connections of other servers"; end
	for _, target in ipairs(targets) do
		for _, kind in ipairs { "A"; "AAAA" } do
			for _, record in ipairs(inside.look_up(target[1]..".", kind)) do
				local address = record[kind:lower()];
				if address then found[#found + 1] = { address; target[2] }; end
			end
		end
	end
	if not found[1] then return nil, "its name cannot be resolved: is it spelt right, and has it an address in the DNS?"; end
	return found;
end

local function check_way(peer)
	local addresses, trouble = addresses_of(peer);
	if not addresses then return problem("%s: %s", peer, trouble); end
	local tried = {};
	for _, address in ipairs(addresses) do
		local socket = address[1]:find(":", 1, true) and require "socket".tcp6 or require "socket".tcp;
		local conn = socket();
		conn:settimeout(connect_timeout);
		local connected, refused = conn:connect(address[1], address[2]);
		conn:close();
		if connected then return; end
		tried[#tried + 1] = ("%s port %d: %s"):format(address[1], address[2], refused);
	end
	problem("%s takes no connections of other servers (%s): is Prosody running there, and is the port open?", peer, table.concat(tried, "; "));
end

-- What the running server answers to a line of the shell, or nil and what is wrong.
local function ask_server(line)
	local client, connect = inside.admin_stream();
	local answer, failed, wait, done;
	local function finish()
		if done then done(); end
	end
	client.events.add_handler("connected", function ()
		client.send(st.stanza("repl-input"):text(line));
		return true;
	end, 1);
	client.events.add_handler("received", function (stanza)
		if stanza.name == "repl-output" then answer = answer or stanza:get_text(); end
		if stanza.name == "repl-result" then
			if stanza.attr.type == "error" then failed = stanza:get_text(); end
			finish();
		end
		return true;
	end, 1);
	client.events.add_handler("disconnected", function ()
		failed = failed or "the connection was closed";
		finish();
	end);
	if not connect() then return nil, "it does not run, or admin_shell is not enabled"; end
	wait, done = async.waiter();
	local once = done;
	function done()
		done = nil;
		once();
	end
	timer.add_task(shell_timeout, function ()
		failed = failed or "it does not answer";
		finish();
	end);
	wait();
	return not failed and answer or nil, failed;
end

local function check_links()
	local answer, trouble = ask_server('dmuc:check("json")');
	if not answer then return note("The server was not asked about its peers: %s", trouble); end
	local found = json.decode(answer);
	for _, link in ipairs(found and found.links or {}) do
		for _, text in ipairs(link.problems) do problem("%s: %s", link.peer, text); end
		for _, text in ipairs(link.notes) do note("%s: %s", link.peer, text); end
	end
end

local function check()
	is_fine = true;
	local build, services, peers = nil, {}, {};
	section_of("Checking modules...", function ()
		local ok, trouble = pcall(function () build = module:require("build"); end);
		if not ok then return problem("%s", trouble); end
		local dmuc, _, wrong = libraries_on("*", build);
		if not dmuc then build = nil; return problem("%s", wrong); end
		inside = dmuc.prosody;
		build.sections = inside.sections();
		services = check_modules(build.sections);
	end);
	for _, host in ipairs(services) do
		section_of(("Checking the options of %s..."):format(host), function ()
			for _, peer in ipairs(check_options(host, build, build.sections[host])) do peers[peer] = true; end
		end);
	end
	if services[1] then
		section_of("Checking certificates...", function ()
			for _, host in ipairs(services) do check_certificate(host); end
		end);
		section_of("Checking the way to peers...", function ()
			for peer in iterators.sorted_pairs(peers) do check_way(peer); end
		end);
		section_of("Checking links...", check_links);
	end
	print(is_fine and "All checks passed, congratulations!" or "Problems found, see above.");
	return is_fine and 0 or 2;
end

return function (arg)
	if arg[1] == "check" and not arg[2] then return check(); end
	print("Usage: prosodyctl mod_dmuc check");
	print("    Checks modules, options and certificates, the way to peers, and, if the server runs, the links to them");
	return 1;
end
