-- mod_dmuc: distributed multi-user chat (XEP-0281) for Prosody
--
-- This file is MIT licensed. Please see the LICENSE file in the source package for more information.
--
-- One room on several XMPP services. All decisions are made by an engine written in Rust (dmuc.so); this module only
-- translates between it and Prosody. mod_dmuc.lua holds the options and the wiring, *.lib.lua one concern each.

if module:get_host_type() ~= "component" then
	error("mod_dmuc is loaded on a MUC component, see its README", 0);
end

local id = require "util.random".bytes;

local mod_muc = module:depends("muc");

-- Options: read here, checked by the engine, which names a wrong one in one line.
local offer_choice = module:get_option("dmuc_offer_choice", true);
local default_distributed = module:get_option("dmuc_default_distributed", false);
local rewrite_invitations = module:get_option("dmuc_rewrite_invitations", true);
local engine_options = {};
for _, name in ipairs {
	"dmuc_peers", "dmuc_replicate", "dmuc_room_id", "dmuc_redirect", "dmuc_redirect_after",
	"dmuc_ping_interval", "dmuc_link_timeout", "dmuc_split_presence", "dmuc_split_notice", "dmuc_occupant_timeout",
	"dmuc_log_max_age", "dmuc_log_max_messages", "dmuc_log_max_bytes",
	"dmuc_max_shadows", "dmuc_max_remote_occupants", "dmuc_max_peerhosts", "dmuc_max_stanza_size",
} do
	engine_options[name] = module:get_option(name);
end
for name, value in pairs {
	dmuc_offer_choice = offer_choice, dmuc_default_distributed = default_distributed,
	dmuc_rewrite_invitations = rewrite_invitations,
} do
	if type(value) ~= "boolean" then
		error(("%s = %s: accepted is true or false"):format(name, tostring(value)), 0);
	end
end

-- The engine: a shared library beside this file.
local native_version = "0.1.0";
local folder = module.path:gsub("[^/]*$", "");
local function load_native()
	local open, err = package.loadlib(folder.."dmuc.so", "luaopen_dmuc");
	if not open then
		error("dmuc.so cannot be loaded ("..tostring(err).."): build it with 'make plugin' (see README.md)", 0);
	end
	local native = open();
	if native.version ~= native_version then
		error(("dmuc.so is version %s, mod_dmuc needs %s: build both with 'make plugin' (see README.md)"):format(
			tostring(native.version), native_version), 0);
	end
	return native;
end

-- What the libraries share. Every library gets this table and adds its own part; none keeps state of another.
local dmuc = {
	native = load_native();
	options = engine_options;
	offer_choice = offer_choice;
	default_distributed = default_distributed;
	rewrite_invitations = rewrite_invitations;
	seed = function () return id(32); end;
	get_room = mod_muc.get_room_from_jid;
	create_room = mod_muc.create_room;
	live_rooms = mod_muc.live_rooms;
	xmlns = "urn:xmpp:dmuc:0"; -- what XEP-0281 defines
	xmlns_ours = "urn:x-dmuc:0"; -- what this implementation adds
};

for _, name in ipairs {
	"stanzas"; -- pieces of stanzas
	"engine"; -- calls into the engine, its timer, draining its actions
	"storage"; -- stores that may be away
	"log"; -- messages into the stored log, and back
	"archive"; -- messages into mod_muc_mam's archive
	"fanout"; -- one text for many recipients
	"rooms"; -- what is different about a room that is distributed
	"persons"; -- one person with clients at several instances is one occupant
	"forms"; -- room configuration
	"limits"; -- what is refused because other instances would not take it
	"capacity"; -- how many occupants a distributed room takes
	"lifecycle"; -- rooms become distributed and ordinary, are stored and restored
	"presence"; -- occupants, here and elsewhere
	"affiliations"; -- the source's list of affiliations
	"hats"; -- what goes with an affiliation and is seen in presences
	"groupchat"; -- messages and history
	"moderation"; -- messages that are taken away
	"private"; -- what people here send to occupants elsewhere
	"requests"; -- IQs from peers, and what users here want done elsewhere
	"registration"; -- registered nicks
	"voice"; -- requests for voice and their answers
	"invitations"; -- mediated invitations and declines
	"direct"; -- direct invitations that users of this server get
	"links"; -- what people are told of splits, and connections that swallow everything
	"discovery"; -- disco, redirects
	"actions"; -- does what the engine says
} do
	module:require(name)(dmuc);
end

module:add_feature(dmuc.xmlns);
module:add_feature(dmuc.xmlns_ours);

dmuc.lifecycle.start();

-- For other modules and the shell, as mod_muc does it: role ("source", "shadow", "pending" or nil), source and id of a
-- room, and the JIDs of its other instances that hold it now.
role = dmuc.role; -- luacheck: globals role
function instances(room_jid) -- luacheck: globals instances
	return dmuc.ask("instances", room_jid);
end

function module.unload()
	dmuc.fanout.stop();
	dmuc.requests.stop();
	dmuc.lifecycle.stop();
end
