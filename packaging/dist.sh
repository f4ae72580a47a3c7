#!/bin/bash
# `make dist`: what is handed out without a build, into target/dist: a tarball with the module for x86-64 and arm64, one with the sources
# that builds without network, rocks for `prosodyctl install`, and their checksums. `packaging/dist.sh --check` builds all of it again from
# the tarball with the sources, in another folder, without any crate from elsewhere, and compares the bytes.
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC
cd "$(dirname "$0")/.."

# The C library of the oldest Debian that is supported, 12.
oldest_glibc=2.36
targets=${TARGETS:-x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu}
version=$(packaging/version.sh)
name=prosody-mod-dmuc-$version
SOURCE_DATE_EPOCH=$(packaging/epoch.sh)
export SOURCE_DATE_EPOCH
to=$PWD/target/dist
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

fail() { echo "dist.sh: $*" >&2; exit 1; }

# pack FOLDER FILE: the same content gives the same bytes.
pack() {
	tar -C "$place" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		-cf - "$1" | gzip -9n >"$2.new"
	mv "$2.new" "$2"
	echo "dist: $2"
}

# Debian 12 has this version of every symbol that the library wants.
check_glibc() {
	local wanted
	wanted=$(objdump -T "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
	wanted=${wanted#GLIBC_}
	[ -n "$wanted" ] || fail "$1 wants nothing of the C library?"
	[ "$(printf '%s\n' "$wanted" "$oldest_glibc" | sort -V | tail -n 1)" = "$oldest_glibc" ] ||
		fail "$1 needs glibc $wanted, and Debian 12 has $oldest_glibc: build it there"
	echo "dist: $1 needs glibc $wanted, at most $oldest_glibc is allowed"
}

# Nothing of the folders and hosts of who built it.
check_paths() {
	! grep -qaE "${HOME:-/root}/|$PWD|registry/src" "$1" || fail "$1 has a path of this machine in it: $(strings "$1" | grep -E "$HOME/|$PWD|registry/src" | head -n 1)"
}

# built: the module for each target, in target/release.
built() {
	local target library
	for target in $targets; do
		make --no-print-directory plugin TARGET="$target"
		library=target/release/$target/mod_dmuc/dmuc.so
		check_glibc "$library"
		check_paths "$library"
	done
}

# prebuilt: the tarball with the module.
prebuilt() {
	local target
	mkdir -p "$place/$name-linux/licences"
	for target in $targets; do
		mkdir "$place/$name-linux/${target%%-*}"
		cp -r "target/release/$target"/mod_* "$place/$name-linux/${target%%-*}/"
	done
	cp LICENSE CHANGELOG.md README.md "$place/$name-linux/"
	cp debian/copyright "$place/$name-linux/licences/of-linked-crates"
	cp /usr/share/common-licenses/{Apache-2.0,MPL-2.0} "$place/$name-linux/licences/"
	cp packaging/prebuilt.mk "$place/$name-linux/Makefile"
	pack "$name-linux" "$to/$name-linux.tar.gz"
}

# rocks: what `prosodyctl install mod_dmuc` takes from a server, for each processor. A rock is a zip with a list of what is in it.
rocks() {
	local target folder file rockspec=mod_dmuc-$version-1.rockspec
	for target in $targets; do
		folder=$place/rock-${target%%-*}
		mkdir -p "$folder/lua"
		cp -r "target/release/$target"/mod_* "$folder/lua/"
		sed "s/@VERSION@/$version/g" packaging/mod_dmuc.rockspec.in >"$folder/$rockspec"
		{
			printf 'rock_manifest = {\n   ["%s"] = "%s",\n   lua = {\n' "$rockspec" "$(md5 "$folder/$rockspec")"
			for module in mod_dmuc mod_http_dmuc; do
				printf '      %s = {\n' "$module"
				for file in "$folder/lua/$module"/*; do printf '         ["%s"] = "%s",\n' "${file##*/}" "$(md5 "$file")"; done
				printf '      },\n'
			done
			printf '   },\n}\n'
		} >"$folder/rock_manifest"
		find "$folder" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
		find "$folder" -type f -exec chmod 644 {} +
		rm -f "$to/$(rock_of "$target")"
		(cd "$folder" && find . -type f | sed 's|^\./||' | sort | zip -qX "$to/$(rock_of "$target")" -@)
		echo "dist: $to/$(rock_of "$target")"
	done
}

rock_of() { printf 'mod_dmuc-%s-1.linux-%s.rock' "$version" "${1%%-*}"; }

md5() { md5sum "$1" | cut -d ' ' -f 1; }

# sources: what is committed, and every crate that is needed for building and testing it.
sources() {
	git archive --prefix="$name/" HEAD | tar -C "$place" -xf -
	mkdir "$place/$name/.cargo"
	# Only in the tarball: in a clone, crates come from where cargo is told to get them.
	cargo vendor --quiet --locked --versioned-dirs "$place/$name/vendor" >/dev/null
	printf '[source.crates-io]\nreplace-with = "vendor"\n\n[source.vendor]\ndirectory = "vendor"\n' >"$place/$name/.cargo/config.toml"
	# The clock of a tarball, for packaging/epoch.sh.
	pack "$name" "$to/$name.tar.gz"
}

sums() { (cd "$1" && sha256sum "$name-linux.tar.gz" $(for target in $targets; do rock_of "$target"; echo; done)); }

if [ "${1:-}" = --check ]; then
	[ -e "$to/$name.tar.gz" ] || fail "nothing is there yet: make dist"
	tar -C "$place" -xf "$to/$name.tar.gz"
	# A home for cargo with nothing in it. As root there is no network at all; cargo is told not to use one in any case.
	alone=()
	if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then alone=(unshare -n); fi
	mkdir "$place/home"
	CARGO_HOME=$place/home RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_NET_OFFLINE=true TARGETS=$targets \
		"${alone[@]}" "$place/$name/packaging/dist.sh" --from-tarball
	diff <(sums "$to") <(sums "$place/$name/target/dist") || fail 'the same sources gave other bytes'
	echo "dist: built again from $name.tar.gz${alone[*]:+ without network}: the same bytes"
	exit
fi
mkdir -p "$to"
if [ "${1:-}" != --from-tarball ]; then
	[ -z "$(git status --porcelain)" ] || fail 'something here is not committed: what is handed out would not be what the version says'
fi
built
prebuilt
rocks
if [ "${1:-}" != --from-tarball ]; then
	sources
	(sums "$to" && cd "$to" && sha256sum "$name.tar.gz") | tee "$to/SHA256SUMS"
fi
