# `make` lists what there is to do. Everything works on a fresh Debian or Ubuntu machine with Rust and Node.

# Loaded into an empty database by `make run`; `make run DEMO_DATA=` starts with none.
DEMO_DATA ?= collections/_data

binary := $(or $(CARGO_TARGET_DIR),target)/release/tablature

.DEFAULT_GOAL := help
.PHONY: help run test check bench fmt build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: build ## build, create the SQLite database with demonstration data, serve on port 8055
	@mkdir -p data
	exec env $(if $(DEMO_DATA),DEMO_DATA=$(DEMO_DATA)) $(binary) serve

test: ## everything: checks, licences, unit tests, golden SQL, black box (TEST_DATABASES=sqlite for the quick loop)
	@tests/run.sh

check: ## format, lints, documentation
	@tests/run.sh check

bench: ## measure requests against hand-written handlers, on SQLite and PostgreSQL
	@tests/services/install.sh postgres wrk
	@$(MAKE) --no-print-directory build
	@benches/run.sh

fmt: ## format the code
	cargo fmt

build:
	@tests/tools.sh cargo
	cargo build --release --locked
