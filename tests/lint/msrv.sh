#!/bin/bash
# Both bindings build with the oldest Rust that Cargo.toml names. Needs rustup; says so where there is none.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml | head -n 1)
# What rustup calls 1.88 would be the newest 1.88.x.
case $version in *.*.*) ;; *) version=$version.0 ;; esac
if ! command -v rustup >/dev/null; then
	echo "SKIPPED: whether Rust $version builds this (no rustup here)"
	exit 0
fi
if ! cargo "+$version" --version >/dev/null 2>&1 && ! timeout 45 rustup toolchain install --profile minimal "$version" >/dev/null 2>&1; then
	echo "SKIPPED: whether Rust $version builds this (it cannot be installed here)"
	exit 0
fi
for feature in lua54 capi; do
	cargo "+$version" check --quiet --locked -p dmuc --lib --features $feature --target-dir target/msrv
done
