# The front door. CI calls the same recipes: see .ci/run.
.DEFAULT_GOAL := help
.PHONY: help dev test check tools bench fuzz deny clean-dev
SHELL := bash

CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

dev: ## the whole product in this terminal: control plane, edge, demo SaaS, local CA and DNS; prints what to type
	@scripts/tools.sh build pebble
	@echo "building (some minutes the first time)"
	@$(CARGO) build --quiet --package control-plane --package edge --package demo --bins
	@exec $(TARGET)/debug/dev $(if $(EDGE_ONLY),--edge-only)

test: tools ## all tests
	@$(CARGO) build --workspace --bins --tests
	@CARGO=$(CARGO) scripts/test.sh $(TARGET) $(TESTS)

check: ## format, lints, documentation
	@scripts/tools.sh build
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

tools: ## installs what the machine lacks: compilers, curl, nextest, Pebble
	@scripts/tools.sh build test

bench: ## ratios against nginx, HAProxy and Caddy, measured now
	@scripts/tools.sh build pebble bench
	@benches/run.sh $(BENCH)

fuzz: ## every fuzz target for SECONDS seconds (60), or those in FUZZ="..."
	@scripts/tools.sh build fuzz
	@scripts/fuzz.sh $(or $(SECONDS),60) $(FUZZ)

deny: ## licences, advisories, sources and fences of all dependencies (deny.toml)
	@if command -v cargo-deny >/dev/null; then \
		cargo deny check; \
	else \
		echo "make deny: NOTHING WAS CHECKED: cargo-deny is missing (cargo install --locked cargo-deny)." >&2; \
		echo "           The fences between crates are tested without it: make test TESTS='-E binary(fences)'" >&2; \
		exit 1; \
	fi

clean-dev: ## removes the state of make dev
	@rm -rf .dev
