-- Lines of the log that come many at a time: what happens to a link concerns every room on it, and what a peer gets wrong
-- it gets wrong again and again. One line each, with a number; the single ones at level debug.

local time_now = require "util.time".now;

-- Rooms to which the same happens are collected for one line, until no more have come for so long, and so long at most: in
-- seconds.
local gathering, longest_gathering = 1, 15;
-- How long refusals of one kind are counted for the next line: at first, and at most.
local first_pause, longest_pause = 60, 3600;
-- How many kinds of refusals are told apart; further ones are counted as one.
local max_kinds = 200;
-- How many rooms a line names.
local max_named = 3;

return function (dmuc)
	local tally = {};
	dmuc.tally = tally;

	-- [key] = { level, single, many, rooms, count }
	local groups = {};

	local function flush(key)
		local group = groups[key];
		groups[key] = nil;
		if not group then return; end
		if group.count == 1 then
			return module:log(group.level, "%s: %s", group.rooms[1], group.single);
		end
		local names = table.concat(group.rooms, ", ");
		if group.count > #group.rooms then names = ("%s and %d more"):format(names, group.count - #group.rooms); end
		local line = group.many:gsub("{(%l+)}", { rooms = group.count; sum = group.sum });
		module:log(group.level, "%s (%s)", line, names);
	end

	local function wait(key)
		module:add_timer(gathering, function ()
			local group, now = groups[key], time_now();
			if group and now - group.last_at < gathering * 0.9 and now - group.first_at < longest_gathering then
				wait(key);
			else
				flush(key);
			end
		end);
	end

	-- Something that happens to a room, and maybe to others at the same moment. Key is the same for all of them; single is the
	-- line if it is the only one, many that for several, with {rooms} for how many and {sum} for the sum of their numbers.
	function tally.room(level, key, room_jid, single, many, number)
		module:log("debug", "%s: %s", room_jid, single);
		if level == "debug" then return; end
		local group = groups[key];
		if not group then
			group = { level = level; single = single; many = many; rooms = {}; count = 0; sum = 0; first_at = time_now() };
			groups[key] = group;
			wait(key);
		end
		group.last_at = time_now();
		group.count, group.sum = group.count + 1, group.sum + number;
		if #group.rooms < max_named then table.insert(group.rooms, room_jid); end
	end

	-- [key] = { level, count, pause }
	local kinds, kind_count = {}, 0;

	local function summarise(key)
		local kind = kinds[key];
		if not kind then return; end
		if kind.count == 0 then
			kinds[key], kind_count = nil, kind_count - 1;
			return;
		end
		module:log(kind.level, "%d more in the last %d seconds: %s", kind.count, kind.pause, key);
		kind.count, kind.pause = 0, math.min(kind.pause * 4, longest_pause);
		module:add_timer(kind.pause, function () summarise(key); end);
	end

	-- A refusal: the first of its kind as it is, the others counted. Kind says of whom and why, without what differs.
	function tally.refusal(level, kind, line)
		if not kinds[kind] and kind_count >= max_kinds then kind = "Refused others"; end
		local known = kinds[kind];
		if known then
			known.count = known.count + 1;
			return module:log("debug", "%s", line);
		end
		kinds[kind], kind_count = { level = level; count = 0; pause = first_pause }, kind_count + 1;
		module:log(level, "%s", line);
		module:add_timer(first_pause, function () summarise(kind); end);
	end

	-- What was refused lately: each { what, more }, more being how many there were since that was last in the log.
	function tally.refusals()
		local list = {};
		for key, kind in pairs(kinds) do list[#list + 1] = { what = key; more = kind.count }; end
		table.sort(list, function (a, b) return a.what < b.what; end);
		return list;
	end

	-- This module goes: what has been counted is told now.
	function tally.stop()
		for key in pairs(groups) do flush(key); end
		for key, kind in pairs(kinds) do
			if kind.count > 0 then module:log(kind.level, "%d more since the last such line: %s", kind.count, key); end
		end
		kinds, kind_count = {}, 0;
	end
end
