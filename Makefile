# The commands of this project; `make help` lists them. CI and people call the same ones.
.DEFAULT_GOAL := help
SHELL := /bin/bash
ARGS ?=
LAB ?= meshproof
ROUNDS ?= 3
MESHPROOF := target/debug/meshproof

.PHONY: help
help: ## Lists these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: build
build: ## Builds the command meshproof
	cargo build --quiet --locked --package meshproof

.PHONY: tools
tools: ## Gets a Docker engine and, unless MESHPROOF_IMAGES=official, the programs that build images
	[ "$${MESHPROOF_IMAGES:-}" = official ] || kind/engine tools
	kind/engine

.PHONY: run
run: build tools ## From nothing to a verdict: lab, install, checks, clean-up; ARGS="--keep always" and so on
	$(MESHPROOF) run --lab $(LAB) $(ARGS)

.PHONY: up install judge uninstall down status plan
up: build tools ## Creates the lab and leaves it up
	$(MESHPROOF) up --lab $(LAB) $(ARGS)
install: build ## Follows the guide on a lab that is up
	$(MESHPROOF) install --lab $(LAB) $(ARGS)
judge: build ## Judges the guide's clauses on a lab with the mesh installed
	$(MESHPROOF) check --lab $(LAB) $(ARGS)
uninstall: build ## Follows the guide's clean-up, and judges it
	$(MESHPROOF) uninstall --lab $(LAB) $(ARGS)
down: build ## Removes the lab, whatever is left of it
	$(MESHPROOF) down --lab $(LAB) $(ARGS)
status: build ## Says which labs there are and how to look inside
	$(MESHPROOF) status
plan: build ## Prints what a run would do, in the guide's own commands
	$(MESHPROOF) plan $(ARGS)

.PHONY: images
images: build tools ## Pulls or builds the images that are missing
	$(MESHPROOF) images build $(ARGS)

.PHONY: check
check: ## What a change must pass before it is shown: format, clippy, docs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

.PHONY: readers
readers: ## Gets what tests read reports with: a browser, readers of JUnit, a linter of workflows
	kind/readers

.PHONY: test test-fast test-readers test-lab test-long
test: test-fast test-readers test-lab ## All tests: the fast ones, then the real lab end to end; does its own set-up
# Both call cargo for the whole workspace: for a part of it, it would choose other features, and compile most crates once more.
test-fast: ## Tests that need neither engine nor lab
	cargo test --locked --workspace --lib --bins --test fast
test-readers: readers ## Reports as their readers see them: Chromium, Jenkins' schema, junitparser, actionlint
	cargo test --locked --workspace --test readers
# On images built here, whatever else the machine has: these tests must mean the same everywhere.
test-lab: export MESHPROOF_IMAGES = local
test-lab: tools ## The real lab, end to end: it is made, judged, broken, mended, cleaned up and removed
	cargo test --quiet --locked --workspace --test lab --no-run
	$(MESHPROOF) images build
	cargo test --locked --workspace --test lab -- --test-threads=2 --nocapture
test-long: export MESHPROOF_IMAGES = local
test-long: tools ## What takes too long for test: bad days in every phase, several nodes and labs, official images
	cargo test --quiet --locked --workspace --test long --no-run
	$(MESHPROOF) images build
	cargo test --locked --workspace --test long -- --test-threads=1 --nocapture

.PHONY: prove
prove: build tools ## Breaks a healthy lab in every way of fixtures/faults, and sees which clause notices
	$(MESHPROOF) prove --lab $(LAB) $(ARGS)

.PHONY: bench
bench: tools ## Measures meshproof against the guide followed by hand, in turn; ROUNDS=3
	ROUNDS=$(ROUNDS) cargo bench --locked --package meshproof --bench guide

.PHONY: clean
clean: ## Removes labs and build output; images stay (meshproof images prune)
	-[ ! -x $(MESHPROOF) ] || $(MESHPROOF) down --all
	cargo clean
