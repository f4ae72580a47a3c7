#!/bin/bash
# util.sql of Prosody 0.12.3 and 13.0.1 over LuaDBI: a transaction within a transaction is none of its own and none that is refused:
# when it ends it commits what the outer one has done so far. An error after it makes the outer one return false, and everything
# is kept all the same. Whoever puts two stores' writes into one transaction has to see that neither begins one itself.
#
# Needs apt and lua5.4. Debian's prosody 0.12.3-1+deb12u1 and (bookworm-backports) 13.0.1-1~bpo12+1, lua-dbi 0.7.2-4.
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

cat >"$work/ask.lua" <<'LUA'
local sql = require "util.sql";
local file = os.getenv("WORK").."/kept.sqlite";
os.remove(file);
local engine = sql:create_engine({ driver = "SQLite3", database = file });
assert(engine:connect());
engine:execute("CREATE TABLE kept (word TEXT)");
local ok = engine:transaction(function ()
	engine:insert("INSERT INTO kept VALUES ('before')");
	engine:transaction(function () engine:insert("INSERT INTO kept VALUES ('within')"); end);
	error("give it up");
end);
local kept = {};
engine:transaction(function ()
	for row in engine:select("SELECT word FROM kept ORDER BY word") do kept[#kept+1] = row[1]; end
end);
io.write("outer transaction ", ok and "done" or "failed", ", kept: ", table.concat(kept, ", "));
LUA

fetch bookworm 'lua-dbi-common=0.7.2-4' "$work/dbi"
fetch bookworm 'lua-dbi-sqlite3=0.7.2-4' "$work/dbi"
export LUA_PATH="$work/dbi/usr/share/lua/5.4/?.lua;;"
LUA_CPATH="$(dirname "$(find "$work/dbi" -path '*lua/5.4/dbd/sqlite3.so')")/../?.so;;"
export LUA_CPATH WORK="$work"
for release in 'bookworm 0.12.3-1+deb12u1' 'bookworm-backports 13.0.1-1~bpo12+1'; do
	set -- $release
	fetch "$1" "prosody=$2" "$work/$1"
	expect 'outer transaction failed, kept: before, within' "$(with_prosody "$work/$1" "$work/ask.lua")"
done
