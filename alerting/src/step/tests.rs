//! Lines to alerts through parser, marks, matcher and engine, without the queue.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use logboom_client::{Checkpoint, Marks};

use super::*;
use crate::{
    episode::Change,
    testing::{S, TestSpan, record, rule_set, spans},
};

fn evaluator(yaml: &str) -> Evaluator {
    let set = rule_set(yaml);
    let idle = Idle::new(Duration::from_secs(5), Duration::from_secs(30));
    let start = Checkpoint {
        incarnation: 1,
        next_offset: 0,
        last_crc: None,
    };
    let logs = [("logs", "logs", 0), ("logs", "logs", 1)];
    let otlp = [("logs", "otlp_logs", 0), ("spans", "otlp_spans", 0)];
    let reading = |(index, topic, partition): (&str, &str, i32)| {
        Reading::new(
            index.into(),
            topic.into(),
            partition,
            start,
            Marks::default(),
        )
    };
    let readings = logs.into_iter().chain(otlp).map(reading).collect();
    Evaluator::new(
        Engine::new(&set.rules, idle),
        Lanes::new(&set.rules).unwrap(),
        readings,
    )
}

/// (rule, change, start in seconds) since the last call.
fn told(evaluator: &mut Evaluator) -> Vec<(String, Change, i64)> {
    let transitions = evaluator.engine.take().transitions;
    transitions
        .into_iter()
        .map(|told| (told.rule.name.clone(), told.change, told.episode.start / S))
        .collect()
}

#[test]
fn a_record_sent_twice_is_counted_once() {
    let mut evaluator =
        evaluator("version: 1\nrules: [{name: a, regex: x, threshold: {count: 2, within: 60s}}]");
    let mut again = record(1, 0, 1000 * S, "x");
    again.offset = 1;
    evaluator.feed(vec![record(1, 0, 1000 * S, "x"), again], 1000 * S);
    assert_eq!(told(&mut evaluator), []);
    let progress = evaluator.take_progress();
    assert_eq!(
        progress
            .iter()
            .find(|progress| progress.partition == 1)
            .unwrap()
            .checkpoint
            .next_offset,
        2
    );
    let mut other = record(1, 1, 1001 * S, "x");
    other.offset = 2;
    evaluator.feed(vec![other], 1001 * S);
    assert_eq!(told(&mut evaluator).len(), 1);
}

#[test]
fn a_rule_takes_pattern_and_query_together() {
    let mut evaluator = evaluator(
        "version: 1\nrules:\n- {name: both, regex: 'fail', query: 'host:host1'}\n- {name: query, query: 'disk', threshold: {count: 1, within: 1m}}",
    );
    let lines = [
        record(1, 0, 0, "it failed"),
        record(2, 0, 0, "it failed"),
        record(2, 1, 0, "a DISK"),
    ];
    evaluator.feed(lines.to_vec(), 0);
    let names: Vec<String> = told(&mut evaluator)
        .into_iter()
        .map(|(rule, ..)| rule)
        .collect();
    assert_eq!(names, ["both", "query"]);
}

/// Where the count of sorted `times` stands at `count` or more, merged over gaps shorter than a
/// window: the definition, on timestamps only.
fn episodes(times: &[i64], count: usize, within: i64) -> Vec<i64> {
    let mut starts = Vec::new();
    let mut until = i64::MIN / 2;
    for window in times
        .windows(count)
        .filter(|window| window[count - 1] - window[0] < within)
    {
        if window[count - 1] >= until + within {
            starts.push(window[count - 1]);
        }
        until = window[0] + within;
    }
    starts
}

