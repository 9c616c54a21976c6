//! Alerts on a real log: every episode announced and resolved once, across a kill -9
//! between the firing and its delivery.

mod spans;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use hmac::{KeyInit, Mac};
use jiff::civil::DateTime;
use serde_json::Value;

use crate::process::Process;
use crate::samples;

const WINDOW_SECONDS: i64 = 60;
const THRESHOLD: usize = 10;
const PATTERN: &str = "authentication failure";
const SECRET: &str = "c2l4dGVlbiBzYW1wbGVzLCBvbmUgc2VjcmV0IQ==";

/// A webhook receiver that is down for its first two requests.
#[derive(Clone, Default)]
struct Receiver {
    refused: Arc<Mutex<Vec<String>>>,
    /// By webhook-id, so that a delivery that is tried again counts once.
    accepted: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Receiver {
    fn bodies(&self) -> Vec<Value> {
        self.accepted.lock().unwrap().values().cloned().collect()
    }
}

/// Its address, and the task to end.
async fn serve(receiver: &Receiver) -> (String, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/hook", post(receive))
        .with_state(receiver.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    (address, server)
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = base64::engine::general_purpose::STANDARD
        .decode(SECRET)
        .unwrap();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{signature}"));

    let mut refused = receiver.refused.lock().unwrap();
    if refused.len() < 2 {
        refused.push(id);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let before = receiver
        .accepted
        .lock()
        .unwrap()
        .insert(id.clone(), body.clone());
    assert!(
        before.is_none_or(|before| before == body),
        "the body of {id} changed between two tries"
    );
    StatusCode::OK
}

#[tokio::test(flavor = "multi_thread")]
async fn loghub_alerts_fire_and_resolve_once_across_kill_9() {
    let receiver = Receiver::default();
    let (hook, server) = serve(&receiver).await;
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), &hook);
    let log = directory.path().join("logs/linux.log");
    std::fs::create_dir(log.parent().unwrap()).unwrap();
    std::fs::write(&log, shifted_to_now()).unwrap();

    let start = || {
        let config = directory.path().join("logboom.yaml");
        Process::up(
            &directory.path().join("data"),
            &["--config", config.to_str().unwrap()],
        )
    };
    let up = start();
    wait_until(Duration::from_secs(60), || {
        receiver.refused.lock().unwrap().len() >= 2
    })
    .await;
    up.kill_9();
    let fired_before = receiver.accepted.lock().unwrap().len();
    let up = start();

    // Each episode with its two notifications; the last resolves once it has been quiet for a window.
    let expected = episodes(&log, THRESHOLD) + episodes(&log, 1);
    assert_eq!((episodes(&log, THRESHOLD), episodes(&log, 1)), (28, 52));
    let all = 2 * expected;
    wait_until(Duration::from_secs(180), || {
        receiver.accepted.lock().unwrap().len() >= all
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let accepted = receiver.accepted.lock().unwrap().clone();
    assert!(
        fired_before < all,
        "the kill came before everything was delivered"
    );
    check(&accepted, "auth-failures", 28);
    check(&accepted, "auth-failure", 52);
    assert_eq!(accepted.len(), all);
    let refused: BTreeSet<String> = receiver.refused.lock().unwrap().iter().cloned().collect();
    assert!(
        refused.iter().all(|id| accepted.contains_key(id)),
        "what was refused at first came again under its id"
    );
    assert!(up.terminate().success());
    server.abort();
}

fn check(accepted: &BTreeMap<String, Value>, rule: &str, episodes: usize) {
    for status in ["firing", "resolved"] {
        let of_rule: Vec<&Value> = accepted
            .values()
            .filter(|body| {
                body["status"] == status && body["alerts"][0]["labels"]["alertname"] == rule
            })
            .collect();
        assert_eq!(of_rule.len(), episodes, "{rule}: {status}");
        let starts: BTreeSet<&str> = of_rule
            .iter()
            .map(|body| body["alerts"][0]["startsAt"].as_str().unwrap())
            .collect();
        assert_eq!(
            starts.len(),
            episodes,
            "{rule}: {status}: each episode has a start of its own"
        );
        assert!(
            of_rule
                .iter()
                .all(|body| body["version"] == "4" && body["receiver"] == "test")
        );
    }
}

async fn wait_until(within: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn write_config(directory: &Path, hook: &str) {
    std::fs::write(
        directory.join("rules.yaml"),
        format!(
            "version: 1\nrules:\n\
             - {{name: auth-failures, regex: '{PATTERN}', threshold: {{count: {THRESHOLD}, within: {WINDOW_SECONDS}s}}, receivers: [test]}}\n\
             - {{name: auth-failure, regex: '{PATTERN}', receivers: [test]}}\n"
        ),
    )
    .unwrap();
    std::fs::write(
        directory.join("logboom.yaml"),
        format!(
            "version: 1\nalerting:\n  rules: [rules.yaml]\n  receivers: [{{name: test, webhook: {{url: '{hook}', secret: whsec_{SECRET}}}}}]\n\
             agent: {{tail: [{{glob: ['{}/logs/*.log'], format: syslog}}]}}\n",
            directory.display()
        ),
    )
    .unwrap();
}

fn time_of(line: &[u8]) -> DateTime {
    let text = std::str::from_utf8(&line[..15]).unwrap();
    // The sample is of 2005; only differences matter.
    DateTime::strptime("%Y %b %d %H:%M:%S", format!("2005 {text}")).unwrap()
}

/// Linux_2k.log moved in time as a whole, so that its last line is now.
fn shifted_to_now() -> Vec<u8> {
    let lines = samples::read("Linux");
    let now = jiff::Timestamp::now()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .datetime();
    let last = time_of(&lines.last().unwrap().bytes);
    let shift = last.duration_until(now);
    let mut out = Vec::new();
    for line in lines {
        let time = time_of(&line.bytes).checked_add(shift).unwrap();
        write!(out, "{}", time.strftime("%b %e %H:%M:%S")).unwrap();
        out.extend_from_slice(&line.bytes[15..]);
        out.extend_from_slice(line.terminator);
    }
    out
}

/// Counts episodes of `count ≥ n within W` from the file alone, by looking at every
/// window that ends in a matching line: an episode goes on while the count is reached
/// again before it has stayed below for W.
fn episodes(log: &Path, n: usize) -> usize {
    let content = std::fs::read(log).unwrap();
    let times: Vec<DateTime> = content
        .split(|byte| *byte == b'\n')
        .filter(|line| {
            line.windows(PATTERN.len())
                .any(|window| window == PATTERN.as_bytes())
        })
        .map(time_of)
        .collect();
    let seconds: Vec<i64> = times
        .iter()
        .map(|time| times[0].duration_until(*time).as_secs())
        .collect();
    let mut episodes = 0;
    let mut below_since: Option<i64> = None;
    for (index, now) in seconds.iter().enumerate() {
        let in_window: Vec<i64> = seconds[..=index]
            .iter()
            .copied()
            .filter(|time| *time > now - WINDOW_SECONDS)
            .collect();
        if in_window.len() < n {
            continue;
        }
        if below_since.is_none_or(|since| *now >= since + WINDOW_SECONDS) {
            episodes += 1;
        }
        // The count falls below n when the n-th youngest line leaves the window.
        below_since = Some(in_window[in_window.len() - n] + WINDOW_SECONDS);
    }
    episodes
}
