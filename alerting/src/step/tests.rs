//! Lines to alerts through parser, marks, matcher and engine, without the queue.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use logboom_client::{Checkpoint, Marks};

use super::*;
use crate::{
    state::Change,
    testing::{S, record, rule_set},
};

fn evaluator(yaml: &str) -> Evaluator {
    let set = rule_set(yaml);
    let idle = Idle::new(Duration::from_secs(5), Duration::from_secs(30));
    let start = Checkpoint {
        incarnation: 1,
        next_offset: 0,
        last_crc: None,
    };
    let readings = (0..2)
        .map(|partition| Reading::new("logs".into(), partition, start, Marks::default()))
        .collect();
    Evaluator::new(
        Engine::new(&set.rules, idle),
        Compiled::new(&set.rules, &[]).unwrap(),
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
