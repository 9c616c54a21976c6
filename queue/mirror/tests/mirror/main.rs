//! Mirrors between brokers in this process. Kills of real processes are in the binary's system tests.

#![allow(clippy::unwrap_used)]

mod cluster;
mod copies;
mod refusals;
mod resuming;
mod topics;
