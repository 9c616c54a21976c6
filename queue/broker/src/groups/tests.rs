//! The life of groups, told with a clock that the test holds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot::Receiver;

use super::Groups;
use super::group::{Group, Phase};
use super::member::{JoinAnswer, JoinOk, JoinRequest, Protocol, SyncAnswer};
use crate::limits::{GROUP_BYTES_MAX, GROUPS_BYTES_MAX};

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names
        .iter()
        .map(|name| Protocol {
            name: (*name).to_owned(),
            metadata: Bytes::from(format!("{name}-data")),
        })
        .collect()
}

fn request(fresh: &str) -> JoinRequest {
    JoinRequest {
        group: "g".to_owned(),
        member_id: String::new(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range"]),
        knows_member_id_required: true,
        knows_skip_assignment: true,
        fresh_member_id: fresh.to_owned(),
    }
}

fn known(id: &str) -> JoinRequest {
    JoinRequest {
        member_id: id.to_owned(),
        ..request("unused")
    }
}

fn fixed(instance: &str, fresh: &str) -> JoinRequest {
    JoinRequest {
        instance_id: Some(instance.to_owned()),
        ..request(fresh)
    }
}

fn ok(answer: &mut Receiver<JoinAnswer>) -> JoinOk {
    answer
        .try_recv()
        .expect("no answer yet")
        .expect("join refused")
}

fn refused(mut answer: Receiver<JoinAnswer>) -> ResponseError {
    answer
        .try_recv()
        .expect("no answer yet")
        .expect_err("join accepted")
        .error
}

fn waits(answer: &mut Receiver<JoinAnswer>) -> bool {
    matches!(
        answer.try_recv(),
        Err(tokio::sync::oneshot::error::TryRecvError::Empty)
    )
}

fn sync(
    group: &mut Group,
    now: Instant,
    id: &str,
    generation: i32,
    deal: &[(&str, &str)],
) -> Receiver<SyncAnswer> {
    let deal = deal
        .iter()
        .map(|(id, data)| ((*id).to_owned(), Bytes::from((*data).to_owned())))
        .collect();
    group.sync(now, id, None, generation, (None, None), deal)
}

/// A dynamic member joins the way new clients do: it gets an id and comes back with it.
fn enter(group: &mut Group, now: Instant, id: &str) -> Receiver<JoinAnswer> {
    assert_eq!(
        refused(group.join(now, request(id))),
        ResponseError::MemberIdRequired
    );
    group.join(now, known(id))
}

/// A group in which a leads and both have their assignment, in generation 2.
fn stable_pair(now: Instant) -> Group {
    let mut group = Group::new();
    let mut a = enter(&mut group, now, "a");
    assert_eq!(ok(&mut a).generation, 1);
    let mut b = enter(&mut group, now, "b");
    let mut a = group.join(now, known("a"));
    assert_eq!(ok(&mut a).members.len(), 2);
    assert_eq!(ok(&mut b).leader, "a");
    let mut b = sync(&mut group, now, "b", 2, &[]);
    assert!(b.try_recv().is_err(), "the leader has not dealt yet");
    let mut a = sync(&mut group, now, "a", 2, &[("a", "p0"), ("b", "p1")]);
    assert_eq!(a.try_recv().unwrap().unwrap().assignment, "p0");
    assert_eq!(b.try_recv().unwrap().unwrap().assignment, "p1");
    assert_eq!(group.phase, Phase::Stable);
    group
}

#[test]
fn the_first_member_waits_for_nobody() {
    let now = Instant::now();
    let mut group = Group::new();
    let joined = ok(&mut enter(&mut group, now, "a"));
    assert_eq!(
        (joined.generation, &*joined.leader, &*joined.protocol),
        (1, "a", "range")
    );
    assert_eq!(joined.members[0].metadata, "range-data");
}

#[test]
fn an_old_client_joins_without_a_second_round() {
    let mut group = Group::new();
    let old = JoinRequest {
        knows_member_id_required: false,
        ..request("a")
    };
    assert_eq!(ok(&mut group.join(Instant::now(), old)).member_id, "a");
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    stable_pair(Instant::now());
}

#[test]
fn heartbeats_tell_of_a_rebalance_and_of_a_wrong_generation() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    assert_eq!(group.heartbeat(now, "a", None, 2), Ok(()));
    assert_eq!(
        group.heartbeat(now, "a", None, 1),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(
        group.heartbeat(now, "x", None, 2),
        Err(ResponseError::UnknownMemberId)
    );
    let _c = enter(&mut group, now, "c");
    assert_eq!(
        group.heartbeat(now, "a", None, 2),
        Err(ResponseError::RebalanceInProgress)
    );
}

#[test]
fn a_silent_member_is_dropped_when_its_session_ends_and_the_rest_rebalances() {
    let start = Instant::now();
    let mut group = stable_pair(start);
    let later = start + SESSION - Duration::from_millis(1);
    assert_eq!(group.heartbeat(later, "a", None, 2), Ok(()));
    group.expire(later);
    assert_eq!(group.members.len(), 2);
    group.expire(start + SESSION);
    assert_eq!(group.members.len(), 1);
    assert_eq!(
        group.heartbeat(start + SESSION, "a", None, 2),
        Err(ResponseError::RebalanceInProgress)
    );
    let mut a = group.join(start + SESSION, known("a"));
    assert_eq!(ok(&mut a).generation, 3);
}

#[test]
fn a_member_that_does_not_join_again_is_out_after_the_rebalance_timeout() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    let mut c = enter(&mut group, now, "c");
    let mut b = group.join(now, known("b"));
    // a lives, but does not join.
    for second in 1..60 {
        let now = now + Duration::from_secs(second);
        assert!(group.heartbeat(now, "a", None, 2).is_err());
        group.expire(now);
        assert!(waits(&mut b) && waits(&mut c), "after {second} s");
    }
    group.expire(now + REBALANCE);
    assert_eq!(ok(&mut b).generation, 3);
    assert_ne!(ok(&mut c).leader, "a");
    assert_eq!(group.members.len(), 2);
}

