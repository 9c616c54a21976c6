//! Who calls whom: a call is a span whose parent is of another service.
//!
//! The parent is looked for in all of the index, for it may have started before the range or come later than
//! its child. Three steps for each pass: the parents that spans of the range name; the services of these; the
//! calls. Parts outside the range are read only while parents are missing, and by their traces' terms when these are few.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Instant;

use logboom_query::Quantiles;
use tantivy::Searcher;
use tantivy::schema::IndexRecordOption;

use super::answer::{Dependencies, Edge};
use super::columns::{Names, SpanColumns, SpanKey, TraceKey};
use super::services::quantile;
use super::sweep::{Seen, each_span, passes};
use super::{limits, newest_first, range};
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::schema::Schema;
use crate::search::matching::Part;
use crate::search::{Budget, SearchError, parts};

/// A trace's term costs as much as reading so many documents' columns.
const DOCS_PER_TERM: u64 = 300;

#[derive(Default)]
struct Calls {
    errors: u64,
    durations: Quantiles,
    count: u64,
}

/// Services of the parents that a pass is about.
#[derive(Default)]
struct Parents {
    services: HashMap<SpanKey, Option<u32>>,
    unknown: u64,
    overflowed: bool,
}

struct Graph {
    schema: Schema,
    names: Names,
    /// By name: has a span in the range.
    present: Vec<bool>,
    edges: HashMap<(u32, u32), Calls>,
    seen: Seen,
    /// There were too many names or edges.
    left_out: bool,
}

/// Answers from one snapshot of the spans.
pub fn dependencies(
    snapshot: &Snapshot,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    budget: Budget,
) -> Result<Dependencies, SearchError> {
    in_passes(snapshot, from_ns, to_ns, budget, limits::PASS_SPANS_MAX)
}

pub(super) fn in_passes(
    snapshot: &Snapshot,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    budget: Budget,
    spans_max: u64,
) -> Result<Dependencies, SearchError> {
    let range = range(from_ns, to_ns)?;
    let mut parts = parts(snapshot)?;
    newest_first(&mut parts);
    let mut graph = Graph {
        schema: Schema::of(Kind::Spans),
        names: Names::new(limits::NAMES_MAX),
        present: Vec::new(),
        edges: HashMap::new(),
        seen: Seen::default(),
        left_out: false,
    };
    let passes = passes(&parts, &range, spans_max);
    let (mut in_time, mut overflowed) = (true, false);
    for pass in 0..passes {
        let mut parents = Parents::default();
        graph.seen.forget();
        let of_pass = |key: &SpanKey| key.trace.pass(passes) == pass;
        in_time = graph.wanted(&parts, &range, budget.deadline(), &of_pass, &mut parents)?;
        // Half of what is left, so that there is time to count what was found.
        let half = Instant::now() + budget.deadline().saturating_duration_since(Instant::now()) / 2;
        in_time &= graph.find(&parts, &range, half, &mut parents)?;
        in_time &= graph.count(&parts, &range, budget.deadline(), &parents)?;
        overflowed |= parents.overflowed || graph.seen.overflowed;
        if !in_time {
            break;
        }
    }
    let complete = in_time && !overflowed && !graph.left_out && snapshot.complete;
    Ok(graph.into_answer(complete, overflowed))
}

