#!/usr/bin/env bash
# nextest's set-up for tests that start the product: builds its binaries and says where they are, unless the caller has
# said so.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug"
if [ -z "${NAMEGATE_EDGE_BIN:-}" ]; then
    "${CARGO:-cargo}" build --quiet --package edge --bin namegate-edge
    echo "NAMEGATE_EDGE_BIN=$target/namegate-edge" >>"$NEXTEST_ENV"
fi
if [ -z "${NAMEGATE_CONTROL_BIN:-}" ]; then
    "${CARGO:-cargo}" build --quiet --package control-plane --bin namegate-control
    echo "NAMEGATE_CONTROL_BIN=$target/namegate-control" >>"$NEXTEST_ENV"
fi
