//! The same parts in one process and in several, and what an operator asks of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::post;

use crate::process::{self, Process};

fn role(directory: &Path, part: &str) -> Process {
    let config = directory.join("logboom.yaml");
    let mut command = process::command(&[part, "--config", config.to_str().unwrap()]);
    for port in [
        "LOGBOOM_LISTEN",
        "LOGBOOM_QUEUE_LISTEN",
        "LOGBOOM_INDEXER_LISTEN",
    ] {
        command.env_remove(port);
    }
    Process::start(command, &directory.join(format!("{part}.log")))
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_with_a_config_do_what_one_does() {
    let (hooks, mut hook) = tokio::sync::mpsc::unbounded_channel::<String>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook_url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route(
        "/",
        post(move |body: String| async move { hooks.send(body).unwrap_or_default() }),
    );
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let directory = tempfile::tempdir().unwrap();
    let (queue, indexer) = (process::free_port(), process::free_port());
    let here = directory.path().display();
    std::fs::write(
        directory.path().join("logboom.yaml"),
        format!(
            "version: 1\ndata: data\nqueue: {{listen: '127.0.0.1:{queue}'}}\nindexer: {{listen: '127.0.0.1:{indexer}'}}\n\
             ui: {{listen: '127.0.0.1:0'}}\nagent: {{tail: [{{glob: ['{here}/*.txt'], service: shop}}]}}\n\
             alerting: {{rules: [rules.yaml], receivers: [{{name: test, webhook: {{url: '{hook_url}'}}}}]}}\n"
        ),
    )
    .unwrap();
    std::fs::write(
        directory.path().join("rules.yaml"),
        "version: 1\nrules: [{name: meltdown, query: 'service:shop', regex: 'core \\d+ melts', receivers: [test]}]\n",
    )
    .unwrap();
    // The agent comes first: it waits for its queue, as hosts do when the server is restarted.
    std::fs::write(
        directory.path().join("app.txt"),
        "2026-01-01T00:00:00Z ERROR core 7 melts\n",
    )
    .unwrap();
    let parts: Vec<Process> = ["queue", "indexer", "alerting", "agent"]
        .iter()
        .map(|part| role(directory.path(), part))
        .collect();
    let ui = role(directory.path(), "ui");
    process::wait_for_total(
        ui.url(),
        "level:error service:shop",
        1,
        Duration::from_secs(20),
    )
    .await;
    let body = tokio::time::timeout(Duration::from_secs(20), hook.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        body.contains("meltdown") && body.contains("firing"),
        "{body}"
    );
    let rules = process::get(ui.url(), "rules", &[])
        .await
        .expect("the page of one process sees the rules of another");
    assert!(rules.to_string().contains("meltdown"), "{rules}");
    assert!(ui.terminate().success());
    for part in parts.into_iter().rev() {
        assert!(part.terminate().success());
    }
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_ends_that_probes_and_scrapers_use_answer() {
    let directory = tempfile::tempdir().unwrap();
    let up = Process::up(&directory.path().join("data"), &[]);
    let text = |path: &'static str| {
        let url = format!("{}{path}", up.url());
        async move {
            let response = reqwest::get(url).await.unwrap();
            assert!(
                response.status().is_success(),
                "{path}: {}",
                response.status()
            );
            response.text().await.unwrap()
        }
    };
    text("/healthz").await;
    text("/readyz").await;
    assert!(text("/metrics").await.contains("logboom_"));
    assert!(text("/api/openapi.json").await.contains("/api/v1/search"));
    assert!(text("/").await.contains("<html"));
    let ports: serde_json::Value = serde_json::from_str(&text("/api/v1/ports").await).unwrap();
    assert!(up.url().ends_with(ports["http"].as_str().unwrap()));
    assert!(ports["kafka"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_searches_in_json_and_follows_new_lines() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    std::fs::write(
        &log,
        "2026-01-01T10:00:00.5Z WARN first 日志\n2026-01-01T10:00:01Z INFO second\n",
    )
    .unwrap();
    let up = Process::up(
        &directory.path().join("data"),
        &["--tail", log.to_str().unwrap()],
    );
    process::wait_for_total(up.url(), "*", 2, Duration::from_secs(20)).await;

    let url = up.url().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        process::command(&["search", "日志", "--json", "--url", &url])
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let line: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(line["timestamp"], "2026-01-01T10:00:00.500000000Z");
    assert_eq!(line["level"], "warn");
    assert_eq!(line["raw"], "2026-01-01T10:00:00.5Z WARN first 日志");
    assert_eq!(line["body"], "first 日志");
    assert_eq!(line["source"], log.to_str().unwrap());
    assert!(
        line["id"].is_string() && line["host"].is_string() && line["attributes"].is_object(),
        "{line}"
    );
    assert!(String::from_utf8_lossy(&answer.stderr).contains("1 of 1"));

    let mut tail = process::command(&["tail", "level:error", "--json", "--url", up.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = tail.stdout.take().unwrap();
    let first = tokio::task::spawn_blocking(move || {
        BufReader::new(stdout).lines().next().unwrap().unwrap()
    });
    // The stream is open once a line comes through; until then the line is written anew.
    let appender = tokio::spawn(async move {
        let mut number = 0;
        loop {
            use std::io::Write;
            let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
            writeln!(file, "2026-01-01T10:00:02Z ERROR live {number}").unwrap();
            number += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let line = tokio::time::timeout(Duration::from_secs(20), first)
        .await
        .unwrap()
        .unwrap();
    appender.abort();
    tail.kill().unwrap();
    tail.wait().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(
        line["body"].as_str().unwrap().starts_with("live "),
        "{line}"
    );
    assert!(up.terminate().success());
}
