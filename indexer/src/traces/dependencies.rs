//! Who calls whom: a call is a span whose parent is of another service.
//!
//! The range is read slice by slice, and each slice up to three times: the parents that its spans name; the services of
//! these; the calls. A parent is looked for where the slice was read, then by reading as much again of what
//! started up to an hour before and after, and in all of the index by its trace's term. Parents that were never sent are
//! ordinary, so what is spent on those that are not found is bounded, and the answer says how many were given up.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Instant;

use logboom_query::Quantiles;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, SegmentReader};

use super::answer::{Dependencies, Edge};
use super::columns::{Names, SpanColumns, SpanKey, TraceKey};
use super::services::quantile;
use super::sweep::{self, Group, Seen, Sweep};
use super::{limits, newest_first, range};
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::schema::Schema;
use crate::search::matching::Part;
use crate::search::{Budget, SearchError, parts};

#[derive(Default)]
struct Calls {
    errors: u64,
    durations: Quantiles,
    count: u64,
}

/// The parents that the spans of a slice name.
#[derive(Default)]
struct Parents {
    /// Services of those that were found.
    found: HashMap<SpanKey, u32>,
    /// Apart, for each segment is asked for these alone.
    missing: HashSet<SpanKey>,
    overflowed: bool,
}

struct Graph<'a> {
    schema: Schema,
    parts: Vec<Part<'a>>,
    sweep: Sweep<'a>,
    deadline: Instant,
    /// Of a slice.
    spans_max: usize,
    /// For one slice.
    terms_max: usize,
    names: Names,
    /// By name: has a span in the range.
    present: Vec<bool>,
    edges: HashMap<(u32, u32), Calls>,
    seen: Seen,
    /// There were too many names or edges.
    left_out: bool,
    /// Not all parents or calls of a slice could be remembered.
    overflowed: bool,
    /// Parents that were not looked for in all of the index.
    given_up: usize,
}

/// Answers from one snapshot of the spans.
pub fn dependencies(
    snapshot: &Snapshot,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    budget: Budget,
) -> Result<Dependencies, SearchError> {
    let (spans_max, terms_max) = (limits::SLICE_SPANS_MAX, limits::TERMS_MAX);
    in_slices(snapshot, from_ns, to_ns, budget, spans_max, terms_max)
}

pub(super) fn in_slices(
    snapshot: &Snapshot,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    budget: Budget,
    spans_max: usize,
    terms_max: usize,
) -> Result<Dependencies, SearchError> {
    let range = range(from_ns, to_ns)?;
    let mut parts = parts(snapshot)?;
    newest_first(&mut parts);
    let deadline = budget.deadline();
    let sweep = Sweep::over(&parts, &range, limits::PARENT_REACH_NS, deadline)?;
    let slices = sweep.slices(&range, spans_max);
    let mut graph = Graph {
        schema: Schema::of(Kind::Spans),
        parts,
        sweep,
        deadline,
        spans_max,
        terms_max: terms_max / slices.len(),
        names: Names::new(limits::NAMES_MAX),
        present: Vec::new(),
        edges: HashMap::new(),
        seen: Seen::default(),
        left_out: false,
        overflowed: false,
        given_up: 0,
    };
    let (mut counted_from_ns, mut in_time) = (None, false);
    for slice in slices {
        in_time = graph.slice(&slice)?;
        if !in_time {
            break;
        }
        counted_from_ns = Some(slice.start);
    }
    let complete = in_time && !graph.overflowed && !graph.left_out && snapshot.complete;
    let out_of_time = (!in_time).then(|| sweep::note(counted_from_ns));
    Ok(graph.into_answer(complete, out_of_time))
}

impl<'a> Graph<'a> {
    /// False when the time ended.
    fn slice(&mut self, slice: &Range<i64>) -> Result<bool, SearchError> {
        let mut parents = Parents::default();
        self.seen.forget();
        let in_time = self.name_parents(slice, &mut parents)?
            && self.find(slice, &mut parents)?
            && self.count(slice, &parents)?;
        self.overflowed |= parents.overflowed || self.seen.overflowed;
        Ok(in_time)
    }

    /// Notes whose services are needed.
    fn name_parents(
        &mut self,
        slice: &Range<i64>,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        self.sweep
            .each_span(slice, self.deadline, |columns, doc, _| {
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
                if let Some(key) = columns.parent_key(doc) {
                    parents.want(key);
                }
                Ok(())
            })
    }

