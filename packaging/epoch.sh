#!/bin/bash
# Prints SOURCE_DATE_EPOCH of these sources: the time of the last commit, or in a tarball the newest file's.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -e .git ]; then git log -1 --format=%ct; else stat -c %Y CHANGELOG.md; fi
