local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

local host_name = "chat.shakespeare.lit";

-- check: what the engine says of the options, true if nothing is given.
local function start(options, given)
	given = given or {};
	return shim.new({
		libraries = { "prosody", "options" };
		options = options; sections = given.sections; in_force = given.in_force or {};
		native = {
			check = given.check or function () return true; end;
			default_max_stanza_size = 262144;
			option_names = { "dmuc_peers", "dmuc_own_domains", "dmuc_max_stanza_size" };
		};
	});
end

describe("options", function ()
	it("have their defaults", function ()
		local dmuc = start {};
		assert.is_true(dmuc.offer_choice);
		assert.is_false(dmuc.default_distributed);
		assert.is_true(dmuc.rewrite_invitations);
		assert.is_nil(dmuc.options.dmuc_peers);
	end);

	it("are one line that names option, value and what is accepted if one is wrong", function ()
		local ok, problem = pcall(start, { dmuc_offer_choice = "yes" });
		assert.is_false(ok);
		assert.equal("dmuc_offer_choice = yes: accepted is true or false", problem);
		ok, problem = pcall(start, {}, { check = function () return nil, "dmuc_peers = 7: no"; end });
		assert.is_false(ok);
		assert.equal("dmuc_peers = 7: no", problem);
	end);

	it("stay as they were if one is wrong when the module is loaded again", function ()
		local in_force = {};
		start({ dmuc_peers = { "rooms.macbeth.lit" } }, { in_force = in_force });
		local dmuc, host = start({ dmuc_offer_choice = 7 }, { in_force = in_force });
		assert.same({ "rooms.macbeth.lit" }, dmuc.options.dmuc_peers);
		assert.is_true(dmuc.offer_choice);
		assert.matches("^error: dmuc_offer_choice = 7: .*the options from before stay$", host.lines[1]);
		assert.equal(dmuc.options, in_force[host_name].engine);
	end);

	it("take no larger stanzas than connections between servers do", function ()
		local dmuc = start { s2s_stanza_size_limit = 100000 };
		assert.equal(100000 - 8192, dmuc.options.dmuc_max_stanza_size);
		assert.is_true(dmuc.is_stanza_size_lowered);
		dmuc = start { s2s_stanza_size_limit = 100000; dmuc_max_stanza_size = 50000 };
		assert.equal(50000, dmuc.options.dmuc_max_stanza_size);
		assert.is_false(dmuc.is_stanza_size_lowered);
		dmuc = start { dmuc_max_stanza_size = "large" };
		assert.equal("large", dmuc.options.dmuc_max_stanza_size); -- the engine says no
	end);

	it("name the hosts of this server's users if nothing is said of them", function ()
		local sections = {
			["*"] = {}; ["shakespeare.lit"] = {}; ["avon.lit"] = {}; ["off.lit"] = { enabled = false };
			[host_name] = { component_module = "muc" };
		};
		assert.same({ "avon.lit", "shakespeare.lit" }, start({}, { sections = sections }).options.dmuc_own_domains);
		assert.same({ "x.lit" }, start({ dmuc_own_domains = { "x.lit" } }, { sections = sections }).options.dmuc_own_domains);
	end);

	it("say whose users are served", function ()
		local function hosts(value, more)
			local options = more or {};
			options.dmuc_serve = value;
			return start(options).served_hosts;
		end
		assert.same({ "shakespeare.lit" }, hosts(nil));
		assert.same({ "shakespeare.lit" }, hosts("all"));
		assert.same({ "avon.lit" }, hosts("all", { parent_host = "avon.lit" }));
		assert.same({}, hosts("off"));
		assert.same({ "avon.lit", "stratford.lit" }, hosts({ "Avon.lit", "stratford.lit" }));
		assert.same({}, hosts({}));
		for _, wrong in ipairs { "some", 7, true, { 7 }, { "witch@avon.lit" }, { ["avon.lit"] = true }, { "@@" } } do
			local ok, problem = pcall(hosts, wrong);
			assert.is_false(ok);
			assert.matches("^dmuc_serve = .*: accepted is \"all\", \"off\" or a list of this server's user hosts$", problem);
		end
	end);
end);
