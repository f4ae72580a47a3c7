local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");

describe("what a peer sends", function ()
	local peer = "conference.marlowe.lit";
	local dmuc, host, session, handled, pauses, cost_s, ends;

	-- As net.server and mod_s2s: what is read at once goes through the filters, and the session's thread handles it.
	local function read(...)
		session.filter("bytes/in", ("x"):rep(1000));
		for _, stanza in ipairs { ... } do session.thread:run(session.filter("stanzas/in", stanza)); end
	end

	before_each(function ()
		handled, pauses, cost_s = {}, {}, 0;
		local function handle(_, stanza)
			if stanza == nil then return; end
			local began = os.clock();
			while os.clock() - began < cost_s do end -- luacheck: ignore 542
			table.insert(handled, stanza);
		end
		session = { from_host = peer; thread = { run = handle }; conn = {} };
		function session.conn:pausefor(pause_s) table.insert(pauses, pause_s); end -- luacheck: ignore 212/self
		dmuc, host = shim.new({
			libraries = { "prosody" };
			required = { ["util.time"] = { monotonic = function () return host and host.now or 0; end } };
			ask = function (what, service) return what == "is_peer" and service == peer; end;
			tally = { refusal = function () end };
		});
		host.prosody.core_process_stanza = handle;
		ends = {};
		function host.module.hook_global(_, name, handler) ends[name] = handler; end
		host.prosody.incoming_s2s[session] = true;
		session.hosts = { [peer] = { authed = true } };
		host.load("pace");
	end);

	it("is handled as it comes while that takes little", function ()
		read("a", "b", "c");
		assert.same({ "a", "b", "c" }, handled);
		assert.same({}, pauses);
	end);

	it("has another turn after what has taken long, in order, and is read no further meanwhile", function ()
		cost_s = 0.0025;
		read("a", "b", "c");
		assert.same({ "a" }, handled);
		assert.truthy(pauses[#pauses] >= 1);
		-- The rest of what had been decrypted comes all the same.
		read("d");
		assert.same({ "a" }, handled);
		host.pass(0);
		assert.same({ "a", "b", "c", "d" }, handled);
		assert.equal(0, pauses[#pauses]);
		cost_s = 0;
		read("e");
		assert.same({ "a", "b", "c", "d", "e" }, handled);
	end);

	it("that comes too early is handled when its time has come", function ()
		read("a");
		dmuc.pace.slow_down(peer, 0.3);
		assert.equal(0.3, pauses[#pauses]);
		read("b", "c");
		host.pass(0.29);
		assert.same({ "a" }, handled);
		host.pass(0.02);
		assert.same({ "a", "b", "c" }, handled);
		assert.equal(0, pauses[#pauses]);
	end);

	it("slows down what waits behind it", function ()
		local run = session.thread.run;
		function session.thread.run(_, stanza)
			run(nil, stanza);
			if stanza then dmuc.pace.slow_down(peer, 0.1); end
		end
		read("a", "b", "c");
		assert.same({ "a" }, handled);
		host.pass(0.11);
		assert.same({ "a", "b" }, handled);
		host.pass(0.11);
		assert.same({ "a", "b", "c" }, handled);
		assert.near(0.1, pauses[#pauses], 1e-9);
	end);

	it("is read as slowly as mod_limits wants it", function ()
		cost_s = 0.0025;
		session.conn._limit = 1 / 2000;
		read("a", "b");
		host.pass(0);
		assert.same({ "a", "b" }, handled);
		assert.equal(0.5, pauses[#pauses]);
	end);

	it("waits in so many stanzas only, if somebody else has it read", function ()
		dmuc.pace.slow_down(peer, 0.3);
		local all = {};
		for number = 1, 250 do all[number] = tostring(number); end
		read(table.unpack(all));
		assert.equal(50, #handled);
		host.pass(0.3);
		assert.same(all, handled);
	end);

	it("is handled before its session ends, and before this module does", function ()
		for _, finish in ipairs {
			function () ends["s2sin-destroyed"]({ session = session }); end;
			function () dmuc.pace.stop(); end;
		} do
			handled = {};
			ends["s2sin-established"]({ session = session });
			dmuc.pace.slow_down(peer, 0.3);
			read("a", "b");
			assert.same({}, handled);
			finish();
			assert.same({ "a", "b" }, handled);
			read("c");
			assert.same({ "a", "b", "c" }, handled);
			host.pass(1);
			assert.same({ "a", "b", "c" }, handled);
		end
		assert.truthy(pauses[#pauses] > 0);
	end);

	it("is nothing that is kept from others", function ()
		local other = { from_host = "rooms.macbeth.lit"; thread = {}; conn = {} };
		ends["s2sin-established"]({ session = other });
		assert.is_nil(other.filters);
	end);
end);
