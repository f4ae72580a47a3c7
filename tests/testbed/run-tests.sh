#!/bin/bash
# Runs every test of the workspace: with cargo-nextest where it is installed (one process per test, all
# binaries side by side), otherwise with cargo test. Arguments replace --workspace: `-p dmuc-testbed smoke`.
set -euo pipefail

cd "$(dirname "$0")/../.."
# capi: the C program's test needs it; nothing else minds.
if [ "$#" = 0 ]; then set -- --workspace --features dmuc/capi; fi

# Servers write many small files and commit often; in memory that costs nothing, and kill -9 is the same.
if [ -z "${DMUC_TESTBED_DIR:-}" ] && [ -w /dev/shm ] && [ "$(df --output=avail -k /dev/shm | tail -n 1)" -gt 1000000 ]; then
	# One for each user: what root made is not writable for others.
	DMUC_TESTBED_DIR=/dev/shm/dmuc-testbed-$(id -u)
	export DMUC_TESTBED_DIR
fi

# Schedules of the simulator that no other commit has run; a failure prints their numbers.
if [ -z "${DMUC_SIM_WINDOW:-}" ] && commit=$(git rev-parse HEAD 2>/dev/null); then
	export DMUC_SIM_WINDOW=$commit
fi

# Tests that were skipped pass, and what a test prints is seen only if it fails: so they say it here.
DMUC_SKIPPED=$(mktemp)
export DMUC_SKIPPED
say_skipped() {
	if [ -s "$DMUC_SKIPPED" ]; then
		sed 's/^.*: /SKIPPED: /' "$DMUC_SKIPPED" | sort | uniq -c | sed -E 's/^ *([0-9]+) SKIPPED: /SKIPPED: \1 tests: /'
	fi
	rm -f "$DMUC_SKIPPED" "${log:-}"
}
trap say_skipped EXIT

# The pure parts of the Lua files, in a second.
if ! busted --lua="$(command -v lua5.4)" tests/specs; then
	echo "the Lua specs failed" >&2
	exit 1
fi

if cargo nextest --version >/dev/null 2>&1; then
	log=$(mktemp)
	status=0
	cargo nextest run --config-file tests/testbed/nextest.toml --no-fail-fast "$@" </dev/null 2>&1 | tee "$log" || status=$?
	# The same closing line as cargo test has, for whoever counts.
	summary=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ *Summary ' | tail -n 1 || true)
	count() { grep -oE "[0-9]+ $1" <<<"$summary" | grep -oE '[0-9]+' || echo 0; }
	failed=$(($(count failed) + $(count 'timed out') + $(count 'exec failed')))
	# Skipped ones count as ignored, not as passed.
	missing=$(wc -l <"$DMUC_SKIPPED")
	result=ok
	if [ "$status" != 0 ]; then result=FAILED; fi
	echo "test result: $result. $(($(count passed) - missing)) passed; $failed failed; $(($(count skipped) + missing)) ignored (nextest)"
	if [ "$status" != 0 ]; then exit "$status"; fi
	# nextest knows no documentation tests.
	cargo test --doc "$@" </dev/null
else
	cargo test --no-fail-fast "$@" </dev/null
fi

