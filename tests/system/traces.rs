//! Traces as a whole system keeps them: late and shuffled spans, service rates, the dependency graph,
//! each against what the test computes from the same spans.

mod shop;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use self::shop::{Call, Shop};
use crate::process::{self, Process};

const FOUND_WITHIN: Duration = Duration::from_secs(60);

/// `up` that publishes every two seconds, so that a trace lies in many splits.
fn up(directory: &Path, http: u16) -> Process {
    let config = directory.join("logboom.yaml");
    std::fs::write(
        &config,
        "version: 1\ndata: data\nindexes: {spans: {hot_age_max: 2s}}\n",
    )
    .unwrap();
    let mut command = process::command(&["up", "--config", config.to_str().unwrap()]);
    command.env("LOGBOOM_OTLP_HTTP", format!("127.0.0.1:{http}"));
    Process::start(command, &directory.join("log"))
}

#[tokio::test]
async fn a_trace_whose_spans_come_shuffled_over_a_minute_and_three_deaths_is_whole() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let http = process::free_port();
    let mut server = up(directory.path(), http);
    let mut shop = Shop::new(random.random());
    let trace = shop.trace(300);
    let mut spans: Vec<&Call> = trace.iter().collect();
    spans.shuffle(&mut random);
    for (second, spans) in spans.chunks(5).enumerate() {
        shop::send(http, spans).await;
        if matches!(second, 15 | 30 | 45) {
            if second == 30 {
                assert!(server.terminate().success());
            } else {
                server.kill_9();
            }
            server = up(directory.path(), http);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let answer = whole_trace(server.url(), &trace[0].trace_id(), trace.len()).await;
    assert_eq!(answer["complete"], true);
    assert_eq!(answer["total"], trace.len());
    assert_eq!(answer["start_ns"], trace[0].start_ns.to_string());
    compare(&trace, &answer);
}

/// The trace by id, once it has as many spans.
async fn whole_trace(url: &str, id: &str, spans: usize) -> Value {
    let whole = async {
        loop {
            let answer = process::get(url, &format!("traces/{id}"), &[]).await;
            if let Some(answer) = answer
                && answer["total"].as_u64() >= Some(spans as u64)
                && answer["complete"] == true
            {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, whole).await.unwrap()
}

/// Every span of the trace, in the answer's columns.
fn compare(trace: &[Call], answer: &Value) {
    let columns = &answer["spans"];
    let text = |list: &str, row: usize, column: &str| {
        let index = columns[column][row].as_u64().unwrap() as usize;
        answer[list][index].as_str().unwrap().to_owned()
    };
    let rows: BTreeMap<String, usize> = columns["id"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(row, id)| (id.as_str().unwrap().to_owned(), row))
        .collect();
    assert_eq!(rows.len(), trace.len());
    for call in trace {
        let row = rows[&call.span_id()];
        assert_eq!(text("services", row, "service"), call.service);
        assert_eq!(text("operations", row, "operation"), call.operation);
        assert_eq!(
            columns["start"][row].as_u64().unwrap(),
            call.start_ns - trace[0].start_ns
        );
        assert_eq!(columns["duration"][row].as_u64().unwrap(), call.duration_ns);
        assert_eq!(columns["kind"][row], call.kind);
        assert_eq!(columns["status"][row], if call.failed { 2 } else { 0 });
        match call.parent {
            Some(parent) => {
                let parent = rows[&trace[parent].span_id()];
                assert_eq!(columns["parent"][row], parent);
            }
            None => assert_eq!(columns["parent"][row], -1),
        }
    }
}

#[tokio::test]
async fn service_rates_and_the_dependency_graph_equal_those_computed_from_the_same_spans() {
    let seed = rand::random();
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let http = process::free_port();
    let server = up(directory.path(), http);
    let mut shop = Shop::new(seed);
    let traces: Vec<Vec<Call>> = (0..400).map(|_| shop.trace(25)).collect();
    for traces in traces.chunks(20) {
        // Children before parents, and traces apart: what belongs together comes apart.
        let mut spans: Vec<&Call> = traces.iter().flatten().collect();
        spans.reverse();
        for spans in spans.chunks(170) {
            shop::send(http, spans).await;
        }
    }
    let spans: Vec<&Call> = traces.iter().flatten().collect();
    process::wait_for_total(
        server.url(),
        "index:spans *",
        spans.len() as u64,
        FOUND_WITHIN,
    )
    .await;

    let range = [
        ("from", rfc3339(shop.begun_ns)),
        ("to", rfc3339(shop.begun_ns + 3_600_000_000_000)),
    ];
    let range: Vec<(&str, &str)> = range
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let answer = process::get(server.url(), "services", &range)
        .await
        .unwrap();
    assert_eq!(answer["complete"], true);
    let entries = spans.iter().filter(|call| call.is_entry());
    let mut by_service: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
    for call in entries {
        by_service
            .entry(call.service.to_owned())
            .or_default()
            .push(call);
    }
    compare_rates(&answer, "service", &by_service);

    let (service, calls) = by_service
        .iter()
        .max_by_key(|(_, calls)| calls.len())
        .unwrap();
    let mut by_operation: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_operation
            .entry(call.operation.clone())
            .or_default()
            .push(call);
    }
    let mut of_service = range.clone();
    of_service.push(("service", service));
    let answer = process::get(server.url(), "services", &of_service)
        .await
        .unwrap();
    compare_rates(&answer, "operation", &by_operation);

    let answer = process::get(server.url(), "dependencies", &range)
        .await
        .unwrap();
    assert_eq!(answer["complete"], true);
    let mut expected: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for trace in &traces {
        for call in trace {
            let Some(parent) = call.parent.map(|parent| &trace[parent]) else {
                continue;
            };
            if parent.service != call.service {
                let edge = (parent.service.to_owned(), call.service.to_owned());
                let (calls, errors) = expected.entry(edge).or_default();
                *calls += 1;
                *errors += u64::from(call.failed);
            }
        }
    }
    let found: BTreeMap<(String, String), (u64, u64)> = answer["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            let name = |key: &str| edge[key].as_str().unwrap().to_owned();
            let count = |key: &str| edge[key].as_u64().unwrap();
            (
                (name("parent"), name("child")),
                (count("calls"), count("errors")),
            )
        })
        .collect();
    assert_eq!(found, expected);
}

fn compare_rates(answer: &Value, by: &str, expected: &BTreeMap<String, Vec<&Call>>) {
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len(), "{answer}");
    for row in rows {
        let name = row[by].as_str().unwrap();
        let calls = &expected[name];
        let errors = calls.iter().filter(|call| call.failed).count();
        assert_eq!(row["requests"], calls.len(), "{name}");
        assert_eq!(row["errors"], errors, "{name}");
        let sum = |column: &str| -> u64 {
            let column = row["series"][column].as_array().unwrap();
            column.iter().map(|count| count.as_u64().unwrap()).sum()
        };
        assert_eq!(sum("requests"), calls.len() as u64, "{name}");
        assert_eq!(sum("errors"), errors as u64, "{name}");
        let mut durations: Vec<u64> = calls.iter().map(|call| call.duration_ns).collect();
        durations.sort_unstable();
        for (column, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            // Nearest rank, either neighbour: what lies between two spans is nobody's duration.
            let rank = quantile * (durations.len() - 1) as f64;
            let low = durations[rank.floor() as usize] as f64 * 0.99;
            let high = durations[rank.ceil() as usize] as f64 * 1.01;
            let found = row[column].as_f64().unwrap();
            assert!(
                (low..=high).contains(&found),
                "{name} {column}: {found} is not within 1 % of [{low}, {high}]"
            );
        }
    }
}

fn rfc3339(ns: u64) -> String {
    jiff::Timestamp::from_nanosecond(ns.into())
        .unwrap()
        .to_string()
}
