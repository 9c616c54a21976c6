//! The public HTTP side of logboom: the API, the live tail and the web page, on one listener.
//!
//! It holds no data. A search or a tail is handed to the indexer through [`logboom_indexer::Remote`],
//! the same way whether that runs in this process or on another machine; alerts are read from
//! alerting's own database. What is decided here is what the outside sees: how times are written,
//! how an error looks, how much of a long line a page gets, which headers guard the page.
//!
//! Invariants:
//! - Memory a client can claim is bounded: a tail that is not read stops reading its upstream,
//!   which then counts what it drops ([`routes::tail`]).
//! - No answer is silently less than asked: a cut line says its true length, a dropped line is counted.
//! - A client that does not read keeps nothing for ever: its connection ends ([`connection`]), and an answer with
//!   whole traces is taken back before.
//! - `run` returns only after every response has ended; live tails end when `stop` does. What is not sent soon after
//!   that is cut.
//!
//! It does not know the queue, and it does not parse the query language.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assets;
mod connection;
mod error;
mod guard;
pub mod limits;
pub mod metrics;
mod routes;
mod run;
mod time;
mod trim;

pub use error::Error;
pub use routes::openapi;
pub use run::{Config, Deps, Patience, run};
pub use time::{TimeError, parse as parse_time};
