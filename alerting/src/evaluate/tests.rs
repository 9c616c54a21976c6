//! The engine against the definition of its semantics, read aloud by slow code.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

mod ends;
mod quantiles;

use super::*;
use crate::{
    episode::Phase,
    testing::{S, event, item, one_rule, record},
};

fn idle() -> Idle {
    Idle::new(Duration::from_secs(5), Duration::from_secs(30))
}

/// Feeds matching lines given as (source, time), all arriving at `now`, and returns what changed.
struct Feeder {
    engine: Engine,
    index: u64,
}

impl Feeder {
    fn new(rule: &Arc<Rule>) -> Feeder {
        Feeder {
            engine: Engine::new(std::slice::from_ref(rule), idle()),
            index: 0,
        }
    }

    fn line(
        &mut self,
        source: u8,
        time: i64,
        now: i64,
        text: &str,
        hit: bool,
    ) -> Vec<(Change, i64)> {
        let record = record(source, self.index, now, text);
        self.index += 1;
        let event = event(&record, time);
        let hits: &[usize] = if hit { &[0] } else { &[] };
        self.engine.feed(item(&record, &event), hits, now);
        self.changes()
    }

    fn hit(&mut self, source: u8, seconds: i64, now: i64) -> Vec<(Change, i64)> {
        self.line(source, seconds * S, now * S, "x", true)
    }

    fn tick(&mut self, seconds: i64) -> Vec<(Change, i64)> {
        self.engine.tick(seconds * S, seconds * S);
        self.changes()
    }

    fn changes(&mut self) -> Vec<(Change, i64)> {
        self.engine
            .take()
            .transitions
            .iter()
            .map(|told| (told.change, told.episode.start / S))
            .collect()
    }
}

#[test]
fn an_episode_fires_on_the_deciding_line_and_resolves_when_it_was_quiet() {
    let rule = one_rule("{name: a, regex: x, threshold: {count: 3, within: 60s}}");
    let mut feeder = Feeder::new(&rule);
    assert_eq!(feeder.hit(1, 1000, 1000), []);
    assert_eq!(feeder.hit(1, 1010, 1010), []);
    assert_eq!(feeder.hit(1, 1059, 1059), [(Change::Firing, 1059)]);
    // The window (1000, 1060) is full until 1060; then 60 s below; the clock is 5 s behind.
    assert_eq!(feeder.tick(1124), []);
    assert_eq!(feeder.tick(1126), [(Change::Resolved, 1059)]);
}

#[test]
fn keep_firing_for_replaces_the_window_as_the_time_to_stay_below() {
    let rule =
        one_rule("{name: a, regex: x, threshold: {count: 1, within: 10s}, keep_firing_for: 5m}");
    let mut feeder = Feeder::new(&rule);
    assert_eq!(feeder.hit(1, 1000, 1000), [(Change::Firing, 1000)]);
    assert_eq!(feeder.tick(1300), []);
    assert_eq!(feeder.hit(1, 1309, 1309), [], "still the same episode");
    assert_eq!(feeder.tick(1620), []);
    assert_eq!(feeder.tick(1625), [(Change::Resolved, 1000)]);
}

#[test]
fn for_waits_and_a_short_condition_is_cancelled() {
    let rule = one_rule("{name: a, regex: x, threshold: {count: 1, within: 10s}, for: 25s}");
    let mut feeder = Feeder::new(&rule);
    assert_eq!(feeder.hit(1, 1000, 1000), [(Change::Pending, 1000)]);
    assert_eq!(feeder.tick(1014), []);
    assert_eq!(feeder.tick(1016), [(Change::Cancelled, 1000)]);
    assert_eq!(feeder.hit(1, 1020, 1020), [(Change::Pending, 1020)]);
    assert_eq!(feeder.hit(1, 1028, 1028), []);
    assert_eq!(
        feeder.hit(1, 1037, 1037),
        [],
        "it holds until 1047, but 1045 is not there yet"
    );
    assert_eq!(feeder.tick(1045), [(Change::Firing, 1020)]);
}

#[test]
fn a_backfill_fires_and_resolves_by_its_own_time() {
    let rule = one_rule("{name: a, regex: x, threshold: {count: 2, within: 60s}}");
    let mut feeder = Feeder::new(&rule);
    let now = 1_000_000;
    assert_eq!(feeder.hit(1, 100, now), []);
    assert_eq!(feeder.hit(1, 101, now), [(Change::Firing, 101)]);
    assert_eq!(
        feeder.line(1, 219 * S, now * S, "y", false),
        [],
        "until 160, and 60 s more"
    );
    assert_eq!(
        feeder.line(1, 220 * S, now * S, "y", false),
        [(Change::Resolved, 101)]
    );
    // Another source's live alert does not wait for the backfill.
    assert_eq!(feeder.hit(2, now, now), []);
    assert_eq!(feeder.hit(2, now, now), [(Change::Firing, now)]);
    feeder.line(1, 221 * S, (now + 124) * S, "y", false);
    assert_eq!(feeder.tick(now + 126), [(Change::Resolved, now)]);
}

