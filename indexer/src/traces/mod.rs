//! Questions about traces and services, answered from the columns of a snapshot of spans.
//!
//! A record is opened only for a span's detail, and where a trace search's filter needs it. A trace is found by
//! the term of its id, in every split and hot segment, so late spans are part of it as soon as they are
//! indexed. A span that was sent twice counts once everywhere, and is shown as it was first read.
//!
//! Blocking work within a [`Budget`](crate::search::Budget), as searches are; answers say when they are not
//! complete.

mod answer;
mod columns;
mod dependencies;
mod limits;
mod list;
mod names;
mod newest;
mod remote;
mod routes;
mod rows;
mod services;
mod sweep;
#[cfg(test)]
mod tests;
mod trace;

use std::cmp::Reverse;
use std::ops::Range;

pub use self::answer::{
    Dependencies, Edge, Names, OperationName, Root, Series, ServiceCount, ServiceNames, ServiceRow,
    ServicesAnswer, ServicesRequest, SpanRows, Trace, TraceList, TraceSearch, TraceSummary,
};
pub use self::dependencies::dependencies;
pub use self::list::list;
pub use self::names::names;
pub(crate) use self::routes::routes;
pub use self::services::services;
pub use self::trace::{span, trace};
use crate::search::{RequestError, matching::Part};

fn range(from_ns: Option<i64>, to_ns: Option<i64>) -> Result<Range<i64>, RequestError> {
    let range = from_ns.unwrap_or(i64::MIN)..to_ns.unwrap_or(i64::MAX);
    if range.is_empty() {
        return Err(RequestError::EmptyRange);
    }
    Ok(range)
}

/// What is most likely asked for comes before the time ends.
fn newest_first(parts: &mut [Part<'_>]) {
    parts.sort_by_key(|part| Reverse(part.last_ns));
}
