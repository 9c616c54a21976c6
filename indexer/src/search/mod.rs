//! Searching a snapshot: the exact number of matches, their histogram, and one page of them in the
//! total order (time, then id).
//!
//! A query is planned per split and hot segment ([`plan`]), run in one pass over each ([`scan`]), and
//! verified with the oracle where the index alone cannot tell. The answer is what a scan of
//! all lines would give; where the time budget ends first it says so (`complete: false`) and
//! gives no total. Blocking work: callers run it off the async threads.

mod cursor;
mod docs;
mod error;
mod histogram;
mod hit;
mod limits;
pub(crate) mod matching;
mod plan;
mod plan_span;
mod scan;
mod stats;
mod stats_columns;
#[cfg(test)]
mod stats_tests;
mod steady;
pub(crate) mod stored;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tokenizer;
mod top;

use std::time::{Duration, Instant};

use logboom_event::Event;
use logboom_query::{Query, Table};
use serde::{Deserialize, Serialize};
use tantivy::DocAddress;

pub use self::cursor::Order;
use self::cursor::Place;
pub use self::error::{IndexError, RequestError, SearchError};
use self::histogram::Counts;
pub use self::histogram::Histogram;
pub(crate) use self::hit::rfc3339;
pub use self::hit::{Hit, HitEvent, HitLink};
use self::matching::{Encoded, Matching, Part};
use self::scan::{Outcome, Scan};
use self::stats::Tabulating;
use self::stored::{Decoder, StoredError};
use self::top::{Found, Top};
use crate::catalog::Snapshot;
use crate::schema::Schema;

/// What to search for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchRequest {
    /// A filter; empty matches everything.
    pub q: String,
    /// First nanosecond; no bound when absent.
    pub from_ns: Option<i64>,
    /// First nanosecond that is too late.
    pub to_ns: Option<i64>,
    /// Hits of the page; 0 only counts.
    pub limit: usize,
    pub order: Order,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Number of buckets, when a histogram is wanted.
    pub histogram: Option<usize>,
    pub index: Option<String>,
}

