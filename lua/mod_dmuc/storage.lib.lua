-- Stores that may be away: a database is restarted, a disk is full. Drivers raise, or return nil or false with or without
-- an error, and iterators may raise half way.

return function (dmuc)
	local storage = {};
	dmuc.storage = storage;

	-- Reads. Returns true and what there is, nil for nothing; or false and the error.
	function storage.read(store, method, ...)
		local ok, found, err = pcall(store[method], store, ...);
		if not ok then return false, tostring(found); end
		if not found and err ~= nil then return false, tostring(err); end
		if found == false then return false, "the storage gives no reason"; end
		return true, found, err;
	end

	-- Puts something else into the place of an archived item. Returns whether it was there; or nil and the error.
	function storage.replace(store, node, key, stanza)
		local ok, done, err = pcall(store.set, store, node, key, stanza);
		if not ok then return nil, tostring(done); end
		if done then return true; end
		if err ~= nil and err ~= "item-not-found" then return nil, tostring(err); end
		return false;
	end

	-- Goes through everything that an iterator of a store gives. Returns true; or false and the error.
	function storage.each(visit, items, state, first)
		local ok, err = pcall(function ()
			for a, b, c in items, state, first do visit(a, b, c); end
		end);
		if ok then return true; end
		return false, tostring(err);
	end

	-- Calls what writes. Returns what it returned; or false and the error.
	function storage.attempt(write, ...)
		local ok, done, err = pcall(write, ...);
		if not ok then return false, tostring(done); end
		if done then return done; end
		return false, err ~= nil and tostring(err) or "the storage gives no reason";
	end

	-- The same for a method of a store.
	function storage.write(store, method, ...)
		return storage.attempt(store[method], store, ...);
	end
end
