#!/usr/bin/env bash
# Runs every fuzz target for so many seconds (or those that are named), on the pinned toolchain: coverage comes from
# stable compiler flags, so no nightly and no cargo-fuzz is needed. A crash is kept under fuzz/artifacts and ends this
# with its status.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
target="$(rustc -vV | sed -n 's/^host: //p')"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/fuzz/target}"
flags=(--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=16)
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$flag")
done
# The dependencies are those of the product, version for version.
cp Cargo.lock fuzz/Cargo.lock
# For the target alone: build scripts and macros of the host have no use for it.
RUSTFLAGS="${flags[*]}" cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$target"

[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -vx fuzz)
for name in "$@"; do
    corpus="fuzz/corpus/$name"
    mkdir -p "$corpus" "fuzz/artifacts/$name"
    log="$CARGO_TARGET_DIR/$name.log"
    if ! "$CARGO_TARGET_DIR/$target/release/$name" "$corpus" "fuzz/seeds/$name" -max_total_time="$seconds" \
        -timeout=10 -rss_limit_mb=1024 -max_len=8192 -artifact_prefix="fuzz/artifacts/$name/" \
        -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "fuzz: $name FAILED; its input is under fuzz/artifacts/$name" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)
    printf 'fuzz: %-14s %10s runs, %6s edges, no failure\n' "$name" "$runs" "$edges"
done
