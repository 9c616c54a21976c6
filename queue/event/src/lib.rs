//! What a log line or span becomes: the event model, the queue's record, and the way from one to the other.
//!
//! This is a leaf crate without I/O, shared by agent, indexer, alerting and the tests' oracle.
//! Its promise is that [`Event::parse`] is total and a function of the record alone: no wall
//! clock, no locale, no machine's zone files. Replaying a queue, rebuilding an index and backtesting a
//! rule therefore see the same events. It deliberately knows nothing about Kafka, files or
//! the index.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cursor;
mod error;
mod event;
mod events;
mod format;
mod header;
pub mod hex;
mod id;
mod level;
pub mod limits;
pub mod otlp;
mod parse;
mod record;
mod source;
mod span;
mod time;
pub mod token;

pub use error::{FormatError, IdError, LevelError, OriginError};
pub use event::{Body, Event, TimestampFrom};
pub use events::Events;
pub use format::{Format, NamedRegex};
pub use header::{ContextCache, origin_from_headers};
pub use id::EventId;
pub use level::Level;
pub use record::{Context, Encoding, Origin, Record};
pub use source::SourceId;
pub use span::{Span, SpanEvent, SpanKind, SpanLink, SpanStatus};
