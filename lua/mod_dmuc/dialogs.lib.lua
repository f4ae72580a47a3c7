-- Ad-hoc commands (XEP-0050): sessions and their steps, forms and errors. Which commands there are, and who may use them, is for
-- others to say (administering.lib.lua, owning.lib.lua); those on rooms have no other way, since mod_adhoc knows hosts only.
--
-- A command is { node, name, steps, finish }. A step is a function of the values so far and the context ({ from, to, and what its
-- caller has added }), which returns a form ({ title, instructions, fields }), nil if there is nothing to ask, or nil and what is
-- wrong. finish(values, context) returns what was done as { info = text, lines = { text }, head = { cell }, rows = { { cell } } },
-- nil and what is wrong, or a promise of either.

local dataforms = require "util.dataforms";
local generate = require "util.uuid".generate;
local jid_bare = require "util.jid".bare;
local new_cache = require "util.cache".new;
local promise = require "util.promise";
local st = require "util.stanza";
local monotonic = require "util.time".monotonic;

local xmlns = "http://jabber.org/protocol/commands";
local xmlns_data = "jabber:x:data";
local xmlns_info = "http://jabber.org/protocol/disco#info";
local xmlns_items = "http://jabber.org/protocol/disco#items";

-- For how long somebody may think about a step, how many sessions there are, and of one person.
local patience_s, max_sessions, max_of_one = 900, 1000, 10;

