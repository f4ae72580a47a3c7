# For setup.sh: finds the Prosodys that are here, and unpacks others beside them into target/prosody-VERSION, and what each of
# Debian's releases has of the community's modules into target/prosody-modules-RELEASE.
# Everything comes from where the system's own packages come from, through an apt configuration of its own: the
# system's stays as it is. No root is needed.

# Debian's releases, the oldest first.
releases=(bookworm trixie forky)
# What runs Prosody and is unpacked with it where the system's does not fit.
with_prosody=(prosody lua5.4 lua-unbound lua-sec lua-dbi-sqlite3 lua-expat lua-filesystem lua-socket)

# The versions that are here, the oldest first.
found_versions() {
	local prefix
	for prefix in / "$root"/target/prosody-*/; do
		case $prefix in *.new/) continue ;; esac
		cat "${prefix}usr/lib/prosody/prosody.version" 2>/dev/null || true
	done | sed 's/[[:space:]]*$//' | sort -uV
}

first_13() { found_versions | grep -Ev '^0\.' | head -n 1; }

has_0_12() { found_versions | grep -q '^0\.12\.'; }

has_13() { [ -n "$(first_13)" ]; }

has_newer() { [ "$(found_versions | grep -cEv '^0\.')" -gt 1 ]; }

# Whether the modules of every release are here. A folder with none of them, or a link to one that is gone, is not enough.
has_modules() {
	local release
	for release in "${releases[@]}"; do [ -d "$root/target/prosody-modules-$release/mod_pastebin" ] || return 1; done
}

# "URI|file" of the archive that the system's own packages come from, in whatever form its sources are written.
own_archive() {
	local format='$(CREATED_BY)|$(COMPONENT)|$(ORIGIN)|$(LABEL)|$(RELEASE)|$(REPO_URI)|$(SOURCESENTRY)'
	local names codename
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	names="$(IFS='|' && printf '%s' "${releases[*]}")|sid|(old)*stable|testing|unstable${codename:+|$codename}"
	{
		# What apt has seen says who made it; what it has not seen yet only has a name.
		apt-get indextargets --format "$format" 2>/dev/null | grep -E '^Packages\|main\|Debian\|Debian\|' || true
		apt-get indextargets --no-release-info --format "$format" 2>/dev/null |
			grep -E "^Packages\|main\|[^|]*\|[^|]*\|($names)\|" || true
	} | grep -v '|cdrom:' | awk -F'|' 'NR == 1 { print $6 "|" $7 }' || true
}

# The options of that source which concern trust, for a line of our own.
trust() {
	local entry keyring
	case $1 in
	*.list:*) entry=$(sed -n "${1##*:}p" "${1%:*}") ;;
	*) entry=$(cat "${1%:*}") ;;
	esac
	keyring=$(sed -nE 's/^[Ss]igned-[Bb]y:[[:space:]]*(\/[^[:space:]]+).*/\1/p; s/.*[[ ]signed-by=(\/[^] ]+).*/\1/p' <<<"$entry" | head -n 1)
	if [ -z "$keyring" ]; then keyring=$(ls /usr/share/keyrings/debian-archive-keyring.* 2>/dev/null | head -n 1 || true); fi
	if grep -qE '^[Tt]rusted:[[:space:]]*yes|[[ ]trusted=yes' <<<"$entry"; then printf 'trusted=yes '; fi
	if [ -n "$keyring" ]; then printf 'signed-by=%s' "$keyring"; fi
}

# Our own apt, of the suites that are given in $suites.
private_apt() {
	local command=$1 suite
	shift
	[ -n "$archive" ] || return 1
	for suite in $suites; do printf 'deb [%s] %s %s main\n' "$trust" "$archive" "$suite"; done >"$work/sources.list"
	"$command" -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Etc::preferencesparts=$work/preferences.d" \
		-o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o "APT::Sandbox::User=$(id -un)" \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@"
}

# Says what these suites have: "VERSION-OF-THE-PACKAGE", the newest first.
offered() { suites=$* private_apt apt-cache madison prosody | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -rV; }

