-- Hooks that wait, as those of modules do that ask the network about something (tests only, never install it)
--
-- This file is MIT licensed.
--
-- Hooks all events of a MUC service. In an event of the plan whose stanza, occupant or room is the one it is about, it waits
-- until it is released, or for as long as the plan says. Written for 0.12 and 13.0.

local async = require "util.async";

local events = {
	"muc-add-history", "muc-broadcast-message", "muc-broadcast-presence", "muc-build-occupant-presence",
	"muc-config-form", "muc-config-submitted", "muc-decline", "muc-disco#info", "muc-get-history", "muc-invite",
	"muc-message-is-historic", "muc-moderate-message", "muc-occupant-groupchat", "muc-occupant-joined", "muc-occupant-left",
	"muc-occupant-pre-change", "muc-occupant-pre-join", "muc-occupant-pre-leave", "muc-occupant-session-new",
	"muc-pre-decline", "muc-pre-invite", "muc-pre-room-destroy", "muc-pre-set-affiliation", "muc-pre-set-role",
	"muc-private-message", "muc-registration-submitted", "muc-room-created", "muc-room-destroyed", "muc-room-pre-create",
	"muc-set-affiliation", "muc-set-affiliation-data/reserved_nickname", "muc-voice-request", "muc-voice-response",
};

-- What is waited for: { event or nil for all, word or nil for everything, seconds or nil until it is released }.
local plan = nil;
local releases = {};
local waiting_now = 0;
local seen, outside = {}, {};

local function is_about(event, word)
	local stanza, occupant, room = event.stanza, event.occupant or event.dest_occupant, event.room;
	local texts = {
		event.nick or false, event.jid or false, occupant and occupant.nick or false, room and room.jid or false,
		stanza and stanza.attr.from or false, stanza and stanza.attr.to or false,
	};
	for _, text in ipairs(texts) do
		if text and text:find(word, 1, true) then return true; end
	end
	return false;
end

local function wait_in(name, event)
	if not plan or plan.event and plan.event ~= name or plan.word and not is_about(event, plan.word) then return; end
	if not async.ready() then
		outside[name] = debug.traceback();
		return;
	end
	seen[name] = (seen[name] or 0) + 1;
	local wait, done = async.waiter();
	if plan.seconds then
		module:add_timer(plan.seconds, done);
	else
		releases[#releases + 1] = done;
	end
	waiting_now = waiting_now + 1;
	wait();
	waiting_now = waiting_now - 1;
end

-- First and last, so that everything else is done on either side of it.
for _, name in ipairs(events) do
	for _, priority in ipairs { 2000, -2000 } do
		module:hook(name, function (event) wait_in(name, event); end, priority);
	end
end

-- luacheck: globals wait_for release waiting seen_in not_waited_in

function wait_for(event, word, seconds)
	plan = { event = event; word = word; seconds = seconds };
	seen, outside = {}, {};
	return true;
end

-- Everything that waits goes on, one after the other, and nothing waits from now on.
function release()
	plan = nil;
	local due = releases;
	releases = {};
	for _, done in ipairs(due) do done(); end
	return #due;
end

function waiting()
	return waiting_now;
end

-- How often it has waited, by event.
function seen_in()
	return seen;
end

-- Events that came where nothing can wait, with where that was; empty for none.
function not_waited_in()
	local lines = {};
	for name, where in pairs(outside) do lines[#lines + 1] = name..": "..where; end
	return table.concat(lines, "\n");
end
