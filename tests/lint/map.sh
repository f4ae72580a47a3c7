#!/bin/bash
# docs/ARCHITECTURE.md says of every file of the engine and of the shim what it is about.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
while read -r file; do
	if ! grep -qF "${file##*/}" docs/ARCHITECTURE.md; then
		echo "docs/ARCHITECTURE.md does not know $file" >&2
		bad=1
	fi
done < <(find src/*.rs src/engine src/config src/snapshot lua/mod_dmuc lua/mod_http_dmuc -name '*.lua' -o -name '*.rs' ! -name tests.rs ! -path src/engine/state.rs ! -path src/wire.rs)
exit $bad
