//! The index against the oracle: what [`execute`] answers equals a scan of all events with
//! `matches`, for random events and random queries. Failures print their seed; `LOGBOOM_SEED` runs
//! one, `LOGBOOM_CASES` more of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Context, Event, EventId, Format, Origin, Record, SourceId};
use logboom_query::{matches_with_id, parse, parse_in};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tantivy::directory::RamDirectory;
use tantivy::{Index, Searcher, SingleSegmentIndexWriter, TantivyDocument};
use ulid::Ulid;

pub(crate) mod otlp;

use super::*;
use crate::catalog::OpenSplit;
use crate::kind::Kind;
use crate::schema::{Schema, register_tokenizers, time_ns};
use crate::tables::SplitMeta;

pub(crate) const BASE_NS: i64 = 1_769_846_400_000_000_000; // 2026-01-31T08:00:00Z

pub(crate) struct Indexed {
    pub(crate) record: Record,
    pub(crate) event: Event,
    pub(crate) id: EventId,
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

const WORDS: [&str; 18] = [
    "error",
    "Error",
    "failed",
    "password",
    "blk_-160",
    "10.0.0.7",
    "/var/log/app",
    "错误",
    "发生错误",
    "naïve",
    "ＡＢＣ",
    "x",
    "status=503",
    "user:root",
    "connection-reset",
    "a_b",
    "Übung",
    "42",
];

fn line(rng: &mut StdRng) -> Vec<u8> {
    let words = rng.random_range(0..8);
    let mut text: Vec<String> = (0..words).map(|_| pick(rng, &WORDS).to_owned()).collect();
    match rng.random_range(0..24) {
        0 => text.push("y".repeat(rng.random_range(250..300)) + "errorz"),
        1 => text.push("z".repeat(600)),
        2 => text.push("é".repeat(200)),
        _ => {}
    }
    let mut bytes = text
        .join(pick(rng, &[" ", " ", "  ", ": ", "\t", "-"]))
        .into_bytes();
    if rng.random_range(0..20) == 0 {
        bytes.extend_from_slice(b" \xff\xfe bad");
    }
    bytes
}

fn json_line(rng: &mut StdRng) -> Vec<u8> {
    let message = format!(
        "{}{}{}",
        pick(rng, &WORDS),
        pick(rng, &[" ", "\n", "\"", "\\"]),
        pick(rng, &WORDS)
    );
    let long = pick(rng, &["short", "LONG"]).to_owned()
        + &pick(rng, &["", "v", "错"]).repeat(rng.random_range(0..400));
    let status = rng.random_range(398..505);
    let value = match rng.random_range(0..6) {
        0 => {
            serde_json::json!({"level": pick(rng, &["info", "WARN", "error", "fatal"]), "message": message, "status": status})
        }
        1 => {
            serde_json::json!({"msg": message, "status": status.to_string(), "a": {"b": pick(rng, &["x", "Y", "error"]), "c": [1, "two", {"d": true}]}})
        }
        2 => {
            serde_json::json!({"message": message, "a.b": f64::from(status) / 2.0, "ok": rng.random_bool(0.5), "empty": null})
        }
        3 => serde_json::json!({"message": message, "stack": long, "a": {"b": {"c": status}}}),
        4 => {
            serde_json::json!({"level": "debug", "stack": long, "trace_id": format!("{:032x}", rng.random_range(0_u128..4))})
        }
        _ => {
            serde_json::json!({"message": "时间 错误", "service": pick(rng, &["api", "Web"]), "tags": [pick(rng, &["red", "Blue"]), status]})
        }
    };
    value.to_string().into_bytes()
}

fn record(rng: &mut StdRng, offset: i64) -> Record {
    let (value, format) = match rng.random_range(0..5) {
        0..2 => (line(rng), Format::Auto),
        2..4 => (json_line(rng), Format::Auto),
        _ => {
            let level = pick(rng, &["INFO", "ERROR", "WARN", "DEBUG"]);
            let rest = String::from_utf8_lossy(&line(rng)).into_owned();
            (
                format!(
                    "2026-01-31 08:00:{:02},123 {level} app.Main: {rest}",
                    rng.random_range(0..60)
                )
                .into_bytes(),
                Format::Auto,
            )
        }
    };
    let context = Context {
        host: pick(rng, &["web-1", "WEB-2", "db"]).to_owned(),
        path: format!("/var/log/{}.log", pick(rng, &["app", "Sys", "错误"])),
        service: [None, Some("checkout".to_owned()), Some("Pay".to_owned())]
            .choose(rng)
            .cloned()
            .flatten(),
        format,
        timezone: None,
    };
    let origin = rng.random_bool(0.7).then(|| Origin {
        source: SourceId([7; 16]),
        prev: 0,
        offset: 10,
        end: 20,
        continues: false,
        true_len: None,
        context: Arc::new(context),
    });
    Record {
        topic: Arc::from("logs"),
        partition: rng.random_range(0..3),
        offset,
        // Few distinct times: ties must break by id.
        timestamp_ms: BASE_NS / 1_000_000 + rng.random_range(0..40) * 1_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: Bytes::from(value),
        origin,
        headers: Vec::new(),
    }
}

pub(crate) fn events(rng: &mut StdRng, count: i64) -> Vec<Indexed> {
    (0..count)
        .map(|offset| {
            let record = record(rng, offset);
            let id = EventId {
                incarnation: rng.random_range(0..2),
                partition: record.partition,
                offset,
                index: 0,
            };
            Indexed {
                event: Event::parse(&record),
                record,
                id,
            }
        })
        .collect()
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

fn clause(rng: &mut StdRng) -> String {
    let words = [
        "error",
        "FAILED",
        "\"failed password\"",
        "blk_-160",
        "10.0.0.7",
        "10.0.*.7",
        "错误",
        "\"发生错误\"",
        "err*",
        "*r",
        "fa?led",
        "/var/log",
        "naïve",
        "na*",
        "user:root",
        "\"user:root\"",
        "conn*-reset",
        "\"status=503\"",
        "x",
        "错*",
        "y*",
        "*errorz",
        "503",
        "ａｂｃ",
        "übung",
        "blk_*",
        "\"blk_ *60\"",
        "\"* error\"",
        "missing",
    ];
    let fields = [
        "level:error",
        "level:>=warn",
        "level:<info",
        "level:e*",
        "level:/rr/",
        "_exists_:level",
        "service:checkout",
        "service:PAY",
        "service:p*",
        "service:/P/",
        "host:web-?",
        "host:\"WEB-1\"",
        "host:>=web",
        "source:/var/log/app.log",
        "source:*错误*",
        "path:/sys/",
        "path:/(?i)SYS/",
        "status:404",
        "status:\"404\"",
        "status:>=450",
        "status:[400 TO 420}",
        "status:>400.5",
        "status:40*",
        "status:/^4/",
        "a.b:x",
        "a.b:y",
        "a.b:>210",
        "a.b.c:>=450",
        "a.c:two",
        "a.c:1",
        "a.c.d:true",
        "ok:true",
        "ok:false",
        "_exists_:a",
        "_exists_:a.b",
        "_exists_:empty",
        "_exists_:stack",
        "stack:short*",
        "stack:*v",
        "stack:/vvv$/",
        "stack:/^LONG(v|错)+$/",
        "stack:>=m",
        "tags:red",
        "tags:blue",
        "tags:>450",
        "trace_id:00000000000000000000000000000001",
        "trace_id:*2",
        "NOT _exists_:trace_id",
        "body:error",
        "body:\"错误\"",
        "body:failed*",
        "body:/error/",
        "body:/^error/",
        "body:main",
        "raw:error",
        "timestamp:>=2026-01-31T08:00:20Z",
        "timestamp:\"2026-01-31 08:00\"",
        "id:0-1-3-0",
        "id:1-0-5-0",
        "attributes.status:404",
        "message:error",
    ];
    let regexes = [
        "/error/",
        "/(?i)ERROR/",
        "/failed password/",
        "/failed\\s+pass/",
        "/^error/",
        "/10\\.0\\.0\\.\\d/",
        "/错误/",
        "/blk_-\\d+/",
        "/(error|failed).*42/",
        "/yerrorz/",
        "/z{5}/",
        "/[^a-z]503/",
        "/user:(root|admin)$/",
        "/\\bx\\b/",
        "/./",
        "/^$/",
        "/\\x{FFFD}/",
        "/é{100}/",
        "/[Ee]rror: /",
        "/pass|fail/",
    ];
    match rng.random_range(0..20) {
        0..8 => pick(rng, &words).to_owned(),
        8..16 => pick(rng, &fields).to_owned(),
        16..19 => pick(rng, &regexes).to_owned(),
        _ => "*".to_owned(),
    }
}

fn query(rng: &mut StdRng, depth: u32) -> String {
    if depth == 0 || rng.random_bool(0.35) {
        return clause(rng);
    }
    let (a, b) = (query(rng, depth - 1), query(rng, depth - 1));
    match rng.random_range(0..5) {
        0 | 1 => format!("({a}) ({b})"),
        2 => format!("({a}) OR ({b})"),
        3 => format!("NOT ({a})"),
        _ => format!("({a}) -({b})"),
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

/// What a scan says: ids in order.
fn scanned(
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

fn compare(events: &[Indexed], snapshot: &Snapshot, q: &str, rng: &mut StdRng) {
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
    let mut seen = std::collections::BTreeSet::new();
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
        let context = Arc::new(Context {
            host: "sample".to_owned(),
            path: path.to_string_lossy().into_owned(),
            service: None,
            format: Format::Auto,
            timezone: None,
        });
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
                    encoding: logboom_event::Encoding::Line,
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

/// What a sender writes that means `never`.
#[test]
fn an_event_at_the_last_instant_is_found() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut events = events(&mut rng, 1);
    events[0].event.timestamp_ns = i64::MAX;
    for (splits, hot) in [
        (vec![split(&events)], Vec::new()),
        (Vec::new(), vec![segment(&events)]),
    ] {
        let snapshot = Snapshot {
            splits,
            hot,
            complete: true,
            ..Snapshot::default()
        };
        let found = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
        assert_eq!((found.total, found.hits.len()), (Some(1), 1));
    }
}

#[test]
fn an_exhausted_budget_is_told_and_never_miscounts() {
    let mut rng = StdRng::seed_from_u64(5);
    let events = events(&mut rng, 50);
    let snapshot = snapshot(&mut rng, &events);
    let request = SearchRequest {
        q: "/error/".to_owned(),
        ..SearchRequest::default()
    };
    let answer = execute(&snapshot, &request, Budget::within(Duration::ZERO)).unwrap();
    assert_eq!(
        (answer.total, answer.complete, answer.next),
        (None, false, None)
    );
}

#[test]
fn an_unfinished_snapshot_is_told() {
    let snapshot = Snapshot::default();
    let answer = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
    assert_eq!((answer.total, answer.complete), (None, false));
}

#[test]
fn pages_stay_put_while_events_arrive() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut events = events(&mut rng, 120);
    let later = events.split_off(60);
    let before = Snapshot {
        kind: Kind::Logs,
        splits: vec![split(&events)],
        hot: Vec::new(),
        complete: true,
    };
    let request = SearchRequest {
        limit: 10,
        ..SearchRequest::default()
    };
    let first = execute(&before, &request, long()).unwrap();
    let shown: Vec<EventId> = first.hits.iter().map(|hit| hit.id).collect();
    let after = Snapshot {
        hot: vec![segment(&later)],
        ..before
    };
    let second = execute(
        &after,
        &SearchRequest {
            cursor: first.next,
            limit: 200,
            ..request
        },
        long(),
    )
    .unwrap();
    let rest: Vec<EventId> = second.hits.iter().map(|hit| hit.id).collect();
    assert!(
        shown.iter().all(|id| !rest.contains(id)),
        "nothing is shown twice"
    );
    assert!(
        events
            .iter()
            .all(|indexed| shown.contains(&indexed.id) || rest.contains(&indexed.id)),
        "nothing is skipped"
    );
}

#[test]
fn hits_say_all_that_is_known() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut one = events(&mut rng, 1);
    let record = &mut one[0].record;
    record.value = Bytes::from_static(b"caf\xe9 {");
    one[0].event = Event::parse(&one[0].record);
    let snapshot = Snapshot {
        kind: Kind::Logs,
        splits: vec![split(&one)],
        hot: Vec::new(),
        complete: true,
    };
    let answer = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
    let hit = &answer.hits[0];
    assert_eq!(*hit, Hit::new(&one[0].record, &one[0].event, one[0].id));
    assert_eq!(hit.raw_base64.as_deref(), Some("Y2Fm6SB7"));
    let json = serde_json::to_value(hit).unwrap();
    assert_eq!(serde_json::from_value::<Hit>(json).unwrap(), *hit);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let snapshot = Snapshot::default();
    let refuse = |request: SearchRequest| {
        execute(&snapshot, &request, long())
            .unwrap_err()
            .to_string()
    };
    let request = SearchRequest::default;
    assert!(
        refuse(SearchRequest {
            q: "level:".to_owned(),
            ..request()
        })
        .contains("`level:` at column 1")
    );
    assert_eq!(
        refuse(SearchRequest {
            limit: 10_001,
            ..request()
        }),
        "`limit` is 10001; it can be 0 to 10000"
    );
    assert!(
        refuse(SearchRequest {
            cursor: Some("junk".to_owned()),
            ..request()
        })
        .contains("start again without it")
    );
    assert!(
        refuse(SearchRequest {
            histogram: Some(0),
            ..request()
        })
        .contains("1 to 2000")
    );
    assert!(
        refuse(SearchRequest {
            from_ns: Some(5),
            to_ns: Some(5),
            ..request()
        })
        .contains("`from` is not before `to`")
    );
}
