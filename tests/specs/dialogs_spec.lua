-- Sessions and steps of ad-hoc commands (dialogs.lib.lua).

local shim = dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./").."shim.lua");
local st = require "util.stanza";

local xmlns, xmlns_data = "http://jabber.org/protocol/commands", "jabber:x:data";
local witch, room = "somewitch@macbeth.lit/mobile", "coven@rooms.macbeth.lit";

-- The dialogs, and a function that sends a command's next stanza and returns the answer.
local function dialogs()
	local clock = { now = 100 };
	local dmuc, host = shim.new({ required = { ["util.time"] = { monotonic = function () return clock.now; end } } });
	host.load("dialogs");
	local function send(command, attr, payload, from)
		local answer;
		attr.xmlns, attr.node = xmlns, command.node;
		local stanza = st.iq({ type = "set"; id = "x"; from = from or witch; to = room }):tag("command", attr);
		if payload then stanza:add_child(payload); end
		stanza:reset();
		dmuc.dialogs.run({ stanza = stanza; origin = { send = function (reply) answer = reply; end } }, command, {});
		return answer;
	end
	return send, clock;
end

local function submit(values)
	local form = st.stanza("x", { xmlns = xmlns_data; type = "submit" });
	for name, value in pairs(values) do form:tag("field", { var = name }):text_tag("value", value):up(); end
	return form;
end

local function session_of(answer) return answer:get_child("command", xmlns).attr.sessionid; end
local function error_of(answer)
	local _, condition = answer:get_error();
	local own;
	for tag in answer:get_child("error"):childtags(nil, xmlns) do own = tag.name; end
	return condition, own;
end
local function note_of(answer)
	local note = answer:get_child("command", xmlns):get_child("note");
	return note.attr.type, note:get_text();
end

local function field(name, options)
	return function ()
		return { title = name; fields = { { name = name; type = "list-single"; label = name; required = true; options = options } } };
	end
end
local colours = { { value = "red"; label = "Red" }; { value = "blue"; label = "Blue" } };

-- Three steps, of which the second has nothing to ask.
local function paint()
	return {
		node = "paint"; name = "Paint"; steps = { field("first", colours), function () end, field("second", colours) };
		finish = function (values) return { info = values.first.." and "..values.second }; end;
	};
end

describe("a dialog", function ()
	it("skips what there is nothing to ask about, forth and back", function ()
		local send = dialogs();
		local command = paint();
		local id = session_of(send(command, {}));
		local answer = send(command, { sessionid = id }, submit({ first = "red" }));
		assert.equal("second", answer:get_child("command", xmlns):get_child("x", xmlns_data):get_child_text("title"));
		answer = send(command, { sessionid = id; action = "prev" });
		assert.equal("first", answer:get_child("command", xmlns):get_child("x", xmlns_data):get_child_text("title"));
		send(command, { sessionid = id; action = "next" }, submit({ first = "blue" }));
		answer = send(command, { sessionid = id; action = "complete" }, submit({ second = "red" }));
		assert.same({ "info", "blue and red" }, { note_of(answer) });
		assert.equal("completed", answer:get_child("command", xmlns).attr.status);
	end);

	it("takes only what its step has asked for, and goes on after a mistake", function ()
		local send = dialogs();
		local command = paint();
		local id = session_of(send(command, {}));
		for _, values in ipairs { {}, { first = "green" }, { second = "red" } } do
			assert.same({ "bad-request", "bad-payload" }, { error_of(send(command, { sessionid = id }, submit(values))) });
		end
		local answer = send(command, { sessionid = id; action = "complete" }, submit({ first = "red" }));
		assert.same({ "bad-request", "bad-action" }, { error_of(answer) });
		assert.equal("executing", send(command, { sessionid = id }, submit({ first = "red" })):get_child("command", xmlns).attr.status);
	end);

	it("ends when nobody goes on for a quarter of an hour, and says so", function ()
		local send, clock = dialogs();
		local command = paint();
		local id = session_of(send(command, {}));
		clock.now = clock.now + 899;
		local later = session_of(send(command, { sessionid = id }, submit({ first = "red" })));
		assert.equal(id, later);
		clock.now = clock.now + 901;
		for _ = 1, 2 do
			assert.same({ "not-allowed", "session-expired" }, { error_of(send(command, { sessionid = id }, submit({ second = "red" }))) });
		end
	end);

	it("is one of ten that a person has, and of a thousand in all", function ()
		local send = dialogs();
		local command = paint();
		local first = session_of(send(command, {}));
		local other = session_of(send(command, {}, nil, "faust@marlowe.lit/study"));
		for _ = 1, 10 do send(command, {}); end
		assert.same({ "not-allowed", "session-expired" }, { error_of(send(command, { sessionid = first }, submit({ first = "red" }))) });
		local answer = send(command, { sessionid = other }, submit({ first = "red" }), "faust@marlowe.lit/study");
		assert.equal("executing", answer:get_child("command", xmlns).attr.status);
		for i = 1, 1000 do send(command, {}, nil, ("user%d@marlowe.lit/x"):format(i)); end
		answer = send(command, { sessionid = other }, submit({ second = "red" }), "faust@marlowe.lit/study");
		assert.same({ "not-allowed", "session-expired" }, { error_of(answer) });
	end);

	it("says in a note what is wrong, and is over", function ()
		local send = dialogs();
		local command = { node = "fail"; name = "Fail"; steps = { function () return nil, "There is nothing to choose"; end } };
		local answer = send(command, {});
		assert.same({ "error", "There is nothing to choose" }, { note_of(answer) });
		assert.same({ "bad-request", "bad-sessionid" }, { error_of(send(command, { sessionid = session_of(answer) })) });
	end);
end);
