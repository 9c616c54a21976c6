//! Copies topics from one Kafka-wire cluster to another, for as long as it runs or until what was there is there, too.
//!
//! Partitions, keys, values, times and headers are kept; two headers are added ([`origin`]). They stop loops where
//! clusters copy to each other, and they let a start read in the target how far an earlier life came ([`resume`]), so
//! that a kill of this process or of either cluster neither loses nor doubles a record.
//!
//! It knows nothing of what the records mean.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod ends;
mod error;
pub mod limits;
pub mod metrics;
mod mirror;
mod origin;
mod pattern;
mod progress;
mod resume;
mod session;
mod topics;

pub use config::{Config, Until};
pub use error::Error;
pub use mirror::run;
pub use pattern::TopicPattern;
