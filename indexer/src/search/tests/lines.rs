//! Random log lines, plain and JSON, as records and events.

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Context, Encoding, Event, EventId, Format, Origin, Record, SourceId};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{BASE_NS, Indexed, pick};

pub(super) const WORDS: [&str; 18] = [
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

pub(super) fn line(rng: &mut StdRng) -> Vec<u8> {
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
        encoding: Encoding::Line,
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
