//! What is accepted, and the words of what is refused.

use super::*;

fn load_text(text: &str) -> Result<RuleSet, RuleErrors> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, text).unwrap();
    load(&[dir.path().to_owned()])
}

/// The errors without the folder's name.
fn errors(text: &str) -> String {
    let shown = load_text(text).unwrap_err().to_string();
    shown
        .lines()
        .map(|line| {
            line.rsplit_once("/rules.yaml")
                .map_or(line, |(_, rest)| rest)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_full_rule_is_read() {
    let set = load_text(
        r#"
version: 1
receivers:
  - name: ops
    webhook: {url: "http://127.0.0.1:9/hook", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", timeout: 5s, send_resolved: false}
rules:
  - name: ssh brute force
    description: many failed logins
    index: logs
    query: service:sshd
    regex: 'authentication failure'
    threshold: {count: 10, within: 60s, group_by: [host, rhost]}
    for: 30s
    keep_firing_for: 5m
    labels: {severity: critical}
    annotations: {summary: "somebody guesses passwords"}
    receivers: [ops]
"#,
    )
    .unwrap();
    let rule = &set.rules[0];
    assert_eq!(
        (rule.count, rule.within_ns, rule.for_ns, rule.hold_ns),
        (10, 60_000_000_000, 30_000_000_000, 300_000_000_000)
    );
    assert_eq!(rule.group_by, ["host", "rhost"]);
    assert_eq!(rule.line, 7);
    assert!(set.check_receivers(&[]).is_ok());
    assert!(
        !format!("{:?}", set.receivers).contains("MfKQ9r8"),
        "secrets stay out of logs"
    );
}

#[test]
fn a_regex_alone_counts_one_a_minute() {
    let set = load_text("version: 1\nrules: [{name: a, regex: x}]").unwrap();
    assert_eq!(
        (
            set.rules[0].count,
            set.rules[0].within_ns,
            set.rules[0].hold_ns
        ),
        (1, 60_000_000_000, 60_000_000_000)
    );
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let shown = errors(
        "version: 1\nrules:\n  - name: a\n    regex: x\n    threshold: {cuont: 3, within: 1m}\n",
    );
    assert!(shown.starts_with(":5:"), "{shown}");
    assert!(
        shown.contains("cuont: is not a known key; did you mean `count`?"),
        "{shown}"
    );
    let shown = errors("version: 1\nruls: []\n");
    assert!(shown.contains("did you mean `rules`?"), "{shown}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let shown = errors(
        r#"version: 1
rules:
  - name: a
    regex: 'a(?=b)'
  - name: b
    regex: '(unclosed'
    for: soon
  - name: c
    query: 'level:'
    threshold: {count: 0, within: 1m}
  - name: d
    query: error
  - name: e
    regex: '(a)\1'
    labels: {alertname: x, __missing__: y}
  - name: f
    query: 'error | stats count()'
    threshold: {count: 1, within: 1m}
"#,
    );
    for part in [
        ":4:12: rules[0].regex: `a(?=b)` is wrong at character 2 (`(?=b)`): look-around is not supported",
        ":6:12: rules[1].regex: `(unclosed` is wrong at character 1 (`(unclosed`): unclosed group",
        ":7:10: rules[1].for: `soon` is no duration",
        ":9:12: rules[2].query: ",
        "rules[2].threshold.count: `0` is out of range; allowed are 1 to 100000",
        "rules[3].regex: has a `query` but neither",
        "rules[4].regex: `(a)\\1` is wrong at character 4 (`\\1`): back-references are not supported",
        "`alertname` is set by logboom",
        "`__missing__` is set by logboom",
        ":17:12: rules[5].query: `| stats count()` at column 7 makes a table",
    ] {
        assert!(shown.contains(part), "missing `{part}` in\n{shown}");
    }
}

#[test]
fn names_are_unique_over_all_files() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["a.yaml", "b.yml", "ignored.txt"] {
        std::fs::write(
            dir.path().join(file),
            "version: 1\nrules:\n- {name: same, regex: x}\n",
        )
        .unwrap();
    }
    let shown = load(&[dir.path().to_owned()]).unwrap_err().to_string();
    assert!(
        shown.contains("b.yml:3:1: name: a rule `same` exists already, at ")
            && shown.contains("a.yaml:3"),
        "{shown}"
    );
}

#[test]
fn receivers_must_exist() {
    let set = load_text("version: 1\nrules: [{name: a, regex: x, receivers: [opps]}]").unwrap();
    let ops = ReceiverConfig {
        name: "ops".to_owned(),
        webhook: serde_json::from_str(r#"{"url": "http://h/"}"#).unwrap(),
    };
    let shown = set.check_receivers(&[ops]).unwrap_err().to_string();
    assert!(
        shown.contains("there is no receiver `opps`; did you mean `ops`?"),
        "{shown}"
    );
}

#[test]
fn a_bad_receiver_is_refused() {
    let shown = errors("version: 1\nreceivers: [{name: a, webhook: {url: 'ftp://x/y?token=s'}}]");
    assert!(
        shown.contains("receivers[0].webhook: `ftp://x/y` is no http:// or https:// address"),
        "{shown}"
    );
    let shown =
        errors("version: 1\nreceivers: [{name: a, webhook: {url: 'http://x', timeout: 1h}}]");
    assert!(
        shown.contains("timeout `1h` is out of range; allowed are 100ms to 1m"),
        "{shown}"
    );
    let shown =
        errors("version: 1\nreceivers: [{name: a, webhook: {url: 'http://x', secret: hunter2}}]");
    assert!(
        shown.contains("whsec_") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let shown = load(&[PathBuf::from("/nowhere/rules.yaml")])
        .unwrap_err()
        .to_string();
    assert!(
        shown.starts_with("/nowhere/rules.yaml: cannot be read: "),
        "{shown}"
    );
    let shown = errors("version: 2\n");
    assert!(
        shown.contains(":1:10: version: `2` is not known here"),
        "{shown}"
    );
    let shown = errors("version: [1\n");
    assert!(shown.starts_with(":"), "{shown}");
}

/// As version 0.1 stored it. What rules learn later has to be optional here, and to leave the conditions
/// of rules that do not use it as they are: else an update ends all open alerts, or alerting itself.
#[test]
fn stored_rules_of_the_first_version_are_read_and_keep_their_condition() {
    let stored = r#"{"name":"a","description":"","index":"logs","query_text":"service:sshd","regex":"fail","count":10,
        "within_ns":60000000000,"group_by":["host"],"for_ns":0,"hold_ns":60000000000,"labels":{},"annotations":{},
        "receivers":null,"file":"rules.yaml","line":3,"condition":"b2e9a7d6e79c288e"}"#;
    let rule: Rule = serde_json::from_str(stored).unwrap();
    assert_eq!(rule.condition_of(), "b2e9a7d6e79c288e");
    let set = load_text(
        "version: 1\nrules:\n- {name: a, query: 'service:sshd', regex: fail, threshold: {count: 10, within: 60s, group_by: [host]}}",
    )
    .unwrap();
    assert_eq!(set.rules[0].condition, rule.condition);
}

#[test]
fn rules_of_spans_and_of_quantiles_are_read() {
    let set = load_text(
        r#"
version: 1
rules:
  - name: slow endpoints
    index: spans
    query: 'kind:server service:cart OR status:error'
    threshold: {quantile: p99, field: duration, above: 500ms, within: 5m, count_min: 20, group_by: [service, operation, http.route]}
    for: 1m
    keep_firing_for: 10m
  - name: failing
    index: spans
    regex: 'IoError'
    threshold: {count: 5, within: 1m, group_by: [kind, status]}
  - name: slow lines
    query: 'service:api'
    threshold: {quantile: p50, field: took_ms, above: 500, within: 1m}
  - name: fractions
    query: '*'
    threshold: {quantile: p99.9, field: attributes.load, above: -0.5, within: 1m}
"#,
    )
    .unwrap();
    let [slow, failing, lines, fractions] = &set.rules[..] else {
        panic!("{:?}", set.rules)
    };
    let summary =
        "p99 of duration above 500ms of at least 20 values in 5m by service, operation, http.route";
    assert_eq!(
        slow.summary(),
        format!("kind:server service:cart OR status:error {summary}")
    );
    assert_eq!((slow.count, slow.within_ns), (20, 300_000_000_000));
    assert_eq!(slow.group_fields.len(), 3);
    let test = |rule: &Rule| rule.quantile.as_ref().unwrap().test.clone().unwrap();
    assert_eq!(test(slow).0.to_string(), "duration");
    assert_eq!(test(slow).1, logboom_query::Number::Int(500_000_000));
    assert_eq!((failing.index.as_str(), failing.count), ("spans", 5));
    assert_eq!(
        lines.summary(),
        "service:api p50 of took_ms above 500 in 1m"
    );
    assert_eq!((lines.count, lines.index.as_str()), (1, "logs"));
    assert_eq!(test(fractions).1, logboom_query::Number::Float(-0.5));
    assert_eq!(test(fractions).0.to_string(), "load");
}

#[test]
fn mistakes_in_thresholds_say_what_would_be_right() {
    let threshold = |text: &str| {
        errors(&format!(
            "version: 1\nrules:\n- {{name: a, index: spans, query: '*', threshold: {{{text}, within: 1m}}}}\n"
        ))
    };
    for (text, part) in [
        (
            "group_by: [service]",
            "threshold: has neither `count` nor `quantile`; give `count: 10`, or `quantile: p99` with",
        ),
        (
            "count: 3, above: 500ms",
            "threshold.above: belongs to a threshold on a quantile; add `quantile: p99`",
        ),
        (
            "count: 3, field: duration",
            "threshold.field: belongs to a threshold on a quantile",
        ),
        (
            "count: 3, count_min: 2",
            "threshold.count_min: belongs to a threshold on a quantile",
        ),
        (
            "quantile: p99, count: 3, field: duration, above: 1s",
            "threshold.count: stands beside `quantile`; to ask for a least number of values write `count_min`",
        ),
        (
            "quantile: p99, above: 1s",
            "threshold.field: is missing; a quantile is of a field and above a limit: add `field: duration`",
        ),
        (
            "quantile: p99, field: duration",
            "threshold.above: is missing; a quantile is of a field and above a limit: add `above: 500ms`",
        ),
        (
            "quantile: 99, field: duration, above: 1s",
            "threshold.quantile: `99` is no quantile; write it like `p99`, `p99.9` or `p50`",
        ),
        (
            "quantile: p101, field: duration, above: 1s",
            "`p101` is no quantile",
        ),
        (
            "quantile: p99, field: operation, above: 1s",
            "threshold.field: `operation` is no field with numbers; a quantile is of `duration` and attributes",
        ),
        (
            "quantile: p99, field: 'max(duration)', above: 1s",
            "`max(duration)` is no field with numbers",
        ),
        (
            "quantile: p99, field: 'a b', above: 1s",
            "`a b` is no field with numbers",
        ),
        (
            "quantile: p99, field: duration, above: 500",
            "threshold.above: `500` is no length of time; write it like `500ms`, `1.5s` or `2m`",
        ),
        (
            "quantile: p99, field: duration, above: soon",
            "`soon` is no length of time",
        ),
        (
            "quantile: p99, field: duration, above: '1s OR *'",
            "`1s OR *` is no length of time",
        ),
        (
            "quantile: p99, field: size, above: 500ms",
            "threshold.above: `500ms` is no number; `size` has no unit of its own",
        ),
        (
            "quantile: p99, field: duration, above: 1s, count_min: 0",
            "threshold.count_min: `0` is out of range; allowed are 1 to 100000",
        ),
        (
            "quantil: p99, field: duration, above: 1s",
            "quantil: is not a known key; did you mean `quantile`?",
        ),
        (
            "count: 1, group_by: [level]",
            "threshold.group_by: spans have no `level`; group by `status`",
        ),
        (
            "count: 1, group_by: ['a, b']",
            "threshold.group_by: `a, b` is no name of a field",
        ),
        (
            "count: 1, group_by: ['bin(timestamp)']",
            "threshold.group_by: `bin(timestamp)` is no name of a field",
        ),
        (
            "count: 1, group_by: [alertname]",
            "`alertname` is set by logboom",
        ),
    ] {
        let shown = threshold(text);
        assert!(shown.contains(part), "{text}: missing `{part}` in\n{shown}");
        assert!(shown.starts_with(":3:"), "{text}: no place in\n{shown}");
    }
}

#[test]
fn an_index_is_one_that_rules_can_look_at() {
    let shown = errors("version: 1\nrules:\n- {name: a, index: span, regex: x}\n");
    assert!(
        shown.contains(
            "index: there is no index `span` that rules can look at; did you mean `spans`? allowed are `logs`, `spans`"
        ),
        "{shown}"
    );
    let shown = errors(
        "version: 1\nrules:\n- {name: a, index: spans, query: 'level:error', threshold: {count: 1, within: 1m}}\n",
    );
    assert!(
        shown.contains("query: `level:` at column 1 asks for a level, which spans do not have"),
        "{shown}"
    );
    let shown = errors(
        "version: 1\nrules:\n- {name: a, query: 'index:spans x', threshold: {count: 1, within: 1m}}\n",
    );
    assert!(
        shown.contains("query: looks at the index `spans` and its rule at `logs`"),
        "{shown}"
    );
    let set = load_text("version: 1\nrules: [{name: a, index: spans, regex: x}]").unwrap();
    let shown = set
        .check_indexes(&["logs".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(
        shown.contains(
            "rule `a`: index: this process has no topics of the index `spans`; it reads `logs`"
        ),
        "{shown}"
    );
    assert!(
        set.check_indexes(&["logs".to_owned(), "spans".to_owned()])
            .is_ok()
    );
}

#[test]
fn the_condition_of_a_quantile_is_all_that_it_says() {
    let condition = |threshold: &str| {
        let text = format!(
            "version: 1\nrules:\n- {{name: a, query: '*', threshold: {{{threshold}, within: 1m}}}}\n"
        );
        load_text(&text).unwrap().rules[0].condition.clone()
    };
    let one = condition("quantile: p99, field: a, above: 5, count_min: 2");
    assert_eq!(
        one,
        condition("count_min: 2, above: 5, quantile: p99, field: a")
    );
    for other in [
        "count: 2",
        "quantile: p98, field: a, above: 5, count_min: 2",
        "quantile: p99, field: b, above: 5, count_min: 2",
        "quantile: p99, field: a, above: 6, count_min: 2",
        "quantile: p99, field: a, above: 5, count_min: 3",
    ] {
        assert_ne!(one, condition(other), "{other}");
    }
}

#[test]
fn a_stored_rule_of_a_quantile_is_read_and_keeps_its_condition() {
    let stored = r#"{"name":"a","description":"","index":"spans","query_text":"kind:server","regex":null,"count":20,
        "within_ns":300000000000,"quantile":{"quantile":"p99","field":"duration","above":"500ms","per_million":990000},
        "group_by":["operation"],"for_ns":0,"hold_ns":300000000000,"labels":{},"annotations":{},
        "receivers":null,"file":"rules.yaml","line":3,"condition":"9097b50b92749b9d"}"#;
    let rule: Rule = serde_json::from_str(stored).unwrap();
    assert_eq!(rule.condition_of(), rule.condition);
    let set = load_text(
        "version: 1\nrules:\n- {name: a, index: spans, query: 'kind:server', threshold: {quantile: p99, field: duration, above: 500ms, count_min: 20, within: 5m, group_by: [operation]}}",
    )
    .unwrap();
    assert_eq!(set.rules[0].condition, rule.condition);
    let again: Rule =
        serde_json::from_str(&serde_json::to_string(set.rules[0].as_ref()).unwrap()).unwrap();
    assert_eq!(again.condition_of(), rule.condition);
}
