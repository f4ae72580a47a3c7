#!/bin/bash
# debian/ says what is so: every crate that dmuc.so is linked with is in debian/copyright, and the versions of Cargo.toml, CHANGELOG.md
# and debian/changelog are one. No file of ours names a registry's host. `packaging.sh --self-test` breaks each in a copy of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

check_copyright() {
	diff -u "$1" <(packaging/copyright.sh) >&2 || {
		echo "packaging.sh: $1 is not what is linked: packaging/copyright.sh >debian/copyright" >&2
		return 1
	}
}

# check_versions CARGO_TOML CHANGELOG DEBIAN_CHANGELOG
check_versions() {
	local version heading wanted distribution day
	version=$(sed -nE 's/^version = "([^"]+)"/\1/p' "$1" | head -n 1)
	# "[0.1.0] - unreleased" or "[0.1.0] - 2026-12-01"; "[Unreleased]" above them says nothing of a version.
	heading=$(sed -nE 's/^## \[([0-9][^]]*)\] - (.*)/\1 \2/p' "$2" | head -n 1)
	day=${heading#* }
	wanted=$version-0upstream1 distribution=unstable
	if [ "$day" = unreleased ]; then wanted=$version~dev-0upstream1 distribution=UNRELEASED; fi
	if [ "${heading% *}" != "$version" ]; then
		echo "packaging.sh: $1 has version $version, and $2 ${heading% *}" >&2
		return 1
	fi
	if [ "$(sed -nE '1 s/^prosody-mod-dmuc \(([^)]+)\) ([^;]+);.*/\1 \2/p' "$3")" != "$wanted $distribution" ]; then
		echo "packaging.sh: $3 begins with '$(head -n 1 "$3")', not with version $wanted for $distribution" >&2
		return 1
	fi
	if [ "$day" != unreleased ] && [ "$(date -u -d "$(sed -nE 's/^ -- .*>  (.*)/\1/p' "$3" | head -n 1)" +%F)" != "$day" ]; then
		echo "packaging.sh: $3 has another day than $day, which $2 has" >&2
		return 1
	fi
}

check_hosts() {
	local registries='crates\.io|static\.rust-lang|luarocks\.org|npmjs\.|pypi\.org|pythonhosted'
	if grep -nEr "$registries" --exclude=packaging.sh "$@" >&2; then
		echo 'packaging.sh: where crates and rocks come from is the business of who builds' >&2
		return 1
	fi
}

if [ "${1:-}" = --self-test ]; then
	place=$(mktemp -d)
	trap 'rm -rf "$place"' EXIT
	# expect_failure WHAT CHECK ARGUMENTS
	expect_failure() {
		local what=$1
		shift
		if "$@" 2>/dev/null; then echo "packaging.sh: does not notice $what" >&2; exit 1; fi
	}
	sed '/^Files: vendor\/jid-/,/^$/d' debian/copyright >"$place/copyright"
	expect_failure 'that jid is not named' check_copyright "$place/copyright"
	sed -E '0,/^version = .*/ s//version = "99.0.0"/' Cargo.toml >"$place/Cargo.toml"
	expect_failure 'another version' check_versions "$place/Cargo.toml" CHANGELOG.md debian/changelog
	sed -E '1 s/\([^)]*\)/(99.0.0-0upstream1)/' debian/changelog >"$place/changelog"
	expect_failure 'another version of the package' check_versions Cargo.toml CHANGELOG.md "$place/changelog"
	version=$(packaging/version.sh)
	sed -E "0,/^## \[[0-9].*/ s//## [$version] - 2001-02-03/" CHANGELOG.md >"$place/CHANGELOG.md"
	sed -E "1 s/.*/prosody-mod-dmuc ($version-0upstream1) unstable; urgency=medium/" debian/changelog >"$place/changelog"
	expect_failure 'another day' check_versions Cargo.toml "$place/CHANGELOG.md" "$place/changelog"
	sed -i -E 's/^( -- .*>  ).*/\1Sat, 03 Feb 2001 04:05:06 +0000/' "$place/changelog"
	check_versions Cargo.toml "$place/CHANGELOG.md" "$place/changelog"
	echo 'registry = "https://index.''crates.io/"' >"$place/config.toml"
	expect_failure "a registry's host" check_hosts "$place"
	exit
fi
check_copyright debian/copyright
check_versions Cargo.toml CHANGELOG.md debian/changelog
check_hosts debian packaging Makefile RELEASING.md README.md CONTRIBUTING.md docs tests lua
