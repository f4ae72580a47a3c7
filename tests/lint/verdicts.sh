#!/bin/bash
# The engine's verdicts are looked at: a bare statement `dmuc.feed(…)` throws one away. What nobody waits for is told with
# dmuc.tell, which says in the log what was refused.
set -euo pipefail
cd "$(dirname "$0")/../.."
if grep -rnE '(^|;|\<(then|do|else))[[:space:]]*dmuc\.feed(_restore)?\(' lua/; then
	echo "the verdict of the engine is thrown away: use it, or dmuc.tell" >&2
	exit 1
fi
