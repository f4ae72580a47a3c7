#!/bin/bash
# Prosody 13.0.1 reads "1h30min" as one hour and "1d12h" as one day, without a word: parse_duration of util.human.io, which
# module:get_option_period uses for every period in a configuration, takes the first number and the unit behind it and
# passes over the rest. "90min" and "36h" say the same and are read as meant. "1.5h" is nothing at all.
#
# Needs apt and lua5.4. Debian's prosody 13.0.1-1~bpo12+1 (bookworm-backports).
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

fetch bookworm-backports prosody=13.0.1-1~bpo12+1 "$work/new"

cat >"$work/ask.lua" <<'LUA'
local parse = require "prosody.util.human.io".parse_duration;
for _, text in ipairs { "90min", "1h30min", "36h", "1d12h", "1.5h" } do
	io.write(text, "=", tostring(parse(text)), " ");
end
LUA

expect '90min=5400 1h30min=3600 36h=129600 1d12h=86400 1.5h=nil ' "$(with_prosody "$work/new" "$work/ask.lua")"
