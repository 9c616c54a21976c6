//! Trace search: which traces, and then a summary of all that each of them has.

use std::collections::BTreeMap;
use std::time::Instant;

use logboom_query::SPANS;

use super::answer::{Root, ServiceCount, TraceList, TraceSearch, TraceSummary};
use super::columns::{Names, TraceKey};
use super::newest::newest;
use super::rows::Segments;
use super::{limits, range};
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::schema::Schema;
use crate::search::matching::Matching;
use crate::search::stored::Decoder;
use crate::search::{Budget, RequestError, SearchError, parts, rfc3339, took_ms};

/// Answers a trace search from one snapshot of the spans.
pub fn list(
    snapshot: &Snapshot,
    request: &TraceSearch,
    budget: Budget,
) -> Result<TraceList, SearchError> {
    // What was found in its time is shown: the rest of the budget is for that.
    list_found_by(
        snapshot,
        request,
        budget.first_two_thirds(),
        budget.deadline(),
    )
}

/// [`list`], where finding ends at a time of its own.
pub(super) fn list_found_by(
    snapshot: &Snapshot,
    request: &TraceSearch,
    found_by: Instant,
    deadline: Instant,
) -> Result<TraceList, SearchError> {
    let begun = Instant::now();
    let query = logboom_query::parse_in(&request.q, Some(SPANS))?;
    query.filter_only()?;
    if let Some(index) = query.index.as_deref().filter(|index| *index != SPANS) {
        return Err(SearchError::Request(RequestError::TwoIndexes {
            query: index.to_owned(),
            request: SPANS.to_owned(),
        }));
    }
    if !(1..=limits::TRACES_MAX).contains(&request.limit) {
        return Err(SearchError::Request(RequestError::Traces {
            found: request.limit,
            max: limits::TRACES_MAX,
        }));
    }
    let schema = Schema::of(Kind::Spans);
    let mut parts = parts(snapshot)?;
    let mut matching = Matching {
        schema: &schema,
        query: &query,
        range: range(request.from_ns, request.to_ns)?,
        deadline: found_by,
        decoder: Decoder::default(),
    };
    let (found, mut complete) = newest(&mut matching, &mut parts, request.limit)?;
    let mut segments = Segments::new(&schema, &parts, limits::NAMES_MAX);
    let mut traces = Vec::with_capacity(found.len());
    for trace in found {
        let (summary, is_whole) = summary(&mut segments, trace, deadline)?;
        complete &= is_whole;
        traces.extend(summary);
        if Instant::now() >= deadline {
            complete = false;
            break;
        }
    }
    Ok(TraceList {
        complete: complete && snapshot.complete,
        took_ms: took_ms(begun),
        traces,
    })
}

fn summary(
    segments: &mut Segments<'_>,
    trace: TraceKey,
    deadline: Instant,
) -> Result<(Option<TraceSummary>, bool), SearchError> {
    let rows = segments.rows(trace, deadline)?;
    let Some((start_ns, duration_ns)) = rows.extent() else {
        return Ok((None, rows.complete));
    };
    let mut complete = rows.complete;
    let mut services: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for row in &rows.rows {
        let Some(service) = segments.service(row)? else {
            complete = false;
            continue;
        };
        let (spans, errors) = services.entry(service).or_default();
        *spans += 1;
        *errors += u64::from(segments.columns(row).is_error(row.doc));
    }
    let root = match rows.rows.iter().find(|row| row.parent == 0) {
        None => None,
        Some(row) => {
            let (service, operation) = (segments.service(row)?, segments.operation(row)?);
            let text = |names: &Names, number: Option<u32>| {
                number.map_or("", |number| names.text(number)).to_owned()
            };
            Some(Root {
                service: text(&segments.services, service),
                operation: text(&segments.operations, operation),
                span_id: format!("{:016x}", row.span),
            })
        }
    };
    let mut services: Vec<ServiceCount> = services
        .into_iter()
        .map(|(name, (spans, errors))| ServiceCount {
            name: segments.services.text(name).to_owned(),
            spans,
            errors,
        })
        .collect();
    services.sort_by(|a, b| b.spans.cmp(&a.spans).then_with(|| a.name.cmp(&b.name)));
    let summary = TraceSummary {
        trace_id: trace.hex(),
        root,
        start: rfc3339(start_ns),
        duration_ns,
        spans: rows.rows.len() as u64,
        errors: services.iter().map(|service| service.errors).sum(),
        services,
    };
    Ok((Some(summary), complete))
}
