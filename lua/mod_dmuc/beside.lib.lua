-- Long lists of affiliations, stored beside their rooms (store dmuc_list): one more entry costs what it is, not what the list
-- is.
--
-- A list is a base and what has changed since. The newest changes are in the room's own record, with the version of the
-- settings that they belong to; as soon as they are many they go into a part of their own, room/number, as bases do. A part
-- counts from the moment in which the record names it: whatever a crash leaves, list and version agree.

return function (dmuc)
	local beside = {};
	dmuc.beside = beside;

	local store = module:open_store("dmuc_list");
	local states = module:open_store("dmuc");
	local storage = dmuc.storage;

	-- Lists of so many entries are in the record itself.
	beside.most_within = 64;
	-- How many bytes of changes are in it.
	local max_bytes = 8 * 1024;

	-- What there is: [node] = { first, last, changes, size, base, is_within, left }. Parts first to last are the list, with the
	-- changes behind them; base is a new one that is still to be written; left = { first, last } are parts that nothing names any
	-- more as soon as the record is written.
	local books = {};

	local function part_of(node, number)
		return node.."/"..number;
	end

	-- Whether nothing is known of what is stored.
	function beside.has_none(node)
		local book = books[node];
		return not book or book.is_within or false;
	end

	-- Parts that will not be named any more.
	local function leave(book)
		if book.last < book.first then return; end
		local left = book.left;
		book.left = { first = left and left.first or book.first; last = book.last };
		book.first = book.last + 1;
	end

	-- What the engine wants stored of the list next: kind "within", "whole", "changes" or "unchanged", and the list.
	function beside.take(node, kind, list)
		local book = books[node];
		if not book then
			if kind == "within" then return; end
			book = { first = 1; last = 0; changes = {}; size = 0 };
			books[node] = book;
		end
		if kind == "changes" then
			table.insert(book.changes, list);
			book.size = book.size + #list;
		elseif kind == "whole" or kind == "within" then
			leave(book);
			book.base, book.is_within = list, kind == "within";
			book.changes, book.size = {}, 0;
		end
	end

	local function write_part(node, book, list)
		local ok, err = storage.write(store, "set", part_of(node, book.last + 1), { list = list });
		if not ok then return false, err; end
		book.last = book.last + 1;
		return true;
	end

	-- Writes what the record is going to name. Returns what the record says of the list, nil if the list is in the snapshot; or
	-- false and the error.
	function beside.write(node)
		local book = books[node];
		if not book then return nil; end
		if book.base then
			local ok, err = write_part(node, book, book.base);
			if not ok then return false, err; end
			book.base = nil;
		end
		if book.size > max_bytes then
			local ok, err = write_part(node, book, table.concat(book.changes));
			if not ok then return false, err; end
			book.changes, book.size = {}, 0;
		end
		return {
			first = book.first; last = book.last; changes = table.concat(book.changes); is_within = book.is_within; left = book.left;
		};
	end

	local function delete(node, first, last)
		for number = first, last do
			local ok, err = storage.write(store, "set", part_of(node, number), nil);
			if not ok then return false, err; end
		end
		return true;
	end

	-- The record is written.
	function beside.written(node)
		local book = books[node];
		local left = book and book.left;
		-- Otherwise the next time.
		if left and delete(node, left.first, left.last) then book.left = nil; end
		if book and book.is_within and not book.left then books[node] = nil; end
	end

	-- What is stored of a list that its room's record tells of: nil if it is in the snapshot; false and the error if it cannot be
	-- read.
	function beside.read(node, known)
		if not known or known.is_within then return nil; end
		local parts = {};
		for number = known.first, known.last do
			local ok, part = storage.read(store, "get", part_of(node, number));
			if not ok then return false, part; end
			if not part then return false, ("part %d of its list of affiliations is not there"):format(number); end
			parts[#parts + 1] = part.list;
		end
		parts[#parts + 1] = known.changes;
		return table.concat(parts);
	end

	-- The engine is about to have what was read of it.
	function beside.know(node, known)
		books[node] = known and {
			first = known.first; last = known.last; changes = { known.changes }; size = #known.changes;
			is_within = known.is_within; left = known.left;
		};
	end

	-- The room's record is about to be deleted, and with it what it says of the list.
	function beside.look_up(node)
		if books[node] then return; end
		local ok, stored = storage.read(states, "get", node);
		if ok and stored then beside.know(node, stored.list); end
	end

	-- The room is not distributed any more.
	function beside.forget(node)
		local book = books[node];
		books[node] = nil;
		if not book then return; end
		local first = book.left and book.left.first or book.first;
		local ok, err = delete(node, first, book.last);
		if not ok then module:log("warn", "The stored list of affiliations of %s could not be deleted: %s", node, err); end
	end

	-- Over a reload of this module.
	function beside.save()
		return books;
	end
	function beside.restore(saved)
		for node, book in pairs(saved) do books[node] = book; end
	end
end
