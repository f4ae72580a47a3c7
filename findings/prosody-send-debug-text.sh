#!/bin/bash
# core/sessionmanager of Prosody 0.12.3 and 13.0.1: session.send() makes the text of the stanza's start tag for a line of level
# debug, for every stanza to every client, also where no log takes that level: the line is dropped after its arguments have been
# made, not before. Whoever measures what it costs to send the same stanza to many finds a good part of it there.
#
# Needs apt and lua5.4. Debian's prosody 0.12.3-1+deb12u1 and (bookworm-backports) 13.0.1-1~bpo12+1.
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

cat >"$work/ask.lua" <<'LUA'
prosody = { hosts = {}, full_sessions = {}, bare_sessions = {} };
for _, name in ipairs { "core.rostermanager", "core.configmanager" } do
	local stub = { load_roster = function () end; get = function () end };
	package.loaded[name], package.loaded["prosody."..name] = stub, stub;
end
package.loaded.socket = { gettime = os.time };
-- Nothing takes lines of level debug: no sink at all.
local st = require "util.stanza";
local start_tags = 0;
local top_tag = st.stanza_mt.top_tag;
function st.stanza_mt:top_tag()
	start_tags = start_tags + 1;
	return top_tag(self);
end
local sessions = require "core.sessionmanager";
local written = 0;
local conn = { write = function (_, text) written = written + #text; return true; end; ip = function () return "::1"; end };
local session = sessions.new_session(conn);
for _ = 1, 100 do session.send(st.message({ to = "crone1@shakespeare.lit" }, "Hail")); end
io.write(start_tags, " start tags made, ", written > 0 and "something" or "nothing", " written");
LUA

for release in 'bookworm 0.12.3-1+deb12u1' 'bookworm-backports 13.0.1-1~bpo12+1'; do
	set -- $release
	fetch "$1" "prosody=$2" "$work/$1"
	expect '100 start tags made, something written' "$(with_prosody "$work/$1" "$work/ask.lua")"
done