    /// Finds the services of the parents: where the children are, most likely.
    fn find(&mut self, slice: &Range<i64>, parents: &mut Parents) -> Result<bool, SearchError> {
        let (within, around) = self.sweep.around(slice, limits::PARENT_REACH_NS);
        if !self.read(&within, parents)? {
            return Ok(false);
        }
        let mut docs = 0;
        let enough = around.iter().take_while(|group| {
            docs += group.docs();
            docs < self.spans_max
        });
        let around = &around[..enough.count()];
        let readers = self.readers(slice.end.saturating_add(limits::PARENT_REACH_NS));
        let terms = |parents: &Parents| parents.missing.len().saturating_mul(readers.len());
        if terms(parents).saturating_mul(limits::DOCS_PER_TERM) > docs
            && !self.read(around, parents)?
        {
            return Ok(false);
        }
        if terms(parents) > self.terms_max {
            self.given_up += parents.missing.len();
            return Ok(true);
        }
        for reader in readers {
            if parents.missing.is_empty() {
                break;
            }
            if !self.look_up(reader, parents)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Segments with spans that started before a time; the newest first.
    fn readers(&self, latest_ns: i64) -> Vec<&'a SegmentReader> {
        let parts = self.parts.iter();
        parts
            .filter(|part| part.first_ns <= latest_ns)
            .flat_map(|part| part.searcher.segment_readers())
            .collect()
    }

    fn read(&mut self, groups: &[Group], parents: &mut Parents) -> Result<bool, SearchError> {
        if parents.missing.is_empty() {
            return Ok(true);
        }
        self.sweep
            .each_document(groups, self.deadline, |columns, doc| {
                self.left_out |= !parents.offer(columns, doc, &mut self.names)?;
                Ok(!parents.missing.is_empty())
            })
    }

    fn look_up(
        &mut self,
        reader: &SegmentReader,
        parents: &mut Parents,
    ) -> Result<bool, SearchError> {
        let traces: HashSet<TraceKey> = parents.missing.iter().map(|key| key.trace).collect();
        let inverted_index = reader.inverted_index(self.schema.fields)?;
        let mut opened: Option<SpanColumns> = None;
        for trace in traces {
            let postings = inverted_index
                .read_block_postings(&trace.term(&self.schema), IndexRecordOption::Basic)
                .map_err(tantivy::TantivyError::from)?;
            if Instant::now() >= self.deadline {
                return Ok(false);
            }
            let Some(mut postings) = postings else {
                continue;
            };
            let columns = match &mut opened {
                Some(columns) => columns,
                none => none.insert(SpanColumns::open(reader)?),
            };
            while !postings.docs().is_empty() {
                if Instant::now() >= self.deadline {
                    return Ok(false);
                }
                for &doc in postings.docs() {
                    self.left_out |= !parents.offer(columns, doc, &mut self.names)?;
                }
                postings.advance();
            }
        }
        Ok(true)
    }

    fn count(&mut self, slice: &Range<i64>, parents: &Parents) -> Result<bool, SearchError> {
        self.sweep
            .each_span(slice, self.deadline, |columns, doc, start_ns| {
                let key = columns.parent_key(doc);
                let Some(&parent) = key.and_then(|key| parents.found.get(&key)) else {
                    return Ok(());
                };
                let Some(child) = columns.service.number(doc, &mut self.names)? else {
                    return Ok(());
                };
                if parent == child || !self.seen.is_new(columns.key(doc), start_ns) {
                    return Ok(());
                }
                let ends = (parent, child);
                if self.edges.len() >= limits::EDGES_MAX && !self.edges.contains_key(&ends) {
                    self.left_out = true;
                    return Ok(());
                }
                let calls = self.edges.entry(ends).or_default();
                calls.count += 1;
                calls.errors += u64::from(columns.is_error(doc));
                calls.durations.add(columns.duration.get_val(doc) as f64);
                Ok(())
            })
    }

    fn into_answer(self, complete: bool, out_of_time: Option<String>) -> Dependencies {
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
        let overflowed = self.overflowed.then(|| {
            "so many spans started at one instant that not all calls could be told apart".to_owned()
        });
        let given_up = (self.given_up > 0).then(|| {
            format!(
                "{} parents are not among the spans that started near their children, nor looked for elsewhere: \
                 their calls are left out",
                self.given_up
            )
        });
        let notes = [out_of_time, left_out, overflowed, given_up];
        Dependencies {
            complete,
            edges,
            services,
            notes: notes.into_iter().flatten().collect(),
        }
    }
}

impl Parents {
    fn want(&mut self, key: SpanKey) {
        if self.missing.len() < limits::REMEMBERED_MAX {
            self.missing.insert(key);
        } else {
            self.overflowed |= !self.missing.contains(&key);
        }
    }

    /// Is this span one of the parents? False: it is, but there are too many services.
    fn offer(
        &mut self,
        columns: &mut SpanColumns,
        doc: DocId,
        names: &mut Names,
    ) -> tantivy::Result<bool> {
        let Some(key) = columns.key(doc).filter(|key| self.missing.contains(key)) else {
            return Ok(true);
        };
        let service = columns.service.number(doc, names)?;
        if let Some(service) = service {
            self.missing.remove(&key);
            self.found.insert(key, service);
        }
        Ok(service.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::search::tests::{BASE_NS, split_of};
    use crate::traces::tests::started;

    #[test]
    fn only_parents_that_are_still_missing_are_looked_for() {
        const FOUND: i64 = 3_000;
        let spans: Vec<_> = (0..FOUND).map(|at| started(at, BASE_NS + at)).collect();
        let snapshot = Snapshot {
            kind: Kind::Spans,
            splits: vec![split_of(Kind::Spans, &spans)],
            hot: Vec::new(),
            complete: true,
        };
        let later = Instant::now() + Duration::from_secs(600);
        let parts = parts(&snapshot).unwrap();
        let sweep = Sweep::over(&parts, &(0..i64::MAX), 0, later).unwrap();
        let mut parents = Parents::default();
        for span in 1..=FOUND.cast_unsigned() + 1 {
            let trace = TraceKey { high: 0, low: span };
            parents.want(SpanKey { trace, span });
        }
        let mut names = Names::new(9);
        let (groups, _) = sweep.around(&(0..i64::MAX), 0);
        let in_time = sweep.each_document(&groups, later, |columns, doc| {
            Ok(parents.offer(columns, doc, &mut names)?)
        });
        assert!(in_time.unwrap());
        let missing: Vec<u64> = parents.missing.iter().map(|key| key.span).collect();
        assert_eq!(missing, [FOUND.cast_unsigned() + 1]);
    }
}
