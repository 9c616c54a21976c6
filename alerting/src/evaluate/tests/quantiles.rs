//! Thresholds on quantiles, as the engine has them.

use logboom_query::{Quantile, Quantiles};

use super::*;
use crate::testing::{TestSpan, spans};

const RULE: &str = "{name: a, query: '*', threshold: {quantile: p50, field: took_ms, above: 500, within: 60s, count_min: 3}";

/// Feeds values of one source, as events of lines with the attribute `took_ms`.
struct Values {
    feeder: Feeder,
}

impl Values {
    fn of(rest: &str) -> Values {
        Values {
            feeder: Feeder::new(&one_rule(&format!("{RULE}{rest}}}"))),
        }
    }

    fn add(&mut self, seconds: i64, took_ms: i64) -> Vec<(Change, i64)> {
        self.late(seconds, seconds, took_ms)
    }

    fn late(&mut self, seconds: i64, now: i64, took_ms: i64) -> Vec<(Change, i64)> {
        let record = record(1, self.feeder.index, now * S, "x");
        self.feeder.index += 1;
        let mut event = event(&record, seconds * S);
        event
            .attributes
            .insert("took_ms".to_owned(), took_ms.into());
        self.feeder
            .engine
            .feed(item(&record, &event), &[0], now * S);
        self.feeder.changes()
    }

    fn tick(&mut self, seconds: i64) -> Vec<(Change, i64)> {
        self.feeder.tick(seconds)
    }
}

#[test]
fn a_quantile_fires_on_the_deciding_value_and_resolves_when_it_was_low_for_the_window() {
    let mut values = Values::of("");
    assert_eq!(values.add(1000, 900), []);
    assert_eq!(values.add(1001, 900), [], "two are fewer than count_min");
    assert_eq!(
        values.add(1002, 500),
        [(Change::Firing, 1002)],
        "900 of 500, 900, 900"
    );
    assert_eq!(values.add(1003, 501), []);
    // 501 is above, 500 is not: now it is 500 of six.
    assert_eq!(values.add(1004, 1), []);
    assert_eq!(values.add(1005, 1), []);
    assert_eq!(values.add(1064, 1), [], "low since 1005");
    assert_eq!(values.add(1066, 1), [(Change::Resolved, 1002)]);
}

#[test]
fn a_source_that_falls_silent_lets_its_quantile_go_with_its_values() {
    let mut values = Values::of("");
    for seconds in [1000, 1001, 1002] {
        values.add(seconds, 900);
    }
    // Two are left once that of 1000 goes, at 1060; 60 s more, and the clock is 5 s behind.
    assert_eq!(values.tick(1124), []);
    assert_eq!(values.tick(1126), [(Change::Resolved, 1002)]);
}

#[test]
fn keep_firing_for_nothing_resolves_at_the_value_that_lowers_it() {
    let mut values = Values::of(", keep_firing_for: 0s");
    for seconds in [1000, 1001] {
        values.add(seconds, 900);
    }
    assert_eq!(values.add(1002, 900), [(Change::Firing, 1002)]);
    values.add(1003, 1);
    values.add(1003, 1);
    assert_eq!(values.add(1003, 1), [(Change::Resolved, 1002)]);
    // At one instant up, down and up: two episodes, and each has a name of its own.
    assert_eq!(values.add(1003, 900), [(Change::Firing, 1003)]);
    assert_eq!(values.add(1003, 1), [(Change::Resolved, 1003)]);
    let again = values.add(1003, 900);
    assert_eq!(again, [(Change::Firing, 1003)]);
    let starts: Vec<i64> = values.feeder.engine.rules[0].groups[&GroupKey::Values(vec![])]
        .episodes
        .iter()
        .map(|episode| episode.start)
        .collect();
    assert_eq!(starts, [1002 * S, 1003 * S, 1003 * S + 1]);
}

