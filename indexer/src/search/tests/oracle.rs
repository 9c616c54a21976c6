//! Hits, total, histogram and pages against a scan of all events with `matches`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use logboom_event::{Context, Encoding, Event, EventId, Origin, Record, SourceId};
use logboom_query::{matches_with_id, parse, parse_in};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    BASE_NS, Indexed, execute,
    lines::events,
    long,
    queries::{clause, query},
    snapshot,
};
use crate::{
    catalog::Snapshot,
    kind::Kind,
    search::{Order, SearchRequest, cursor::Place},
};

#[test]
fn answers_equal_a_scan_with_the_oracle() {
    let one = std::env::var("LOGBOOM_SEED")
        .ok()
        .map(|seed| seed.parse::<u64>().unwrap());
    let cases = std::env::var("LOGBOOM_CASES").map_or(12, |cases| cases.parse().unwrap());
    for seed in one.map_or(0..cases, |seed| seed..seed + 1) {
        println!("LOGBOOM_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let events = events(&mut rng, 150);
        let snapshot = snapshot(&mut rng, &events);
        for _ in 0..60 {
            let q = query(&mut rng, 3);
            compare(&events, &snapshot, &q, &mut rng);
        }
    }
}

#[test]
fn every_clause_alone_equals_a_scan() {
    let mut rng = StdRng::seed_from_u64(99);
    let events = events(&mut rng, 400);
    let snapshot = snapshot(&mut rng, &events);
    let mut found = 0;
    let mut seen = BTreeSet::new();
    for _ in 0..2_000 {
        let q = clause(&mut rng);
        if seen.insert(q.clone()) {
            compare(&events, &snapshot, &q, &mut rng);
            found += u64::from(
                !scanned(
                    Kind::Logs,
                    &events,
                    &q,
                    &(i64::MIN..i64::MAX),
                    Order::Newest,
                )
                .is_empty(),
            );
        }
    }
    assert!(
        found * 10 > seen.len() as u64 * 8,
        "the clauses fit the data: {found} of {}",
        seen.len()
    );
}

#[test]
fn loghub_answers_equal_a_scan() {
    let folder = std::env::var("LOGBOOM_SAMPLES")
        .expect("set LOGBOOM_SAMPLES to a folder with the loghub 2k samples (https://github.com/logpai/loghub)");
    let queries = [
        "error",
        "failed",
        "\"authentication failure\"",
        "blk_*",
        "10.250.*",
        "level:>=warn",
        "level:error -timeout",
        "/authentication failure/",
        "/blk_-?\\d+ of size \\d+/",
        "body:block",
        "NOT level:info",
        "source:*hdfs*",
        "/(?i)exception/ OR fatal",
        "kernel:",
        "*",
        "rhost=*",
        "\"session opened\" OR \"session closed\"",
        "body:/^[A-Z]/",
        "_exists_:level",
    ];
    let mut rng = StdRng::seed_from_u64(1);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
    {
        let context = Arc::new(Context::new("sample", path.to_string_lossy()));
        let bytes = std::fs::read(path).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').take(500);
        let events: Vec<Indexed> = (0..)
            .zip(lines)
            .map(|(offset, line)| {
                let origin = Origin {
                    source: SourceId([1; 16]),
                    prev: 0,
                    offset: 0,
                    end: 0,
                    continues: false,
                    true_len: None,
                    context: Arc::clone(&context),
                };
                let record = Record {
                    topic: Arc::from("logs"),
                    partition: 0,
                    offset,
                    timestamp_ms: BASE_NS / 1_000_000,
                    encoding: Encoding::Line,
                    key: None,
                    value: Bytes::copy_from_slice(line.trim_ascii_end()),
                    origin: Some(origin),
                    headers: Vec::new(),
                };
                let id = EventId {
                    incarnation: 0,
                    partition: 0,
                    offset,
                    index: 0,
                };
                Indexed {
                    event: Event::parse(&record),
                    record,
                    id,
                }
            })
            .collect();
        let snapshot = snapshot(&mut rng, &events);
        for q in queries {
            if parse(q).is_ok() {
                compare(&events, &snapshot, q, &mut rng);
            }
        }
    }
}

pub(super) fn compare(events: &[Indexed], snapshot: &Snapshot, q: &str, rng: &mut StdRng) {
    let from = rng
        .random_bool(0.5)
        .then(|| BASE_NS + rng.random_range(-5..30) * 1_000_000_000);
    let to = rng
        .random_bool(0.5)
        .then(|| from.unwrap_or(BASE_NS) + rng.random_range(1..40) * 1_000_000_000);
    let range = from.unwrap_or(i64::MIN)..to.unwrap_or(i64::MAX);
    let order = if rng.random_bool(0.5) {
        Order::Newest
    } else {
        Order::Oldest
    };
    let expected = scanned(snapshot.kind, events, q, &range, order);
    let whole = SearchRequest {
        q: q.to_owned(),
        from_ns: from,
        to_ns: to,
        limit: 10_000,
        order,
        histogram: Some(7),
        ..SearchRequest::default()
    };
    let answer = execute(snapshot, &whole, long()).unwrap();
    let ids: Vec<EventId> = answer.hits.iter().map(|hit| hit.id).collect();
    assert_eq!(ids, expected, "{q} in {range:?}");
    assert_eq!(
        (answer.total, answer.complete, answer.next),
        (Some(expected.len() as u64), true, None),
        "{q}"
    );
    let counted: u64 = answer
        .histogram
        .unwrap()
        .buckets
        .iter()
        .flat_map(BTreeMap::values)
        .sum();
    assert_eq!(counted, expected.len() as u64, "{q}: histogram");

    let limit = rng.random_range(1..12);
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let request = SearchRequest {
            limit,
            cursor,
            histogram: None,
            ..whole.clone()
        };
        let answer = execute(snapshot, &request, long()).unwrap();
        assert!(answer.hits.len() == limit || answer.next.is_none());
        assert_eq!(answer.total, Some(expected.len() as u64));
        paged.extend(answer.hits.iter().map(|hit| hit.id));
        cursor = answer.next;
        if cursor.is_none() || paged.len() > 40 {
            break;
        }
    }
    assert_eq!(paged, expected[..paged.len()], "{q}: pages of {limit}");
}

/// What a scan says: ids in order.
pub(super) fn scanned(
    kind: Kind,
    events: &[Indexed],
    q: &str,
    range: &Range<i64>,
    order: Order,
) -> Vec<EventId> {
    let query = parse_in(q, Some(kind.name())).unwrap_or_else(|error| panic!("{q}: {error}"));
    let mut places: Vec<Place> = events
        .iter()
        .filter(|indexed| {
            range.contains(&indexed.event.timestamp_ns)
                && matches_with_id(&query, &indexed.event, Some(indexed.id))
        })
        .map(|indexed| Place {
            time_ns: indexed.event.timestamp_ns,
            id: indexed.id,
        })
        .collect();
    places.sort_by(|a, b| order.compare(a, b));
    places.into_iter().map(|place| place.id).collect()
}
