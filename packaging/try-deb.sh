#!/bin/bash
# Unpacks a package and has two servers of every Prosody that is here talk with what is in it: debian/tests/two-servers.
# packaging/try-deb.sh PACKAGE.deb
set -euo pipefail
deb=$(readlink -f "${1:?which package?}")
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
dpkg-deb -x "$deb" "$place/root"
export MODULES="$place/root/usr/lib/prosody/modules"
tried=0
for prefix in / target/prosody-[0-9]*/; do
	[ -e "$prefix/usr/lib/prosody/prosody.version" ] || continue
	prefix=$(readlink -f "$prefix")
	prefix=${prefix%/}
	lua=lua5.4
	if [ -x "$prefix/lua5.4" ]; then lua=$prefix/lua5.4; fi
	# Where it is, is written into its start script.
	sed -E "1d; s|^(CFG_SOURCEDIR)=.*|\1='$prefix/usr/lib/prosody';|; s|^(CFG_PLUGINDIR)=.*|\1='$prefix/usr/lib/prosody/modules/';|
		s|^(CFG_CONFIGDIR\|CFG_DATADIR)=.*|\1='$place';|" "$prefix/usr/bin/prosody" >"$place/prosody.lua"
	printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$lua" "$place/prosody.lua" >"$place/prosody"
	chmod 755 "$place/prosody"
	echo "== Prosody $(cat "$prefix/usr/lib/prosody/prosody.version")"
	PROSODY="$place/prosody" debian/tests/two-servers
	tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo 'try-deb.sh: no Prosody is here: make deps' >&2; exit 1; }
