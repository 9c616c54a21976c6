//! Delivery against a receiver that behaves badly on purpose.

use std::sync::Mutex;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::{
    WebhookConfig,
    evaluate::{Dirty, Transition},
    group_key::GroupKey,
    signature::Secret,
    state::{Change, Episode, Phase, Sample},
    store::Commit,
    testing::{S, one_rule},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver saw: (webhook-id, status in the body, when).
type Seen = Arc<Mutex<Vec<(String, String, Instant)>>>;
type Script = Arc<dyn Fn(usize, &str) -> Response + Send + Sync>;

struct Receiver {
    url: String,
    seen: Seen,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Answers the n-th request (from 0) for a path as `script` says; checks every signature.
    async fn start(script: impl Fn(usize, &str) -> Response + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/hook?token=hidden",
            listener.local_addr().unwrap()
        );
        let seen = Seen::default();
        let state = (Arc::clone(&seen), Arc::new(script) as Script);
        let app = Router::new().route("/hook", post(take)).with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Receiver { url, seen, task }
    }

    fn config(&self, name: &str) -> ReceiverConfig {
        let webhook = WebhookConfig {
            url: self.url.clone(),
            secret: Some(SECRET.to_owned()),
            timeout: Duration::from_millis(500),
            send_resolved: true,
        };
        ReceiverConfig {
            name: name.to_owned(),
            webhook,
        }
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|(id, status, _)| (id.clone(), status.clone()))
            .collect()
    }

    async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.seen.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "got only {:?}", self.seen());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn take(
    State((seen, script)): State<(Seen, Script)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let expected = Secret::parse(SECRET)
        .unwrap()
        .sign(&id, timestamp.parse().unwrap(), &body);
    assert_eq!(text("webhook-signature"), expected);
    assert_eq!(text("content-type"), "application/json");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let status = body["status"].as_str().unwrap().to_owned();
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push((id.clone(), status, Instant::now()));
        seen.len() - 1
    };
    script(before, &id)
}

fn ok() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn transition(rule: &Arc<crate::rules::Rule>, change: Change, start: i64) -> Transition {
    let sample = Sample {
        time: start,
        topic: "logs".to_owned(),
        partition: 0,
        offset: 7,
        line: "{{ 7*7 }}<script>\"\n@all \u{1b}[31m".to_owned(),
        clamped: true,
    };
    let phase = if change == Change::Resolved {
        Phase::Resolved
    } else {
        Phase::Firing
    };
    let episode = Episode {
        start,
        until: start + 60 * S,
        phase,
        last_line: start,
        lines: 1,
        seen: start,
        sources: vec![],
        samples: vec![sample],
    };
    let key = GroupKey::Values(vec![]);
    Transition {
        rule: Arc::clone(rule),
        key,
        change,
        episode,
        at: start,
    }
}

/// A database with a deliverer on it.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    receivers: Vec<ReceiverConfig>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    config: watch::Sender<Arc<Vec<ReceiverConfig>>>,
}

impl Bench {
    async fn start(receivers: Vec<ReceiverConfig>, schedule_ms: &[u64]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        Bench::start_in(dir, receivers, schedule_ms).await
    }

    async fn start_in(
        dir: tempfile::TempDir,
        receivers: Vec<ReceiverConfig>,
        schedule_ms: &[u64],
    ) -> Bench {
        let store = Store::open(&dir.path().join("alerting.db")).await.unwrap();
        let (config, seen) = watch::channel(Arc::new(receivers.clone()));
        let wake = Arc::new(Notify::new());
        let schedule = schedule_ms
            .iter()
            .map(|ms| Duration::from_millis(*ms))
            .collect();
        let stop = CancellationToken::new();
        let deliverer = Deliverer::new(store.clone(), seen, Arc::clone(&wake), schedule, &stop)
            .await
            .unwrap()
            .unwrap();
        let task = tokio::spawn(deliverer.run(stop.clone()));
        Bench {
            dir,
            store,
            receivers,
            wake,
            stop,
            task,
            config,
        }
    }

    async fn tell(&self, transitions: Vec<Transition>) -> bool {
        let dirty = Dirty {
            transitions,
            ..Dirty::default()
        };
        let commit = Commit {
            dirty: &dirty,
            progress: &[],
            rules: None,
            receivers: &self.receivers,
            external_url: "http://logboom.example/",
            now_ms: now_ms(),
        };
        let told = self.store.commit(&commit).await.unwrap();
        self.wake.notify_one();
        told
    }

    /// (receiver, change, state, attempts) of all notifications.
    async fn outbox(&self) -> Vec<(String, String, String, i64)> {
        let rows = sqlx::query(
            "SELECT receiver, change, state, attempts FROM outbox ORDER BY receiver, seq",
        )
        .fetch_all(self.store.database.read_pool())
        .await
        .unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect()
    }

    async fn settled(&self) -> Vec<(String, String, String, i64)> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let rows = self.outbox().await;
            if rows.iter().all(|row| row.2 != "pending") {
                return rows;
            }
            assert!(Instant::now() < deadline, "{rows:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.store.database.close().await;
        self.dir
    }
}

