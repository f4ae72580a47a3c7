-- Open streams (Server-Sent Events): each ends after its time, and all of them end with the module. What is sent on one in a second is
-- bounded, so that who does not read fills no memory.

local streams = {};

local bytes_per_second = 65536;
local heartbeat = 15; -- seconds of silence
local refresh = 10; -- seconds after which ages are sent again

local function chunk(text)
	return ("%x\r\n%s\r\n"):format(#text, text);
end

-- given: lasts (seconds), max, now (a clock in seconds). Returns an object with open, tell, stop, count.
function streams.new(given)
	local open = {}; -- [response] = { ends, told, said_at, next_at }
	local set = { count = 0 };

	local function write(response, text)
		response.conn:write(chunk(text));
	end

	local function finish(response, why)
		if response.finished then return; end
		write(response, ("event: end\ndata: %s\n\n"):format(why));
		response.conn:write("0\r\n\r\n");
		response:done();
	end

	-- Whether there is room for one more.
	function set.has_room()
		return set.count < given.max;
	end

	function set.open(response)
		local now = given.now();
		open[response] = { ends = now + given.lasts; said_at = now; next_at = now; told_at = now };
		set.count = set.count + 1;
		response.headers.content_type = "text/event-stream; charset=utf-8";
		response.headers.transfer_encoding = "chunked";
		response.headers.x_accel_buffering = "no"; -- or nginx keeps it until there is more
		response.headers.connection = "close";
		response.persistent = false;
		function response.on_destroy()
			if open[response] then
				open[response] = nil;
				set.count = set.count - 1;
			end
		end
		response:write_headers();
		write(response, "retry: 2000\n\n");
	end

	-- What there is to see now, with what of it is news when it changes; nil if it cannot be read: that is told as
	-- well, at once and now and then, so that nobody takes what is old for what is. Called once a second.
	function set.tell(encoded, news)
		local now = given.now();
		local due = {}; -- what is finished leaves the table
		for response, stream in pairs(open) do due[response] = stream; end
		for response, stream in pairs(due) do
			if now >= stream.ends then
				finish(response, "time");
			elseif not encoded then
				if stream.told ~= false or now - stream.said_at >= heartbeat then
					write(response, "event: error\ndata: unreadable\n\n");
					stream.told, stream.said_at = false, now;
				end
			elseif now >= stream.next_at and (news ~= stream.told or now - stream.told_at >= refresh) then
				write(response, ("event: status\ndata: %s\n\n"):format(encoded));
				stream.told, stream.told_at, stream.said_at = news, now, now;
				stream.next_at = now + #encoded / bytes_per_second;
			elseif now - stream.said_at >= heartbeat then
				write(response, ":\n\n");
				stream.said_at = now;
			end
		end
	end

	function set.stop(why)
		local all = {};
		for response in pairs(open) do all[#all + 1] = response; end
		for _, response in ipairs(all) do finish(response, why); end
	end

	return set;
end

return streams;