#[test]
fn a_group_empties_in_session_timeout_when_its_members_die_while_joining() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    let c = enter(&mut group, now, "c");
    let a = group.join(now, known("a"));
    drop((a, c));
    group.expire(now + SESSION);
    assert!(group.is_idle(), "{group:?}");
    assert_eq!(group.phase, Phase::Empty);
}

#[test]
fn an_id_that_was_given_out_and_never_used_holds_a_rebalance_up_for_one_session_at_most() {
    let now = Instant::now();
    let mut group = Group::new();
    assert_eq!(
        refused(group.join(now, request("ghost"))),
        ResponseError::MemberIdRequired
    );
    let mut a = enter(&mut group, now, "a");
    assert!(waits(&mut a));
    group.expire(now + SESSION);
    assert_eq!(ok(&mut a).generation, 1);
}

#[test]
fn leaving_rebalances_at_once_and_the_last_one_leaves_an_empty_group() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    assert_eq!(group.leave(now, "a", None), Ok(()));
    assert_eq!(
        group.leave(now, "a", None),
        Err(ResponseError::UnknownMemberId)
    );
    assert_eq!(ok(&mut group.join(now, known("b"))).leader, "b");
    assert_eq!(group.leave(now, "b", None), Ok(()));
    assert_eq!(group.phase, Phase::Empty);
    assert!(group.generation >= 3, "generations only grow");
}

#[test]
fn a_member_whose_join_answer_was_lost_gets_it_again() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    let again = ok(&mut group.join(now, known("b")));
    assert_eq!(again.generation, 2, "no rebalance");
    assert!(
        again.members.is_empty(),
        "only the leader is told of the others"
    );
}

#[test]
fn a_leader_that_joins_again_has_the_partitions_dealt_anew() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    let mut a = group.join(now, known("a"));
    assert!(waits(&mut a));
    let mut b = group.join(now, known("b"));
    assert_eq!((ok(&mut a).generation, ok(&mut b).generation), (3, 3));
}

#[test]
fn who_waits_for_the_leader_learns_of_a_rebalance() {
    let now = Instant::now();
    let mut group = Group::new();
    let _a = enter(&mut group, now, "a");
    let _b = enter(&mut group, now, "b");
    let _a = group.join(now, known("a"));
    let mut b = sync(&mut group, now, "b", 2, &[]);
    let _c = enter(&mut group, now, "c");
    assert_eq!(
        b.try_recv().unwrap().unwrap_err(),
        ResponseError::RebalanceInProgress
    );
}

#[test]
fn a_leader_that_never_deals_is_dropped() {
    let now = Instant::now();
    let mut group = Group::new();
    let _a = enter(&mut group, now, "a");
    let mut b = enter(&mut group, now, "b");
    let _a = group.join(now, known("a"));
    assert_eq!(ok(&mut b).leader, "a");
    let _b = sync(&mut group, now, "b", 2, &[]);
    group.expire(now + SESSION);
    assert!(!group.members.contains_key("a"));
    assert_eq!(ok(&mut group.join(now + SESSION, known("b"))).leader, "b");
}

