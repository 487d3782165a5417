#!/usr/bin/env bash
# Measures the edge against nginx, HAProxy and Caddy of Debian 13 and a bare relay; `make bench` calls this.
#
#   benches/run.sh             everything, under 15 minutes; writes benches/RESULTS.md, benches/results.json, docs/bench.svg
#   benches/run.sh --quick     a smoke run of some minutes; writes into target/bench/ only
#   benches/run.sh ... --only full,http1,...    some parts; writes into target/bench/ only
#
# The table goes to stdout, progress to stderr. Needs two cores, and root for the peers' chroot.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${NAMEGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/namegate}"
# test-support finds Pebble by this name.
export NAMEGATE_CACHE="$cache"
target="${CARGO_TARGET_DIR:-target}"

loud() { printf '\n*** bench: %s ***\n\n' "$*" >&2; }

# One core for the server, another for client and origin: with one they would share, and every figure would be both's.
mapfile -t cores < <(taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' |
    awk -F- '{ for (core = $1; core <= ($2 == "" ? $1 : $2); core++) print core }')
if ((${#cores[@]} < 2)); then
    loud "needs two cores, this machine offers ${#cores[@]}"
    exit 1
fi
# Idle connections need a file each, on both sides and in HAProxy twice.
ulimit -n "$(ulimit -Hn)" || true

cargo build --release -p benches --bin bench
arguments=(--server-core "${cores[0]}" --cache "$cache")

if cargo build --release -p edge --bin namegate-edge; then
    arguments+=(--edge "$target/release/namegate-edge")
else
    loud "the edge does not build: its rows will be missing"
fi

if [[ ! -x "$cache/pebble/pebble" ]]; then
    scripts/tools.sh pebble || loud "no Pebble: nothing about new names will be measured"
fi
scripts/tools.sh bench || true
if trixie="$(benches/peers/trixie.sh)"; then
    arguments+=(--trixie "$trixie")
else
    loud "no Debian 13 folder: nginx, HAProxy and Caddy will be missing from every table"
fi

# Only a whole run may replace what is committed.
results="$target/bench"
case " $* " in
*" --quick "* | *" --only "* | *" --only="*)
    mkdir -p "$results"
    outputs=(--markdown "$results/RESULTS.md" --json "$results/results.json" --chart "$results/bench.svg")
    ;;
*)
    mkdir -p docs
    outputs=(--markdown benches/RESULTS.md --json benches/results.json --chart docs/bench.svg)
    ;;
esac

exec taskset -c "${cores[1]}" "$target/release/bench" run "${arguments[@]}" "${outputs[@]}" "$@"
