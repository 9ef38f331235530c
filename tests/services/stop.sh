#!/usr/bin/env bash
# Stops the servers that start.sh has started under DIR, and no others, then removes their data.
#
#   tests/services/stop.sh DIR                 every set in DIR; DIR itself goes too
#   tests/services/stop.sh --name NAME DIR     the set NAME only
set -euo pipefail

die() { printf 'services: %s\n' "$*" >&2; exit 1; }

name=''
if [ "${1:-}" = --name ]; then name=${2:?--name needs a name}; shift 2; fi
[ $# -eq 1 ] || die "usage: stop.sh [--name NAME] DIR"
[ -d "$1" ] || exit 0
dir=$(cd "$1" && pwd -P)${name:+/$name}
[ -d "$dir" ] || exit 0
[ -e "$dir/.tablature-services" ] || die "$dir was not made by start.sh; nothing done"

jobs=()
for script in "$dir"/*.stop "$dir"/*/*.stop; do
    [ -e "$script" ] || continue
    "$script" &
    jobs+=($!)
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
[ $failed = 0 ] || die "not every server stopped; $dir is kept"
rm -rf "$dir"
