#!/bin/bash
# What is known of Prosody's inside is in one file, lua/mod_dmuc/prosody.lib.lua (docs/ARCHITECTURE.md, "Lua"): nothing else of
# the module reads a private field, puts something in the place of a method, or knows that releases differ.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
# look_for PATTERN WHY: in code, not in comments.
look_for() {
	# mod_dmuc.lua and build.lib.lua need nothing of the build that they start.
	if grep -nE "$1" $(ls lua/mod_dmuc/*.lib.lua | grep -vE '/(prosody|build)\.lib\.lua$') |
		grep -vE '^[^:]+:[0-9]+:[[:space:]]*--'; then
		echo "inside.sh: $2: that belongs into lua/mod_dmuc/prosody.lib.lua" >&2
		bad=1
	fi
}
# `room._dmuc` is what this module keeps with a room.
look_for '\._([a-ce-z]|d[a-ln-z]|dm[a-tv-z])' 'a private field'
look_for '\bgetmetatable\(|\brawget\(|\brawset\(|\bdebug\.(get|set|up)' "an object's inside"
look_for '\b(room|session|conn|origin|occupant|event\.room)(\.[a-z_]+|\[[a-z_]+\]) *= *(function|[a-z.]*(ours|replac))|function (room|session|conn)[.:]' \
	'a method in the place of another'
look_for '\bolddm\b|\bcore\.[a-z]' "Prosody's core"
look_for '\b(util\.adminstream|net\.[a-z]+)\b' 'a library that Prosody is made of, and not its modules'
# luacheck (.luacheckrc) knows the global in few files; it does not mind a local that hides it.
look_for '(^|[^."a-zA-Z_])prosody([^"a-zA-Z_]|$)' "Prosody's global table, or a local of that name"
look_for '\.(writebuffer|sendq|s2sout|stable_id|destroying|dummy|sessions)\b' 'a field of a session or an occupant'
look_for 'module\.(could|get_option_[a-z]+)\b|pcall\((datetime|require)' 'a test for a release'
if grep -nE '\bCOMPAT\b|\b0\.12\b|\bProsody 13\b' $(ls lua/mod_dmuc/*.lua | grep -vE '/prosody\.lib\.lua$'); then
	echo "inside.sh: a note about releases belongs into lua/mod_dmuc/prosody.lib.lua" >&2
	bad=1
fi
exit $bad
