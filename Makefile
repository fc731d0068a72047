# Each target does its own set-up on a fresh Debian or Ubuntu machine with Rust.

.PHONY: demo up down test check check-standin check-api check-webhooks nightly chaos bench setup

demo: setup ## the whole service at work on a sample repository: no key, no network
	cargo run --locked --quiet -- demo

up: setup ## the topology of docker-compose.yml from local programs: Postgres, Redis, API, WORKERS=2 workers
	scripts/up

down: ## stop it
	scripts/down

test: setup ## every test
	scripts/test

check: setup ## formatting, lints and documentation, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

check-standin: setup ## the stand-in of the Messages API against the official Python client
	python3 -m venv target/sdk
	target/sdk/bin/pip install --quiet anthropic==2.12.0
	target/sdk/bin/python standin/tests/sdk_check.py

check-api: setup ## the API against its own description, by schemathesis
	scripts/check-api

check-webhooks: setup ## our webhooks against the reference libraries for Python and JavaScript: needs their registries
	scripts/webhook-verifiers target/webhook-verifiers
	TINYGEN_TEST_WEBHOOK_VERIFIERS=$(CURDIR)/target/webhook-verifiers scripts/test -p tinygen published_libraries

nightly: setup ## the long runs: 10,000 edit sets against `git apply`, spoiled edits, ten million other schedules of the leases, 10,000 webhooks
	NEXTEST_PROFILE=nightly TINYGEN_PROPTEST_CASES=10000 TINYGEN_MUTATOR_EDITS=1500 scripts/test -p pipeline
	NEXTEST_PROFILE=nightly TINYGEN_SIMULATION_SEED=$$(date +%s)00000000 TINYGEN_SIMULATION_SCHEDULES=10000000 \
		scripts/test -p simulation -p jobs
	NEXTEST_PROFILE=nightly TINYGEN_WEBHOOK_STORM_JOBS=1000 scripts/test -p worker storm_of_faults

chaos: setup ## the fault suite in full: processes and services killed, stopped, cut off (docs/RELIABILITY.md)
	scripts/chaos

bench: setup ## the figures: accept, drain, events, fetch, idle, latency, load, service, sheet, slowloris, store
	TINYGEN_TEST_POSTGRES_FSYNC=on scripts/services cargo bench --locked --workspace --bench '*'

setup:
	@scripts/setup