return function (dmuc)
	local dialogs = { xmlns = xmlns };
	dmuc.dialogs = dialogs;

	-- Sessions by id: { id, command, from, to, stage, shown, values, layout, at }; and the ids of those that have ended by
	-- themselves.
	local expired = new_cache(max_sessions);
	local of_one = {}; -- [bare JID] = ids, the oldest first
	local function forget(session)
		local user = jid_bare(session.from);
		local ids = of_one[user] or {};
		for i, id in ipairs(ids) do
			if id == session.id then
				table.remove(ids, i);
				break;
			end
		end
		of_one[user] = ids[1] and ids or nil;
	end
	local sessions = new_cache(max_sessions, function (id, session)
		expired:set(id, true);
		forget(session);
	end);
	local function finish(session)
		sessions:set(session.id, nil);
		forget(session);
	end
	local function expire(session)
		finish(session);
		expired:set(session.id, true);
	end

	local function begin(command, from, to)
		local user = jid_bare(from);
		local ids = of_one[user] or {};
		if #ids >= max_of_one then expire(sessions:get(ids[1])); end
		local session = { id = generate(); command = command; from = from; to = to; shown = {}; values = {}; at = monotonic() };
		of_one[user] = of_one[user] or {};
		table.insert(of_one[user], session.id);
		sessions:set(session.id, session);
		return session;
	end

	-- A session that goes on; or nil and the XEP's name for what is wrong.
	local function resume(id, command, from, to)
		local session = sessions:get(id);
		if session and session.from == from and session.to == to and session.command.node == command.node then
			if monotonic() - session.at <= patience_s then
				session.at = monotonic();
				return session;
			end
			expire(session);
			return nil, "session-expired";
		end
		return nil, not session and expired:get(id) and "session-expired" or "bad-sessionid";
	end

	-- Answers --

	local conditions = {
		["malformed-action"] = { "modify"; "bad-request"; "This is no action of a command" };
		["bad-action"] = { "modify"; "bad-request"; "This step of the command does not take this action" };
		["bad-payload"] = { "modify"; "bad-request"; "This is not what the command has asked for" };
		["bad-sessionid"] = { "modify"; "bad-request"; "There is no such session of this command" };
		["session-expired"] = { "cancel"; "not-allowed"; "This session of the command has expired; begin again" };
	};

	local function refuse(event, name, text)
		local kind, condition, words = table.unpack(conditions[name]);
		local reply = st.error_reply(event.stanza, kind, condition, text or words);
		reply:get_child("error"):tag(name, { xmlns = xmlns }):up();
		event.origin.send(reply);
		return true;
	end

	local function reply_to(event, session, status)
		return st.reply(event.stanza):tag("command", { xmlns = xmlns; node = session.command.node; sessionid = session.id; status = status });
	end

	-- What was done, as a form: lines, and a table.
	local function result_form(name, result)
		local form = st.stanza("x", { xmlns = xmlns_data; type = "result" }):text_tag("title", name);
		if result.lines and result.lines[1] then
			form:tag("field", { type = "text-multi"; var = "text"; label = "Result" });
			for _, line in ipairs(result.lines) do form:text_tag("value", line); end
			form:up();
		end
		if result.rows and result.rows[1] then
			form:tag("reported");
			for _, cell in ipairs(result.head) do form:tag("field", { var = cell:lower(); label = cell; type = "text-single" }):up(); end
			form:up();
			for _, row in ipairs(result.rows) do
				form:tag("item");
				for i, cell in ipairs(row) do
					form:tag("field", { var = result.head[i]:lower() }):text_tag("value", cell):up();
				end
				form:up();
			end
		end
		return form;
	end

	local function complete(event, session, result, problem)
		local reply = reply_to(event, session, "completed");
		if not result then
			reply:tag("note", { type = "error" }):text(problem or "This could not be done"):up();
		else
			if result.info then reply:tag("note", { type = "info" }):text(result.info):up(); end
			if result.lines and result.lines[1] or result.rows and result.rows[1] then
				reply:add_child(result_form(session.command.name, result));
			end
		end
		event.origin.send(reply);
		return true;
	end

	local function finished(event, session, context)
		finish(session);
		local result, problem = session.command.finish(session.values, context);
		if not promise.is_promise(result) then return complete(event, session, result, problem); end
		result:next(function (found) complete(event, session, found); end, function (err)
			if type(err) == "table" then return complete(event, session, nil, err.text); end
			module:log("error", "The command %s failed: %s", session.command.node, err);
			event.origin.send(st.error_reply(event.stanza, "cancel", "internal-server-error"));
		end);
		return true;
	end

	local function show(event, session, form)
		for _, field in ipairs(form.fields) do
			local chosen = session.values[field.name];
			if chosen ~= nil then field.value = chosen; end
		end
		local title = form.title or session.command.name;
		session.layout = dataforms.new({ title = title; instructions = form.instructions; table.unpack(form.fields) });
		local is_last = session.stage == #session.command.steps;
		local reply = reply_to(event, session, "executing")
			:tag("actions", { execute = is_last and "complete" or "next" });
		if session.shown[1] then reply:tag("prev"):up(); end
		reply:tag(is_last and "complete" or "next"):up():up();
		event.origin.send(reply:add_child(session.layout:form()));
		return true;
	end

	-- Shows the first step from this one on that has something to ask; if none has, it is done.
	local function advance(event, session, context)
		for stage = session.stage, #session.command.steps do
			local form, problem = session.command.steps[stage](session.values, context);
			if problem then
				finish(session);
				return complete(event, session, nil, problem);
			elseif form then
				session.stage = stage;
				return show(event, session, form);
			end
		end
		return finished(event, session, context);
	end

	-- What was submitted does not fit the form: why, or nil.
	local function misfit(layout, fields, errors)
		for _, field in ipairs(layout) do
			local value = fields[field.name];
			if field.required and value == nil then return ("%s is missing"):format(field.label); end
			if errors and errors[field.name] then return ("%s: %s"):format(field.label, errors[field.name]); end
			if field.options and value ~= nil then
				local known = {};
				for _, option in ipairs(field.options) do known[option.value] = true; end
				for _, choice in ipairs(type(value) == "table" and value or { value }) do
					if not known[choice] then return ("%s: %s is not among the choices"):format(field.label, choice); end
				end
			end
		end
	end

	-- Takes the form of a step. Returns whether it fits, or false and why not.
	local function take(session, command)
		local form = command:get_child("x", xmlns_data);
		if not form or form.attr.type ~= "submit" then return false; end
		local fields, errors = session.layout:data(form);
		local why = misfit(session.layout, fields, errors);
		if why then return false, why; end
		for _, field in ipairs(session.layout) do
			if field.name then session.values[field.name] = fields[field.name]; end
		end
		return true;
	end

	local function step_back(event, session, context)
		local stage = table.remove(session.shown);
		session.stage = stage;
		local form, problem = session.command.steps[stage](session.values, context);
		if form then return show(event, session, form); end
		finish(session);
		return complete(event, session, nil, problem or "What was to choose is not there any more");
	end

	local actions = { execute = true; next = true; prev = true; complete = true; cancel = true };

	-- Runs a command that the sender may use, with what else its steps need to know.
	function dialogs.run(event, command, context)
		local stanza = event.stanza;
		local tag = stanza.tags[1];
		local action, id = tag.attr.action or "execute", tag.attr.sessionid;
		local from, to = stanza.attr.from, stanza.attr.to;
		context.from, context.to = from, to;
		if not actions[action] then return refuse(event, "malformed-action"); end
		if not id then
			if action ~= "execute" then return refuse(event, "bad-action"); end
			local session = begin(command, from, to);
			session.stage = 1;
			return advance(event, session, context);
		end
		local session, problem = resume(id, command, from, to);
		if not session then return refuse(event, problem); end
		if action == "cancel" then
			finish(session);
			event.origin.send(reply_to(event, session, "canceled"));
			return true;
		end
		if action == "prev" then
			if not session.shown[1] then return refuse(event, "bad-action"); end
			return step_back(event, session, context);
		end
		local is_last = session.stage == #session.command.steps;
		if action == (is_last and "next" or "complete") then return refuse(event, "bad-action"); end
		local fits, why = take(session, tag);
		if not fits then return refuse(event, "bad-payload", why); end
		table.insert(session.shown, session.stage);
		session.stage = session.stage + 1;
		return advance(event, session, context);
	end

	-- Somebody who may not.
	function dialogs.forbid(event)
		event.origin.send(st.error_reply(event.stanza, "auth", "forbidden", "You may not use this command"));
		return true;
	end

	function dialogs.unknown(event)
		event.origin.send(st.error_reply(event.stanza, "cancel", "item-not-found", "There is no such command"));
		return true;
	end

	-- Service discovery --

	function dialogs.send_info(event, name, kind)
		local reply = st.reply(event.stanza):tag("query", { xmlns = xmlns_info; node = event.stanza.tags[1].attr.node })
			:tag("identity", { category = "automation"; type = kind; name = name }):up()
			:tag("feature", { var = xmlns }):up():tag("feature", { var = xmlns_data }):up();
		event.origin.send(reply);
		return true;
	end

	function dialogs.send_list(event, commands)
		local jid = event.stanza.attr.to;
		local reply = st.reply(event.stanza):tag("query", { xmlns = xmlns_items; node = xmlns });
		for _, command in ipairs(commands) do reply:tag("item", { jid = jid; node = command.node; name = command.name }):up(); end
		event.origin.send(reply);
		return true;
	end

	-- What commands show as text and tables (commands.lib.lua), as a result.
	function dialogs.collect(command, data)
		local result = { lines = {} };
		result.info = command.show(data, {
			line = function (line) table.insert(result.lines, line); end;
			table = function (head, rows) result.head, result.rows = head, rows; end;
		});
		return result;
	end
end