impl Default for SearchRequest {
    fn default() -> SearchRequest {
        SearchRequest {
            q: String::new(),
            from_ns: None,
            to_ns: None,
            limit: 100,
            order: Order::Newest,
            cursor: None,
            histogram: None,
            index: None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchResponse {
    /// Matches within the time range, on all pages; `null` when not all could be counted.
    pub total: Option<u64>,
    /// False when the time budget ended first, or not all partitions have been read yet.
    pub complete: bool,
    pub hits: Vec<Hit>,
    pub took_ms: u64,
    /// Cursor of the next page, if there is one.
    pub next: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// The answer to a query with pipes, which has no hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
}

/// How long a search may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Instant,
}

impl Budget {
    pub fn within(time: Duration) -> Budget {
        Budget {
            deadline: Instant::now() + time,
        }
    }

    pub(crate) fn deadline(self) -> Instant {
        self.deadline
    }

    /// When a first step must end, so that the next has time for what it found.
    pub(crate) fn first_two_thirds(self) -> Instant {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.deadline.checked_sub(left / 3).unwrap_or(self.deadline)
    }
}

/// Answers one request from one snapshot of the index that it is for; `query` is its `q`, read as one of that index.
pub fn execute(
    snapshot: &Snapshot,
    query: &Query,
    request: &SearchRequest,
    budget: Budget,
) -> Result<SearchResponse, SearchError> {
    let begun = Instant::now();
    let after = check(request)?;
    let (from_ns, to_ns) = (
        request.from_ns.unwrap_or(i64::MIN),
        request.to_ns.unwrap_or(i64::MAX),
    );
    let schema = Schema::of(snapshot.kind);
    let mut parts = parts(snapshot)?;
    let counts = request
        .histogram
        .map(|buckets| empty_counts(request, &parts, buckets));
    // The likeliest hits first: later parts then rarely beat them, and a search that runs out of time has these.
    match request.order {
        Order::Newest => parts.sort_by_key(|part| std::cmp::Reverse(part.last_ns)),
        Order::Oldest => parts.sort_by_key(|part| part.first_ns),
    }
    let matching = Matching {
        schema: &schema,
        query,
        range: from_ns..to_ns,
        deadline: budget.deadline,
        decoder: Decoder::default(),
    };
    let answer = if let Some(stats) = query.stats() {
        tabulate(snapshot, &parts, query, Tabulating::new(matching, stats))?
    } else {
        let scan = Scan {
            matching,
            order: request.order,
            after,
            total: 0,
            // One more than the page: tells whether there is a next one.
            top: Top::new(
                request.order,
                if request.limit == 0 {
                    0
                } else {
                    request.limit + 1
                },
            ),
            counts,
        };
        list(snapshot, &parts, request, scan)?
    };
    Ok(SearchResponse {
        took_ms: took_ms(begun),
        ..answer
    })
}

/// The histogram before anything is counted. Without bounds it spans what there is.
fn empty_counts(request: &SearchRequest, parts: &[Part<'_>], buckets: usize) -> Counts {
    let first_ns = request
        .from_ns
        .or(parts.iter().map(|part| part.first_ns).min())
        .unwrap_or(0);
    let last_ns = parts
        .iter()
        .map(|part| part.last_ns)
        .max()
        .map(|last| last.saturating_add(1));
    let end_ns = request.to_ns.or(last_ns).unwrap_or(first_ns).max(first_ns);
    Counts::new(first_ns, end_ns, buckets)
}

/// The answer to a query with pipes: a table.
fn tabulate(
    snapshot: &Snapshot,
    parts: &[Part<'_>],
    query: &Query,
    mut tabulating: Tabulating<'_>,
) -> Result<SearchResponse, SearchError> {
    let in_time = tabulating.parts(parts)?;
    let table = tabulating.aggregation.table(&query.pipes);
    let counted = in_time && snapshot.complete;
    Ok(SearchResponse {
        total: counted.then_some(tabulating.total),
        complete: counted && table.complete,
        table: Some(table),
        ..SearchResponse::default()
    })
}

/// The answer to a query without pipes: a page of hits.
fn list(
    snapshot: &Snapshot,
    parts: &[Part<'_>],
    request: &SearchRequest,
    mut scan: Scan<'_>,
) -> Result<SearchResponse, SearchError> {
    let mut in_time = true;
    for (number, part) in parts.iter().enumerate() {
        if scan.part(number, part)? == Outcome::OutOfTime {
            in_time = false;
            break;
        }
    }
    let Scan {
        total,
        top,
        counts,
        mut matching,
        ..
    } = scan;
    let (hits, next) = page(parts, top.into_sorted(), request, &mut matching.decoder)?;
    let complete = in_time && snapshot.complete;
    Ok(SearchResponse {
        total: complete.then_some(total),
        complete,
        hits,
        // Behind an unfinished page there may be hits that belong on it.
        next: next
            .filter(|_| in_time)
            .map(|place| cursor::encode(request.order, place)),
        histogram: counts.map(Counts::finish),
        ..SearchResponse::default()
    })
}

pub(crate) fn took_ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Refuses what cannot be honoured; gives the place that the page begins after.
fn check(request: &SearchRequest) -> Result<Option<Place>, RequestError> {
    if request.limit > limits::LIMIT_MAX {
        return Err(RequestError::Limit {
            found: request.limit,
            max: limits::LIMIT_MAX,
        });
    }
    if let Some(found) = request
        .histogram
        .filter(|buckets| !(1..=limits::BUCKETS_MAX).contains(buckets))
    {
        return Err(RequestError::Buckets {
            found,
            max: limits::BUCKETS_MAX,
        });
    }
    if let (Some(from), Some(to)) = (request.from_ns, request.to_ns)
        && from >= to
    {
        return Err(RequestError::EmptyRange);
    }
    let Some(text) = &request.cursor else {
        return Ok(None);
    };
    cursor::decode(request.order, text)
        .map(Some)
        .ok_or(RequestError::Cursor)
}

pub(crate) fn parts(snapshot: &Snapshot) -> Result<Vec<Part<'_>>, SearchError> {
    let mut parts = Vec::with_capacity(snapshot.splits.len() + snapshot.hot.len());
    for split in &snapshot.splits {
        let (first_ns, last_ns) = (*split.time_range.start(), *split.time_range.end());
        parts.push(Part {
            searcher: &split.searcher,
            first_ns,
            last_ns,
        });
    }
    for searcher in &snapshot.hot {
        if let Some((first_ns, last_ns)) = matching::time_bounds(searcher)? {
            parts.push(Part {
                searcher,
                first_ns,
                last_ns,
            });
        }
    }
    Ok(parts)
}

/// Rebuilds the page's events; the place of its last one when more follow.
fn page(
    parts: &[Part<'_>],
    found: Vec<Found>,
    request: &SearchRequest,
    decoder: &mut Decoder,
) -> Result<(Vec<Hit>, Option<Place>), SearchError> {
    let mut hits = Vec::with_capacity(found.len().min(request.limit));
    let (mut bytes, mut last) = (0, None);
    for found in &found {
        if hits.len() == request.limit || bytes >= limits::PAGE_BYTES_MAX {
            return Ok((hits, last));
        }
        let address = DocAddress::new(found.segment, found.doc);
        let Encoded(encoded) = parts[found.part].searcher.doc(address)?;
        let record = decoder.decode(&encoded.ok_or(StoredError::Missing)?, found.place.id)?;
        let event = Event::parse(&record);
        bytes += record.value.len();
        hits.push(Hit::new(&record, &event, found.place.id));
        last = Some(found.place);
    }
    Ok((hits, None))
}
