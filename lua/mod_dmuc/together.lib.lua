-- A message goes into the stored log and into the archive of its room: in one transaction, where one database has both. That
-- is what storing costs there, and how long the server stands still for it.
--
-- So what is to be logged waits until the archive is to have it as well, within the same broadcast: it is written before anybody
-- sees it, here or elsewhere (G3).

return function (dmuc)
	local together = {};
	dmuc.together = together;

	local inside, retrying = dmuc.prosody, dmuc.retrying;

	-- What is yet to be logged, in order: { stanza, part }. Nearly always none, or one.
	local kept = {};
	-- The database that has both; false if there is none.
	local database;

	local function shared()
		if database == nil then
			local of_log = dmuc.log.database();
			database = of_log and of_log == dmuc.archiving.database() and of_log or false;
		end
		return database;
	end

	local function put(part)
		return part.queue:put(part.node, part.item, part.size);
	end

	-- Writes all of them in one transaction, if that is possible. Returns whether they are.
	local function put_as_one(parts)
		return shared() and retrying.put_as_one(parts, function (work) return inside.in_one_transaction(database, work); end);
	end

	-- Takes what is to be logged of a stanza. What was to be logged before it is.
	local function take(stanza)
		for i = 1, #kept do
			if kept[i].stanza == stanza then
				for _ = 1, i - 1 do put(table.remove(kept, 1).part); end
				return table.remove(kept, 1).part;
			end
		end
	end

	-- A message that is being broadcast is to be logged (log.part).
	function together.keep(room_jid, stanza, ...)
		kept[#kept + 1] = { stanza = stanza; part = dmuc.log.part(room_jid, stanza, ...) };
	end

	-- The archive is to have a stanza. Returns whether it is written.
	function together.archive(stanza, archived)
		local logged = take(stanza);
		if logged and put_as_one({ logged, archived }) then return true; end
		if logged then put(logged); end
		return put(archived);
	end

	-- What comes many at a time, until together.close().
	function together.batch()
		return { is_open = true };
	end

	-- Adds what is to be logged, or archived. Returns whether it is written already.
	function together.add(batch, part)
		if not batch.is_open then return put(part); end
		batch[#batch + 1] = part;
		return false;
	end

	-- What is added from now on is written by itself.
	function together.close(batch)
		batch.is_open = false;
		if not batch[1] or put_as_one(batch) then return; end
		for _, part in ipairs(batch) do put(part); end
	end

	-- Nothing that was said is on its way to anybody before it is logged, whether the archive has it or not.
	function together.settle()
		while kept[1] do put(table.remove(kept, 1).part); end
	end
end
