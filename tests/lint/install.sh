#!/bin/bash
# `make install` and `make uninstall`, below DESTDIR, as somebody who is not root and has no cargo: a copy of what they need, with
# files in the place of what `make plugin` builds (nothing looks into them).
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
source=$place/source staging=$place/staging
folder=$staging/usr/local/lib/prosody/modules/mod_dmuc page_folder=$staging/usr/local/lib/prosody/modules/mod_http_dmuc
plugin=$source/target/plugin/mod_dmuc page=$source/target/plugin/mod_http_dmuc
mkdir -p "$source" "$place/bin" "$staging"
cp -r Makefile Cargo.toml Cargo.lock build.rs lua src "$source"
# Whoever calls one of these leaves a trace.
for program in cargo rustc rustup; do
	printf '#!/bin/sh\necho "$0 $*" >>"%s/called"\nexit 1\n' "$place" >"$place/bin/$program"
	chmod 755 "$place/bin/$program"
done

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

# run TARGET: its output is in $said, and whether it failed in $status. The umask is a careful administrator's.
run() {
	local as=()
	if [ "$(id -u)" = 0 ]; then
		chown -R 65534:65534 "$place"
		as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fi
	status=0
	said=$(umask 077 && cd "$source" && env -i HOME=/nonexistent PATH="$place/bin:/usr/bin:/bin" "${as[@]}" \
		make --no-print-directory "$1" DESTDIR="$staging" 2>&1) || status=$?
}

contents() { (cd "$source" && find . -type f -exec sha256sum {} + | sort); }

run install
if [ "$status" = 0 ] || [ "$(grep -c "'make plugin'" <<<"$said")" != 1 ]; then fail "with nothing built: status $status, $said"; fi
[ -z "$(ls "$staging")" ] || fail 'something was installed though nothing was built'

# What is there after `make plugin`.
mkdir -p "$plugin" "$page" "$source/target/plugin-build"
cp lua/mod_http_dmuc/* "$page"
cp lua/mod_dmuc/*.lua lua/mod_dmuc/README.md "$plugin"
echo library >"$plugin/dmuc.so"
echo 'return "stamp";' >"$plugin/stamp.lib.lua"
touch "$source/target/plugin-build/built"
before=$(contents)
run install
[ "$status" = 0 ] || fail "status $status: $said"
diff -r "$plugin" "$folder" && diff -r "$page" "$page_folder" || fail 'what is installed is not what was built'
[ -z "$(find "$staging" -mindepth 1 -type d ! -perm 755 -o -type f ! -perm 644)" ] || fail "Prosody may not read: $(ls -lR "$staging")"
! grep -q newer <<<"$said" || fail "it takes its own build for an old one: $said"
[ "$(contents)" = "$before" ] || fail 'make install changed the folder that it installs from'

# Over an older version, from sources that have been pulled since they were built; what somebody put there stays.
touch "$folder/parked.log" "$page_folder/notes"
echo 'return nil;' | tee "$folder/gone.lib.lua" >"$page_folder/gone.lib.lua"
touch -d '+1 minute' "$source/src/lib.rs"
run install
[ "$status" = 0 ] && grep -q 'newer' <<<"$said" || fail "nothing is said of sources that are newer: $said"
[ "$(diff -rq "$plugin" "$folder")" = "Only in $folder: parked.log" ] || fail "installing again left $(ls "$folder")"
[ "$(diff -rq "$page" "$page_folder")" = "Only in $page_folder: notes" ] || fail "installing again left $(ls "$page_folder")"

run uninstall
[ "$status" = 0 ] && grep -q 'other files' <<<"$said" && [ "$(ls "$folder" "$page_folder" | grep -v -e : -e '^$' | xargs)" = 'parked.log notes' ] ||
	fail "left: $(ls "$folder" "$page_folder"), $said"
rm "$folder/parked.log" "$page_folder/notes"
for again in once twice; do
	run uninstall
	[ "$status" = 0 ] && [ ! -e "$folder" ] && [ ! -e "$page_folder" ] && [ -d "${folder%/*}" ] || fail "uninstalling $again: status $status, $said"
done

[ ! -e "$place/called" ] || fail "this was called: $(cat "$place/called")"