/// Linux_2k.log with its dates moved so that the last line is at `last`, gaps kept.
fn shifted_linux_log_of_loghub(last: i64) -> Vec<(i64, String)> {
    let folder = std::env::var_os("LOGBOOM_SAMPLES")
        .expect("set LOGBOOM_SAMPLES to a folder with the loghub 2k samples (https://github.com/logpai/loghub)");
    let bytes = std::fs::read(std::path::Path::new(&folder).join("Linux_2k.log")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let parse = |line: &str| {
        let time =
            DateTime::strptime("%Y %b %d %H:%M:%S", format!("2005 {}", &line[..15])).unwrap();
        time.to_zoned_datetime(TimeZone::UTC)
            .unwrap()
            .timestamp()
            .as_second()
    };
    let lines: Vec<(i64, &str)> = text.lines().map(|line| (parse(line), line)).collect();
    let shift = last - lines[lines.len() - 1].0;
    let moved = |(time, line): (i64, &str)| {
        let time = time + shift;
        let stamp = Timestamp::from_second(time)
            .unwrap()
            .to_zoned_datetime(TimeZone::UTC)
            .strftime("%b %e %H:%M:%S")
            .to_string();
        (time, format!("{stamp}{}", &line[15..]))
    };
    lines.into_iter().map(moved).collect()
}

#[test]
fn linux_log_of_loghub_gives_28_bursts_and_52_single_episodes() {
    const PHRASE: &str = "authentication failure";
    // In January, so that the log crosses a year that its lines do not name.
    let last = 1_768_903_200;
    let log = shifted_linux_log_of_loghub(last);
    let times: Vec<i64> = log
        .iter()
        .filter(|(_, line)| line.contains(PHRASE))
        .map(|(time, _)| *time)
        .collect();
    assert_eq!(times.len(), 490);
    let (bursts, singles) = (episodes(&times, 10, 60), episodes(&times, 1, 60));
    assert_eq!((bursts.len(), singles.len()), (28, 52));

    let mut evaluator = evaluator(&format!(
        "version: 1\nrules:\n- {{name: burst, query: '\"{PHRASE}\"', threshold: {{count: 10, within: 60s}}}}\n- {{name: single, regex: '{PHRASE}'}}"
    ));
    let records = log
        .iter()
        .enumerate()
        .map(|(index, (_, line))| record(1, index as u64, last * S, line))
        .collect();
    evaluator.feed(records, last * S);
    let mut all = told(&mut evaluator);
    evaluator.engine.tick((last + 130) * S, (last + 130) * S);
    all.extend(told(&mut evaluator));
    for (rule, expected) in [("burst", bursts), ("single", singles)] {
        for change in [Change::Firing, Change::Resolved] {
            let starts: Vec<i64> = all
                .iter()
                .filter(|told| told.0 == rule && told.1 == change)
                .map(|told| told.2)
                .collect();
            assert_eq!(starts, expected, "{rule} {change:?}");
        }
    }
    assert_eq!(all.len(), 2 * (28 + 52));
}

fn failed(end: i64, duration_ms: i64) -> TestSpan {
    TestSpan {
        failed: true,
        ..TestSpan::new(end, duration_ms)
    }
}

#[test]
fn rules_of_spans_see_spans_and_those_of_logs_do_not() {
    let mut evaluator = evaluator(
        r"
version: 1
rules:
- {name: lines, query: '*', threshold: {count: 1, within: 1m}}
- {name: text, index: spans, regex: boom, threshold: {count: 1, within: 1m, group_by: [operation, status, kind, http.route]}}
- {name: slow, index: spans, query: 'duration:>500ms status:error resource.host.name:web', threshold: {count: 2, within: 1m}}
",
    );
    let few = [
        failed(1000 * S, 501),
        failed(1001 * S, 500),
        failed(1002 * S, 502),
    ];
    evaluator.feed(vec![spans("web", 0, 1003 * S, &few)], 1003 * S);
    let transitions = evaluator.engine.take().transitions;
    let told: Vec<_> = transitions
        .iter()
        .map(|told| (told.rule.name.as_str(), told.episode.start / S))
        .collect();
    assert_eq!(told, [("text", 1000), ("slow", 1002)]);
    let labels = transitions[0].key.labels(&transitions[0].rule);
    let group = ["operation", "status", "kind", "http.route"].map(|name| labels[name].as_str());
    assert_eq!(group, ["GET /cart", "error", "server", "/cart"]);
    assert!(!labels.contains_key("__missing__"), "{labels:?}");
    let places: Vec<_> = transitions[1]
        .episode
        .samples
        .iter()
        .map(|sample| (sample.offset, sample.index))
        .collect();
    assert_eq!(places, [(0, 0), (0, 2)]);
    let mut next = evaluator.take_progress().into_iter();
    let moved = next
        .find(|progress| &*progress.topic == "otlp_spans")
        .unwrap();
    assert_eq!(moved.checkpoint.next_offset, 1);
}

#[test]
fn a_span_happens_when_it_ends() {
    let mut evaluator = evaluator(
        "version: 1\nrules: [{name: a, index: spans, query: '*', threshold: {count: 2, within: 10s}}]",
    );
    // Both end within a second, an hour and no time after their starts.
    let few = [
        TestSpan::new(10_000 * S, 0),
        TestSpan::new(10_001 * S, 3_600_000),
    ];
    evaluator.feed(vec![spans("web", 0, 10_002 * S, &few)], 10_002 * S);
    assert_eq!(
        told(&mut evaluator),
        [("a".to_owned(), Change::Firing, 10_001)]
    );
    // Nor do long spans hold their source back.
    evaluator.feed(
        vec![spans(
            "web",
            1,
            10_021 * S,
            &[TestSpan::new(10_021 * S, 3_600_000)],
        )],
        10_021 * S,
    );
    assert_eq!(
        told(&mut evaluator),
        [("a".to_owned(), Change::Resolved, 10_001)]
    );
}

#[test]
fn logs_over_otlp_and_lines_are_of_one_index() {
    let mut evaluator = evaluator(
        "version: 1\nrules: [{name: a, regex: disk, threshold: {count: 3, within: 10s}}]",
    );
    let log = |second: i64| serde_json::json!({"timeUnixNano": (second * S).to_string(), "body": {"stringValue": "disk full"}});
    let body = serde_json::json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log(1000), {"body": {"stringValue": "fine"}}, log(1001)]}]}]});
    let request = logboom_event::otlp::Request::from_json(
        logboom_event::otlp::Signal::Logs,
        &serde_json::to_vec(&body).unwrap(),
    )
    .unwrap();
    let line = record(2, 0, 1002 * S, "1970-01-01T00:16:42Z disk full");
    let otlp = Record {
        topic: "otlp_logs".into(),
        partition: 0,
        encoding: logboom_event::Encoding::OtlpLogs,
        value: request.body().clone(),
        origin: None,
        ..line.clone()
    };
    evaluator.feed(vec![otlp, line], 1002 * S);
    assert_eq!(
        told(&mut evaluator),
        [("a".to_owned(), Change::Firing, 1002)]
    );
}

#[test]
fn bytes_that_are_no_request_and_empty_requests_are_passed() {
    let mut evaluator = evaluator(
        "version: 1\nrules: [{name: a, index: spans, query: '*', threshold: {quantile: p50, field: duration, above: 1ms, within: 10s}}]",
    );
    let good = spans("web", 2, 1000 * S, &[TestSpan::new(1000 * S, 5)]);
    let broken = |offset: i64, value: &'static [u8]| Record {
        offset,
        value: value.into(),
        ..good.clone()
    };
    let records = vec![broken(0, b"no protobuf"), broken(1, b""), good.clone()];
    evaluator.feed(records, 1000 * S);
    assert_eq!(
        told(&mut evaluator),
        [("a".to_owned(), Change::Firing, 1000)]
    );
}
