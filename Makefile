# SPDX-License-Identifier: Apache-2.0
# `make help` lists what there is. Every goal installs what it needs first (scripts/setup, 0.05 s when nothing is missing).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run build test test-swift test-clients lint format sanitize bench fuzz release clean

# The project folder that `make run` starts; made with `atoll init` when it has no supabase/config.toml.
PROJECT ?= example
# How long `make fuzz` runs each fuzzer, in seconds.
FUZZ_SECONDS ?= 600
SWIFT_PATHS := Sources Tests Package.swift $(wildcard Benchmarks Fuzz)
RELEASE_FLAGS := -c release --product atoll --static-swift-stdlib -Xlinker --strip-all

help: ## list the goals
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: ## install what building and running needs and is missing
	@scripts/setup

build: setup ## build everything for debugging
	swift build

run: setup ## build Atoll and start it in PROJECT (default: example) until Ctrl-C
	swift build --product atoll
	@atoll="$$(swift build --show-bin-path)/atoll"; \
	[ -f "$(PROJECT)/supabase/config.toml" ] || "$$atoll" init --workdir "$(PROJECT)"; \
	exec "$$atoll" serve --workdir "$(PROJECT)"

test: ## run all tests: Swift, then the official clients
	@scripts/setup --test
	@scripts/test

test-swift: setup ## run the Swift tests alone; FILTER=name picks some
	swift test $(if $(FILTER),--filter $(FILTER))

test-clients: ## run the official clients' tests alone; ARGS goes to pytest
	@scripts/setup --test
	swift build --product atoll
	.tools/python/bin/python -m pytest Tests/clients $(ARGS)

lint: setup ## check format, imports and shell scripts
	swift format lint --strict --recursive --parallel $(SWIFT_PATHS)
	swift build --build-tests --explicit-target-dependency-import-check error
	@for script in scripts/* .ci/run; do \
	    if head -n 1 "$$script" | grep -q bash; then bash -n "$$script"; fi; \
	done

format: ## format the Swift sources in place
	swift format --in-place --recursive --parallel $(SWIFT_PATHS)

sanitize: setup ## run the Swift tests under the thread and address sanitizers; FILTER=name picks some
	@scripts/sanitize thread $(FILTER)
	@scripts/sanitize address $(FILTER)

bench: ## measure against nginx and pgbench in one run
	@scripts/setup --bench
	swift build -c release --static-swift-stdlib
	@Benchmarks/run

fuzz: setup ## run the fuzzers for FUZZ_SECONDS each
	@scripts/fuzz "$(FUZZ_SECONDS)"

release: setup ## build the stripped binary with the Swift library inside; prints its path
	swift build $(RELEASE_FLAGS)
	@ls -lh "$$(swift build -c release --show-bin-path)/atoll"

clean: ## remove what was built; databases and downloads stay
	rm -rf .build
