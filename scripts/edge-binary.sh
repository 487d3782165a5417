#!/usr/bin/env bash
# nextest's set-up for tests that start the edge: builds it and says where it is, unless the caller has said so.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -z "${NAMEGATE_EDGE_BIN:-}" ] || exit 0
"${CARGO:-cargo}" build --quiet --package edge --bin namegate-edge
target="$(realpath "${CARGO_TARGET_DIR:-target}")"
echo "NAMEGATE_EDGE_BIN=$target/debug/namegate-edge" >>"$NEXTEST_ENV"
