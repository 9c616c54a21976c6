//! The agent: ships the lines of files to the queue, each exactly once (design §2).
//!
//! [`discover`] finds files, [`identity`] says which of them is which source, [`tail`] reads them in
//! turns, [`line`] cuts lines, [`ship`] hands them to the queue, [`checkpoint`] remembers what the
//! queue has acked. The tailed file is the agent's buffer: when the queue is slow, reading stops.
//!
//! [`receive`] is another way in: what senders of OpenTelemetry's protocol push goes into the queue too.
//!
//! The whole of the tailing is one state machine on one thread ([`tail::Tailer`]), driven by
//! `turn(now_ms)`: time, chance, the disk under the journal and the queue are arguments, which is
//! what lets the interpreter test crash it anywhere.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod checkpoint;
mod claim;
mod config;
mod content;
mod discover;
mod error;
mod family;
mod identity;
#[cfg(test)]
mod interpreter;
pub mod limits;
mod line;
#[cfg(test)]
mod many_files;
#[cfg(test)]
mod memory;
pub mod metrics;
mod reading;
pub mod receive;
mod reconcile;
mod run;
#[cfg(test)]
mod scenarios;
mod ship;
mod sink;
mod source;
mod status;
mod tail;
mod trail;
mod watch;
mod way;

pub use config::{Config, ReadFrom, TailConfig};
pub use error::Error;
pub use run::run;
