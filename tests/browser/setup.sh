#!/bin/bash
# Installs what the browser test needs: Debian's Chromium, and the npm packages of package-lock.json.
# Does nothing, and needs no network, where everything is there already.
set -euo pipefail

cd "$(dirname "$0")"

say() { printf '%s\n' "setup: $*"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# What Playwright needs; Debian 12 has 18.
if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || ! command -v npm >/dev/null; then
	say "Node.js 20 or newer and npm are needed: https://nodejs.org/"
	exit 1
fi

if [ -z "${CHROMIUM:-}" ] && [ ! -x /usr/bin/chromium ]; then
	say "installing chromium"
	as_root apt-get -q update
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install chromium </dev/null
fi

# npm leaves this file when it has installed everything.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	say "installing the npm packages"
	npm ci --ignore-scripts --no-audit --no-fund
	touch node_modules/.package-lock.json
fi
