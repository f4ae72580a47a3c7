#!/bin/bash
# What is linked, and what builds it, keeps to deny.toml: licences, no crate twice, one registry, no version left open. Reads what
# cargo has at hand, so it needs no network. Known vulnerabilities need cargo-deny and its database: said where they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0

# list_of KEY: a list of deny.toml, its entries without spaces.
list_of() {
	sed -nE "s/^$1 = \[(.*)\]$/\1/p" deny.toml | sed 's/, */\n/g' | sed 's/"//g; s/ WITH /+/g'
}

# fits EXPRESSION: whether what is allowed meets a licence such as "(MIT OR Apache-2.0) AND Unicode-3.0".
fits() {
	local word sum=''
	for word in $(sed -E 's/ WITH /+/g; s#/# OR #g; s/[()]/ & /g' <<<"$1"); do
		case $word in
		AND) sum+='&' ;;
		OR) sum+='|' ;;
		'(' | ')') sum+=$word ;;
		*) if grep -qxF "$word" <<<"$allowed"; then sum+=1; else sum+=0; fi ;;
		esac
	done
	[ -n "$sum" ] && ((sum))
}

allowed=$(list_of allow)
features=$(list_of features | paste -sd ,)
# What the file does not say is no permission.
: "${allowed:?deny.toml has no line "allow = [...]"}" "${features:?deny.toml has no line "features = [...]"}"
crates=
for target in $(list_of targets); do
	crates+=$(cargo tree --locked -p dmuc -e no-dev --features "$features" --target "$target" --prefix none --format '{p}|{l}|')$'\n'
done
# "name version|licence", each once.
crates=$(sed -E 's/^([^ ]+ v[^ |]+)[^|]*\|([^|]*)\|.*/\1|\2/' <<<"$crates" | sort -u | grep .)

while IFS='|' read -r crate licence; do
	if ! fits "$licence"; then
		echo "licences.sh: $crate is under '$licence', which deny.toml does not allow" >&2
		bad=1
	fi
done <<<"$crates"

skipped=$(sed -nE 's/^ *\{ crate = "([^"@]+)[@"].*/\1/p' deny.toml)
for twice in $(cut -d ' ' -f 1 <<<"$crates" | uniq -d | grep -vxF "${skipped:-none}"); do
	echo "licences.sh: more than one $twice:" $(grep "^$twice " <<<"$crates" | cut -d '|' -f 1) >&2
	bad=1
done

if [ "$(sed -n 's/^source = //p' Cargo.lock | sort -u | grep -c .)" != 1 ] || ! grep -q '^source = "registry+' Cargo.lock; then
	echo 'licences.sh: Cargo.lock has crates of more than one registry, or of a repository:' >&2
	sed -n 's/^source = //p' Cargo.lock | sort -u >&2
	bad=1
fi
if grep -nE '(= *|version *= *)"\*"' Cargo.toml tests/*/Cargo.toml; then
	echo 'licences.sh: any version of a crate is asked for' >&2
	bad=1
fi
[ "$bad" = 0 ] || exit 1

if ! command -v cargo-deny >/dev/null; then
	echo 'SKIPPED: whether crates have known vulnerabilities (no cargo-deny here: cargo install --locked cargo-deny)'
elif ! timeout 60 cargo deny --locked fetch >/dev/null 2>&1; then
	echo 'SKIPPED: whether crates have known vulnerabilities (cargo-deny cannot reach their database)'
else
	cargo deny --locked --log-level error check
fi
