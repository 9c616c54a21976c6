//! Whole-system tests: the real binary, real sockets, real files, and kill -9.
//!
//! Everything here speaks to logboom as its users do: files on a disk, the HTTP API,
//! webhooks, exit codes and the text of errors.

#![allow(clippy::unwrap_used)]

mod alerts;
mod bad_input;
mod exactly_once;
mod hostile_files;
#[path = "../kafka/node.rs"]
mod kafka;
mod kafka_exporter;
mod kafka_queue;
mod mirror;
mod otlp;
mod process;
mod queue_crash;
mod queue_transactions;
mod roles;
mod samples;
mod secure;
mod telemetry;
mod traces;
