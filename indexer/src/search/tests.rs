//! The index against the oracle: what [`execute`] answers equals a scan of all events with
//! `matches`, for random events and random queries. Failures print their seed; `LOGBOOM_SEED` runs
//! one, `LOGBOOM_CASES` more of them.

mod answers;
mod lines;
mod oracle;
pub(crate) mod otlp;
mod queries;

use std::{sync::Arc, time::Duration};

use logboom_event::{Event, EventId, Record};
use logboom_query::parse_in;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tantivy::{
    Index, Searcher, SingleSegmentIndexWriter, TantivyDocument, directory::RamDirectory,
};
use ulid::Ulid;

pub(crate) use self::lines::events;
use super::{Budget, SearchError, SearchRequest, SearchResponse};
use crate::{
    catalog::{OpenSplit, Snapshot},
    kind::Kind,
    schema::{Schema, register_tokenizers, time_ns},
    tables::SplitMeta,
};

pub(crate) const BASE_NS: i64 = 1_769_846_400_000_000_000; // 2026-01-31T08:00:00Z

pub(crate) struct Indexed {
    pub(crate) record: Record,
    pub(crate) event: Event,
    pub(crate) id: EventId,
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

fn segment(events: &[Indexed]) -> Searcher {
    segment_of(Kind::Logs, events)
}

pub(crate) fn segment_of(kind: Kind, events: &[Indexed]) -> Searcher {
    let schema = Schema::of(kind);
    let prototype = Index::create_in_ram(schema.tantivy());
    register_tokenizers(&prototype);
    let mut writer: SingleSegmentIndexWriter<TantivyDocument> = Index::builder()
        .schema(schema.tantivy())
        .tokenizers(prototype.tokenizers().clone())
        .single_segment_index_writer(RamDirectory::create(), 20 << 20)
        .unwrap();
    for Indexed { record, event, id } in events {
        writer
            .add_document(schema.document(record, event, *id))
            .unwrap();
    }
    let mut index = writer.finalize().unwrap();
    index.set_tokenizers(prototype.tokenizers().clone());
    index.reader().unwrap().searcher()
}

fn split(events: &[Indexed]) -> Arc<OpenSplit> {
    split_of(Kind::Logs, events)
}

pub(crate) fn split_of(kind: Kind, events: &[Indexed]) -> Arc<OpenSplit> {
    let times = || events.iter().map(|indexed| time_ns(&indexed.event));
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    Arc::new(OpenSplit {
        id: Ulid::from_parts(1, 1),
        searcher: segment_of(kind, events),
        time_range: first..=last,
        docs: events.len() as u64,
        meta: SplitMeta {
            id: Ulid::from_parts(1, 1),
            index: "logs".into(),
            format: 1,
            day: 0,
            docs: events.len() as u64,
            raw_bytes: 0,
            file_bytes: 0,
            generation: 0,
            arrival_max_ms: 0,
            time_min_ns: first,
            time_max_ns: last,
        },
    })
}

fn snapshot(rng: &mut StdRng, events: &[Indexed]) -> Snapshot {
    snapshot_of(Kind::Logs, rng, events)
}

/// Several splits, several hot segments, one of them empty.
pub(crate) fn snapshot_of(kind: Kind, rng: &mut StdRng, events: &[Indexed]) -> Snapshot {
    let mut cuts: Vec<usize> = (0..4).map(|_| rng.random_range(0..=events.len())).collect();
    cuts.extend([0, events.len()]);
    cuts.sort_unstable();
    let pieces: Vec<&[Indexed]> = cuts
        .windows(2)
        .map(|ends| &events[ends[0]..ends[1]])
        .collect();
    Snapshot {
        kind,
        splits: pieces[..2]
            .iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| split_of(kind, piece))
            .collect(),
        hot: pieces[2..]
            .iter()
            .map(|piece| segment_of(kind, piece))
            .chain([segment_of(kind, &[])])
            .collect(),
        complete: true,
    }
}

/// As the server does it.
fn execute(
    snapshot: &Snapshot,
    request: &SearchRequest,
    budget: Budget,
) -> Result<SearchResponse, SearchError> {
    let query = parse_in(&request.q, Some(snapshot.kind.name()))?;
    super::execute(snapshot, &query, request, budget)
}

fn long() -> Budget {
    Budget::within(Duration::from_secs(600))
}
