//! The project's Kafka client: what agent, indexer and alerting share over rdkafka.
//!
//! It fixes the settings that exactly-once rests on (design §2 "Client settings"), turns Kafka
//! messages into [`logboom_event::Record`]s and back, and holds the two pieces of bookkeeping that
//! every consumer keeps beside its own data: the [`Checkpoint`] of a partition, proved against the
//! log on [`resume`], and the [`Marks`], which say what of a source has been seen already.
//!
//! It does not know what is done with a record, nor where checkpoints and marks are stored.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admin;
mod checkpoint;
mod config;
mod consumer;
mod context;
mod delivery;
mod error;
mod inspect;
pub mod limits;
mod marks;
pub mod metrics;
mod producer;
mod ranges;
mod raw;
mod security;
pub mod trace;

pub use admin::{Admin, Bounds, Position};
pub use checkpoint::{Checkpoint, Resumed, record_crc, resume};
pub use config::{ClientConfig, Isolation};
pub use consumer::{Assignment, Consumer};
pub use delivery::{Acked, Delivery};
pub use error::Error;
pub use inspect::{GroupInfo, MemberInfo, Partition, TopicInfo};
pub use marks::{Marks, MarksError, Verdict};
pub use producer::{Batch, Producer};
pub use ranges::RangeSet;
pub use raw::RawRecord;
pub use security::{Mechanism, Password, Sasl, Security, Tls};

pub use logboom_event::{Context, Format, Origin, Record, SourceId};
