#!/bin/bash
# Installs what the tests, the demo and the linters need on Debian 12 and 13, and unpacks other Prosodys beside the
# system's, so that there are three: 0.12, the first 13 and the newest.
# Does nothing, and needs no network, where everything is there already.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/testbed/prosodys.sh
. "$root/tests/testbed/prosodys.sh"

# What Prosody needs, what Prosody 13 needs on top of 0.12, and what the linters and the C test need.
packages=(prosody lua5.4 lua-unbound lua-sec lua-dbi-sqlite3 lua-expat lua-filesystem lua-socket
	openssl libxml2-utils prosody-modules lua-check lua-busted gcc libc6-dev debian-archive-keyring util-linux)

say() { printf '%s\n' "setup: $*"; }

installed() {
	# Exit code 1 only says that some package is unknown.
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true
}

missing() {
	local have
	have=$(installed | sed -n 's/ installed$//p')
	for package in "${packages[@]}"; do
		grep -qx "$package" <<<"$have" || printf '%s\n' "$package"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

install_packages() {
	say "installing: $*"
	export DEBIAN_FRONTEND=noninteractive
	# Installing Prosody would start it: the tests start their own.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
		as_root chmod 755 /usr/sbin/policy-rc.d
	fi
	as_root apt-get -q update
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" </dev/null
}

# The oldest Rust that builds this, of Cargo.toml.
check_rust() {
	local wanted have
	wanted=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' "$root/Cargo.toml" | head -n 1)
	have=$(cargo --version 2>/dev/null | sed -nE 's/^cargo ([0-9.]+).*/\1/p' || true)
	if [ -z "$have" ] || [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
		say "Rust $wanted or newer is needed (here: ${have:-no cargo}): rustup, or 'apt-get install cargo-web rustc-web' on Debian 12 and 13"
		exit 1
	fi
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	say "this is not Debian: install ${packages[*]} (or what they are called here) by other means"
	exit 1
fi
case $(. /etc/os-release && printf '%s' "${ID:-} ${VERSION_ID:-}") in
'debian 12' | 'debian 13') ;;
*) say "warning: made for Debian 12 and 13, not tried on this system" ;;
esac
check_rust

mkdir -p "$root/target"
exec 9>"$root/target/.setup.lock"
flock 9

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ]; then
	install_packages "${wanted[@]}"
fi

unpack_missing
