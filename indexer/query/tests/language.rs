//! The language as users meet it: what parses to what, what matches, and what errors say.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::{Body, Event, EventId, Level, Record};
use logboom_query::{Expr, matches, matches_with_id, parse, raw_verdict};

fn event(raw: &str) -> Event {
    let record = Record {
        topic: Arc::from("logs"),
        partition: 0,
        offset: 7,
        timestamp_ms: 1_769_846_400_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: Bytes::copy_from_slice(raw.as_bytes()),
        origin: None,
        headers: Vec::new(),
    };
    let mut event = Event::parse(&record);
    event.level = Some(Level::Error);
    event.service = Some("Checkout-API".to_owned());
    event.host = Some("web-1".to_owned());
    event.path = Some("/var/log/app/checkout.log".to_owned());
    event.timestamp_ns = 1_769_846_400_123_456_789; // 2026-01-31T08:00:00.123456789Z
    event.trace_id = Some([0xab; 16]);
    event.attributes = serde_json::from_str(
        r#"{"status":503,"code":"404","ok":false,"took":1.5,"client":{"ip":"10.0.0.7"},"user.name":"Ada Lovelace",
            "app.kubernetes.io/managed-by":"Helm","tags":["red",{"k":"Blue"}],"nothing":null,"when":"2026-02-01"}"#,
    )
    .unwrap();
    event
}

const LINE: &str = "081109 WARN dfs.DataNode$PacketResponder: Received block blk_-1608 of size 91178 from /10.250.14.224 发生错误";

fn yes(query: &str) {
    let parsed = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert!(
        matches(&parsed, &event(LINE)),
        "`{query}` should match; AST {parsed}"
    );
}

fn no(query: &str) {
    let parsed = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    assert!(
        !matches(&parsed, &event(LINE)),
        "`{query}` should not match; AST {parsed}"
    );
}

fn message(query: &str) -> String {
    parse(query)
        .err()
        .unwrap_or_else(|| panic!("`{query}` should be refused"))
        .to_string()
}

#[test]
fn words_and_phrases_search_the_raw_line() {
    for query in [
        "received",
        "RECEIVED block",
        "\"received block\"",
        "blk_-1608",
        "10.250.14.224",
        "错误",
        "*",
        "",
    ] {
        yes(query);
    }
    for query in [
        "receive",
        "\"block received\"",
        "blk_1607",
        "10.250.224",
        "误错",
    ] {
        no(query);
    }
}

#[test]
fn wildcards_stay_within_a_token() {
    yes("rec*ved");
    yes("blk_-16??");
    yes("10.250.*.224");
    yes("\"rec* block\"");
    yes("错*");
    no("rec*block");
    no("blk_-16?");
    no("10.250.*.14.224");
}

#[test]
fn operators_bind_not_before_and_before_or() {
    yes("received block");
    yes("nope OR received block");
    no("nope OR received nope");
    yes("(nope OR received) block");
    yes("received -nope");
    yes("received NOT nope");
    no("-received");
    yes("NOT -received");
    yes("received AND NOT (nope OR neither)");
    yes("and OR nope OR received");
}

#[test]
fn fields_compare_the_whole_value_without_case() {
    yes("service:checkout-api");
    no("service:checkout");
    yes("service:checkout*");
    yes("host:web-?");
    yes("source:/var/log/app/checkout.log");
    yes("path:*checkout.log");
    yes("source:/checkout\\.log$/");
    no("source:/Checkout/");
    yes("source:/(?i)CHECKOUT/");
    yes("user.name:\"ada lovelace\"");
    no("user.name:ada");
    yes("app.kubernetes.io/managed-by:helm");
    yes("client.ip:10.0.0.7");
    yes("attributes.client.ip:10.0.0.7");
    yes("trace_id:abababababababababababababababab");
    yes("trace_id:ABAB*");
    yes("tags:red");
    yes("tags.k:blue");
    yes("service:(other OR checkout-api)");
    no("service:(other OR another)");
}