impl Graph {
    /// Notes whose services are needed.
    fn wanted(
        &mut self,
        parts: &[Part<'_>],
        range: &Range<i64>,
        deadline: Instant,
        of_pass: &impl Fn(&SpanKey) -> bool,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        each_span(parts, range, deadline, |columns, doc, _| {
            match columns.service.number(doc, &mut self.names)? {
                Some(service) => {
                    let at = service as usize;
                    if self.present.len() <= at {
                        self.present.resize(at + 1, false);
                    }
                    self.present[at] = true;
                }
                None => self.left_out = true,
            }
            if let Some(key) = columns.parent_key(doc).filter(of_pass) {
                parents.want(key);
            }
            Ok(())
        })
    }

    /// Finds the services of the parents: where the children are, most likely.
    fn find(
        &mut self,
        parts: &[Part<'_>],
        range: &Range<i64>,
        deadline: Instant,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        let (near, far): (Vec<&Part<'_>>, Vec<&Part<'_>>) =
            parts.iter().partition(|part| part.is_within_reach(range));
        for part in near.into_iter().chain(far) {
            if parents.unknown == 0 {
                break;
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            let by_terms = parents.unknown * DOCS_PER_TERM < part.searcher.num_docs();
            let in_time = if by_terms {
                self.look_up(part.searcher, deadline, parents)?
            } else {
                self.read(part, deadline, parents)?
            };
            if !in_time {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(
        &mut self,
        part: &Part<'_>,
        deadline: Instant,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        for reader in part.searcher.segment_readers() {
            let mut columns = SpanColumns::open(reader)?;
            for doc in 0..reader.max_doc() {
                if doc % 64 == 0 && Instant::now() >= deadline {
                    return Ok(false);
                }
                self.offer(&mut columns, doc, parents)?;
            }
        }
        Ok(true)
    }

    fn look_up(
        &mut self,
        searcher: &Searcher,
        deadline: Instant,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        let unknown = parents.services.iter();
        let unknown = unknown.filter(|(_, service)| service.is_none());
        let traces: HashSet<TraceKey> = unknown.map(|(key, _)| key.trace).collect();
        for reader in searcher.segment_readers() {
            let inverted_index = reader.inverted_index(self.schema.fields)?;
            let mut columns = SpanColumns::open(reader)?;
            for trace in &traces {
                if Instant::now() >= deadline {
                    return Ok(false);
                }
                let postings = inverted_index
                    .read_block_postings(&trace.term(&self.schema), IndexRecordOption::Basic)
                    .map_err(tantivy::TantivyError::from)?;
                let Some(mut postings) = postings else {
                    continue;
                };
                while !postings.docs().is_empty() {
                    for &doc in postings.docs() {
                        self.offer(&mut columns, doc, parents)?;
                    }
                    postings.advance();
                }
            }
        }
        Ok(true)
    }

    /// Is this span one of the parents?
    fn offer(
        &mut self,
        columns: &mut SpanColumns,
        doc: u32,
        parents: &mut Parents,
    ) -> Result<(), SearchError> {
        let Some(key) = columns.key(doc) else {
            return Ok(());
        };
        let Some(service @ None) = parents.services.get_mut(&key) else {
            return Ok(());
        };
        match columns.service.number(doc, &mut self.names)? {
            Some(number) => *service = Some(number),
            None => self.left_out = true,
        }
        parents.unknown -= u64::from(service.is_some());
        Ok(())
    }

    fn count(
        &mut self,
        parts: &[Part<'_>],
        range: &Range<i64>,
        deadline: Instant,
        parents: &Parents,
    ) -> Result<bool, SearchError> {
        each_span(parts, range, deadline, |columns, doc, _| {
            let key = columns.parent_key(doc);
            let parent = key.and_then(|key| parents.services.get(&key).copied().flatten());
            let child = columns.service.number(doc, &mut self.names)?;
            let (Some(parent), Some(child)) = (parent, child) else {
                return Ok(());
            };
            if parent == child || !self.seen.is_new(columns.key(doc)) {
                return Ok(());
            }
            if self.edges.len() >= limits::EDGES_MAX && !self.edges.contains_key(&(parent, child)) {
                self.left_out = true;
                return Ok(());
            }
            let calls = self.edges.entry((parent, child)).or_default();
            calls.count += 1;
            calls.errors += u64::from(columns.is_error(doc));
            calls.durations.add(columns.duration.get_val(doc) as f64);
            Ok(())
        })
    }

    fn into_answer(self, complete: bool, overflowed: bool) -> Dependencies {
        let text = |number: u32| self.names.text(number).to_owned();
        let mut edges: Vec<Edge> = self
            .edges
            .iter()
            .map(|((parent, child), calls)| {
                let quantile = |name| quantile(&calls.durations, name).unwrap_or(0.0);
                Edge {
                    parent: text(*parent),
                    child: text(*child),
                    calls: calls.count,
                    errors: calls.errors,
                    p50: quantile("p50"),
                    p95: quantile("p95"),
                    p99: quantile("p99"),
                }
            })
            .collect();
        edges.sort_by(|a, b| {
            let ends = |edge: &Edge| (edge.parent.clone(), edge.child.clone());
            b.calls.cmp(&a.calls).then_with(|| ends(a).cmp(&ends(b)))
        });
        let present = (0..).zip(&self.present).filter(|(_, present)| **present);
        let mut services: Vec<String> = present.map(|(number, _)| text(number)).collect();
        services.sort_unstable();
        let left_out = self.left_out.then(|| {
            format!(
                "more than {} services or {} pairs of them: some are left out",
                limits::NAMES_MAX,
                limits::EDGES_MAX
            )
        });
        let overflowed = overflowed
            .then(|| "a trace is so large that not all calls in it could be told apart".to_owned());
        Dependencies {
            complete,
            edges,
            services,
            notes: [left_out, overflowed].into_iter().flatten().collect(),
        }
    }
}

impl Parents {
    fn want(&mut self, key: SpanKey) {
        if self.services.contains_key(&key) {
            return;
        }
        if self.services.len() >= limits::REMEMBERED_MAX {
            self.overflowed = true;
            return;
        }
        self.services.insert(key, None);
        self.unknown += 1;
    }
}
