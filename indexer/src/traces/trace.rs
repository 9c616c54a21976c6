//! A trace whole, without its attributes; and one of its spans with all that it has.

use std::collections::HashMap;

use logboom_event::Event;

use super::answer::{SpanRows, Trace};
use super::columns::{SpanKey, TraceKey, span_id};
use super::limits;
use super::rows::{Row, Segments, since};
use crate::catalog::Snapshot;
use crate::kind::Kind;
use crate::schema::Schema;
use crate::search::matching::read_record;
use crate::search::stored::Decoder;
use crate::search::{Budget, Hit, RequestError, SearchError, parts, rfc3339};

/// `None`: there is no span of it.
pub fn trace(
    snapshot: &Snapshot,
    trace_id: &str,
    budget: Budget,
) -> Result<Option<Trace>, SearchError> {
    of_at_most(snapshot, trace_id, budget, limits::TRACE_SPANS_MAX)
}

pub(super) fn of_at_most(
    snapshot: &Snapshot,
    trace_id: &str,
    budget: Budget,
    spans_max: usize,
) -> Result<Option<Trace>, SearchError> {
    let key = known(trace_id)?;
    let schema = Schema::of(Kind::Spans);
    let parts = parts(snapshot)?;
    // There are no more names than rows.
    let mut segments = Segments::new(&schema, &parts, spans_max);
    let mut rows = segments.rows(key, budget.deadline())?;
    let Some((start_ns, duration_ns)) = rows.extent() else {
        return none(rows.complete);
    };
    let total = rows.rows.len();
    rows.rows.truncate(spans_max);
    let (parents, orphan) = parents(&rows.rows);
    let mut spans = SpanRows {
        parent: parents,
        ..SpanRows::default()
    };
    for row in &rows.rows {
        let (service, operation) = (segments.service(row)?, segments.operation(row)?);
        let columns = segments.columns(row);
        spans.id.push(format!("{:016x}", row.span));
        spans.service.push(service.unwrap_or_default());
        spans.operation.push(operation.unwrap_or_default());
        spans.start.push(since(start_ns, row.start_ns));
        spans.duration.push(row.duration_ns);
        spans.kind.push(columns.kind.get_val(row.doc) as u8);
        spans.status.push(columns.status.get_val(row.doc) as u8);
    }
    Ok(Some(Trace {
        trace_id: key.hex(),
        complete: rows.complete && snapshot.complete,
        start: rfc3339(start_ns),
        start_ns: start_ns.to_string(),
        duration_ns,
        total: total as u64,
        truncated: total > rows.rows.len(),
        services: segments.services.into_texts(),
        operations: segments.operations.into_texts(),
        spans,
        orphan,
    }))
}

/// The span as it was first read, with attributes, events and links. `None`: it is not there.
pub fn span(
    snapshot: &Snapshot,
    trace_id: &str,
    span: &str,
    budget: Budget,
) -> Result<Option<Hit>, SearchError> {
    let key = SpanKey {
        trace: known(trace_id)?,
        span: span_id(span).ok_or_else(|| RequestError::SpanId(shortened(span)))?,
    };
    let schema = Schema::of(Kind::Spans);
    let parts = parts(snapshot)?;
    let mut segments = Segments::new(&schema, &parts, 0);
    let (row, complete) = segments.row(key, budget.deadline())?;
    let Some(row) = row else {
        return none(complete);
    };
    let store = segments
        .reader(&row)
        .get_store_reader(1)
        .map_err(tantivy::TantivyError::from)?;
    let record = read_record(&store, row.doc, row.id, &mut Decoder::default())?;
    let event = Event::parse(&record);
    Ok(Some(Hit::new(&record, &event, row.id)))
}

/// Nothing was found; that nothing is there is known only when all was read.
fn none<T>(complete: bool) -> Result<Option<T>, SearchError> {
    match complete {
        true => Ok(None),
        false => Err(SearchError::OutOfTime),
    }
}

fn known(trace_id: &str) -> Result<TraceKey, RequestError> {
    TraceKey::parse(trace_id).ok_or_else(|| RequestError::TraceId(shortened(trace_id)))
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Each row's parent, and the rows whose parent is not among them. No row is its own ancestor: where spans say
/// so, the first of the circle counts as an orphan.
fn parents(rows: &[Row]) -> (Vec<i32>, Vec<u32>) {
    let places: HashMap<u64, i32> = (0..)
        .zip(rows)
        .map(|(place, row)| (row.span, place))
        .collect();
    let found = rows.iter().map(|row| match row.parent {
        0 => -1,
        parent => places.get(&parent).copied().unwrap_or(-1),
    });
    let mut parents: Vec<i32> = found.collect();
    part_circles(&mut parents);
    let orphan = (0..)
        .zip(rows.iter().zip(&parents))
        .filter(|(_, (row, parent))| row.parent != 0 && **parent < 0)
        .map(|(place, _)| place)
        .collect();
    (parents, orphan)
}

fn part_circles(parents: &mut [i32]) {
    /// Which walk came by a row first; 0 is none.
    fn up(parents: &[i32], row: usize) -> Option<usize> {
        usize::try_from(parents[row]).ok()
    }
    let mut walked = vec![0_u32; parents.len()];
    for (walk, from) in (1..).zip(0..parents.len()) {
        let mut at = Some(from);
        while let Some(row) = at.filter(|row| walked[*row] == 0) {
            walked[row] = walk;
            at = up(parents, row);
        }
        // Back on its own way: a circle, which is walked once more for its first row.
        if let Some(met) = at.filter(|row| walked[*row] == walk) {
            let mut first = met;
            let mut next = up(parents, met);
            while let Some(row) = next.filter(|row| *row != met) {
                first = first.min(row);
                next = up(parents, row);
            }
            parents[first] = -1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_of_parents_are_parted_at_their_first_row() {
        let mut parents = vec![-1, 0, 3, 4, 2, 5, 2, 1];
        part_circles(&mut parents);
        assert_eq!(parents, [-1, 0, -1, 4, 2, -1, 2, 1]);
    }
}
