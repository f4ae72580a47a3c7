#!/bin/bash
# mod_limits of Prosody 0.12.3: a configuration that limits only other servers (limits = { s2sin = … }) limits clients as well,
# to 10,240 bytes a second: the module has defaults for c2s and s2sin, and the configuration replaces only the kinds that it
# names. And "burst" does nothing with the default network backend: its connections have a method for a rate, which the
# module prefers to its own throttle, and which knows no burst. Both without a word in the log.
#
# Needs apt and lua5.4. Debian's prosody 0.12.3-1+deb12u1.
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

fetch bookworm prosody=0.12.3-1+deb12u1 "$work/prosody"

expect 1 "$(grep -c '^function interface:setlimit' "$work/prosody/usr/lib/prosody/net/server_epoll.lua")"

cat >"$work/ask.lua" <<'LUA'
-- The little that the module asks of Prosody when it is loaded.
local options = { limits = { s2sin = { rate = "30kb/s", burst = "60s" } } };
module = {
	set_global = function () end;
	get_option = function (_, name, default) return options[name] or default; end;
	get_option_number = function (_, _, default) return default; end;
	log = function (_, level, ...) io.write(level, ": ", string.format(...), " "); end;
};
package.loaded["util.timer"] = { add_task = function () end };
dofile(os.getenv "MODULE");
module.load();
local filters = require "util.filters";
for _, type in ipairs { "c2s", "s2sin", "s2sout" } do
	local session = { type = type, conn = {} };
	function session.conn.setlimit(_, rate) session.limit = rate; end
	filters.initialize(session);
	io.write(type, "=", tostring(session.limit and math.floor(session.limit)), session.throttle and "+burst " or " ");
end
LUA

export MODULE=$work/prosody/usr/lib/prosody/modules/mod_limits.lua
expect 'c2s=10240 s2sin=30000 s2sout=nil ' "$(with_prosody "$work/prosody" "$work/ask.lua")"
