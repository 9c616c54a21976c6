//! What an answer says of itself: whether it is whole, where the next page begins, all of a hit, and why a request is
//! refused.

use std::time::Duration;

use bytes::Bytes;
use logboom_event::{Event, EventId};
use rand::{SeedableRng, rngs::StdRng};

use super::{execute, lines::events, long, segment, snapshot, split};
use crate::{
    catalog::Snapshot,
    kind::Kind,
    search::{Budget, Hit, SearchRequest},
};

/// What a sender writes that means `never`.
#[test]
fn an_event_at_the_last_instant_is_found() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut events = events(&mut rng, 1);
    events[0].event.timestamp_ns = i64::MAX;
    for (splits, hot) in [
        (vec![split(&events)], Vec::new()),
        (Vec::new(), vec![segment(&events)]),
    ] {
        let snapshot = Snapshot {
            splits,
            hot,
            complete: true,
            ..Snapshot::default()
        };
        let found = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
        assert_eq!((found.total, found.hits.len()), (Some(1), 1));
    }
}

#[test]
fn an_exhausted_budget_is_told_and_never_miscounts() {
    let mut rng = StdRng::seed_from_u64(5);
    let events = events(&mut rng, 50);
    let snapshot = snapshot(&mut rng, &events);
    let request = SearchRequest {
        q: "/error/".to_owned(),
        ..SearchRequest::default()
    };
    let answer = execute(&snapshot, &request, Budget::within(Duration::ZERO)).unwrap();
    assert_eq!(
        (answer.total, answer.complete, answer.next),
        (None, false, None)
    );
}

#[test]
fn an_unfinished_snapshot_is_told() {
    let snapshot = Snapshot::default();
    let answer = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
    assert_eq!((answer.total, answer.complete), (None, false));
}

#[test]
fn pages_stay_put_while_events_arrive() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut events = events(&mut rng, 120);
    let later = events.split_off(60);
    let before = Snapshot {
        kind: Kind::Logs,
        splits: vec![split(&events)],
        hot: Vec::new(),
        complete: true,
    };
    let request = SearchRequest {
        limit: 10,
        ..SearchRequest::default()
    };
    let first = execute(&before, &request, long()).unwrap();
    let shown: Vec<EventId> = first.hits.iter().map(|hit| hit.id).collect();
    let after = Snapshot {
        hot: vec![segment(&later)],
        ..before
    };
    let second = execute(
        &after,
        &SearchRequest {
            cursor: first.next,
            limit: 200,
            ..request
        },
        long(),
    )
    .unwrap();
    let rest: Vec<EventId> = second.hits.iter().map(|hit| hit.id).collect();
    assert!(
        shown.iter().all(|id| !rest.contains(id)),
        "nothing is shown twice"
    );
    assert!(
        events
            .iter()
            .all(|indexed| shown.contains(&indexed.id) || rest.contains(&indexed.id)),
        "nothing is skipped"
    );
}

#[test]
fn hits_say_all_that_is_known() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut one = events(&mut rng, 1);
    let record = &mut one[0].record;
    record.value = Bytes::from_static(b"caf\xe9 {");
    one[0].event = Event::parse(&one[0].record);
    let snapshot = Snapshot {
        kind: Kind::Logs,
        splits: vec![split(&one)],
        hot: Vec::new(),
        complete: true,
    };
    let answer = execute(&snapshot, &SearchRequest::default(), long()).unwrap();
    let hit = &answer.hits[0];
    assert_eq!(*hit, Hit::new(&one[0].record, &one[0].event, one[0].id));
    assert_eq!(hit.raw_base64.as_deref(), Some("Y2Fm6SB7"));
    let json = serde_json::to_value(hit).unwrap();
    assert_eq!(serde_json::from_value::<Hit>(json).unwrap(), *hit);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let snapshot = Snapshot::default();
    let refuse = |request: SearchRequest| {
        execute(&snapshot, &request, long())
            .unwrap_err()
            .to_string()
    };
    let request = SearchRequest::default;
    assert!(
        refuse(SearchRequest {
            q: "level:".to_owned(),
            ..request()
        })
        .contains("`level:` at column 1")
    );
    assert_eq!(
        refuse(SearchRequest {
            limit: 10_001,
            ..request()
        }),
        "`limit` is 10001; it can be 0 to 10000"
    );
    assert!(
        refuse(SearchRequest {
            cursor: Some("junk".to_owned()),
            ..request()
        })
        .contains("start again without it")
    );
    assert!(
        refuse(SearchRequest {
            histogram: Some(0),
            ..request()
        })
        .contains("1 to 2000")
    );
    assert!(
        refuse(SearchRequest {
            from_ns: Some(5),
            to_ns: Some(5),
            ..request()
        })
        .contains("`from` is not before `to`")
    );
}
