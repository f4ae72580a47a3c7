#!/bin/bash
# same-outputs.sh BASE [SEEDS]: whether the engine puts out the same as at revision BASE, byte for byte: actions, stanzas and
# snapshots of SEEDS schedules of the simulator and of the engine tests that both revisions have.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(git rev-parse --verify "$1^{commit}")
seeds=${2:-2000}
work=$PWD/target/same-outputs
tree=$work/base
rm -f "$work"/*.txt
mkdir -p "$work"
git worktree prune
if [ -e "$tree/.git" ]; then git -C "$tree" checkout -q --detach "$base"; else git worktree add -q --detach "$tree" "$base"; fi

outputs() { # folder, file
	# A target folder each: in one of both, cargo takes what it has built of the other for fresh.
	(cd "$1" && env -u CARGO_TARGET_DIR -u DMUC_SIM_WINDOW DMUC_OUTPUTS=$2.unsorted DMUC_SIM_SEEDS=$seeds cargo test -q --test sim --test engine >"$2.log" 2>&1) \
		|| { tail -40 "$2.log"; echo "the tests fail in $1"; exit 1; }
	sort "$2.unsorted" >"$2"
	rm "$2.unsorted"
}
outputs "$tree" "$work/before.txt"
outputs "$PWD" "$work/after.txt"

# What both have: tests may have been added or renamed.
names() { sed 's/ [a-z]*=.*//' "$1" | sort -u; }
names "$work/before.txt" >"$work/names-before.txt"
names "$work/after.txt" >"$work/names-after.txt"
both=$(comm -12 "$work/names-before.txt" "$work/names-after.txt" | wc -l)
only=$(comm -3 "$work/names-before.txt" "$work/names-after.txt" | wc -l)
different=$(comm -13 "$work/before.txt" "$work/after.txt" | sed 's/ [a-z]*=.*//' | sort | comm -12 - "$work/names-before.txt")
if [ -n "$different" ]; then
	echo "different from $1:"
	while read -r name; do
		grep -hF "$name " "$work/before.txt" "$work/after.txt"
	done < <(head -5 <<<"$different")
	echo "$(wc -l <<<"$different") of $both federations put out something else"
	exit 1
fi
echo "$both federations put out the same as at $1, byte for byte ($only are in one of the two revisions only)"