#[test]
fn flips_within_one_sweep_are_bounded_and_each_is_told() {
    let mut values = Values::of(", keep_firing_for: 0s");
    let mut told = std::collections::BTreeSet::new();
    for index in 0..2_000_i64 {
        let took_ms = if index % 2 == 0 { 900 } else { 1 };
        let time = 1_000 * S + index * 1_000_000;
        let record = record(1, index.cast_unsigned(), time, "x");
        let mut event = event(&record, time);
        let attributes = &mut event.attributes;
        attributes.insert("took_ms".to_owned(), took_ms.into());
        let item = item(&record, &event);
        values.feeder.engine.feed(item, &[0], time);
        let changes = values.feeder.engine.take().transitions;
        let firing = changes.iter().filter(|told| told.change == Change::Firing);
        told.extend(firing.map(|told| told.episode.start));
        let group = &values.feeder.engine.rules[0].groups[&GroupKey::Values(vec![])];
        assert!(group.episodes.len() <= limits::EPISODES_MAX);
    }
    assert!(told.len() > 900, "{}", told.len());
}

#[test]
fn for_needs_values_that_keep_it_up_and_not_only_the_clock() {
    let mut values = Values::of(", for: 20s");
    // A backlog: the wall clock is far ahead of what is read.
    let now = 1_000_000;
    values.late(1000, now, 900);
    values.late(1001, now, 900);
    assert_eq!(
        values.late(1002, now, 900),
        [(Change::Pending, 1002)],
        "not at once"
    );
    for _ in 0..2 {
        assert_eq!(values.late(1010, now, 1), []);
    }
    assert_eq!(values.late(1010, now, 1), [(Change::Cancelled, 1002)]);
    let mut values = Values::of(", for: 20s");
    values.add(1000, 900);
    values.add(1001, 900);
    assert_eq!(values.add(1002, 900), [(Change::Pending, 1002)]);
    assert_eq!(values.add(1021, 900), []);
    assert_eq!(values.add(1022, 900), [(Change::Firing, 1002)]);
}

#[test]
fn a_late_value_completes_a_window_in_the_past_and_ends_none() {
    let mut values = Values::of("");
    values.add(1000, 900);
    values.add(1020, 900);
    assert_eq!(values.late(1010, 1020, 900), [(Change::Firing, 1020)]);
    for _ in 0..9 {
        assert_eq!(
            values.late(1015, 1021, 1),
            [],
            "what was told is not untold"
        );
    }
    assert_eq!(values.tick(1100), []);
}

#[test]
fn what_has_no_number_in_the_field_has_no_part_in_it() {
    let rule = one_rule(&format!("{RULE}}}"));
    let mut feeder = Feeder::new(&rule);
    for index in 0..9 {
        let record = record(1, index, 1000 * S, "x");
        let mut event = event(&record, 1000 * S);
        if index % 2 == 0 {
            event.attributes.insert("took_ms".to_owned(), "slow".into());
        }
        feeder.engine.feed(item(&record, &event), &[0], 1000 * S);
    }
    assert_eq!(feeder.changes(), []);
    assert!(feeder.engine.rules[0].groups.is_empty());
}

#[test]
fn too_many_groups_of_values_fire_the_overflow_alert() {
    let rule = one_rule(
        "{name: a, query: '*', threshold: {quantile: p99, field: took_ms, above: 500, within: 60s, group_by: [user]}}",
    );
    let mut engine = Engine::new(std::slice::from_ref(&rule), idle());
    for index in 0..=limits::GROUPS_MAX as u64 {
        let record = record(1, index, 1000 * S, "x");
        let mut event = event(&record, 1000 * S);
        event.attributes.insert("user".to_owned(), index.into());
        event.attributes.insert("took_ms".to_owned(), 1.into());
        engine.feed(item(&record, &event), &[0], 1000 * S);
    }
    let told = engine.take().transitions;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key, GroupKey::Overflow);
}

