#!/bin/bash
# Prints the version of Cargo.toml, or with "deb" the name of Debian's package of it on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = deb ]; then
	printf 'prosody-mod-dmuc_%s_%s.deb\n' "$(dpkg-parsechangelog -S Version)" "$(dpkg-architecture -qDEB_HOST_ARCH)"
else
	sed -nE 's/^version = "([^"]+)"/\1/p' Cargo.toml | head -n 1
fi
