//! Episodes end with the event that they waited for, though it does not look at the others.

use super::*;

const RULES: &str = "version: 1
rules:
- {name: counts, regex: x, threshold: {count: 2, within: 20s, group_by: [user]}, keep_firing_for: 15s}
- {name: values, query: '*', threshold: {quantile: p50, field: took_ms, above: 500, within: 30s, group_by: [user], count_min: 2}}
";

#[derive(Clone, Debug)]
struct Line {
    source: u8,
    /// Behind the newest.
    late: i64,
    user: u8,
    took_ms: i64,
    /// Seconds since the line before, and whether the clock ticks first.
    later: i64,
    tick: bool,
}

fn line() -> impl Strategy<Value = Line> {
    let late = prop_oneof![3 => Just(0i64), 1 => 0i64..90];
    (
        1u8..5,
        late,
        0u8..12,
        0i64..1_000,
        0i64..6,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(source, late, user, took_ms, later, tick)| Line {
            source,
            late,
            user,
            took_ms,
            later,
            tick,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn to_look_at_every_group_after_each_event_finds_nothing_more(lines in prop::collection::vec(line(), 1..250)) {
        let rules = crate::testing::rule_set(RULES).rules;
        let mut engine = Engine::new(&rules, idle());
        let mut thorough = Engine::new(&rules, idle());
        let told = |engine: &mut Engine| -> Vec<_> {
            let transitions = engine.take().transitions.into_iter();
            transitions.map(|told| (told.rule.name.clone(), told.key, told.change, told.episode)).collect()
        };
        let mut now = 10_000 * S;
        for (index, line) in lines.iter().enumerate() {
            now += line.later * S;
            let record = record(line.source, index as u64, now, "x");
            let mut event = event(&record, now - line.late * S);
            event.attributes.insert("user".to_owned(), line.user.to_string().into());
            event.attributes.insert("took_ms".to_owned(), line.took_ms.into());
            for engine in [&mut engine, &mut thorough] {
                if line.tick {
                    engine.tick(now, now);
                }
                engine.feed(item(&record, &event), &[0, 1], now);
            }
            let expected = told(&mut thorough);
            thorough.pass(now);
            prop_assert!(told(&mut thorough).is_empty(), "line {index} ended more");
            prop_assert_eq!(told(&mut engine), expected, "line {}", index);
        }
    }
}

#[test]
fn an_end_is_no_reason_to_look_at_other_groups() {
    let rules = crate::testing::rule_set(
        "version: 1
rules:
- {name: short, regex: x, threshold: {count: 1, within: 10s}}
- {name: waits, regex: x, threshold: {count: 1, within: 10m}, for: 25s}
",
    );
    let mut engine = Engine::new(&rules.rules, idle());
    let feed = |engine: &mut Engine, time: i64, hits: &[usize]| {
        let record = record(1, time as u64, time * S, "x");
        engine.feed(
            item(&record, &event(&record, time * S)),
            hits,
            (time + 9) * S,
        );
    };
    let told = |engine: &mut Engine| -> Vec<_> {
        let transitions = engine.take().transitions.into_iter();
        transitions
            .map(|told| (told.rule.name.clone(), told.change))
            .collect()
    };
    let of = |rule: &str, change| (rule.to_owned(), change);
    feed(&mut engine, 1000, &[0, 1]);
    assert_eq!(
        told(&mut engine),
        [of("short", Change::Firing), of("waits", Change::Pending)]
    );
    feed(&mut engine, 1021, &[]);
    // The other has waited long enough by now, which a look at it would tell.
    assert_eq!(told(&mut engine), [of("short", Change::Resolved)]);
    engine.tick(1030 * S, 1030 * S);
    assert_eq!(told(&mut engine), [of("waits", Change::Firing)]);
}
