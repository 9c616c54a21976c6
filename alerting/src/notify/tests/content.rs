//! What is told: the body of a notification, and what the view shows of it.

use super::*;

#[tokio::test]
async fn a_view_shows_what_was_committed() {
    let receiver = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 10]).await;
    let view = crate::View::open(bench.dir.path().join("alerting.db"));
    assert_eq!(view.firing().await.unwrap(), []);
    let rule = one_rule("{name: a, regex: x, labels: {team: b}}");
    let rules = [Arc::clone(&rule)];
    let dirty = Dirty {
        transitions: vec![transition(&rule, Change::Firing, 1000 * S)],
        ..Dirty::default()
    };
    let commit = Commit {
        dirty: &dirty,
        progress: &[],
        rules: Some(&rules),
        receivers: &bench.receivers,
        external_url: "",
        now_ms: now_ms(),
    };
    bench.store.commit(&commit).await.unwrap();
    bench.wake.notify_one();
    bench.settled().await;
    let firing = view.firing().await.unwrap();
    assert_eq!(
        (
            firing.len(),
            firing[0].state.as_str(),
            firing[0].ends_at.as_deref()
        ),
        (1, "firing", None)
    );
    assert_eq!(firing[0].labels["team"], "b");
    assert_eq!(firing[0].starts_at, "1970-01-01T00:16:40Z");
    let shown = view.rules().await.unwrap();
    assert_eq!((shown[0].state.as_str(), shown[0].firing), ("firing", 1));
    assert_eq!(shown[0].summary, "/x/ at least 1 in 1m");

    bench
        .tell(vec![transition(&rule, Change::Resolved, 1000 * S)])
        .await;
    bench.settled().await;
    assert_eq!(view.firing().await.unwrap(), []);
    assert_eq!(view.rules().await.unwrap()[0].state, "inactive");
    let history = view.history(10).await.unwrap();
    let changes: Vec<&str> = history.iter().map(|entry| entry.change.as_str()).collect();
    assert_eq!(changes, ["resolved", "firing"]);
    assert_eq!(history[0].notifications[0].state, "delivered");
    let receivers = view.receivers().await.unwrap();
    assert_eq!((receivers[0].delivered, receivers[0].pending), (2, 0));
    assert!(!receivers[0].url.contains("hidden"), "{}", receivers[0].url);
    bench.stop().await;
}

#[test]
fn log_text_is_data_in_the_body() {
    let rule = one_rule(
        "{name: 'a \"quoted\" {{x}}', regex: 'a/b', labels: {team: 'x\"y'}, annotations: {summary: '{{ $labels }}'}}",
    );
    let told = transition(&rule, Change::Firing, 1_700_000_000 * S);
    let body = told.body("ops", "http://logboom.example/ui").to_string();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body["logboom"]["samples"][0]["line"],
        "{{ 7*7 }}<script>\"\n@all \u{1b}[31m"
    );
    assert_eq!(body["logboom"]["samples"][0]["ts_clamped"], true);
    assert_eq!(body["version"], "4");
    assert_eq!(
        body["groupKey"],
        r#"{}:{alertname="a \"quoted\" {{x}}", team="x\"y"}"#
    );
    let alert = &body["alerts"][0];
    assert_eq!(alert["annotations"]["summary"], "{{ $labels }}");
    assert_eq!(alert["startsAt"], "2023-11-14T22:13:20Z");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    assert_eq!(
        alert["generatorURL"],
        "http://logboom.example/ui?q=%2Fa%5C%2Fb%2F&from=2023-11-14T22%3A12%3A20Z&to=2023-11-14T22%3A14%3A20Z"
    );
    let resolved = transition(&rule, Change::Resolved, 1_700_000_000 * S).body("ops", "");
    assert_eq!(resolved["alerts"][0]["endsAt"], "2023-11-14T22:15:20Z");
    assert_eq!(resolved["status"], "resolved");
}

#[test]
fn a_body_of_spans_leads_to_their_traces() {
    let rule = one_rule(
        "{name: a, index: spans, query: 'a OR b', threshold: {quantile: p99, field: duration, above: 500ms, within: 5m, count_min: 20}}",
    );
    let mut told = transition(&rule, Change::Firing, 1_700_000_000 * S);
    told.episode.tally = Some(Tally {
        values: 120,
        above: 3,
    });
    told.episode.samples[0].index = 4;
    told.episode.samples[0].trace_id = Some([0xab; 16]);
    told.episode.samples[0].span = Some(SampleSpan {
        service: Some("cart".to_owned()),
        operation: "GET <b>/cart".to_owned(),
        duration_ns: 361_234_567_890,
        status: 2,
        span_id: Some([0xcd; 8]),
    });
    let body = told.body("ops", "http://logboom.example/ui/");
    let ours = &body["logboom"];
    assert_eq!(ours["index"], "spans");
    assert_eq!(
        ours["window"],
        serde_json::json!({"quantile": "p99", "field": "duration", "above": "500ms", "countMin": 20, "within": "5m",
            "values": 120, "valuesAbove": 3})
    );
    let trace = "ab".repeat(16);
    let sample = &ours["samples"][0];
    for (name, value) in [
        ("service", "cart"),
        ("operation", "GET <b>/cart"),
        ("duration", "361.234s"),
        ("status", "error"),
        ("span_id", "cdcdcdcdcdcdcdcd"),
        ("trace_id", &trace),
        (
            "trace_url",
            &format!("http://logboom.example/ui/traces/{trace}"),
        ),
    ] {
        assert_eq!(sample[name], value, "{name}");
    }
    assert_eq!(
        (&sample["duration_ns"], &sample["index"]),
        (&361_234_567_890_u64.into(), &4.into())
    );
    // The span began six minutes before the window did.
    assert_eq!(
        body["alerts"][0]["generatorURL"],
        "http://logboom.example/ui/traces?q=%28a+OR+b%29+AND+duration%3A%3E500ms&from=2023-11-14T22%3A02%3A18.76543211Z&to=2023-11-14T22%3A18%3A20Z"
    );
    let unreachable = told.body("ops", "");
    assert!(
        unreachable["logboom"]["samples"][0]
            .get("trace_url")
            .is_none()
    );
}
