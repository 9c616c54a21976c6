//! Whether all that was sent is found, and how fast: through the public API, as the page asks.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::input::Input;
use super::shop::SERVICES;
use crate::fresh::quantiles;
use crate::process;

const SEARCHES: usize = 240;
const LARGE_READS: usize = 20;
const TRACE_READS: usize = 200;

/// Counts of everything that the input knows of itself; panics at the first that differs.
pub(super) async fn verify(url: &str, input: &Input) {
    let total = async |query: &str| process::total(url, query).await.unwrap();
    for (service, spans) in SERVICES.iter().zip(input.by_service) {
        assert_eq!(
            total(&format!("index:spans service:{service}")).await,
            spans,
            "{service}"
        );
    }
    assert_eq!(total("index:spans status:error").await, input.failed);
    let services = process::get(url, "names", &[]).await.unwrap();
    assert_eq!(
        services["services"].as_array().unwrap().len(),
        SERVICES.len()
    );
    println!(
        "{:34} {} spans, {} of them failed, by service and in all",
        "found", input.spans, input.failed
    );
}

pub(super) async fn print(url: &str, input: &Input) {
    let mut random = SmallRng::seed_from_u64(5);
    let mut times = Vec::new();
    for number in 0..SEARCHES {
        let (query, range) = (
            question(&mut random, number),
            range(&mut random, number, input),
        );
        let (from, to) = (range.0.as_str(), range.1.as_str());
        let start = Instant::now();
        let answer = process::get(url, "traces", &[("q", &query), ("from", from), ("to", to)])
            .await
            .unwrap();
        times.push(start.elapsed());
        assert_eq!(answer["complete"], true, "{query}");
        println_slow(&query, start.elapsed(), &answer);
    }
    quantiles(&format!("trace search, {SEARCHES} different"), times);

    let times = read(url, input.traces.iter().cycle().take(TRACE_READS)).await;
    quantiles("trace by id", times);
    let times = read(url, std::iter::repeat_n(&input.large, LARGE_READS)).await;
    quantiles(&format!("trace of {} spans by id", input.large.1), times);
}

/// Those over the promise, by name.
fn println_slow(query: &str, took: Duration, answer: &Value) {
    if took > Duration::from_millis(200) {
        let traces = answer["traces"].as_array().unwrap().len();
        println!(
            "  slow: {} ms, {traces} traces: `{query}`",
            took.as_millis()
        );
    }
}

async fn read(url: &str, traces: impl Iterator<Item = &(String, u64)>) -> Vec<Duration> {
    let mut times = Vec::new();
    for (id, spans) in traces {
        let start = Instant::now();
        let trace = process::get(url, &format!("traces/{id}"), &[])
            .await
            .unwrap();
        times.push(start.elapsed());
        assert_eq!(
            (&trace["total"], &trace["complete"]),
            (&Value::from(*spans), &Value::from(true)),
            "{id}"
        );
        assert_eq!(
            trace["spans"]["id"].as_array().unwrap().len() as u64,
            *spans,
            "{id}"
        );
    }
    times
}

/// What people look for: each kind of question in turn, with other values each time.
fn question(random: &mut SmallRng, number: usize) -> String {
    let service = SERVICES[random.random_range(0..SERVICES.len())];
    let other = SERVICES[random.random_range(0..SERVICES.len())];
    let millis = random.random_range(1..2_000);
    match number % 12 {
        0 => format!("service:{service}"),
        1 => format!("service:{service} status:error"),
        2 => format!("service:{service} duration:>{millis}ms"),
        3 => format!("operation:\"GET /api/v1/{service}/items/{{id}}\" status:error"),
        4 => format!("order:{}", random.random_range(0..5_000_000)),
        5 => format!("http.response.status_code:>=500 service:{service}"),
        6 => format!("\"exceeded after {}\"", random.random_range(100..30_000)),
        7 => format!("kind:client NOT service:{service} duration:>{millis}ms"),
        8 => format!(
            "url.path:\"/api/v1/{service}/items/{}\"",
            random.random_range(0..200_000)
        ),
        9 => format!("server.address:{other}* db.operation.name:UPDATE"),
        10 => format!("events.exception.type:TimeoutError service:({service} OR {other})"),
        _ => format!("customer:/^c-{:03x}/", random.random_range(0..4096)),
    }
}

/// From everything to the last minute, never the same twice.
fn range(random: &mut SmallRng, number: usize, input: &Input) -> (String, String) {
    let share = [1.0, 0.5, 0.1, 0.02][number / 12 % 4] * random.random_range(0.9..1.0);
    let length_ns = ((input.end_ns - input.begin_ns) as f64 * share) as u64;
    let time = |ns: u64| {
        jiff::Timestamp::from_nanosecond(i128::from(ns))
            .unwrap()
            .to_string()
    };
    (
        time(input.end_ns - length_ns),
        time(input.end_ns + 60_000_000_000),
    )
}
