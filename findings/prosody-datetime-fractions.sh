#!/bin/bash
# Prosody 0.12.3 cannot format what 13.0.1 stores: on Lua 5.4, util.datetime.datetime raises for a time with a fraction
# ("number has no integer representation", from os.date), where 13.0.1 gives microseconds. mod_muc_mam and mod_mam of 13.0.1
# store such times in archives, and 0.12.3 formats them for each result: after a downgrade an archive query of the room
# fails. Whoever appends to an archive that both may read appends whole seconds.
#
# Needs apt and lua5.4. Debian's prosody 0.12.3-1+deb12u1 (bookworm), 13.0.1-1~bpo12+1 (bookworm-backports).
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

fetch bookworm prosody=0.12.3-1+deb12u1 "$work/old"
fetch bookworm-backports prosody=13.0.1-1~bpo12+1 "$work/new"

cat >"$work/ask.lua" <<'LUA'
local ok, text = pcall(require "util.datetime".datetime, 1700000000.5);
print(ok and text or "error: "..text:match("number has no integer representation"));
LUA

expect 'error: number has no integer representation' "$(with_prosody "$work/old" "$work/ask.lua")"
expect '2023-11-14T22:13:20.500000Z' "$(with_prosody "$work/new" "$work/ask.lua")"
