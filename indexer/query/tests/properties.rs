//! What holds for every text and every AST.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Event, Level, Record};
use logboom_query::{Query, SPANS, matches, parse, parse_in};
use proptest::prelude::*;

/// The body of `fuzz/fuzz_targets/parse.rs`.
fn parse_never_panics_and_reads_back(text: &str) {
    for index in [None, Some(SPANS)] {
        if let Ok(query) = parse_in(text, index) {
            let shown = query.to_string();
            let again = parse_in(&shown, index)
                .unwrap_or_else(|error| panic!("{text:?} → {shown:?}: {error}"));
            assert_eq!(again, query, "{text:?} → {shown:?} → {again}");
        }
    }
}

fn clause() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "",
        "raw:",
        "body:",
        "level:",
        "service:",
        "host:",
        "source:",
        "timestamp:",
        "trace_id:",
        "id:",
        "status:",
        "a.b:",
        "attributes.level:",
        "attributes.attributes.x:",
        "we\\ ird:",
        "_exists_:",
        "index:",
        "c:",
        "kind:",
        "duration:",
        "attributes.duration:",
        "name:",
        "parent_id:",
        "events.name:",
        "events.we\\ ird:",
        "links.trace_id:",
        "app.k8s.io/x-y:",
        "错:",
    ]);
    let value = prop_oneof![
        "[a-cA-C0-9_.\\-*?\\\\:/ ]{1,8}",
        "\"[a-cA 0-9*?\\\\.错]{0,8}\"",
        "/[a-c.+\\\\d(|)]{1,6}/",
        "(>=|>|<|<=)(-?[0-9]{1,3}(\\.[0-9])?|warn|error|2026-01-31|\"[a-c]\")",
        "[\\[{](\\*|[0-9]{1,3}|info|2026-01-31) TO (\\*|[0-9]{1,3}|error|\"2026-02-01 10:00\")[\\]}]",
        Just("error".to_owned()),
        Just("server".to_owned()),
        "(|>=|<)[0-9]{1,2}(\\.[0-9])?(ns|us|ms|s|m|h|d|xs|m5s)",
        Just("0-1-2-3".to_owned()),
        Just("*".to_owned()),
        "[\\PC]{1,5}",
    ];
    (field, value).prop_map(|(field, value)| format!("{field}{value}"))
}

fn query_text() -> impl Strategy<Value = String> {
    clause().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} AND {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.clone().prop_map(|a| format!("NOT {a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("status:({a})")),
        ]
    })
}

/// Often well formed, now and then not.
fn pipes() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "service",
        "status",
        "duration",
        "name",
        "a.b",
        "\"0 x\"",
        "we\\ ird",
        "timestamp",
        "attributes.kind",
        "events.x",
        "c",
        "by",
    ]);
    let alias = prop_oneof![
        6 => Just(""),
        1 => Just(" as \"a | b\""),
        1 => Just(" as by"),
        1 => Just(" as \"count()\""),
        1 => Just(" as n"),
    ];
    let function = prop::sample::select(vec![
        "count",
        "count_distinct",
        "sum",
        "avg",
        "min",
        "max",
        "p50",
        "p99.9",
        "quantile(0.5,",
        "median",
    ]);
    let call = prop_oneof![
        Just("count()".to_owned()),
        (function, field.clone()).prop_map(|(function, field)| match function.strip_suffix(',') {
            Some(quantile) => format!("{quantile}, {field})"),
            None => format!("{function}({field})"),
        }),
    ];
    let aggregate =
        (call.clone(), alias.clone()).prop_map(|(call, alias)| format!("{call}{alias}"));
    let bin = "bin\\( ?timestamp ?, ?[1-9][0-9]?(ms|s|m|h|d)\\)";
    let key = prop_oneof![field.clone().prop_map(str::to_owned), bin];
    let group = (key.clone(), alias).prop_map(|(key, alias)| format!("{key}{alias}"));
    let groups = prop::collection::vec(group, 0..3).prop_map(|groups| {
        let by = if groups.is_empty() { "" } else { " by " };
        format!("{by}{}", groups.join(", "))
    });
    let stats =
        (prop::collection::vec(aggregate, 0..3), groups).prop_map(|(aggregates, groups)| {
            let named = ["count() as n".to_owned()];
            let all: Vec<String> = named.into_iter().chain(aggregates).collect();
            format!(" | stats {}{groups}", all.join(","))
        });
    let column = prop_oneof![
        4 => Just("n".to_owned()),
        1 => call,
        1 => key,
        1 => Just("\"a | b\"".to_owned()),
    ];
    let sort = prop::collection::vec(("[-+]?", column), 1..3).prop_map(|columns| {
        let columns: Vec<String> = columns
            .into_iter()
            .map(|(sign, name)| sign + &name)
            .collect();
        format!("| sort {}", columns.join(" , "))
    });
    let more = prop_oneof![
        4 => sort,
        2 => "\\| ?limit [1-9][0-9]{0,4}",
        1 => "\\|[a-z |(]{0,6}",
    ];
    (stats, prop::collection::vec(more, 0..3)).prop_map(|(stats, more)| stats + &more.join(" "))
}

