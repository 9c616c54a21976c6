//! What holds for every input, however odd. The bodies are those of the fuzz targets.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{
    Body, Context, ContextCache, Event, Format, Origin, Record, SourceId, TimestampFrom, limits,
    origin_from_headers, otlp::Signal, token,
};
use proptest::prelude::*;
use serde_json::Value;

#[path = "../fuzz/bodies.rs"]
mod bodies;

/// Bytes that look like the beginnings of log lines, so that the scanners' inner branches are reached.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "2026-01-01",
        "T",
        " ",
        "00:00:00",
        ".123",
        ",",
        "Z",
        "+02:00",
        "Jan",
        "1",
        "17/06/09",
        "[",
        "]",
        "[10/Oct/2000:13:55:36 +0200]",
        "<34>",
        "<191>1 ",
        "- ",
        "1700000000",
        " INFO ",
        "ERROR:",
        "{",
        "}",
        "\"a\":",
        "\"",
        "\\",
        "a=1 ",
        "level=warn ",
        "msg=\"x",
        "=",
        "081109 203615 ",
        "20171223-22:15:29:606|",
        "03-17 16:13:38.811",
        " 1702 ",
        "D Tag: ",
        "host prog[1]: ",
        "I0102 15:04:05.6",
        " 7 f.go:1] ",
        " --- ",
        ":",
        "2005.06.03 ",
        "\t",
        "\r",
        "日",
        "\u{feff}",
        "0",
        "9999999999",
        " | ",
        "@",
        "a.b.C",
        "\\u12",
    ]);
    let piece = prop_oneof![
        8 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(bodies::FORMATS.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(vec![Signal::Logs, Signal::Spans])
}

/// Fields whose numbers and types OTLP has, nested at random: most are well-formed, few are what OTLP means.
fn protobuf() -> impl Strategy<Value = Vec<u8>> {
    let field = |number: u8, kind: u8| number << 3 | kind;
    let leaf = prop_oneof![
        4 => (1..13u8, 0..128u8).prop_map(move |(number, value)| vec![field(number, 0), value]),
        2 => (1..13u8, any::<[u8; 8]>()).prop_map(move |(number, bytes)| [&[field(number, 1)][..], &bytes].concat()),
        2 => (1..13u8, prop::collection::vec(any::<u8>(), 0..17)).prop_map(move |(number, bytes)| {
            [&[field(number, 2), bytes.len() as u8][..], &bytes].concat()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    leaf.prop_recursive(12, 120, 5, move |inner| {
        (1..13u8, prop::collection::vec(inner, 0..6)).prop_map(move |(number, fields)| {
            // Levels and items are fields 1 and 2; so that a request is deep, they come oftenest.
            let content = fields.concat();
            let number = if number > 6 { 1 + number % 2 } else { number };
            let mut out = vec![field(number, 2)];
            let mut len = content.len();
            while len >= 128 {
                out.push(len as u8 | 128);
                len >>= 7;
            }
            out.push(len as u8);
            [out, content].concat()
        })
    })
}

/// Words of OTLP/JSON, right and wrong, inside what makes them items of a request.
fn json() -> impl Strategy<Value = String> {
    let values = prop::sample::select(vec![
        "null",
        "0",
        "-1",
        "1.5",
        "1e3",
        "true",
        "\"12\"",
        "\"\"",
        "\"é\"",
        "[]",
        "{}",
        "[{}]",
        "[null]",
        "18446744073709551616",
        r#"[{"key":"a","value":{"intValue":"1"}}]"#,
        r#"{"stringValue":"x"}"#,
        r#"{"code":2,"message":"m"}"#,
        r#"{"arrayValue":{"values":[{"boolValue":true},{}]}}"#,
        r#""5b8efff798038103d269b633813fc60c""#,
    ]);
    let keys = prop::sample::select(vec![
        "name",
        "kind",
        "traceId",
        "spanId",
        "startTimeUnixNano",
        "timeUnixNano",
        "attributes",
        "events",
        "links",
        "status",
        "body",
        "severityNumber",
        "severityText",
        "flags",
        "unknown",
    ]);
    let pair = (keys, values).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    let item =
        prop::collection::vec(pair, 0..3).prop_map(|pairs| format!("{{{}}}", pairs.join(",")));
    (prop::collection::vec(item, 0..3), any::<bool>()).prop_map(|(items, spans)| {
        let (resource, scope, item) = if spans {
            ("Spans", "Spans", "spans")
        } else {
            ("Logs", "Logs", "logRecords")
        };
        format!(
            r#"{{"resource{resource}":[{{"scope{scope}":[{{"{item}":[{}]}}]}}]}}"#,
            items.join(",")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn parse_is_total_and_keeps_the_line(line in line(), format in format(), arrival: i64) {
        bodies::parse(&line, format, arrival);
    }

    #[test]
    fn parse_is_total_on_arbitrary_bytes(line: Vec<u8>, format in format(), arrival: i64) {
        bodies::parse(&line, format, arrival);
    }

    #[test]
    fn header_decoding_is_total(data: Vec<u8>) {
        bodies::headers(&data);
    }

    #[test]
    fn otlp_protobuf_is_total(data in protobuf(), noise: Vec<u8>, signal in signal()) {
        bodies::otlp_protobuf(&data, signal);
        bodies::otlp_protobuf(&noise, signal);
    }

    #[test]
    fn otlp_json_is_total(text in json(), noise: Vec<u8>, signal in signal()) {
        bodies::otlp_json(text.as_bytes(), signal);
        bodies::otlp_json(&noise, signal);
    }

    #[test]
    fn an_origin_survives_its_headers(
        source: [u8; 16], steps: (u32, u32, u32), continues: bool, true_len: Option<u64>,
        host: String, path: String, service: Option<String>, timezone: Option<String>, format in format(),
    ) {
        let prev = u64::from(steps.0) << 30;
        let offset = prev + u64::from(steps.1);
        let context = Arc::new(Context { host, path, service, format, timezone });
        let end = offset + u64::from(steps.2);
        let source = SourceId(source);
        let origin = Origin { source, prev, offset, end, continues, true_len, context };
        let headers = origin.to_headers();
        let headers = headers.iter().map(|(name, value)| (*name, &**value));
        let decoded = origin_from_headers(headers, &mut ContextCache::new()).unwrap().unwrap();
        prop_assert_eq!(decoded, origin);
    }

    #[test]
    fn tokens_cover_exactly_the_letters_and_digits(text in "(?s)([a-zA-ZÄß0-9ΣİА日の한 .:/-]|.){0,80}") {
        check_tokens(&text);
    }

    #[test]
    fn long_words_are_cut_on_character_borders(unit in "[a日éß]{1,3}", times in 1usize..400) {
        check_tokens(&unit.repeat(times));
    }

    #[test]
    fn a_text_and_its_other_case_have_the_same_words(text in "[a-zA-Zα-ωΑ-Ω0-9 ._-]{0,60}") {
        let words = |text: &str| token::tokens(text).map(|token| token.text.into_owned()).collect::<Vec<_>>();
        prop_assert_eq!(words(&text), words(&text.to_uppercase()));
    }
}

fn check_tokens(text: &str) {
    let tokens: Vec<_> = token::tokens(text).collect();
    let mut at = 0;
    for (position, token) in tokens.iter().enumerate() {
        assert_eq!(token.position, position);
        let skipped = &text[at..token.offset_from];
        assert!(
            !skipped.contains(char::is_alphanumeric),
            "{skipped:?} is in no word"
        );
        let word = &text[token.offset_from..token.offset_to];
        assert!(!word.is_empty() && word.len() <= token::TOKEN_BYTES_MAX);
        assert!(word.chars().all(char::is_alphanumeric), "{word:?}");
        at = token.offset_to;
    }
    assert!(!text[at..].contains(char::is_alphanumeric));
    let lossy: Vec<_> = token::tokens_lossy(text.as_bytes()).collect();
    assert_eq!(lossy, tokens);
}

#[test]
fn the_words_of_known_texts() {
    let words = |text: &str| {
        token::tokens(text)
            .map(|token| token.text.into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words("blk_-160 10.0.0.7 /var/log"),
        ["blk", "160", "10", "0", "0", "7", "var", "log"]
    );
    assert_eq!(
        words("磁盘已满disk9満タンです"),
        [
            "磁", "盘", "已", "满", "disk9", "満", "タ", "ン", "で", "す"
        ]
    );
    assert_eq!(words("Straße ΟΔΟΣ οδος"), ["straße", "οδοσ", "οδοσ"]);
    let long = "x".repeat(600);
    let lengths: Vec<_> = token::tokens(&long)
        .map(|token| (token.position, token.text.len()))
        .collect();
    assert_eq!(lengths, [(0, 255), (1, 255), (2, 90)]);
    let lossy: Vec<_> = token::tokens_lossy(b"caf\xe9 bar")
        .map(|token| token.text.into_owned())
        .collect();
    assert_eq!(lossy, ["caf", "bar"]);
}

fn record(line: &str, format: &str, service: Option<&str>) -> Record {
    let context = Context {
        host: "agent-host".into(),
        path: "/var/log/x".into(),
        service: service.map(str::to_owned),
        format: format.parse().unwrap(),
        timezone: Some("Asia/Shanghai".into()),
    };
    let origin = Origin {
        source: SourceId([1; 16]),
        prev: 0,
        offset: 0,
        end: line.len() as u64,
        continues: true,
        true_len: Some(99),
        context: Arc::new(context),
    };
    Record {
        topic: Arc::from("logs"),
        partition: 0,
        offset: 7,
        timestamp_ms: 1_767_225_600_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: Bytes::copy_from_slice(line.as_bytes()),
        origin: Some(origin),
        headers: Vec::new(),
    }
}

#[test]
fn what_a_line_does_not_say_its_origin_does() {
    let event = Event::parse(&record("hello", "auto", Some("shop")));
    assert_eq!(event.timestamp_ns, 1_767_225_600_000_000_000);
    assert_eq!(event.timestamp_from, TimestampFrom::Arrival);
    assert_eq!(
        (event.host.as_deref(), event.service.as_deref()),
        (Some("agent-host"), Some("shop"))
    );
    assert_eq!(event.path.as_deref(), Some("/var/log/x"));
    assert_eq!(
        (event.body().as_ref(), event.continues, event.truncated_from),
        ("hello", true, Some(99))
    );
    assert!(!event.parse_failed);

    let event = Event::parse(&record("Jan  1 07:00:00 web cron[1]: x", "auto", None));
    assert_eq!(
        event.timestamp_ns, 1_767_222_000_000_000_000,
        "read in the agent's zone"
    );
    assert_eq!(
        (event.host.as_deref(), event.service.as_deref()),
        (Some("web"), Some("cron"))
    );
    let named = Event::parse(&record(
        "Jan  1 07:00:00 web cron[1]: x",
        "syslog",
        Some("shop"),
    ));
    assert_eq!(
        (named.service.as_deref(), &named.attributes["program"]),
        (Some("shop"), &Value::from("cron"))
    );
    let said = Event::parse(&record(r#"{"service":"cart"}"#, "json", Some("shop")));
    assert_eq!(said.service.as_deref(), Some("cart"));
}

#[test]
fn a_line_that_does_not_fit_its_format_is_kept_whole_and_flagged() {
    let line = "2025-01-01 00:00:00 ERROR not what was asked for";
    for format in ["json", "logfmt", r"regex:^(?<level>\d+)$"] {
        let event = Event::parse(&record(line, format, None));
        assert!(event.parse_failed, "{format}");
        assert_eq!(
            (event.body().as_ref(), event.level),
            (line, None),
            "{format}"
        );
        assert_eq!(event.timestamp_from, TimestampFrom::Arrival, "{format}");
        assert!(event.attributes.is_empty(), "{format}");
    }
    let event = Event::parse(&record("no time, no priority", "syslog", None));
    assert!(event.parse_failed && event.attributes.is_empty());
    assert!(!Event::parse(&record(line, "auto", None)).parse_failed);
}

#[test]
fn the_raw_line_is_shared_and_not_copied() {
    let record = record(r#"{"message":"x"}"#, "auto", None);
    let event = Event::parse(&record);
    assert_eq!(event.raw.as_ptr(), record.value.as_ptr());
}

#[test]
fn a_line_of_a_mebibyte_keeps_its_bounds() {
    let long = "a=1 ".repeat(256 * 1024);
    let event = Event::parse(&record(&long, "auto", None));
    assert_eq!(event.attributes.len(), 1);
    let many: String = (0..100_000).map(|n| format!("k{n}={n} ")).collect();
    let event = Event::parse(&record(&many, "logfmt", None));
    assert_eq!(event.attributes.len(), limits::ATTRIBUTES_MAX);
    let brackets = "[".repeat(1 << 20);
    assert_eq!(
        Event::parse(&record(&brackets, "auto", None)).body,
        Body::Raw(0..1 << 20)
    );
}
