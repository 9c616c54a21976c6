//! The public HTTP side against a fake indexer: what goes in, what comes out, and what ends when.
#![allow(clippy::unwrap_used)]

mod jaeger;
mod routes;
mod server;
mod tail;
mod traces;
mod unread;
