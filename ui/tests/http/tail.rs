//! The live tail: order, gaps, back-pressure, and its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::server::{Indexer, Server, hit, start};

/// Reads the stream until `enough` says so or it ends.
async fn read(response: reqwest::Response, enough: impl Fn(&str) -> bool) -> String {
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    while !enough(&text) {
        match tokio::time::timeout(Duration::from_secs(10), stream.next())
            .await
            .expect("the tail said nothing more")
        {
            Some(chunk) => text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap()),
            None => break,
        }
    }
    text
}

/// Event names with their data.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split("\n\n")
        .filter_map(|block| {
            let name = block
                .lines()
                .find_map(|line| line.strip_prefix("event: "))?;
            let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        })
        .collect()
}

fn lines_of(events: &[(String, Value)]) -> Vec<String> {
    let rows = |(name, data): &(String, Value)| match name.as_str() {
        "hits" => data
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["raw"].as_str().unwrap().to_owned())
            .collect(),
        "dropped" => vec![format!("-{}", data["dropped"])],
        other => vec![format!("<{other}>")],
    };
    events.iter().flat_map(rows).collect()
}

#[tokio::test]
async fn lines_and_gaps_come_in_order_and_stop_ends_the_stream() {
    let indexer = Arc::new(Indexer::default());
    *indexer.tail.lock().unwrap() = vec![
        json!({"hit": hit("one")}),
        json!({"hit": hit("two")}),
        json!({"dropped": 5}),
        json!({"hit": hit(&"3".repeat(9_000))}),
    ];
    let Server { url, stop, ui } = start(indexer, true).await;
    let response = reqwest::get(format!("{url}/api/v1/tail?q=level:error"))
        .await
        .unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let stopper = stop.clone();
    let text = read(response, move |text| {
        // All lines are there: now the server is told to stop, and the stream must end by itself.
        if text.contains("333") {
            stopper.cancel();
        }
        false
    })
    .await;
    let third = "3".repeat(4096);
    assert_eq!(
        lines_of(&events(&text)),
        ["<open>", "one", "two", "-5", third.as_str(), "<end>"]
    );
    tokio::time::timeout(Duration::from_secs(5), ui)
        .await
        .expect("run must return")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_indexer_from_sending() {
    let indexer = Arc::new(Indexer {
        endless: true,
        ..Indexer::default()
    });
    let server = start(Arc::clone(&indexer), true).await;
    let response = server.get("/api/v1/tail").await;
    // Buffers of sockets fill within this; what counts is that it ends.
    let mut before = 0;
    let mut still = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sent = indexer.sent.load(Ordering::Relaxed);
        still = if sent == before && sent > 0 {
            still + 1
        } else {
            0
        };
        before = sent;
        if still == 4 {
            break;
        }
    }
    assert_eq!(
        still, 4,
        "{before} lines were taken from the indexer and nobody read them"
    );
    assert!(before < 64 * 1024, "{before} KiB are held for one reader");
    // Reading again sets it going again.
    let text = read(response, |text| text.len() > 32 << 20).await;
    assert!(text.len() > 32 << 20);
    assert!(indexer.sent.load(Ordering::Relaxed) > before);
}

#[tokio::test]
async fn seats_are_limited_and_given_back() {
    let server = start(Arc::new(Indexer::default()), true).await;
    let mut open = Vec::new();
    for _ in 0..logboom_ui::limits::TAILS_MAX {
        let response = server.get("/api/v1/tail").await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let refused = server.get("/api/v1/tail").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("live tails"));
    open.clear();
    // The server notices a closed connection when it next writes or reads; that is not at once.
    for _ in 0..100 {
        if server.get("/api/v1/tail").await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no seat came back");
}
