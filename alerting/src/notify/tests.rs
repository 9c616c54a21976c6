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
    episode::{Change, Episode, Phase},
    evaluate::{Dirty, Transition},
    group_key::GroupKey,
    sample::{Sample, SampleSpan},
    signature::Secret,
    store::Commit,
    testing::{S, one_rule},
    values::Tally,
};

mod content;
mod receivers;

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
        index: 0,
        line: "{{ 7*7 }}<script>\"\n@all \u{1b}[31m".to_owned(),
        clamped: true,
        trace_id: None,
        span: None,
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
        tally: None,
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
