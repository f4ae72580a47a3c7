-- What could not be written, because a storage is away, waits in memory and is written in order as soon as that is possible.
--
-- Bounded, for all rooms of the service together: beyond that people here cannot speak (they get an error, and nothing is
-- shown), and what peers say is left to them to tell again.

local jid_join = require "util.jid".join;
local time_now = require "util.time".now;

return function (dmuc)
	local retrying = {};
	dmuc.retrying = retrying;

	local max_messages, max_bytes = 1000, 8 * 1024 * 1024; -- a message for log and archive waits in both
	local pause_s = 1; -- between two attempts for one room
	local most_delay_s = 30;

	local queues = {}; -- [name] = queue
	local bytes = 0;
	local told = {}; -- rooms whose owners know: [node] = true
	local is_away = false;
	local delay_s, is_armed = pause_s, false;

	-- Owners are told when everything that goes on now is done.
	local function tell(node, text)
		module:add_timer(0, function ()
			local room = dmuc.get_room(jid_join(node, module.host));
			if room and room._dmuc then dmuc.tell_owners(room, text); end
		end);
	end

	local function began(node, err)
		if not is_away then
			is_away = true;
			for _, queue in pairs(queues) do queue.total = 0; end
			module:log("error", "A storage cannot be written to (%s): what is said in distributed rooms is kept in memory "
				.."(%d messages at most) and stored when it answers again", err, max_messages);
		end
		if told[node] then return; end
		told[node] = true;
		tell(node, "The storage of this room cannot be reached. What is said is kept in memory until it answers.");
	end

	local function has_waiting()
		for _, queue in pairs(queues) do
			if next(queue.waiting) then return true; end
		end
		return false;
	end

	local function ended(node)
		local waits = false;
		for _, queue in pairs(queues) do
			if queue.waiting[node] then waits = true; end
		end
		if told[node] and not waits then
			told[node] = nil;
			tell(node, "The storage of this room answers again. What was said meanwhile is stored.");
		end
		if is_away and not has_waiting() then
			is_away, delay_s = false, pause_s;
			local total = 0; -- how many messages have waited
			for _, queue in pairs(queues) do total = math.max(total, queue.total); end
			module:log("info", "The storage answers again: %d messages of distributed rooms that waited are stored", total);
		end
	end

	-- Whether nothing more may wait.
	function retrying.is_full()
		for _, queue in pairs(queues) do
			if queue.count >= max_messages then return true; end
		end
		return bytes >= max_bytes;
	end

	local queue_mt = {};
	queue_mt.__index = queue_mt;

	-- A queue of what is written by write(node, item): true, or nil or false and an error. When that is kept written(node, item)
	-- is called, if there is one. What is no message counts for nothing: there is one for each room at most.
	function retrying.queue(name, write, is_state, written)
		local queue = setmetatable({
			write = write; written = written or function () end; waiting = {}; tried_at = {}; weight = is_state and 0 or 1; count = 0; total = 0;
		}, queue_mt);
		queues[name] = queue;
		return queue;
	end

	-- Writes what waits for one room, until something cannot be written. Returns whether all is written; or false and the error.
	function queue_mt:flush(node)
		local items = self.waiting[node];
		if not items then return true; end
		self.tried_at[node] = time_now();
		while items[1] do
			local ok, err = self.write(node, items[1].item);
			if not ok then return false, err; end
			self.written(node, items[1].item);
			self.count, bytes = self.count - self.weight, bytes - items[1].size;
			table.remove(items, 1);
		end
		self.waiting[node], self.tried_at[node] = nil, nil;
		ended(node);
		return true;
	end

	local function flush_all()
		local failures = 0;
		for _, queue in pairs(queues) do
			local nodes = {};
			for node in pairs(queue.waiting) do nodes[#nodes + 1] = node; end
			for _, node in ipairs(nodes) do
				-- One database that is away may be away for all.
				if failures < 10 and not queue:flush(node) then failures = failures + 1; end
			end
		end
	end

	local function arm()
		if is_armed or not has_waiting() then return; end
		is_armed = true;
		module:add_timer(delay_s, function ()
			is_armed = false;
			flush_all();
			delay_s = math.min(2 * delay_s, most_delay_s);
			arm();
		end);
	end

	function queue_mt:wait(node, item, size)
		local items = self.waiting[node] or {};
		self.waiting[node] = items;
		items[#items + 1] = { item = item; size = size };
		self.count, self.total, bytes = self.count + self.weight, self.total + self.weight, bytes + size;
	end

	-- Writes an item, after everything that waits for the same room. Returns whether it is written; otherwise it waits, or is
	-- dropped if nothing more may.
	function queue_mt:put(node, item, size)
		local waits, err = self.waiting[node], nil;
		if waits then
			if time_now() - self.tried_at[node] >= pause_s then
				local _;
				_, err = self:flush(node);
				waits = self.waiting[node];
			end
		end
		if not waits then
			local ok;
			ok, err = self.write(node, item);
			if ok then
				self.written(node, item);
				return true;
			end
			self.tried_at[node] = time_now();
		end
		if self.weight > 0 and retrying.is_full() then return false; end
		began(node, err);
		self:wait(node, item, size);
		arm();
		return false;
	end

	-- Writes what goes into several queues as one, by as_one(work), each { queue, node, item, size }: all of them are written
	-- then, or none and false. Only if nothing waits before them.
	function retrying.put_as_one(parts, as_one)
		for _, part in ipairs(parts) do
			if part.queue.waiting[part.node] then return false; end
		end
		local is_done = as_one(function ()
			for _, part in ipairs(parts) do
				if not part.queue.write(part.node, part.item) then return false; end
			end
			return true;
		end);
		if not is_done then return false; end
		for _, part in ipairs(parts) do part.queue.written(part.node, part.item); end
		return true;
	end

	-- What waits for a room, in order.
	function queue_mt:items(node)
		local items = {};
		for i, waiting in ipairs(self.waiting[node] or {}) do items[i] = waiting.item; end
		return items;
	end

	function queue_mt:forget(node)
		for _, waiting in ipairs(self.waiting[node] or {}) do
			self.count, bytes = self.count - self.weight, bytes - waiting.size;
		end
		self.waiting[node], self.tried_at[node] = nil, nil;
	end

	-- Tries again before somebody is refused. Returns whether something more may wait.
	function retrying.has_room()
		if not retrying.is_full() then return true; end
		for _, queue in pairs(queues) do
			for _, at in pairs(queue.tried_at) do
				if time_now() - at >= pause_s then
					flush_all();
					return not retrying.is_full();
				end
			end
		end
		return false;
	end

	-- This module is reloaded, or goes: what waits, by queue and room.
	function retrying.save()
		flush_all();
		local saved = {};
		for name, queue in pairs(queues) do saved[name] = queue.waiting; end
		return saved;
	end

	function retrying.restore(saved)
		for name, waiting in pairs(saved) do
			local queue = queues[name];
			for node, items in pairs(queue and waiting or {}) do
				for _, each in ipairs(items) do queue:wait(node, each.item, each.size); end
				queue.tried_at[node], told[node], is_away = 0, true, true;
			end
		end
		arm();
	end

	function retrying.stop()
		flush_all();
		if has_waiting() then module:log("warn", "Not all that was said in distributed rooms could be stored"); end
	end
end
