#!/bin/bash
# Rust 1.89 and newer keep a temporary alive that is borrowed inside a tuple struct's or variant's constructor in a `let`, so
# that `let outer = Some(Inner { text: &make() });` can be used afterwards. 1.88 and older reject it (E0716). The lint that
# is to find what the declared `rust-version` does not have, clippy's incompatible_msrv, looks at library items only and is silent:
# clippy passes with rust-version = "1.88", and Rust 1.88 does not build the crate. Only a build with that release shows it.
#
# Needs rustup. Rust 1.88.0, 1.89.0 and 1.95.0 (clippy 0.1.95).
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

mkdir -p "$work/crate/src"
cat >"$work/crate/Cargo.toml" <<'TOML'
[package]
name = "temporaries"
version = "0.1.0"
edition = "2024"
rust-version = "1.88"

[lints.clippy]
incompatible_msrv = "deny"
TOML
cat >"$work/crate/src/lib.rs" <<'RUST'
struct Inner<'a> {
    text: &'a str,
}

fn make() -> String {
    "text".to_owned()
}

pub fn length() -> usize {
    let outer = Some(Inner { text: &make() });
    outer.map_or(0, |inner| inner.text.len())
}
RUST
export RUSTUP_HOME=$work/rustup CARGO_TARGET_DIR=$work/target
install() { rustup -q toolchain install --profile minimal "$@" >/dev/null 2>&1; }
build() { (cd "$work/crate" && cargo "+$1" "$2" 2>&1 || true) | grep -oE 'E[0-9]{4}|^ *Finished|incompatible_msrv' | tr -d ' ' | sort -u | paste -sd ' '; }

install 1.88.0
install 1.89.0
install 1.95.0 --component clippy
expect 'E0716' "$(build 1.88.0 check)"
expect 'Finished' "$(build 1.89.0 check)"
expect 'Finished' "$(build 1.95.0 clippy)"
