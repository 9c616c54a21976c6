//! Puts whole traces together, page by page, until one answer holds as much as it may.
//!
//! A trace that does not fit says so in its warnings, with the number that it has; one for which no room was
//! left is named among the answer's errors. Nothing is left out silently.

use std::collections::{BTreeMap, HashMap, HashSet};

use logboom_indexer::Remote;
use logboom_indexer::search::{Hit, Order, SearchRequest};
use serde::Serialize;

use super::answer::{Failure, Problem};
use super::span::{Process, Span, short};
use crate::limits::{JAEGER_BYTES_MAX, JAEGER_PAGE_SPANS, JAEGER_SPANS_MAX};

#[derive(Debug, Serialize)]
pub(super) struct Trace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<Span>,
    processes: BTreeMap<String, Process>,
    warnings: Option<Vec<String>>,
}

/// Whether a trace was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// Or is named among the problems, where it had no room.
    Yes,
    /// It is not in the index.
    No,
    /// Nothing of it was found; it is named among the problems.
    Unknown,
}

pub(super) const UNKNOWN: &str = "not all of the index could be searched, and no span of the trace was found until then; try again";

/// What an answer may still take.
#[derive(Clone, Copy)]
struct Room {
    spans: usize,
    bytes: usize,
}

/// Reads one trace after the other into one answer.
pub(super) struct Reader<'a> {
    remote: &'a Remote,
    room: Room,
    traces: Vec<Trace>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(remote: &'a Remote) -> Reader<'a> {
        let room = Room {
            spans: JAEGER_SPANS_MAX,
            bytes: JAEGER_BYTES_MAX,
        };
        Reader {
            remote,
            room,
            traces: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) async fn add(&mut self, id: &str) -> Result<Added, Failure> {
        if self.room.is_full() {
            let msg = format!(
                "left out: an answer has at most {JAEGER_SPANS_MAX} spans and {} MiB; ask for this trace alone",
                JAEGER_BYTES_MAX >> 20
            );
            self.problems.push(Problem::of_trace(msg, short(id)));
            return Ok(Added::Yes);
        }
        let mut gathered = Gathered::new(self.room);
        let mut request = SearchRequest {
            q: format!("trace_id:{id}"),
            index: Some("spans".to_owned()),
            order: Order::Oldest,
            limit: JAEGER_PAGE_SPANS,
            ..SearchRequest::default()
        };
        loop {
            let page = self.remote.search(&request).await?;
            gathered.total = page.total.or(gathered.total);
            gathered.complete &= page.complete;
            gathered = gathered.with(page.hits).await?;
            match page.next {
                Some(next) if !gathered.is_cut => request.cursor = Some(next),
                _ => break,
            }
        }
        self.room = gathered.room;
        Ok(match (gathered.spans.is_empty(), gathered.complete) {
            (false, _) => {
                self.traces.push(gathered.trace(id));
                Added::Yes
            }
            (true, true) => Added::No,
            (true, false) => {
                let problem = Problem::of_trace(UNKNOWN, short(id));
                self.problems.push(problem);
                Added::Unknown
            }
        })
    }

    pub(super) fn not_found(&mut self, id: &str) {
        let problem = Problem::of_trace("trace not found", short(id));
        self.problems.push(problem);
    }

    /// The list of traces is not the whole list.
    pub(super) fn incomplete(&mut self) {
        let msg = "not all of the index could be searched; traces may be missing";
        self.problems.push(Problem::of_answer(msg));
    }

    pub(super) fn end(self) -> (Vec<Trace>, Vec<Problem>) {
        (self.traces, self.problems)
    }
}

impl Room {
    fn is_full(self) -> bool {
        self.spans == 0 || self.bytes == 0
    }
}

/// A trace that is being read.
struct Gathered {
    room: Room,
    /// Spans that the index has of it, those that came twice counted twice.
    total: Option<u64>,
    complete: bool,
    is_cut: bool,
    spans: Vec<Span>,
    /// A sender that was not told that its spans arrived has sent them again.
    seen: HashSet<String>,
    processes: BTreeMap<String, Process>,
    process_ids: HashMap<String, String>,
}

impl Gathered {
    fn new(room: Room) -> Gathered {
        Gathered {
            room,
            total: None,
            complete: true,
            is_cut: false,
            spans: Vec::new(),
            seen: HashSet::new(),
            processes: BTreeMap::new(),
            process_ids: HashMap::new(),
        }
    }

    /// A page takes longer to convert than an async thread should be held.
    async fn with(mut self, hits: Vec<Hit>) -> Result<Gathered, Failure> {
        let converted = tokio::task::spawn_blocking(move || {
            hits.into_iter().for_each(|hit| self.add(hit));
            self
        });
        converted.await.map_err(|error| Failure::broken(&error))
    }

    fn add(&mut self, hit: Hit) {
        let (mut span, origin) = Span::of(hit);
        // Without an id nothing tells a span that was sent again from another.
        let is_new = span.span_id.is_empty() || self.seen.insert(span.span_id.clone());
        if self.is_cut || !is_new {
            return;
        }
        if self.room.is_full() {
            self.is_cut = true;
            return;
        }
        let key = origin.key();
        let mut bytes = span.bytes();
        span.process_id = match self.process_ids.get(&key) {
            Some(id) => id.clone(),
            None => {
                let id = format!("p{}", self.process_ids.len() + 1);
                let process = origin.process();
                bytes += process.bytes();
                self.processes.insert(id.clone(), process);
                self.process_ids.insert(key, id.clone());
                id
            }
        };
        self.room.spans -= 1;
        self.room.bytes = self.room.bytes.saturating_sub(bytes);
        self.spans.push(span);
    }

    fn trace(self, id: &str) -> Trace {
        let mut warnings = Vec::new();
        if self.is_cut {
            let of = self
                .total
                .map_or_else(|| "more".to_owned(), |total| total.to_string());
            warnings.push(format!(
                "these are the first {} of {of} spans; an answer has at most {JAEGER_SPANS_MAX} spans and {} MiB",
                self.spans.len(),
                JAEGER_BYTES_MAX >> 20
            ));
        }
        if !self.complete {
            warnings
                .push("not all of the index could be searched; spans may be missing".to_owned());
        }
        Trace {
            trace_id: short(id),
            spans: self.spans,
            processes: self.processes,
            warnings: (!warnings.is_empty()).then_some(warnings),
        }
    }
}