#[test]
fn protocols_that_do_not_fit_are_refused() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    let other = JoinRequest {
        protocols: protocols(&["sticky"]),
        ..request("c")
    };
    assert_eq!(
        refused(group.join(now, other)),
        ResponseError::InconsistentGroupProtocol
    );
    let other = JoinRequest {
        protocol_type: "connect".to_owned(),
        ..request("c")
    };
    assert_eq!(
        refused(group.join(now, other)),
        ResponseError::InconsistentGroupProtocol
    );
    let none = JoinRequest {
        protocols: Vec::new(),
        ..request("c")
    };
    assert_eq!(
        refused(group.join(now, none)),
        ResponseError::InconsistentGroupProtocol
    );
    assert_eq!(group.phase, Phase::Stable, "nobody was disturbed");
}

#[test]
fn the_protocol_is_one_that_all_support_and_most_prefer() {
    let now = Instant::now();
    let mut group = Group::new();
    let join = |id: &str, names: &[&str]| JoinRequest {
        protocols: protocols(names),
        knows_member_id_required: false,
        ..request(id)
    };
    let _a = group.join(now, join("a", &["sticky", "range", "robin"]));
    let mut b = group.join(now, join("b", &["robin", "range"]));
    let mut c = group.join(now, join("c", &["robin", "range", "sticky"]));
    let mut a = group.join(
        now,
        JoinRequest {
            member_id: "a".to_owned(),
            ..join("", &["sticky", "range", "robin"])
        },
    );
    for answer in [&mut a, &mut b, &mut c] {
        assert_eq!(ok(answer).protocol, "robin");
    }
}

#[test]
fn a_static_member_that_restarts_takes_its_place_back_without_a_rebalance() {
    let now = Instant::now();
    let mut group = Group::new();
    assert_eq!(
        ok(&mut group.join(now, fixed("host-1", "a1"))).member_id,
        "a1"
    );
    let deal = vec![("a1".to_owned(), Bytes::from_static(b"p0"))];
    let mut synced = group.sync(now, "a1", Some("host-1"), 1, (None, None), deal);
    assert_eq!(synced.try_recv().unwrap().unwrap().assignment, "p0");

    let again = ok(&mut group.join(now, fixed("host-1", "a2")));
    assert_eq!(
        (again.generation, &*again.member_id, again.skip_assignment),
        (1, "a2", true)
    );
    let mut synced = group.sync(now, "a2", Some("host-1"), 1, (None, None), Vec::new());
    assert_eq!(synced.try_recv().unwrap().unwrap().assignment, "p0");
    // The old process, if it still runs, is fenced everywhere.
    assert_eq!(
        group.heartbeat(now, "a1", Some("host-1"), 1),
        Err(ResponseError::FencedInstanceId)
    );
    assert_eq!(
        group.may_commit(now, "a1", Some("host-1"), 1),
        Err(ResponseError::FencedInstanceId)
    );
}

#[test]
fn an_older_static_leader_that_restarts_is_not_told_that_it_leads() {
    let now = Instant::now();
    let mut group = Group::new();
    let _first = group.join(now, fixed("host-1", "a1"));
    let _synced = group.sync(
        now,
        "a1",
        Some("host-1"),
        1,
        (None, None),
        vec![("a1".to_owned(), Bytes::new())],
    );
    let old = JoinRequest {
        knows_skip_assignment: false,
        ..fixed("host-1", "a2")
    };
    let again = ok(&mut group.join(now, old));
    assert_eq!((&*again.leader, again.members.len()), ("a1", 0));
}

#[test]
fn a_static_member_may_be_removed_by_its_instance_alone() {
    let now = Instant::now();
    let mut group = Group::new();
    let _joined = group.join(now, fixed("host-1", "a1"));
    assert_eq!(
        group.leave(now, "", Some("host-2")),
        Err(ResponseError::UnknownMemberId)
    );
    assert_eq!(group.leave(now, "", Some("host-1")), Ok(()));
    assert!(group.is_idle());
}

