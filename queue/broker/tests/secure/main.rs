//! Listeners that ask who comes: TLS, SASL, access rules; by hand, with rustls, and with real clients.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod sasl;
mod tls;
