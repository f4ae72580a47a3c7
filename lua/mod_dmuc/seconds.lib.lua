-- Archives with fractions of seconds, as mod_muc_mam of a newer Prosody writes them in ordinary rooms: one that knows none
-- answers no query that finds one. There they are made whole before a distributed room goes on; order and ids stay.

local datetime = require "util.datetime";

return function (dmuc)
	local seconds = {};
	dmuc.seconds = seconds;

	local inside = dmuc.prosody;

	local store_names = { "muc_log", "dmuc_log" };
	local is_done = false; -- what is done for all rooms at once

	local function is_whole(when)
		return type(when) ~= "number" or when == math.floor(when);
	end

	-- The file of the internal driver, written anew in one piece.
	local function in_file(node, store_name)
		local items = inside.load_list(node, store_name);
		local changed = 0;
		for _, item in ipairs(items or {}) do
			if not is_whole(item.when) then
				item.when = math.floor(item.when);
				if item.attr then item.attr.stamp = datetime.datetime(item.when); end
				changed = changed + 1;
			end
		end
		if changed > 0 and not inside.store_list(node, store_name, items) then return 0; end
		return changed;
	end

	-- SQLite keeps what it is given; other databases have whole seconds anyway.
	local function in_sqlite(store_name)
		return inside.on_sqlite([[UPDATE "prosodyarchive" SET "when"=CAST("when" AS INTEGER)
			WHERE "host"=? AND "store"=? AND "when"<>CAST("when" AS INTEGER)]], module.host, store_name);
	end

	-- Before a room goes on.
	function seconds.make_whole(node)
		if inside.has_fractions then return; end
		for _, store_name in ipairs(store_names) do
			local driver_name = inside.driver_of(store_name);
			local ok, changed = true, 0;
			if driver_name == "internal" then
				ok, changed = pcall(in_file, node, store_name);
			elseif driver_name == "sql" and not is_done then
				ok, changed = pcall(in_sqlite, store_name);
			end
			if not ok then
				module:log("warn", "Times with fractions of seconds in %s of %s could not be made whole: %s", store_name, node, changed);
			elseif changed > 0 then
				module:log("info", "%d times with fractions of seconds in %s were made whole", changed, store_name);
			end
		end
		is_done = true;
	end
end
