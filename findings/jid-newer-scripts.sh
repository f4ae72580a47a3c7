#!/bin/bash
# The crate jid 0.12.3 refuses addresses with letters newer than Unicode 3.2 (2002), in any part: it prepares as RFC 6122 says, where
# what was unassigned then is prohibited. RFC 7622, which took its place in 2015, permits them in localparts, and servers that
# prepare without the table of unassigned code points let such users log in: a Rust component that parses `from` with this
# crate cannot read their stanzas. Shown with Adlam (Unicode 9) and Osage (Unicode 9) beside Cherokee's old letters.
#
# Needs cargo. jid =0.12.3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "ask"
version = "0.0.0"
edition = "2021"

[dependencies]
jid = "=0.12.3"
TOML
cat >"$work/src/main.rs" <<'RUST'
fn main() {
    for (name, text) in [
        ("latin", "romeo@montague.example"),
        ("cherokee", "\u{13A0}\u{13A1}@montague.example"),
        ("adlam", "\u{1E922}\u{1E923}@montague.example"),
        ("osage", "\u{104D8}\u{104D9}@montague.example"),
        ("adlam-resource", "romeo@montague.example/\u{1E922}"),
    ] {
        let said = match jid::Jid::new(text) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        };
        print!("{name}={said}; ");
    }
}
RUST
seen=$(cd "$work" && cargo run --quiet 2>"$work/log" || { cat "$work/log"; exit 1; })
wanted='latin=taken; cherokee=taken; adlam=localpart doesn’t pass nodeprep validation; osage=localpart doesn’t pass nodeprep validation; adlam-resource=resource doesn’t pass resourceprep validation; '
printf 'seen: %s\n' "$seen"
[ "$seen" = "$wanted" ] || { printf 'no longer so; it was: %s\n' "$wanted"; exit 1; }