#[test]
fn commits_are_for_members_of_the_generation_or_for_groups_without_members() {
    let now = Instant::now();
    assert_eq!(Group::new().may_commit(now, "", None, -1), Ok(()));
    let mut group = stable_pair(now);
    assert_eq!(group.may_commit(now, "a", None, 2), Ok(()));
    assert_eq!(
        group.may_commit(now, "a", None, 1),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(
        group.may_commit(now, "", None, -1),
        Err(ResponseError::UnknownMemberId)
    );
    let _c = enter(&mut group, now, "c");
    assert_eq!(
        group.may_commit(now, "a", None, 2),
        Ok(()),
        "a commit before joining again is what clients do"
    );
}

#[test]
fn two_hundred_members_join_one_generation() {
    let now = Instant::now();
    let mut group = Group::new();
    let mut first: Vec<_> = (0..200)
        .map(|i| enter(&mut group, now, &format!("m{i:03}")))
        .collect();
    let generation = ok(&mut first[0]).generation;
    assert_eq!(generation, 1);
    let mut again = group.join(now, known("m000"));
    for answer in first.iter_mut().skip(1) {
        assert_eq!(ok(answer).generation, 2);
    }
    assert_eq!(ok(&mut again).members.len(), 200);
}

#[test]
fn deadlines_are_known_in_advance() {
    let now = Instant::now();
    let mut group = stable_pair(now);
    assert_eq!(group.next_deadline(), Some(now + SESSION));
    let mut c = enter(&mut group, now, "c");
    let mut b = group.join(now, known("b"));
    let mut a = group.join(now, known("a"));
    for answer in [&mut a, &mut b, &mut c] {
        ok(answer);
    }
    assert_eq!(group.next_deadline(), Some(now + SESSION));
    assert_eq!(Group::new().next_deadline(), None);
}

/// A member that says `bytes` about itself.
fn talkative(id: &str, bytes: usize) -> JoinRequest {
    let mut request = fixed(id, id);
    request.protocols[0].metadata = Bytes::from(vec![0; bytes]);
    request
}

#[test]
fn what_the_members_of_a_group_say_is_bounded() {
    const BYTES: usize = 1_000_000;
    let (now, mut group) = (Instant::now(), Group::new());
    let fit = GROUP_BYTES_MAX / BYTES;
    let mut answers: Vec<_> = (0..fit)
        .map(|number| group.join(now, talkative(&format!("m{number}"), BYTES)))
        .collect();
    ok(&mut answers[0]);
    assert!(answers[1..].iter_mut().all(waits));
    let one_more = || talkative("one more", BYTES);
    let too_much = ResponseError::GroupMaxSizeReached;
    assert_eq!(refused(group.join(now, one_more())), too_much);
    // Who is in may come back, and say less, but not more than there is room for.
    assert!(waits(&mut group.join(now, talkative("m1", BYTES))));
    assert_eq!(
        refused(group.join(now, talkative("m1", 2 * BYTES))),
        too_much
    );
    assert!(waits(&mut group.join(now, talkative("m1", 10))));
    assert!(waits(&mut group.join(now, one_more())));
}

#[tokio::test]
async fn what_all_groups_hold_is_bounded() {
    let (now, groups) = (Instant::now(), Groups::default());
    let join = |group: usize, id: &str, bytes| {
        let group = format!("g{group}");
        groups.join(
            now,
            JoinRequest {
                group,
                ..talkative(id, bytes)
            },
        )
    };
    let each = GROUP_BYTES_MAX - 1000;
    let fit = GROUPS_BYTES_MAX / each;
    let first: Vec<_> = (0..fit)
        .map(|group| ok(&mut join(group, "m", each)))
        .collect();
    let too_much = ResponseError::GroupMaxSizeReached;
    assert_eq!(refused(join(fit, "m", each)), too_much);
    let (last, mut leads) = (fit - 1, first.into_iter().next_back().unwrap());
    let assign = |leads: &JoinOk, bytes| {
        let assigned = vec![(leads.member_id.clone(), Bytes::from(vec![0; bytes]))];
        let (id, generation) = (&leads.member_id, leads.generation);
        let mut answer = groups.sync(
            now,
            &format!("g{last}"),
            id,
            Some("m"),
            generation,
            (None, None),
            assigned,
        );
        answer.try_recv().unwrap().map(|_| ())
    };
    assert_eq!(assign(&leads, each), Err(too_much));
    // Whoever is in may come back, and what is given back can be had.
    leads = ok(&mut join(last, "m", 10));
    assert_eq!(assign(&leads, each), Ok(()));
    groups.leave(now, "g0", "", Some("m")).unwrap();
    ok(&mut join(fit, "m", each));
}
