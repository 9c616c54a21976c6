//! The same answers by the shortest way: over all spans in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use logboom_event::Event;
use logboom_query::{GroupKey, KINDS, Query, matches_with_id};

use super::super::*;
use crate::search::tests::Indexed;
use crate::search::{Hit, rfc3339};

#[derive(Debug, Clone)]
struct Span {
    trace: u128,
    span: u64,
    parent: u64,
    service: String,
    operation: String,
    kind: u8,
    status: u8,
    start_ns: i64,
    duration_ns: u64,
}

/// Each span once: the one with the lowest id.
pub(super) struct Naive {
    spans: Vec<Span>,
}

fn ids(event: &Event) -> (u128, u64) {
    (
        u128::from_be_bytes(event.trace_id.unwrap()),
        u64::from_be_bytes(event.span_id.unwrap()),
    )
}

impl Naive {
    pub(super) fn of(all: &[Indexed]) -> Naive {
        let mut sorted: Vec<&Indexed> = all.iter().collect();
        sorted.sort_by_key(|indexed| indexed.id);
        let mut spans: BTreeMap<(u128, u64), Span> = BTreeMap::new();
        for Indexed { event, .. } in sorted {
            let own = event.span.as_ref().unwrap();
            let (trace, span) = ids(event);
            spans.entry((trace, span)).or_insert_with(|| Span {
                trace,
                span,
                parent: own.parent_span_id.map_or(0, u64::from_be_bytes),
                service: event.service.clone().unwrap_or_default(),
                operation: event.body().into_owned(),
                kind: own.kind.number(),
                status: own.status.code(),
                start_ns: event.timestamp_ns,
                duration_ns: own.duration_ns,
            });
        }
        Naive {
            spans: spans.into_values().collect(),
        }
    }

    pub(super) fn traces(&self) -> BTreeSet<u128> {
        self.spans.iter().map(|span| span.trace).collect()
    }

    fn of_trace(&self, trace: u128) -> Vec<&Span> {
        let spans = self.spans.iter().filter(|span| span.trace == trace);
        let mut spans: Vec<&Span> = spans.collect();
        spans.sort_by_key(|span| (span.start_ns, span.span));
        spans
    }

    pub(super) fn hit(&self, trace: u128, span: &str, all: &[Indexed]) -> Hit {
        let span = u64::from_str_radix(span, 16).unwrap();
        let sent = all
            .iter()
            .filter(|indexed| ids(&indexed.event) == (trace, span));
        let first = sent.min_by_key(|indexed| indexed.id).unwrap();
        Hit::new(&first.record, &first.event, first.id)
    }

    pub(super) fn check(&self, trace: u128, found: &Trace) {
        let spans = self.of_trace(trace);
        let start = spans[0].start_ns;
        let column = |of: fn(&Span) -> u64| spans.iter().map(|span| of(span)).collect::<Vec<u64>>();
        assert_eq!(found.trace_id, format!("{trace:032x}"));
        assert!(found.complete && !found.truncated);
        assert_eq!(found.total, spans.len() as u64);
        assert_eq!(
            (&found.start, &found.start_ns),
            (&rfc3339(start), &start.to_string())
        );
        let ends = spans
            .iter()
            .map(|span| span.start_ns + span.duration_ns as i64);
        assert_eq!(found.duration_ns, (ends.max().unwrap() - start) as u64);
        let ids: Vec<u64> = (found.spans.id.iter())
            .map(|id| u64::from_str_radix(id, 16).unwrap())
            .collect();
        assert_eq!(ids, column(|span| span.span));
        assert_eq!(found.spans.duration, column(|span| span.duration_ns));
        let kinds = found.spans.kind.iter().map(|kind| u64::from(*kind));
        assert_eq!(kinds.collect::<Vec<_>>(), column(|span| span.kind.into()));
        let statuses = found.spans.status.iter().map(|status| u64::from(*status));
        assert_eq!(
            statuses.collect::<Vec<_>>(),
            column(|span| span.status.into())
        );
        for (at, span) in spans.iter().enumerate() {
            assert_eq!(found.spans.start[at], (span.start_ns - start) as u64);
            assert_eq!(
                found.services[found.spans.service[at] as usize],
                span.service
            );
            assert_eq!(
                found.operations[found.spans.operation[at] as usize],
                span.operation
            );
            let parent = spans.iter().position(|other| other.span == span.parent);
            let is_orphan = found.orphan.contains(&(at as u32));
            match (span.parent, parent, found.spans.parent[at]) {
                (0, _, row) => assert!(row == -1 && !is_orphan),
                (_, None, row) => assert!(row == -1 && is_orphan),
                (_, Some(parent), -1) => {
                    assert!(is_orphan);
                    assert!(self.is_in_circle(&spans, at, parent), "a parent is lost");
                }
                (_, Some(parent), row) => assert!(row == parent as i32 && !is_orphan),
            }
            // Every row has a way up that ends.
            let (mut row, mut steps) = (at as i32, 0);
            while row >= 0 {
                row = found.spans.parent[row as usize];
                steps += 1;
                assert!(steps <= spans.len(), "parents go round");
            }
        }
    }

