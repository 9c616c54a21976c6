# The README's two commands, and the loops that are run by hand.
SHELL := /bin/bash

.PHONY: run test bench bench-kafka crash-loop queue-crash-loop soak fuzz

## Build, start everything on this machine and print the web address.
run:
	deploy/prepare run && cargo build --release && exec target/release/logboom up --tail '/var/log/**/*.log'

## Everything that CI runs: format, lints, unit, integration, kcat and browser tests.
test:
	deploy/prepare test && deploy/test

## Latency and throughput beside what the machine can do, about ten minutes; one part: make bench PARTS=spans
bench:
	deploy/prepare run && cargo bench --bench pipeline -- $(PARTS)

## The queue beside Apache Kafka on the same disk, about a quarter of an hour; needs Java and Maven
bench-kafka:
	deploy/prepare run && deploy/kafka && cargo bench --bench kafka

## Exactly once across kill -9, seed after seed: make crash-loop SEEDS=200
crash-loop:
	LOGBOOM_SEEDS=$(or $(SEEDS),100) cargo test --test system loghub_exactly_once -- --nocapture

## No ack of the queue lost, no commit gone back across kill -9, many times: make queue-crash-loop ROUNDS=1000
queue-crash-loop:
	LOGBOOM_ROUNDS=$(or $(ROUNDS),200) LOGBOOM_SEED=$(or $(SEED),1) cargo test --test system queue_crash -- --nocapture

## The seeded models of log, agent and search with many more seeds: make soak SEEDS=2000
soak:
	LOGBOOM_SEEDS=$(or $(SEEDS),2000) cargo test --release -p logboom-broker -p logboom-agent -- random_histories interpreter
	LOGBOOM_CASES=$(or $(SEEDS),2000) cargo test --release -p logboom-indexer search

## Every decoder of outside data, 5 minutes each; needs nightly Rust and cargo-fuzz
fuzz:
	for crate in queue/event queue/broker agent indexer/query; do (cd $$crate && for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(or $(FUZZ_SECONDS),300) || exit 1; done) || exit 1; done
