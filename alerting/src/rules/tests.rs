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
