//! Bytes that no well-behaved client sends, and the fine points of the protocol that no client shows.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod configs;
mod connections;
mod fetches;
mod frames;
mod produces;
mod requests;
mod transactions;
mod versions;
