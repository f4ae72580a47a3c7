-- What the page shows, as JSON. What mod_dmuc says is copied field by field: what it says more one day is shown to nobody by that.

local array = require "util.array";
local json = require "util.json";

local document = { version = 1 };

local function tenths(seconds)
	return seconds and math.floor(seconds * 10 + 0.5) / 10 or nil;
end

local function copied(list)
	local copy = array();
	for i, value in ipairs(list or {}) do copy[i] = value; end
	return copy;
end

-- What changes with every second is no news.
local ages = { for_seconds = true; answered_ago = true; agreed_ago = true; next_in = true; lag = true; clock_ahead = true };

local function without_ages(value)
	if type(value) ~= "table" then return value; end
	local kept = getmetatable(value) and array() or {};
	for key, entry in pairs(value) do
		if not ages[key] then kept[key] = without_ages(entry); end
	end
	return kept;
end

-- Seconds between two looks at a service after which nobody knows what was meanwhile. A page that asks does so every 5 s.
local watched_for = 10;

-- Since when something of each peer may be missing here, as far as it was seen:
-- [service] = { looked_at, since = { [peer] = time }, whole = { [peer] = true, if nothing was missing } }.
function document.lags()
	return {};
end

-- What was seen of a service when it was looked at last, if that was just now; and what is to be filled by this look.
local function look_on(lags, service, now)
	local before = lags[service];
	if not before or now - before.looked_at > watched_for then before = { looked_at = now; since = {}; whole = {} }; end
	lags[service] = { looked_at = now; since = {}; whole = {} };
	return before, lags[service];
end

-- How long, in seconds: 0 if nothing is missing; nil if nobody has seen it begin.
local function lag_of(before, after, link, now)
	local peer = link.peer;
	if link.state == "up" and link.behind == 0 then
		after.whole[peer] = true;
		return 0;
	end
	local since = before.since[peer];
	if not since and link.state ~= "up" and link.state ~= "syncing" and link.answered_ago then
		since = now - link.answered_ago;
	elseif not since and before.whole[peer] then
		since = before.looked_at;
	end
	after.since[peer] = since;
	return since and tenths(math.max(0, now - since));
end

local function link_of(link, lag)
	return {
		peer = link.peer; state = link.state; for_seconds = tenths(link.for_seconds); why = link.cause_text or link.cause;
		speaks = link.speaks; answered_ago = tenths(link.answered_ago); next_in = tenths(link.next_in);
		clock_ahead = tenths(link.clock_ahead); rooms = link.rooms; behind = link.behind; lag = lag;
	};
end

local function instance_of(instance)
	return {
		instance = instance.instance; is_source = instance.is_source or false; state = instance.state; link = instance.link;
		speaks = instance.speaks; people = instance.occupants; agreed_ago = tenths(instance.agreed_ago);
		answered_ago = tenths(instance.answered_ago); refused_for = instance.refused_for;
	};
end

local function room_of(room)
	local instances = array();
	for i, instance in ipairs(room.instances) do instances[i] = instance_of(instance); end
	return {
		room = room.room; name = room.title; role = room.role; source = room.source; term = room.term; here = room.occupants;
		elsewhere = room.elsewhere; messages = room.messages; waiting = room.offers; succession = room.succession; reason = room.reason;
		peer = room.peer; instances = instances; not_named = copied(room.unnamed); retracted = copied(room.retracted);
	};
end

local function parked_of(entry)
	return { room = entry.room; source = entry.source; peer = entry.peer; reason = entry.reason };
end

-- One MUC service: its JSON, and what of it is news when it changes. breathe is called between rooms.
function document.service(name, status, lags, now, breathe)
	local links, parked, rooms, news = array(), array(), {}, {};
	local before, after = look_on(lags, name, now);
	for i, link in ipairs(status.links) do links[i] = link_of(link, lag_of(before, after, link, now)); end
	for i, entry in ipairs(status.parked) do parked[i] = parked_of(entry); end
	local head = { service = name; links = links; parked = parked; more_rooms = status.more };
	local encoded = json.encode_ordered(head);
	news[1] = json.encode_ordered(without_ages(head));
	for i, room in ipairs(status.rooms) do
		local shown = room_of(room);
		rooms[i] = json.encode_ordered(shown);
		news[i + 1] = json.encode_ordered(without_ages(shown));
		breathe();
	end
	return ('%s,"rooms":[%s]}'):format(encoded:sub(1, -2), table.concat(rooms, ",")), table.concat(news, "\n");
end

-- The same of a service that cannot be read now.
function document.unreadable(name)
	local encoded = json.encode_ordered {
		service = name; unreadable = true; links = array(); parked = array(); rooms = array(); more_rooms = 0;
	};
	return encoded, encoded;
end

-- The whole of it, from what document.service made of each.
function document.whole(services)
	return ('{"version":%d,"services":[%s]}'):format(document.version, table.concat(services, ","));
end

return document;