    fn is_in_circle(&self, spans: &[&Span], row: usize, parent: usize) -> bool {
        let mut at = parent;
        for _ in spans {
            if at == row {
                return true;
            }
            match spans.iter().position(|span| span.span == spans[at].parent) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }

    pub(super) fn list(
        &self,
        all: &[Indexed],
        query: &Query,
        request: &TraceSearch,
    ) -> Vec<TraceSummary> {
        let range = range(request.from_ns, request.to_ns).unwrap();
        let mut newest: BTreeMap<u128, i64> = BTreeMap::new();
        for Indexed { event, id, .. } in all {
            if range.contains(&event.timestamp_ns) && matches_with_id(query, event, Some(*id)) {
                let newest = newest.entry(ids(event).0).or_insert(i64::MIN);
                *newest = event.timestamp_ns.max(*newest);
            }
        }
        let mut sorted: Vec<(Reverse<i64>, u128)> = newest
            .iter()
            .map(|(trace, time)| (Reverse(*time), *trace))
            .collect();
        sorted.sort_unstable();
        let sorted = sorted.iter().take(request.limit);
        sorted.map(|(_, trace)| self.summary(*trace)).collect()
    }

    fn summary(&self, trace: u128) -> TraceSummary {
        let spans = self.of_trace(trace);
        let start = spans[0].start_ns;
        let ends = spans
            .iter()
            .map(|span| span.start_ns + span.duration_ns as i64);
        let mut services: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for span in &spans {
            let (count, errors) = services.entry(&span.service).or_default();
            *count += 1;
            *errors += u64::from(span.status == 2);
        }
        let mut services: Vec<ServiceCount> = services
            .into_iter()
            .map(|(name, (spans, errors))| ServiceCount {
                name: name.to_owned(),
                spans,
                errors,
            })
            .collect();
        services.sort_by_key(|service| Reverse(service.spans));
        let root = spans.iter().find(|span| span.parent == 0);
        TraceSummary {
            trace_id: format!("{trace:032x}"),
            root: root.map(|root| Root {
                service: root.service.clone(),
                operation: root.operation.clone(),
                span_id: format!("{:016x}", root.span),
            }),
            start: rfc3339(start),
            duration_ns: (ends.max().unwrap() - start) as u64,
            spans: spans.len() as u64,
            errors: spans.iter().filter(|span| span.status == 2).count() as u64,
            services,
        }
    }

    pub(super) fn check_services(&self, request: &ServicesRequest, found: &ServicesAnswer) {
        let first = self.spans.iter().map(|span| span.start_ns).min().unwrap();
        let last = self.spans.iter().map(|span| span.start_ns).max().unwrap();
        let from = request
            .from_ns
            .unwrap_or(first.min(request.to_ns.unwrap_or(i64::MAX) - 1));
        let to = request.to_ns.unwrap_or(last.max(from) + 1);
        let step = request.step_ns.unwrap();
        assert_eq!(
            (&found.from, &found.to, found.step_ns),
            (&rfc3339(from), &rfc3339(to), step)
        );
        let requests = self.spans.iter().filter(|span| {
            let is_entry = matches!(span.kind, 2 | 5) || span.parent == 0;
            is_entry && (from..to).contains(&span.start_ns)
        });
        let mut rows: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in requests {
            match &request.service {
                None => rows.entry(&span.service).or_default().push(span),
                Some(service) if *service == span.service => {
                    rows.entry(&span.operation).or_default().push(span);
                }
                Some(_) => {}
            }
        }
        let mut sorted: Vec<(&str, usize)> = rows
            .iter()
            .map(|(name, spans)| (*name, spans.len()))
            .collect();
        sorted.sort_by_key(|(_, count)| Reverse(*count));
        let name = |row: &ServiceRow| row.operation.clone().unwrap_or(row.service.clone());
        let got: Vec<(String, usize)> = found
            .rows
            .iter()
            .map(|row| (name(row), row.requests as usize))
            .collect();
        let wanted: Vec<(String, usize)> = sorted
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        assert_eq!(got, wanted);
        let steps: Vec<i64> = (0..)
            .map(|at| GroupKey::bin_ns(step, from) + at * step)
            .take_while(|start| *start < to)
            .collect();
        for row in &found.rows {
            let spans = &rows[name(row).as_str()];
            assert_eq!(row.operation.is_some(), request.service.is_some());
            assert_eq!(row.errors, errors(spans));
            near(Some(row.p50), spans, 0.5);
            near(Some(row.p95), spans, 0.95);
            near(Some(row.p99), spans, 0.99);
            let series = &row.series;
            let starts: Vec<i64> = steps.iter().map(|ns| ns / 1_000_000).collect();
            assert_eq!(series.t, starts);
            for (at, start) in steps.iter().enumerate() {
                let within = spans
                    .iter()
                    .filter(|span| (*start..start + step).contains(&span.start_ns));
                let within: Vec<&Span> = within.copied().collect();
                assert_eq!(series.requests[at], within.len() as u64);
                assert_eq!(series.errors[at], errors(&within));
                near(series.p50[at], &within, 0.5);
                near(series.p95[at], &within, 0.95);
                near(series.p99[at], &within, 0.99);
            }
        }
    }

    pub(super) fn check_dependencies(
        &self,
        from: Option<i64>,
        to: Option<i64>,
        found: &Dependencies,
    ) {
        let range = range(from, to).unwrap();
        let within = || {
            self.spans
                .iter()
                .filter(|span| range.contains(&span.start_ns))
        };
        let services: BTreeSet<&str> = within().map(|span| span.service.as_str()).collect();
        assert_eq!(found.services, Vec::from_iter(services));
        let parents: BTreeMap<(u128, u64), &Span> = self
            .spans
            .iter()
            .map(|span| ((span.trace, span.span), span))
            .collect();
        let mut calls: BTreeMap<(&str, &str), Vec<&Span>> = BTreeMap::new();
        for span in within() {
            let parent = parents.get(&(span.trace, span.parent));
            if let Some(parent) = parent.filter(|parent| parent.service != span.service) {
                calls
                    .entry((&parent.service, &span.service))
                    .or_default()
                    .push(span);
            }
        }
        assert_eq!(found.edges.len(), calls.len());
        for edge in &found.edges {
            let spans = &calls[&(edge.parent.as_str(), edge.child.as_str())];
            assert_eq!(
                (edge.calls, edge.errors),
                (spans.len() as u64, errors(spans))
            );
            near(Some(edge.p50), spans, 0.5);
            near(Some(edge.p95), spans, 0.95);
            near(Some(edge.p99), spans, 0.99);
        }
        assert!(found.edges.is_sorted_by_key(|edge| Reverse(edge.calls)));
    }

    pub(super) fn names(&self, from: Option<i64>, to: Option<i64>) -> Vec<ServiceNames> {
        let range = range(from, to).unwrap();
        let mut names: BTreeMap<&str, BTreeSet<OperationName>> = BTreeMap::new();
        for span in self
            .spans
            .iter()
            .filter(|span| range.contains(&span.start_ns))
        {
            names
                .entry(&span.service)
                .or_default()
                .insert(OperationName {
                    name: span.operation.clone(),
                    kind: KINDS[usize::from(span.kind) - 1].to_owned(),
                });
        }
        let names = names.into_iter();
        names
            .map(|(name, operations)| ServiceNames {
                name: name.to_owned(),
                operations: operations.into_iter().collect(),
            })
            .collect()
    }
}

fn errors(spans: &[&Span]) -> u64 {
    spans.iter().filter(|span| span.status == 2).count() as u64
}

/// Within 1 % of the value that has the rank.
fn near(found: Option<f64>, spans: &[&Span], quantile: f64) {
    let mut durations: Vec<u64> = spans.iter().map(|span| span.duration_ns).collect();
    durations.sort_unstable();
    let rank = (quantile * durations.len() as f64).ceil() as usize;
    let exact = durations
        .get(rank.saturating_sub(1))
        .map(|duration| *duration as f64);
    match (found, exact) {
        (None, None) => {}
        (Some(found), Some(exact)) => {
            assert!(
                (found - exact).abs() <= exact * 0.01,
                "{found} is not {exact}"
            );
        }
        _ => panic!("{found:?} is not {exact:?}"),
    }
}