#[test]
fn numbers_and_booleans_compare_by_value() {
    yes("status:503");
    yes("status:503.0");
    yes("status:>=500");
    yes("status:[500 TO 503]");
    no("status:[500 TO 503}");
    no("status:>503");
    yes("status:5*");
    yes("code:404");
    yes("code:>=404");
    no("code:>404");
    yes("took:>1.25");
    yes("ok:false");
    no("ok:true");
    no("user.name:>5");
    yes("when:>=2026-01-31");
    yes("when:[2026-02-01 TO *]");
    yes("status:(>=500 <504)");
}

#[test]
fn levels_compare_by_order_and_synonym() {
    yes("level:error");
    yes("level:ERR");
    yes("level:>=warn");
    yes("level:>=warning");
    no("level:>error");
    no("level:<error");
    yes("level:[warn TO error]");
    yes("level:err*");
    yes("level:(info OR error)");
}

#[test]
fn existence_follows_null_and_objects() {
    yes("_exists_:status");
    yes("_exists_:client");
    yes("_exists_:user");
    yes("status:*");
    no("_exists_:nothing");
    no("_exists_:span_id");
    yes("_exists_:trace_id");
    yes("NOT _exists_:missing.path");
}

#[test]
fn timestamps_are_as_wide_as_they_are_written() {
    yes("timestamp:2026-01-31");
    yes("@timestamp:\"2026-01-31 08:00\"");
    yes("timestamp:<=2026-01-31T08:00:00Z");
    no("timestamp:<2026-01-31T08:00:00Z");
    no("timestamp:>2026-01-31");
    yes("timestamp:[2026-01-31 TO 2026-02-01}");
    yes("timestamp:>=2026-01-31T10:00:00.123+02:00");
    yes("timestamp:1769846400");
}

#[test]
fn regexes_run_on_the_raw_line() {
    yes("/blk_-\\d+ of size/");
    yes("/^081109 [A-Z]+/");
    no("/received/");
    yes("/(?i)received/");
    yes("/from \\/10\\./");
    yes("body:/Received/");
    yes("tags:/^re/");
    yes("(/Received/)");
}

#[test]
fn slashes_times_urls_and_code_are_words() {
    let line = event(
        "GET http://host/a/b at 12:30:45 in /var/log/x foo(bar) [ERROR] C:\\Windows\\System32",
    );
    for query in [
        "/var/log",
        "12:30:45",
        "http://host/a",
        "foo(bar)",
        "[ERROR]",
        "C:\\Windows",
        "(foo(bar) OR x)",
        "/var",
    ] {
        assert!(
            matches(&parse(query).unwrap(), &line),
            "{query} = {}",
            parse(query).unwrap()
        );
    }
    assert!(!matches(&parse("/var/lib").unwrap(), &line));
}

#[test]
fn body_is_only_the_message() {
    let mut line = event("host app: disk full");
    line.body = Body::Raw(10..19);
    let matched = |query: &str| matches(&parse(query).unwrap(), &line);
    assert!(matched("body:disk") && matched("body:\"disk full\"") && matched("body:d*k"));
    assert!(!matched("body:app") && matched("app"));
    line.body = Body::Owned("unescaped text".to_owned());
    assert!(matches(&parse("body:(unescaped text)").unwrap(), &line));
}

#[test]
fn ids_match_only_where_they_are_known() {
    let query = parse("id:0-3-7-0").unwrap();
    let id = EventId {
        incarnation: 0,
        partition: 3,
        offset: 7,
        index: 0,
    };
    assert!(matches_with_id(&query, &event(LINE), Some(id)));
    assert!(!matches(&query, &event(LINE)));
}

#[test]
fn the_raw_line_may_settle_a_query_alone() {
    let verdict = |query: &str| raw_verdict(&parse(query).unwrap(), LINE);
    assert_eq!(verdict("received /blk/"), Some(true));
    assert_eq!(verdict("nope service:x"), Some(false));
    assert_eq!(verdict("received service:x"), None);
    assert_eq!(verdict("received OR service:x"), Some(true));
    assert_eq!(verdict("NOT (nope service:x)"), Some(true));
}

