//! How old a line is when it can be found, and when its webhook arrives: 1,000 lines
//! a second into `logboom up`, with publishes and merges going on.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use serde_json::Value;

use crate::process::{self, Process};

const LINES_PER_SECOND: usize = 1000;
/// One line in so many fires an alert of its own.
const ALARM_EVERY: usize = 100;

pub(crate) async fn print(directory: &Path, lines: usize) {
    println!("\nfresh: {lines} lines at {LINES_PER_SECOND} a second");
    let hooked: Arc<Mutex<HashMap<usize, Instant>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    let arrivals = Arc::clone(&hooked);
    let app = Router::new().route(
        "/",
        post(move |body: String| async move { note_arrivals(&body, &arrivals) }),
    );
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let log = directory.join("fresh.log");
    std::fs::write(&log, "").unwrap();
    std::fs::write(
        directory.join("rules.yaml"),
        "version: 1\nrules: [{name: alarm, query: 'alarm:true', threshold: {count: 1, within: 1s, group_by: [number]}, receivers: [bench]}]\n",
    )
    .unwrap();
    std::fs::write(
        directory.join("fresh.yaml"),
        format!(
            "version: 1\nqueue: {{disk_free_min: 1MiB}}\nindexes: {{logs: {{hot_age_max: 5s}}}}\n\
             alerting: {{rules: [rules.yaml], receivers: [{{name: bench, webhook: {{url: '{hook}', send_resolved: false}}}}]}}\n"
        ),
    )
    .unwrap();
    let config = directory.join("fresh.yaml");
    let up = Process::up(
        &directory.join("fresh-data"),
        &[
            "--config",
            config.to_str().unwrap(),
            "--tail",
            log.to_str().unwrap(),
        ],
    );

    let appended: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let writer = std::thread::spawn({
        let (appended, log) = (Arc::clone(&appended), log.clone());
        move || append(&log, lines, &appended)
    });
    let found = poll(up.url(), "*", lines, LINES_PER_SECOND, &appended).await;
    writer.join().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    quantiles("append → searchable", found);
    let appended = appended.lock().unwrap();
    let hooked = hooked.lock().unwrap();
    println!(
        "{:34} {} of {}",
        "  alarms delivered",
        hooked.len(),
        lines / ALARM_EVERY
    );
    quantiles(
        "append → webhook",
        hooked
            .iter()
            .map(|(number, at)| at.duration_since(appended[*number]))
            .collect(),
    );
    println!(
        "{:34} {:8} MiB",
        "  largest memory",
        up.peak_rss_bytes() >> 20
    );
    server.abort();
}

fn append(log: &Path, lines: usize, appended: &Mutex<Vec<Instant>>) {
    let mut file = std::fs::OpenOptions::new().append(true).open(log).unwrap();
    let start = Instant::now();
    for number in 0..lines {
        let due = start + Duration::from_secs_f64(number as f64 / LINES_PER_SECOND as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let alarm = number % ALARM_EVERY == 0;
        let time = jiff::Timestamp::now();
        let line = format!(
            "{{\"time\":\"{time}\",\"number\":{number},\"alarm\":{alarm},\"message\":\"order {number} was shipped to shelf {}\"}}\n",
            number % 977
        );
        // Noted before the write, so that what is measured can only be longer than the truth.
        appended.lock().unwrap().push(Instant::now());
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Asks for the newest events over and over; an event's age is taken when the answer is here.
/// `begun` has when each was on its way, by the attribute `number`.
pub(crate) async fn poll(
    url: &str,
    query: &str,
    events: usize,
    per_second: usize,
    begun: &Mutex<Vec<Instant>>,
) -> Vec<Duration> {
    let mut ages: HashMap<usize, Duration> = HashMap::new();
    let deadline = Instant::now() + Duration::from_secs(60 + (events / per_second) as u64);
    while ages.len() < events && Instant::now() < deadline {
        let answer = process::get(
            url,
            "search",
            &[("q", query), ("limit", "1000"), ("from", "10s")],
        )
        .await
        .unwrap_or_default();
        let now = Instant::now();
        let numbers = answer["hits"].as_array().into_iter().flatten();
        let numbers: Vec<usize> = numbers.filter_map(number_of).collect();
        note_ages(&numbers, now, &begun.lock().unwrap(), &mut ages);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    println!("{:34} {} of {events}", "  seen", ages.len());
    ages.into_values().collect()
}

fn note_ages(
    numbers: &[usize],
    now: Instant,
    begun: &[Instant],
    ages: &mut HashMap<usize, Duration>,
) {
    for number in numbers {
        ages.entry(*number)
            .or_insert_with(|| now.duration_since(begun[*number]));
    }
}

fn number_of(hit: &Value) -> Option<usize> {
    hit["attributes"]["number"]
        .as_u64()
        .map(|number| number as usize)
}

fn note_arrivals(body: &str, arrivals: &Mutex<HashMap<usize, Instant>>) {
    let body: Value = serde_json::from_str(body).unwrap();
    let numbers = body["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|alert| alert["labels"]["number"].as_str()?.parse().ok());
    for number in numbers {
        arrivals
            .lock()
            .unwrap()
            .entry(number)
            .or_insert_with(Instant::now);
    }
}

pub(crate) fn quantiles(what: &str, mut ages: Vec<Duration>) {
    ages.sort();
    let at = |quantile: f64| {
        ages.get((ages.len() as f64 * quantile) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what:34} p50 {:4} ms   p99 {:4} ms   longest {:4} ms",
        at(0.5).as_millis(),
        at(0.99).as_millis(),
        ages.last().copied().unwrap_or_default().as_millis()
    );
}
