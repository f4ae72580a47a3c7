#!/bin/bash
# `make release VERSION=X.Y.Z`: writes the version and the day into Cargo.toml, Cargo.lock, CHANGELOG.md and debian/changelog, commits and
# tags that, and builds what is handed out, twice. Whatever fails before the commit leaves everything as it was. SIGN= makes a tag without
# a signature.
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC
cd "$(dirname "$0")/.."
version=${1:-}
sign=${SIGN--s}

fail() { echo "release.sh: $*" >&2; exit 1; }

[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "which version? make release VERSION=X.Y.Z"
[ -z "$(git status --porcelain)" ] || fail 'something here is not committed'
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || fail "v$version is there already"
grep -qE "^## \[($version\] - unreleased|Unreleased\])" CHANGELOG.md ||
	fail "CHANGELOG.md says nothing of what is new: it needs a heading '## [Unreleased]' or '## [$version] - unreleased'"

committed=no
trap '[ "$committed" = yes ] || git checkout -q -- Cargo.toml Cargo.lock CHANGELOG.md debian/changelog' EXIT
sed -i -E "0,/^version = .*/ s//version = \"$version\"/" Cargo.toml
cargo update --quiet --workspace --offline
sed -i -E "0,/^## \[($version\] - unreleased|Unreleased\]).*/ s//## [$version] - $(date +%F)/" CHANGELOG.md
# The entry of what was not released yet makes way for this one; those of releases stay.
released=$(sed -nE '/^prosody-mod-dmuc \([^)~]*\) /,$ p' debian/changelog)
{
	printf 'prosody-mod-dmuc (%s-0upstream1) unstable; urgency=medium\n\n' "$version"
	printf '  * What changed is in CHANGELOG.md, which the package has as changelog.gz.\n\n'
	printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' debian/control)" "$(date -R)"
	if [ -n "$released" ]; then printf '\n%s\n' "$released"; fi
} >debian/changelog.new
mv debian/changelog.new debian/changelog
tests/lint/packaging.sh
git commit -qm "Release $version" -- Cargo.toml Cargo.lock CHANGELOG.md debian/changelog
committed=yes
# shellcheck disable=SC2086
git tag $sign -m "$version" "v$version"
echo "release: v$version is committed and tagged here; nothing is pushed"
[ "${BUILD:-yes}" = yes ] || exit 0
rm -rf target/release target/dist
make --no-print-directory deb dist dist-check
packaging/try-deb.sh "target/dist/$(packaging/version.sh deb)"
echo "release: hand out what is in $PWD/target/dist"