upstream() {
	local version=${1#*:}
	version=${version%-*}
	printf '%s' "${version%%[~+]*}"
}

# The script that starts Lua with the libraries below the folder, and nothing else where the C library is among them.
write_lua() {
	local at=$1 loader libraries
	loader=$(cd "$at" && find . -name 'ld[-6]*.so.*' | sort | head -n 1)
	libraries=$(cd "$at" && find . -name 'lib*.so.*' -not -path './usr/share/*' -printf '%h\n' | sort -u | sed 's,^\.,$at,' | paste -sd:)
	{
		printf '%s\n' '#!/bin/sh' '# Runs Lua with the libraries of the Prosody beside it. Written by setup.sh.' \
			'at=$(cd "$(dirname "$0")" && pwd)' \
			'export LUA_PATH_5_4="$at/usr/share/lua/5.4/?.lua;$at/usr/share/lua/5.4/?/init.lua"'
		printf 'export LUA_CPATH_5_4="%s"\n' \
			"$(cd "$at" && find . -path '*/lua/5.4' -type d | sed 's,^\.\(.*\),$at\1/?.so,' | paste -sd';')"
		if [ -n "$loader" ]; then
			printf 'exec "$at/%s" --inhibit-cache --library-path "%s" "$at/usr/bin/lua5.4" "$@"\n' "${loader#./}" "$libraries"
		else
			printf 'export LD_LIBRARY_PATH="%s"\nexec "$at/usr/bin/lua5.4" "$@"\n' "$libraries"
		fi
	} >"$at/lua5.4"
	chmod 755 "$at/lua5.4"
}

# Whether everything that Prosody loads can be loaded.
runs() {
	local at=$1 lua=lua5.4
	if [ -e "$at/lua5.4" ]; then lua=$at/lua5.4; fi
	"$lua" -e "
		package.path = '$at/usr/lib/prosody/?.lua;' .. package.path
		package.cpath = '$at/usr/lib/prosody/?.so;' .. package.cpath
		for _, name in ipairs { 'socket', 'ssl', 'lxp', 'lfs', 'lunbound', 'DBI', 'dbd.sqlite3', 'util.encodings',
			'util.hashes', 'util.pposix', 'util.poll' } do require(name) end"
}

# unpack PACKAGE-VERSION SUITE…: into target/prosody-VERSION. The last suite is the one that has this version.
unpack() {
	local version=$1
	shift
	local suites=$* number packages at
	number=$(upstream "$version")
	at="$root/target/prosody-$number"
	rm -rf "$at.new" "$work/debs"
	mkdir -p "$at.new" "$work/debs"
	packages="prosody=$version"
	if [ "$1" != "$own_release" ]; then
		# Of all that it would install on an empty system, the libraries. The newer C library runs what was made for an
		# older one, ours included; so the system's stays if it is the newer one.
		packages=$(private_apt apt-get --simulate --no-install-recommends install "${with_prosody[@]/%prosody/prosody=$version}" |
			sed -nE 's/^Inst (prosody|zlib1g|lua[^ ]*|lib[^ ]*) \(([^ ]+) .*/\1=\2/p')
		local libc
		libc=$(sed -n 's/^libc6=//p' <<<"$packages")
		if dpkg --compare-versions "$(dpkg-query -W -f '${Version}\n' libc6 | head -n 1)" ge "${libc:-0}"; then
			packages=$(grep -v '^libc' <<<"$packages")
		fi
	fi
	# shellcheck disable=SC2086
	(cd "$work/debs" && private_apt apt-get download $packages) || return 1
	local deb
	for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$at.new" || return 1; done
	# What is not needed to run takes most of the space.
	rm -rf "$at.new"/usr/share/{doc,man,locale,i18n} "$at.new"/usr/lib/*/gconv
	if [ "$1" != "$own_release" ]; then write_lua "$at.new"; fi
	runs "$at.new" || return 1
	rm -rf "$at"
	mv "$at.new" "$at"
	say "Prosody $number of Debian $* is in $at"
}

# unpack_modules RELEASE: the own release's are installed, those of the others are unpacked. They are Lua, so that any
# Prosody can load them.
unpack_modules() {
	local suites=$1 at="$root/target/prosody-modules-$1"
	if [ -d "$at/mod_pastebin" ]; then return; fi
	rm -rf "$at" "$at.new" "$work/debs"
	if [ "$1" = "$own_release" ]; then
		ln -s /usr/lib/prosody/modules "$at"
	else
		mkdir -p "$work/debs"
		(cd "$work/debs" && private_apt apt-get download prosody-modules >>"$work/log" 2>&1) || return 1
		dpkg-deb -x "$work"/debs/*.deb "$at.new" || return 1
		mv "$at.new/usr/lib/prosody/modules" "$at"
		rm -rf "$at.new"
	fi
	[ -d "$at/mod_pastebin" ] && say "prosody-modules of Debian's $1 are in $at"
}

skipped() {
	printf '%s\n' "SKIPPED: $1 cannot be had here; its tests will be skipped"
	skipped_any=yes
}

newest_newer_than() {
	local first=$1 group version
	for group in forky 'trixie trixie-backports'; do
		for version in $(offered $group); do printf '%s|%s\n' "$version" "$group"; done
	done | sort -rV | while IFS='|' read -r version group; do
		if dpkg --compare-versions "$(upstream "$version")" gt "$first"; then printf '%s|%s\n' "$version" "$group"; fi
	done
}

# Unpacks what is missing of the three lines that the tests know, and of the modules.
unpack_missing() {
	if has_0_12 && has_13 && has_newer && has_modules; then return; fi
	local work release archive trust suites source version group own_release skipped_any=no
	own_release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	work=$(mktemp -d)
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/preferences.d"
	touch "$work/status"
	source=$(own_archive)
	archive=${source%%|*}
	trust=
	if [ -n "$archive" ]; then
		trust=$(trust "${source#*|}")
		say "looking for other Prosodys at $archive"
		# A suite that is not there is no reason to stop: what can be had is seen below.
		suites='bookworm bookworm-backports trixie trixie-backports forky' private_apt apt-get update >"$work/log" 2>&1 ||
			grep -E '^E:' "$work/log" || true
	else
		say "apt's sources name no archive of Debian"
	fi

	if ! has_0_12; then
		version=$(offered bookworm | head -n 1 || true)
		{ [ -n "$version" ] && unpack "$version" bookworm; } || skipped 'Prosody 0.12'
	fi
	if ! has_13; then
		case $own_release in
		bookworm) group='bookworm bookworm-backports' ;;
		*) group=trixie ;;
		esac
		# shellcheck disable=SC2086
		version=$(offered $group | grep -v '^0\.' | head -n 1 || true)
		# shellcheck disable=SC2086
		{ [ -n "$version" ] && unpack "$version" $group; } || skipped 'Prosody 13'
	fi
	if has_13 && ! has_newer; then
		while IFS='|' read -r version group; do
			# shellcheck disable=SC2086
			if unpack "$version" $group; then break; fi
		done < <(newest_newer_than "$(first_13)")
	fi
	has_newer || skipped 'a Prosody newer than the first 13'
	for release in "${releases[@]}"; do
		unpack_modules "$release" || skipped "prosody-modules of Debian's $release"
	done
	rm -rf "$work" "$root"/target/prosody-*.new
	if [ "$skipped_any" = yes ] && [ "${CI:-}" = true ]; then
		say "under CI=true that is a failure"
		return 1
	fi
}
