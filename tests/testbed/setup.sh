#!/bin/bash
# Installs what the tests, the demo and the linters need on Debian 12, and unpacks Prosody 13 beside it.
# Does nothing, and needs no network, where everything is there already.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
unpacked="$root/target/prosody-13"

# What Prosody needs, what Prosody 13 needs on top, and what the linters and the C test need.
packages=(prosody lua5.4 lua-unbound lua-sec lua-dbi-sqlite3 lua-expat lua-filesystem lua-socket
	openssl prosody-modules lua-check lua-busted gcc libc6-dev debian-archive-keyring util-linux)

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

# Downloads the package from backports with an apt configuration of its own: the system's stays as it is.
fetch_prosody_13() {
	local work
	work=$(mktemp -d)
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	printf '%s\n' 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main' \
		>"$work/sources.list"
	local apt=(apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
		-o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
	local ok=yes
	"${apt[@]}" update && (cd "$work" && "${apt[@]}" download prosody) || ok=no
	if [ "$ok" = yes ]; then
		rm -rf "$unpacked.new"
		mkdir -p "$unpacked.new"
		dpkg-deb -x "$work"/prosody_13*.deb "$unpacked.new" || ok=no
	fi
	if [ "$ok" = yes ]; then
		rm -rf "$unpacked"
		mv "$unpacked.new" "$unpacked"
		say "Prosody $(cat "$unpacked/usr/lib/prosody/prosody.version") is in $unpacked"
	fi
	rm -rf "$work" "$unpacked.new"
	[ "$ok" = yes ]
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	say "this is not Debian: install ${packages[*]} (or what they are called here) by other means"
	exit 1
fi

mkdir -p "$root/target"
exec 9>"$root/target/.setup.lock"
flock 9

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ]; then
	install_packages "${wanted[@]}"
fi

case $(cat /usr/lib/prosody/prosody.version 2>/dev/null || true) in
0.12.*) ;;
*) say "the system's Prosody is not 0.12: the tests are made for Debian 12" && exit 1 ;;
esac

if [ ! -e "$unpacked/usr/lib/prosody/prosody.version" ] && ! fetch_prosody_13; then
	printf '%s\n' "SKIPPED: Prosody 13 cannot be had from bookworm-backports; its tests will be skipped"
	if [ "${CI:-}" = true ]; then
		say "under CI=true that is a failure"
		exit 1
	fi
fi
