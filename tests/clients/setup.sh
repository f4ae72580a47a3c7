#!/bin/bash
# Installs what `make test-clients` needs, if it is to be had: slixmpp and poezio from PyPI into target/clients, and Debian's
# profanity and tmux. Does nothing, and needs no network, where everything is there already. Never fails: run.sh says what is
# skipped.
set -uo pipefail

cd "$(dirname "$0")/../.."

say() { printf '%s\n' "setup: $*"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

missing=()
for program in profanity tmux; do
	command -v "$program" >/dev/null || missing+=("$program")
done
if [ "${#missing[@]}" -gt 0 ]; then
	say "installing: ${missing[*]}"
	as_root apt-get -q update >/dev/null
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null >/dev/null ||
		say "they are not to be had"
fi

if ! target/clients/bin/python -c 'import slixmpp, poezio' 2>/dev/null; then
	say "installing slixmpp and poezio"
	python3 -m venv target/clients && target/clients/bin/pip install -q -r tests/clients/requirements.txt ||
		say "they are not to be had (Python 3.11 and python3-venv are needed)"
fi
exit 0