fn row(receiver: &str, change: &str, state: &str, attempts: i64) -> (String, String, String, i64) {
    (
        receiver.to_owned(),
        change.to_owned(),
        state.to_owned(),
        attempts,
    )
}

#[tokio::test]
async fn two_refusals_are_retried_with_the_same_id_and_order_is_kept() {
    let receiver = Receiver::start(|n, _| {
        if n < 2 {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        } else {
            ok()
        }
    })
    .await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 20, 40, 60]).await;
    let rule = one_rule("{name: a, regex: x}");
    let firing = transition(&rule, Change::Firing, 1000 * S);
    let resolved = transition(&rule, Change::Resolved, 1000 * S);
    assert!(bench.tell(vec![firing.clone(), resolved.clone()]).await);
    assert_eq!(
        bench.settled().await,
        [
            row("ops", "firing", "delivered", 3),
            row("ops", "resolved", "delivered", 1)
        ]
    );
    let (first, second) = (firing.notification_id(), resolved.notification_id());
    let sent = |id: &String, status: &str| (id.clone(), status.to_owned());
    let expected = [
        sent(&first, "firing"),
        sent(&first, "firing"),
        sent(&first, "firing"),
        sent(&second, "resolved"),
    ];
    assert_eq!(receiver.seen(), expected);
    // Evaluated again after a crash: the same id, and nobody is told twice.
    assert!(!bench.tell(vec![firing, resolved]).await);
    bench.stop().await;
    assert_eq!(receiver.seen().len(), 4);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let receiver = Receiver::start(|n, _| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response(),
        _ => ok(),
    })
    .await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 1]).await;
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    bench.settled().await;
    let times: Vec<Instant> = receiver
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.2)
        .collect();
    assert!(
        times[1] - times[0] >= Duration::from_millis(950),
        "{:?}",
        times[1] - times[0]
    );
    bench.stop().await;
}

#[tokio::test]
async fn gone_disables_a_receiver_until_its_address_changes_and_harms_no_other() {
    let gone = Receiver::start(|_, _| StatusCode::GONE.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![gone.config("gone"), fine.config("fine")], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench
        .tell(vec![
            transition(&rule, Change::Firing, 0),
            transition(&rule, Change::Resolved, 0),
        ])
        .await;
    let rows = bench.settled().await;
    assert_eq!(rows[0], row("fine", "firing", "delivered", 1));
    assert_eq!(rows[1], row("fine", "resolved", "delivered", 1));
    assert_eq!(
        (rows[2].2.as_str(), rows[3].2.as_str()),
        ("disabled", "disabled")
    );
    let dir = bench.stop().await;

    let bench = Bench::start_in(dir, vec![gone.config("gone")], &[0, 1]).await;
    bench
        .tell(vec![transition(&rule, Change::Firing, 5 * S)])
        .await;
    assert!(
        bench
            .settled()
            .await
            .iter()
            .filter(|row| row.0 == "gone")
            .all(|row| row.2 == "disabled")
    );
    assert_eq!(gone.seen().len(), 1, "still disabled");
    let dir = bench.stop().await;
    let mut moved = fine.config("gone");
    moved.webhook.send_resolved = false;
    let bench = Bench::start_in(dir, vec![moved], &[0, 1]).await;
    bench
        .tell(vec![
            transition(&rule, Change::Firing, 9 * S),
            transition(&rule, Change::Resolved, 9 * S),
        ])
        .await;
    fine.wait_for(3).await;
    bench.settled().await;
    assert_eq!(
        fine.seen()
            .iter()
            .filter(|(_, status)| status == "resolved")
            .count(),
        1,
        "send_resolved is off now"
    );
    bench.stop().await;
}

/// Answers one request, but only when it is told to.
async fn held(
    answer: &'static str,
) -> (
    String,
    tokio::sync::oneshot::Receiver<()>,
    tokio::sync::oneshot::Sender<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 64];
        tokio::io::AsyncReadExt::read(&mut stream, &mut request)
            .await
            .unwrap();
        asked.send(()).unwrap();
        released.await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
            .await
            .unwrap();
    });
    (url, was_asked, release)
}

