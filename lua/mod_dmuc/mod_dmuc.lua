-- mod_dmuc: distributed multi-user chat (XEP-0281) for Prosody
--
-- This file is MIT licensed. Please see the LICENSE file in the source package for more information.
--
-- One room on several XMPP services. All decisions are made by an engine written in Rust (dmuc.so); this module only
-- translates between it and Prosody. *.lib.lua hold one concern each, main.lib.lua the wiring. After an upgrade on the disk
-- this file and build.lib.lua are new while the rest goes on as it is in memory: they need nothing of it.

if prosody.process_type == "prosodyctl" then
	module.command = module:require("prosodyctl");
	return;
end

local is_muc = prosody.hosts[module.host].modules.muc ~= nil
	or module:get_option_inherited_set("modules_enabled", {}):contains("muc");
if module:get_host_type() ~= "component" or not is_muc then
	error(("mod_dmuc is loaded on a MUC component, which %s is not: move \"dmuc\" from its modules_enabled into that of "
		.."Component \"...\" \"muc\" (see README.md)"):format(module.host), 0);
end

module:depends("muc");

local build = module:require("build");
build.run("main", module.environment)(build);