#[test]
fn late_lines_of_a_resolved_episode_lengthen_it_or_fire_again_if_it_is_still_on() {
    let rule = one_rule("{name: a, regex: x}");
    let mut feeder = Feeder::new(&rule);
    assert_eq!(feeder.hit(1, 1000, 1000), [(Change::Firing, 1000)]);
    assert_eq!(feeder.tick(1126), [(Change::Resolved, 1000)]);
    assert_eq!(feeder.hit(1, 1000, 1130), [], "known");
    assert_eq!(
        feeder.hit(1, 1005, 1130),
        [(Change::Lengthened, 1000)],
        "over at 1125"
    );
    assert_eq!(
        feeder.hit(1, 1050, 1130).first(),
        Some(&(Change::Firing, 1065)),
        "would last until 1170"
    );
}

#[test]
fn groups_are_apart_and_a_missing_field_is_a_group() {
    let rule =
        one_rule("{name: a, regex: x, threshold: {count: 2, within: 60s, group_by: [host, user]}}");
    let mut feeder = Feeder::new(&rule);
    assert_eq!(feeder.hit(1, 1000, 1000), []);
    assert_eq!(feeder.hit(2, 1000, 1000), []);
    let record = record(2, 9, 1001 * S, "x");
    let event = event(&record, 1001 * S);
    feeder.engine.feed(item(&record, &event), &[0], 1001 * S);
    let told = feeder.engine.take().transitions;
    let labels = told[0].key.labels(&rule);
    let expected = [
        ("__missing__", "user"),
        ("alertname", "a"),
        ("host", "host2"),
        ("user", ""),
    ];
    assert_eq!(
        labels,
        expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
}

#[test]
fn too_many_groups_fire_an_overflow_alert_and_spare_what_fires() {
    let rule =
        one_rule("{name: a, regex: x, threshold: {count: 2, within: 60s, group_by: [user]}}");
    let mut engine = Engine::new(std::slice::from_ref(&rule), idle());
    let mut told = Vec::new();
    let mut feed = |engine: &mut Engine, index: u64, user: String| {
        let record = record(1, index, 1000 * S, "x");
        let mut event = event(&record, 1000 * S);
        event.attributes.insert("user".to_owned(), user.into());
        engine.feed(item(&record, &event), &[0], 1000 * S);
        told.extend(
            engine
                .take()
                .transitions
                .into_iter()
                .map(|told| (told.change, told.key)),
        );
    };
    feed(&mut engine, 0, "firing".to_owned());
    feed(&mut engine, 1, "firing".to_owned());
    for index in 2..limits::GROUPS_MAX as u64 + 100 {
        feed(&mut engine, index, format!("user{index}"));
    }
    assert_eq!(
        told,
        [
            (Change::Firing, GroupKey::Values(vec!["firing".to_owned()])),
            (Change::Firing, GroupKey::Overflow)
        ]
    );
    let groups = &engine.rules[0].groups;
    assert!(groups.len() <= limits::GROUPS_MAX + 1);
    assert!(groups.contains_key(&GroupKey::Values(vec!["firing".to_owned()])));
}

#[test]
fn events_that_find_no_room_cost_no_look_at_every_group() {
    let rule =
        one_rule("{name: a, regex: x, threshold: {count: 1, within: 60s, group_by: [user]}}");
    let mut engine = Engine::new(std::slice::from_ref(&rule), idle());
    let mut feed = |users: std::ops::Range<u64>| {
        let begun = std::time::Instant::now();
        for user in users {
            let record = record(1, user, 1000 * S, "x");
            let mut event = event(&record, 1000 * S);
            event.attributes.insert("user".to_owned(), user.into());
            engine.feed(item(&record, &event), &[0], 1000 * S);
        }
        engine.take();
        assert!(engine.rules[0].groups.len() <= limits::GROUPS_MAX + 1);
        begun.elapsed()
    };
    let most = limits::GROUPS_MAX as u64;
    // Each fires, and is spared.
    feed(0..most);
    let known: Duration = (0..3).map(|_| feed(0..1_000)).min().unwrap();
    let further: Duration = (0..3).map(|_| feed(most..most + 1_000)).min().unwrap();
    assert!(further < known * 20, "{further:?} and {known:?}");
}

#[test]
fn a_changed_rule_keeps_its_state_unless_it_counts_something_else() {
    let rule = one_rule("{name: a, regex: x, threshold: {count: 2, within: 60s}}");
    let mut feeder = Feeder::new(&rule);
    feeder.hit(1, 1000, 1000);
    let relabelled =
        one_rule("{name: a, regex: x, threshold: {count: 2, within: 60s}, labels: {team: b}}");
    feeder.engine.replace_rules(&[relabelled], 1000 * S);
    assert_eq!(feeder.hit(1, 1001, 1001), [(Change::Firing, 1001)]);
    let other = one_rule("{name: a, regex: x, threshold: {count: 3, within: 60s}}");
    feeder.engine.replace_rules(&[other], 1002 * S);
    let dirty = feeder.engine.take();
    assert_eq!(dirty.dropped, ["a"]);
    assert_eq!(dirty.transitions.len(), 1);
    assert_eq!(dirty.transitions[0].change, Change::Resolved);
}

/// The semantics without any cleverness: all lines are kept, everything is looked at every time.
struct Reference {
    count: usize,
    within: i64,
    hold: i64,
    lines: BTreeMap<GroupKey, Vec<(SourceRef, i64)>>,
    episodes: Vec<(GroupKey, Told)>,
    sources: Sources,
    told: Vec<(Change, GroupKey, i64)>,
}

struct Told {
    start: i64,
    until: i64,
    phase: Phase,
    sources: Vec<SourceRef>,
}

impl Reference {
    fn close(&mut self) {
        let mut closed = Vec::new();
        for (key, episode) in &mut self.episodes {
            let end = episode.until + self.hold;
            if episode.phase == Phase::Firing
                && episode
                    .sources
                    .iter()
                    .all(|source| self.sources.watermark(*source) >= end)
            {
                episode.phase = Phase::Resolved;
                closed.push((Change::Resolved, key.clone(), episode.start));
            }
        }
        closed.sort_by(|one, other| one.1.cmp(&other.1));
        self.told.extend(closed);
    }

    fn feed(
        &mut self,
        record: &Record,
        event: &Event,
        time: i64,
        key: GroupKey,
        hit: bool,
        now: i64,
    ) {
        let source = SourceRef::of(record, event);
        self.sources
            .observe(source, record.timestamp_ms * 1_000_000, Some(time), now);
        self.close();
        if !hit {
            return;
        }
        let lines = self.lines.entry(key.clone()).or_default();
        lines.push((source, time));
        let Some((from, until)) = evidence(lines, time, self.count, self.within) else {
            return;
        };
        let hold = self.hold;
        let fits = |episode: &Told| from < episode.until + hold && until + hold > episode.start;
        let mut best: Option<&mut Told> = None;
        for (other, episode) in &mut self.episodes {
            let rank = |episode: &Told| (episode.phase == Phase::Firing, episode.until);
            if *other == key
                && fits(episode)
                && best.as_ref().is_none_or(|best| rank(episode) >= rank(best))
            {
                best = Some(episode);
            }
        }
        let mut start = from;
        match best {
            Some(episode) if episode.phase == Phase::Firing => {
                episode.until = episode.until.max(until);
                if !episode.sources.contains(&source) {
                    episode.sources.push(source);
                }
                self.close();
                return;
            }
            Some(episode) if until <= episode.until => return,
            Some(episode) if until + self.hold <= now => {
                episode.until = until;
                self.told.push((Change::Lengthened, key, episode.start));
                return;
            }
            Some(episode) => start = start.max(episode.until),
            None => {}
        }
        let mut sources: Vec<SourceRef> = Vec::new();
        for (other, at) in lines.iter().rev().take(limits::SAMPLES_MAX) {
            if (at - time).abs() < self.within && !sources.contains(other) {
                sources.push(*other);
            }
        }
        self.told.push((Change::Firing, key.clone(), start));
        self.episodes.push((
            key,
            Told {
                start,
                until,
                phase: Phase::Firing,
                sources,
            },
        ));
        self.close();
    }
}

fn evidence(
    lines: &[(SourceRef, i64)],
    time: i64,
    count: usize,
    within: i64,
) -> Option<(i64, i64)> {
    let inside = |from: i64, to: i64| {
        lines
            .iter()
            .filter(|(_, at)| from <= *at && *at < to)
            .count()
    };
    let starts = lines
        .iter()
        .map(|(_, at)| *at)
        .filter(|start| time - within < *start && *start <= time);
    let until = starts
        .filter(|start| inside(*start, start + within) >= count)
        .max()?
        + within;
    let instants = lines
        .iter()
        .map(|(_, at)| *at)
        .filter(|at| time <= *at && *at < time + within);
    let from = instants
        .filter(|at| inside(at - within + 1, at + 1) >= count)
        .min()?;
    Some((from, until))
}

#[derive(Clone, Debug)]
struct Step {
    source: u8,
    time: i64,
    group: bool,
    hit: bool,
    /// Seconds since the step before, and whether the clock ticks first.
    later: i64,
    tick: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (
        1u8..4,
        0i64..400,
        any::<bool>(),
        prop::bool::weighted(0.8),
        0i64..4,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(source, time, group, hit, later, tick)| Step {
            source,
            time,
            group,
            hit,
            later,
            tick,
        })
}

/// Lines in any order, some of them twice, from several sources, with ticks.
fn compare(
    steps: &[Step],
    count: u32,
    within: i64,
    hold: i64,
    start: i64,
) -> Result<(), TestCaseError> {
    let rule = one_rule(&format!(
        "{{name: a, regex: x, threshold: {{count: {count}, within: {within}s, group_by: [user]}}, keep_firing_for: {hold}s}}"
    ));
    let mut engine = Engine::new(std::slice::from_ref(&rule), idle());
    let mut reference = Reference {
        count: count as usize,
        within: within * S,
        hold: hold * S,
        lines: BTreeMap::new(),
        episodes: Vec::new(),
        sources: Sources::new(idle()),
        told: Vec::new(),
    };
    let mut told = Vec::new();
    let mut now = start * S;
    for (index, step) in steps.iter().enumerate() {
        now += step.later * S;
        if step.tick {
            engine.sources.advance(now);
            engine.pass(now);
            reference.sources.advance(now);
            reference.close();
        }
        let record = record(step.source, index as u64, now, "x");
        let mut event = event(&record, step.time * S);
        event
            .attributes
            .insert("user".to_owned(), step.group.to_string().into());
        let key = GroupKey::of(&rule, &event);
        let time = event
            .timestamp_ns
            .min(if event.timestamp_ns > now + 60 * S {
                now
            } else {
                i64::MAX
            });
        let hits: &[usize] = if step.hit { &[0] } else { &[] };
        engine.feed(item(&record, &event), hits, now);
        reference.feed(&record, &event, time, key, step.hit, now);
        told.extend(
            engine
                .take()
                .transitions
                .into_iter()
                .map(|told| (told.change, told.key, told.episode.start)),
        );
        prop_assert_eq!(&told, &reference.told, "after step {}", index);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn the_engine_does_what_the_definition_says(
        steps in prop::collection::vec(step(), 1..80),
        count in 1u32..5, within in 1i64..60, hold in 0i64..90, start in prop_oneof![Just(100i64), Just(400), Just(100_000)],
    ) {
        compare(&steps, count, within, hold, start)?;
    }

    /// In the order of time, with sweeps and ticks at any point, the episodes are those of the log
    /// as a whole, however it is cut.
    #[test]
    fn an_ordered_log_gives_the_episodes_of_the_whole_log(
        gaps in prop::collection::vec(prop_oneof![0i64..5, 0i64..200], 1..150), count in 1u32..6, within in 1i64..90,
        live in any::<bool>(),
    ) {
        let rule = one_rule(&format!("{{name: a, regex: x, threshold: {{count: {count}, within: {within}s}}}}"));
        let mut feeder = Feeder::new(&rule);
        let mut time = 1000;
        let mut times = Vec::new();
        let mut told = Vec::new();
        for gap in gaps {
            time += gap;
            times.push(time);
            let now = if live { time } else { 1_000_000 };
            told.extend(feeder.tick(now));
            told.extend(feeder.hit(1, time, now));
        }
        told.extend(feeder.tick(2_000_000));
        // Where the count stands at N or more, merged over gaps shorter than the window.
        let n = count as usize;
        let mut expected: Vec<(i64, i64)> = Vec::new();
        for (first, last) in (0..times.len().saturating_sub(n - 1)).map(|at| (times[at], times[at + n - 1])) {
            if last - first < within {
                match expected.last_mut() {
                    Some((_, until)) if last < *until + within => *until = first + within,
                    _ => expected.push((last, first + within)),
                }
            }
        }
        let fired: Vec<i64> = told.iter().filter(|(change, _)| *change == Change::Firing).map(|(_, start)| *start).collect();
        let resolved: Vec<i64> = told.iter().filter(|(change, _)| *change == Change::Resolved).map(|(_, start)| *start).collect();
        let expected: Vec<i64> = expected.iter().map(|(start, _)| *start).collect();
        prop_assert_eq!(&fired, &expected);
        prop_assert_eq!(&resolved, &expected);
    }
}

#[test]
fn memory_of_a_group_is_bounded_by_its_count_while_it_fires() {
    let rule = one_rule("{name: a, regex: x, threshold: {count: 10, within: 60s}}");
    let mut feeder = Feeder::new(&rule);
    for index in 0..50_000 {
        feeder.line(
            1,
            1000 * S + index * 1_000_000,
            1000 * S + index * 1_000_000,
            "x",
            true,
        );
    }
    let group = feeder.engine.rules[0].groups.values().next().unwrap();
    assert!(group.window.len() <= 6 * 10 + 16, "{}", group.window.len());
}