#[test]
fn an_index_is_taken_out_of_the_expression() {
    let query = parse("index:_logboom level:error").unwrap();
    assert_eq!(query.index.as_deref(), Some("_logboom"));
    assert!(matches!(query.expr, Expr::Clause(_)));
    assert_eq!(parse("index:logs").unwrap().expr, Expr::All);
    assert!(message("a OR index:logs").contains("chooses the index"));
    assert!(message("index:logs OR a").contains("chooses the index"));
    assert!(message("-index:logs").contains("chooses the index"));
    assert!(message("index:a index:b").contains("second index"));
}

#[test]
fn errors_name_the_clause_the_column_and_the_remedy() {
    assert_eq!(
        message("level:"),
        "`level:` at column 1 has no value; write e.g. `level:error` without a space, or quote it to search for the text"
    );
    let error = parse("错误 status: x").unwrap_err();
    assert!(
        error
            .message
            .starts_with("`status:` at column 4 has no value"),
        "{error}"
    );
    assert_eq!(error.span, 7..14);
    for (query, part) in [
        (
            "level:banana",
            "levels are trace, debug, info, warn, error, fatal",
        ),
        ("a || b", "write `OR`"),
        ("a && b", "write `AND`"),
        ("(a", "`(` at column 1 is never closed"),
        ("a)", "`)` at column 2 closes nothing"),
        ("()", "is empty"),
        ("\"abc", "without a closing one"),
        ("AND a", "nothing on its left"),
        ("OR a", "nothing on its left"),
        ("a OR", "nothing on its right"),
        ("a AND", "nothing on its right"),
        ("NOT", "nothing on its right"),
        ("a -", "negates nothing"),
        ("\\*", "no letter or digit"),
        ("-->", "no letter or digit"),
        ("\"\"", "no letter or digit"),
        ("/a(?=b)/", "look-around"),
        ("/(a/", "is not a valid regex: unclosed group (column 2)"),
        ("x:[1 TO", "compares with nothing"),
        ("x:[1 2]", "is not a range"),
        ("x:[1 TO 2", "without its end"),
        ("x:>=", "compares with nothing"),
        ("raw:>5", "cannot be compared by order"),
        ("timestamp:now-1h", "needs a time"),
        ("timestamp:2026*", "cannot take a wildcard"),
        ("id:7", "is no event id"),
        ("_exists_:", "has no value"),
        ("_exists_:a*", "needs one field's name"),
        ("level:>fatal", "contains no level"),
    ] {
        let message = message(query);
        assert!(message.contains(part), "{query}: {message}");
    }
}

/// Found by the fuzzer: only a letter names a drive (`C:\…`), `_` is a field.
#[test]
fn an_escape_after_a_field_of_one_sign_is_its_value() {
    for text in [r"_:\:a*b", r"@:\:a*b"] {
        let query = parse(text).unwrap();
        assert_eq!(parse(&query.to_string()).unwrap(), query, "{query}");
        assert!(
            matches!(&query.expr, Expr::Clause(clause) if clause.field != logboom_query::Field::Raw)
        );
    }
}

#[test]
fn hostile_sizes_are_refused() {
    assert!(message(&"(".repeat(10_000)).contains("nests deeper"));
    assert!(
        message(&"NOT ".repeat(4_000)).contains("nests deeper")
            || message(&"NOT ".repeat(4_000)).contains("right")
    );
    assert!(message(&"a ".repeat(9_000)).contains("bytes"));
    assert!(message(&"a ".repeat(2_000)).contains("one clause too many"));
    assert!(message(&"/a/ ".repeat(20)).contains("one regex too many"));
    assert!(message("/(a{1000}){1000}/").contains("too large"));
    assert!(message(&format!("\"{}\"", "a ".repeat(300))).contains("words in sequence"));
}
