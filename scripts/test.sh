#!/usr/bin/env bash
# Runs the tests with nextest, prints what they proved of each DNS provider, and ends with nextest's verdict.
#
#   scripts/test.sh TARGET [NEXTEST ARGUMENT]...
set -uo pipefail

target="${1:?usage: scripts/test.sh TARGET [ARGUMENT]...}"
shift
rm -rf "$target/tmp/providers"
mkdir -p "$target/tmp"
export NAMEGATE_EDGE_BIN="$target/debug/namegate-edge" NAMEGATE_CONTROL_BIN="$target/debug/namegate-control"
tests=("${CARGO:-cargo}" nextest run --workspace "$@")

if [ -t 2 ]; then
    "${tests[@]}"
    status=$?
    scripts/provider-table.sh "$target/tmp/providers"
else
    # Whoever reads a log looks at its end.
    log="$target/tmp/nextest.log"
    "${tests[@]}" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    scripts/provider-table.sh "$target/tmp/providers"
    echo
    sed -n '/^ *Summary \[/,$p' "$log"
fi
exit "$status"