#[tokio::test]
async fn a_late_410_of_an_old_address_does_not_disable_the_new_one() {
    let (old, was_asked, release) =
        held("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let fine = Receiver::start(|_, _| ok()).await;
    let mut config = fine.config("ops");
    config.webhook.timeout = Duration::from_secs(20);
    let moved = config.clone();
    config.webhook.url = old;
    let bench = Bench::start(vec![config], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    was_asked.await.unwrap();
    bench.config.send_replace(Arc::new(vec![moved]));
    release.send(()).unwrap();
    assert_eq!(
        bench.settled().await,
        [row("ops", "firing", "delivered", 1)]
    );
    let view = crate::View::open(bench.dir.path().join("alerting.db"));
    assert_eq!(view.receivers().await.unwrap()[0].disabled, None);
    bench
        .tell(vec![transition(&rule, Change::Resolved, 0)])
        .await;
    fine.wait_for(2).await;
    bench.settled().await;
    bench.stop().await;
}

#[tokio::test]
async fn what_a_change_tells_reaches_the_receiver_that_it_enables() {
    let gone = Receiver::start(|_, _| StatusCode::GONE.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let mut bench = Bench::start(vec![gone.config("ops")], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    assert_eq!(bench.settled().await, [row("ops", "firing", "disabled", 0)]);
    // The rule went in the same change that gave the receiver another address.
    bench.receivers = vec![fine.config("ops")];
    let dirty = Dirty {
        transitions: vec![transition(&rule, Change::Resolved, 0)],
        ..Dirty::default()
    };
    let commit = Commit {
        dirty: &dirty,
        progress: &[],
        rules: Some(&[]),
        receivers: &bench.receivers,
        external_url: "",
        now_ms: now_ms(),
    };
    bench.store.commit(&commit).await.unwrap();
    bench.config.send_replace(Arc::new(bench.receivers.clone()));
    assert_eq!(
        bench.settled().await,
        [
            row("ops", "firing", "disabled", 0),
            row("ops", "resolved", "delivered", 1)
        ]
    );
    bench.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_next_try_is_tried_at_once_at_a_new_address() {
    let down = Receiver::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![down.config("ops")], &[0, 3_600_000]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    down.wait_for(1).await;
    while bench.outbox().await[0].3 == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench
        .config
        .send_replace(Arc::new(vec![fine.config("ops")]));
    assert_eq!(
        bench.settled().await,
        [row("ops", "firing", "delivered", 1)]
    );
    assert_eq!(down.seen(), fine.seen());
    bench.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_times_out_and_ends_as_a_dead_letter_while_others_are_served() {
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fine = Receiver::start(|_, _| ok()).await;
    let mut config = fine.config("slow");
    config.webhook.url = format!("http://{}/hook", slow.local_addr().unwrap());
    config.webhook.timeout = Duration::from_millis(150);
    let bench = Bench::start(vec![config, fine.config("fine")], &[0, 1]).await;
    let started = Instant::now();
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    fine.wait_for(1).await;
    assert!(
        started.elapsed() < Duration::from_millis(140),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        bench.settled().await,
        [
            row("fine", "firing", "delivered", 1),
            row("slow", "firing", "dead", 2)
        ]
    );
    bench.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::start(|_, _| ok()).await;
    let to = target.url.clone();
    let receiver = Receiver::start(move |_, _| {
        (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, to.clone())],
        )
            .into_response()
    })
    .await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0]).await;
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    assert_eq!(bench.settled().await, [row("ops", "firing", "dead", 1)]);
    assert!(target.seen().is_empty());
    bench.stop().await;
}

#[tokio::test]
async fn what_a_stop_leaves_is_sent_at_the_next_start_with_the_same_id() {
    let receiver = Receiver::start(|n, _| {
        if n == 0 {
            StatusCode::BAD_GATEWAY.into_response()
        } else {
            ok()
        }
    })
    .await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 300]).await;
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    receiver.wait_for(1).await;
    let dir = bench.stop().await;
    let bench = Bench::start_in(dir, vec![receiver.config("ops")], &[0, 300]).await;
    receiver.wait_for(2).await;
    let seen = receiver.seen();
    assert_eq!(seen[0], seen[1]);
    bench.settled().await;
    bench.stop().await;
}

#[tokio::test]
async fn a_burst_of_alerts_is_delivered_whole() {
    let receiver = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 10]).await;
    let rules: Vec<_> = (0..60)
        .map(|index| one_rule(&format!("{{name: rule{index}, regex: x}}")))
        .collect();
    bench
        .tell(
            rules
                .iter()
                .map(|rule| transition(rule, Change::Firing, 0))
                .collect(),
        )
        .await;
    assert!(
        bench
            .settled()
            .await
            .iter()
            .all(|row| row.2 == "delivered" && row.3 == 1)
    );
    assert_eq!(receiver.seen().len(), 60);
    bench.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_nothing_is_posted_twice() {
    let receiver = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0, 10]).await;
    // The pool has one writer: once we got it, so will the deliverer.
    let limit = async |pages: i64| {
        let mut write = bench.store.database.begin().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "PRAGMA max_page_count = {pages}"
        )))
        .execute(&mut *write)
        .await
        .unwrap();
        write.commit().await.unwrap();
    };
    // Deliveries are rows that grow by this trigger, until there is no page left.
    let mut write = bench.store.database.begin().await.unwrap();
    for statement in [
        "CREATE TABLE ballast (bytes BLOB)",
        "CREATE TRIGGER grow AFTER UPDATE ON outbox BEGIN INSERT INTO ballast VALUES (zeroblob(1000000)); END",
    ] {
        sqlx::query(statement).execute(&mut *write).await.unwrap();
    }
    write.commit().await.unwrap();
    limit(200).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    receiver.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!bench.task.is_finished());
    assert_eq!(bench.outbox().await, [row("ops", "firing", "pending", 0)]);
    limit(100_000).await;
    assert_eq!(
        bench.settled().await,
        [row("ops", "firing", "delivered", 1)]
    );
    assert_eq!(receiver.seen().len(), 1);
    bench.stop().await;
}

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
