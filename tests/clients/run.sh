#!/bin/bash
# Has every client tell its story on every version of Prosody: PROSODY='0.12 13 newest'. A client that is not here is skipped.
set -euo pipefail

cd "$(dirname "$0")"
python=../../target/clients/bin/python
read -ra versions <<<"${PROSODY:-0.12 13 newest}"

if ! "$python" -c 'import slixmpp' 2>/dev/null; then
	echo "SKIPPED: slixmpp, profanity and poezio: slixmpp, with which the others talk, is not to be had here"
	exit 0
fi

tells() {
	for version in "${versions[@]}"; do
		"$python" "$@" "$version"
	done
}

tells slixmpp_story.py
for client in profanity poezio; do
	if ! command -v tmux >/dev/null; then
		echo "SKIPPED: $client: tmux is not to be had here"
	elif [ "$client" = profanity ] && ! command -v profanity >/dev/null; then
		echo "SKIPPED: profanity is not to be had here"
	elif [ "$client" = poezio ] && ! "$python" -c 'import poezio' 2>/dev/null; then
		echo "SKIPPED: poezio is not to be had here"
	else
		tells terminal_story.py "$client"
	fi
done