fn event() -> impl Strategy<Value = Event> {
    (
        "([abcABC019 _.:错误/-]|error ){0,20}",
        0..7_usize,
        prop::option::of("[a-c]{1,3}"),
        0..600_i64,
    )
        .prop_map(|(raw, level, service, status)| {
            let record = Record {
                topic: Arc::from("logs"),
                partition: 0,
                offset: 0,
                timestamp_ms: 1_769_846_400_000,
                encoding: logboom_event::Encoding::Line,
                key: None,
                value: Bytes::from(raw),
                origin: None,
                headers: Vec::new(),
            };
            let mut event = Event::parse(&record);
            event.level = Level::ALL.get(level).copied();
            event.service = service;
            event.attributes = serde_json::from_value(
                serde_json::json!({"status": status, "a": {"b": ["x", status]}}),
            )
            .unwrap();
            event
        })
}

fn parsed(text: &str) -> Result<Query, TestCaseError> {
    parse(text).map_err(|_| TestCaseError::reject("not a query"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_global_rejects: 200_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC{0,40}") {
        parse_never_panics_and_reads_back(&text);
    }

    #[test]
    fn text_of_the_language_s_own_characters_too(text in "([a-c:/\\\\\"()\\[\\]{}*?|<>=. -]|AND |OR |NOT | TO |level:|错|index:){0,24}") {
        parse_never_panics_and_reads_back(&text);
    }

    #[test]
    fn well_formed_queries_read_back(text in query_text()) {
        parse_never_panics_and_reads_back(&text);
    }

    #[test]
    fn queries_with_pipes_read_back(filter in query_text(), pipes in pipes()) {
        parse_never_panics_and_reads_back(&format!("{filter}{pipes}"));
        parse_never_panics_and_reads_back(&pipes);
    }

    #[test]
    fn boolean_algebra_holds(a in query_text(), b in query_text(), event in event()) {
        let (left, right) = (parsed(&a)?, parsed(&b)?);
        prop_assume!(left.index.is_none() && right.index.is_none());
        // Texts cannot be put between parentheses as they are: one may end in a backslash.
        let (a, b) = (left.to_string(), right.to_string());
        let (l, r) = (matches(&left, &event), matches(&right, &event));
        let holds = |text: String| matches(&parse(&text).unwrap(), &event);
        prop_assert_eq!(holds(format!("({a}) AND ({b})")), l && r);
        prop_assert_eq!(holds(format!("({a}) ({b})")), l && r);
        prop_assert_eq!(holds(format!("({a}) OR ({b})")), l || r);
        prop_assert_eq!(holds(format!("NOT ({a})")), !l);
        prop_assert_eq!(holds(format!("NOT (({a}) OR ({b}))")), !l && !r);
    }
}
