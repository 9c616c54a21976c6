//! A small durable database for the parts that keep rows: one SQLite file per owning part.
//!
//! Invariants:
//! - One process writes a file (its data-directory lock says which); any process may read it.
//! - Writers take the write lock when they begin (`BEGIN IMMEDIATE`), so a transaction that has read
//!   a row can rely on it until it commits and never fails half-way with a stale snapshot.
//! - A commit that returned `Ok` is on the disk (`synchronous=FULL`, write-ahead log).
//! - The schema is the sum of numbered migrations, recorded in the table `migrations`.
//!
//! It knows nothing of anybody's tables: each owner brings its own migrations.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod database;
mod error;
mod limits;
mod migration;

pub use database::{Database, Write};
pub use error::Error;
pub use migration::Migration;

/// What a database call returns.
pub type Result<T> = std::result::Result<T, Error>;