#[test]
fn a_sender_that_is_behind_is_not_ended_by_one_that_is_not() {
    let rule = one_rule(
        "{name: a, index: spans, query: '*', threshold: {count: 2, within: 60s, group_by: [host]}}",
    );
    let mut feeder = Feeder::new(&rule);
    let mut feed = |host: &str, second: i64| {
        let record = spans(host, 0, 5000 * S, &[TestSpan::new(second * S, 10)]);
        let (record, event) = Event::all(record).next().unwrap();
        feeder.engine.feed(item(&record, &event), &[0], 5000 * S);
        feeder.changes()
    };
    assert_eq!(feed("ahead", 4999), []);
    assert_eq!(feed("behind", 1000), []);
    assert_eq!(feed("behind", 1001), [(Change::Firing, 1001)]);
    assert_eq!(feed("ahead", 5000), [(Change::Firing, 5000)]);
    assert_eq!(feed("behind", 1119), []);
    assert_eq!(feed("behind", 1180), [(Change::Resolved, 1001)]);
}

/// The episodes of a log in order: every value asks all before it, sorted; time moves slice by slice.
fn episodes(
    values: &[(i64, u32)],
    per_million: u32,
    least: usize,
    within: i64,
    hold: i64,
) -> Vec<i64> {
    let slice = (within / 120).max(1);
    let slices = within / slice;
    let mut found: Vec<(i64, i64)> = Vec::new();
    for index in 0..values.len() {
        let now = values[index].0;
        let stands = |end: i64| {
            let mut sorted = Quantiles::new();
            for (time, value) in &values[..=index] {
                let at = time.div_euclid(slice);
                if end - slices < at && at <= end {
                    sorted.add(f64::from(*value));
                }
            }
            let quantile = sorted.quantile(Quantile::per_million(per_million).unwrap());
            sorted.count() >= least as u64 && quantile.is_some_and(|quantile| quantile > 500.0)
        };
        let end = now.div_euclid(slice);
        if !stands(end) {
            if let Some((start, until)) = found.last_mut() {
                *until = now.min(*until).max(*start);
            }
            continue;
        }
        let until = (end + 1..).find(|end| !stands(*end)).unwrap() * slice;
        match found.last_mut() {
            Some((start, last)) if now < *last + hold => *last = until.max(*start),
            _ => {
                let taken = |start: i64| found.iter().any(|(other, _)| *other == start);
                let start = (now..).find(|start| !taken(*start)).unwrap();
                found.push((start, until));
            }
        }
    }
    found.into_iter().map(|(start, _)| start).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn an_ordered_log_gives_the_episodes_that_sorting_gives(
        steps in prop::collection::vec((prop_oneof![0i64..5, 0i64..100], 300u32..900), 1..80),
        per_million in prop_oneof![Just(500_000u32), Just(900_000), Just(1_000_000), 0u32..1_000_000],
        least in 1usize..6, within in 2i64..120, hold in 0i64..90, live in any::<bool>(),
    ) {
        let percent = format!("p{}.{:04}", per_million / 10_000, per_million % 10_000);
        let rule = one_rule(&format!(
            "{{name: a, query: '*', threshold: {{quantile: {percent}, field: took_ms, above: 500, within: {within}s, count_min: {least}}}, keep_firing_for: {hold}s}}"
        ));
        let mut feeder = Feeder::new(&rule);
        let mut time = 1000;
        let (mut log, mut told) = (Vec::new(), Vec::new());
        for (index, (gap, value)) in steps.into_iter().enumerate() {
            time += gap;
            log.push((time * S, value));
            let now = if live { time } else { 1_000_000 } * S;
            feeder.engine.tick(now, now);
            let record = record(1, index as u64, now, "x");
            let mut event = event(&record, time * S);
            event.attributes.insert("took_ms".to_owned(), value.into());
            feeder.engine.feed(item(&record, &event), &[0], now);
            told.extend(feeder.engine.take().transitions);
        }
        feeder.engine.tick(2_000_000 * S, 2_000_000 * S);
        told.extend(feeder.engine.take().transitions);
        let expected = episodes(&log, per_million, least, within * S, hold * S);
        for change in [Change::Firing, Change::Resolved] {
            let mut starts: Vec<i64> =
                told.iter().filter(|told| told.change == change).map(|told| told.episode.start).collect();
            starts.sort_unstable();
            prop_assert_eq!(&starts, &expected, "{:?}", change);
        }
    }
}
