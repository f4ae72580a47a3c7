#!/bin/bash
# The floors of src/engine look down only (docs/ARCHITECTURE.md, "Floors"), and what a log takes has passed the door.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
# In code, not in comments: state knows neither the engine nor anything of the floors above it.
above='\bEngine\b|\bAction\b|\bInput\b|\brulings::(Kind|Actor)\b|crate::engine\b|crate::(lua|capi|snapshot|inbound|config)\b'
if grep -rnE "$above" src/engine/state.rs src/engine/state | grep -vE '^[^:]+:[0-9]+:[[:space:]]*//'; then
	echo "src/engine/state names what is above it" >&2
	bad=1
fi
if grep -nE '\bsuper::super::' src/engine/state/*.rs | grep -vE '^[^:]+:[0-9]+:[[:space:]]*//'; then
	echo "src/engine/state reaches above itself" >&2
	bad=1
fi
if grep -rnE 'crate::(engine|lua|capi|snapshot|inbound|config)\b' src/wire src/address.rs | grep -vE '^[^:]+:[0-9]+:[[:space:]]*//'; then
	echo "src/wire names what is above it" >&2
	bad=1
fi
if grep -rn 'Admitted::by_the_door' src | grep -v '^src/engine/door.rs:'; then
	echo "only the door admits events (src/engine/door.rs)" >&2
	bad=1
fi
exit $bad
