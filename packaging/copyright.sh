#!/bin/bash
# Prints debian/copyright: what dmuc.so is made of, each crate with its version, holders and licence, from what cargo knows of them.
# Needs no network once the crates are here. tests/lint/packaging.sh compares it with what is committed.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."

targets=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu)

# linked: "name version|licence|repository" of every crate whose code is in dmuc.so, each once.
linked() {
	local target
	for target in "${targets[@]}"; do
		cargo tree --locked -p dmuc -e normal,no-proc-macro --features lua54 --target "$target" --prefix none --format '{p}|{l}|{r}'
	done | sed -E 's/ \(\*\)$//; s/^([^ ]+) v([^ |]+)[^|]*/\1 \2/' | grep -v '^dmuc ' | sort -u
}

# folder_of NAME VERSION: where cargo has its sources.
folder_of() {
	local found
	found=$(grep -E "/$1(-${2//./\\.})?/Cargo\.toml$" <<<"$manifests" | head -n 1)
	[ -n "$found" ] || { echo "copyright.sh: the sources of $1 $2 are not here: cargo fetch --locked" >&2; return 1; }
	printf '%s' "${found%/Cargo.toml}"
}

# holders FOLDER: one a line, as its licence files name them, or else its authors.
holders() {
	local named file
	# Apache's text has holes to fill in, and sentences about copyright.
	named=$(for file in "$1"/{LICEN[CS]E,COPYING,COPYRIGHT,license,copying}*; do
		if [ -f "$file" ]; then
			tr -d '\r' <"$file" | sed -nE 's/^[ #*>]*(Copyright( \([cC]\)| ©)?|©) *([0-9A-Z].*)$/\3/p'
		fi
	done | sed -E 's/ *All rights reserved\.?//; s/[ .]+$//' | grep -vE '\[|\{|^(AND|NOTICE|LICENSE|License)\b|^[0-9, -]*$' | sort -u || true)
	if [ -z "$named" ]; then
		named=$(tr -d '\n' <"$1/Cargo.toml" | sed -nE 's/.*[^_]authors = \[([^]]*)\].*/\1/p' | grep -oE '"[^"]+"' | tr -d '"' || true)
	fi
	printf '%s\n' "${named:-the authors of ${1##*/}}"
}

# taken EXPRESSION: Debian's names. Where there is a choice, what is taken of it is what deny.toml allows.
taken() {
	local expression=$1 choice part kept
	expression=$(sed -E 's#/# OR #g; s/\bMIT\b/Expat/g' <<<"$expression")
	case $expression in
	*' AND '*) sed -E 's/[()]//g; s/ OR / or /g; s/^(.*) AND ([^ ]+)$/\1, and \2/' <<<"$expression" ;;
	*' OR '*)
		kept=
		while read -r choice; do
			for part in Expat Apache-2.0 MPL-2.0 Unicode-3.0; do
				if [ "$choice" = "$part" ]; then kept+="${kept:+ or }$choice"; fi
			done
		done < <(sed 's/ OR /\n/g' <<<"$expression")
		printf '%s\n' "$kept"
		;;
	*) printf '%s\n' "$expression" ;;
	esac
}

# field NAME: the lines that come in, as one field of several lines.
field() { sed -E '2,$ s/^/           /; 1 s/^/'"$1"': /'; }

# text NAME: the lines of a licence, as Debian writes them.
text() {
	printf '\nLicense: %s\n' "$1"
	sed -E 's/[[:space:]]+$//; s/^$/./; s/^/ /'
}

crates=$(linked)
manifests=$(cargo metadata --locked --format-version 1 --filter-platform "${targets[0]}" --features lua54 2>/dev/null |
	grep -oE '"manifest_path":"[^"]+"' | sed -E 's/.*:"(.*)"/\1/' | sort -u)
[ -n "$crates" ] && [ -n "$manifests" ]

cat <<-END
	Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
	Upstream-Name: mod_dmuc
	Comment: Written by packaging/copyright.sh. Below "vendor" is what dmuc.so is linked with;
	 the source tarball has it there, unchanged. Where a crate leaves a choice of licences, those named
	 here are taken. Rust's standard library is linked, too: Expat or Apache-2.0, by its developers.

	Files: *
	$(sed -nE 's/^Copyright \(c\) (.*)/Copyright: \1/p' LICENSE)
	License: Expat
END
unicode=
while IFS='|' read -r crate licence repository; do
	read -r name version <<<"$crate"
	folder=$(folder_of "$name" "$version")
	short=$(taken "$licence")
	[ -n "$short" ] || { echo "copyright.sh: none of '$licence' ($crate) is allowed" >&2; exit 1; }
	printf '\nFiles: vendor/%s-%s/*\n' "$name" "$version"
	holders "$folder" | field Copyright
	printf 'License: %s\n' "$short"
	if [ "$short" = MPL-2.0 ]; then
		printf 'Comment: Its source is in the source tarball, unchanged, and at\n %s\n' "$repository"
	fi
	for file in "$folder"/LICENSE-UNICODE "$folder"/LICENSE; do
		case $short in *Unicode-3.0) if [ -z "$unicode" ] && [ -f "$file" ]; then unicode=$file; fi ;; esac
	done
done <<<"$crates"

sed '1,/^Copyright/d' LICENSE | sed '1{/^$/d}' | text Expat
text Apache-2.0 <<-END
	Licensed under the Apache License, Version 2.0. On Debian systems its text is in
	/usr/share/common-licenses/Apache-2.0.
END
text MPL-2.0 <<-END
	This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. On Debian
	systems its text is in /usr/share/common-licenses/MPL-2.0.
END
text Unicode-3.0 <"${unicode:?no crate has the text of Unicode-3.0}"
