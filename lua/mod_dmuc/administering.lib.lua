-- The commands of the shell as ad-hoc commands (XEP-0050) of this service, for its administrators: each asks for its arguments,
-- one after the other, and shows what the shell would.

local array = require "util.array";
local promise = require "util.promise";

-- Of more rooms than that nobody chooses in a list.
local max_choices = 200;

return function (dmuc)
	local administering = {};
	dmuc.administering = administering;

	local dialogs, inside = dmuc.dialogs, dmuc.prosody;
	local prefix = dmuc.xmlns_ours.."#";

	local services = { [module.host] = { overview = dmuc.overview; steering = dmuc.steering } };

	local function choice(arg, label, values)
		local options = array();
		for _, value in ipairs(values) do options:push({ value = value; label = value }); end
		return { name = arg.name; type = "list-single"; label = label; required = not arg.is_optional; options = options };
	end

	local function field_of_room(arg)
		local rooms = dmuc.overview.addresses();
		if not rooms[1] then return nil, "No room here is distributed"; end
		if #rooms <= max_choices then return choice(arg, "Room", rooms); end
		return { name = arg.name; type = "text-single"; label = "Address of the room"; required = true };
	end

	local function field_of_peer(arg)
		local peers = {};
		for i, link in ipairs(dmuc.overview.links()) do peers[i] = link.peer; end
		if not peers[1] then return nil, "dmuc_peers names no service"; end
		return choice(arg, "Service", peers);
	end

	-- What is asked for before something that cannot be taken back: the word that the shell wants.
	local function field_of_warning(arg)
		return {
			name = arg.name; type = "list-single"; label = "Do you want that?"; required = true;
			options = { { value = "no"; label = "No" }; { value = "force"; label = "Yes, by force" } }; value = "no";
		};
	end

	local function field_of_text(arg)
		return { name = arg.name; type = "text-single"; label = arg.label; required = not arg.is_optional };
	end

	local fields = { room = field_of_room; peer = field_of_peer; warning = field_of_warning };

	local function step_of(command, arg)
		return function ()
			local field, problem = (fields[arg.kind] or field_of_text)(arg);
			if not field then return nil, problem; end
			return { title = command.title; instructions = arg.warns or command.desc; fields = { field } };
		end
	end

	local function made_of(command)
		local steps, names = {}, {};
		for i, arg in ipairs(command.args) do steps[i], names[i] = step_of(command, arg), arg.name; end
		local function finish(values)
			local given = {};
			for _, arg in ipairs(command.args) do
				if arg.kind == "warning" and values[arg.name] == "no" then return { info = "Nothing was changed" }; end
			end
			for i, name in ipairs(names) do given[i] = values[name]; end
			local data, problem = command.get(services, table.unpack(given, 1, #names));
			if promise.is_promise(data) then
				return data:next(function (found) return dialogs.collect(command, found); end);
			elseif not data then
				return nil, problem;
			end
			return dialogs.collect(command, data);
		end
		return { node = prefix..command.name:gsub("_", "-"); name = command.title; steps = steps; finish = finish };
	end

	local commands = {};
	for _, command in ipairs(dmuc.commands) do
		local made = made_of(command);
		commands[made.node] = made;
		inside.offer_command(made.node, made.name);
	end

	-- Before mod_adhoc, which lists them and says who may use them.
	module:hook("iq-set/host/"..dialogs.xmlns..":command", function (event)
		local command = commands[event.stanza.tags[1].attr.node];
		if not command then return; end
		if not inside.may_command(event, command.node) then return dialogs.forbid(event); end
		return dialogs.run(event, command, {});
	end, 501);
end
