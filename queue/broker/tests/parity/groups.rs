//! Groups of the classic protocol: who joins, who is fenced, and what admin tools are told.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::cluster::text;
use crate::common::wire::Wire;
use crate::offsets::committing;
use crate::side::Side;
use crate::topics::made;

/// A subscription to no topics, and an assignment of none, as consumers write them. Kafka reads them: at other bytes it
/// never answers.
const NOTHING: [u8; 10] = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];

pub(crate) fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

fn joining(name: &str, member: &StrBytes) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(&NOTHING));
    JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_member_id(member.clone())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn syncing(
    name: &str,
    member: &StrBytes,
    generation: i32,
    dealt: &[&StrBytes],
) -> SyncGroupRequest {
    let rows = dealt.iter().map(|member| {
        SyncGroupRequestAssignment::default()
            .with_member_id((*member).clone())
            .with_assignment(Bytes::from_static(&NOTHING))
    });
    SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_member_id(member.clone())
        .with_generation_id(generation)
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(rows.collect())
}

fn beating(name: &str, member: &StrBytes, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(name))
        .with_member_id(member.clone())
        .with_generation_id(generation)
}

fn leaving(name: &str, member: &StrBytes, instance: Option<&str>) -> LeaveGroupRequest {
    let member = MemberIdentity::default()
        .with_member_id(member.clone())
        .with_group_instance_id(instance.map(text));
    LeaveGroupRequest::default()
        .with_group_id(group(name))
        .with_members(vec![member])
}

/// The id that a member is given when it joins without one.
async fn new_member(side: &mut Side, step: &str, name: &str) -> StrBytes {
    let request = joining(name, &StrBytes::default());
    let ResponseKind::JoinGroup(answer) = side.ask(step, ApiKey::JoinGroup, 9, request).await
    else {
        panic!()
    };
    answer.member_id
}

/// A group with one member, in its first generation.
pub(crate) async fn alone(side: &mut Side, name: &str) -> StrBytes {
    let request = joining(name, &StrBytes::default());
    let ResponseKind::JoinGroup(answer) = side.wire.call(ApiKey::JoinGroup, 9, request).await
    else {
        panic!()
    };
    let member = answer.member_id;
    side.wire
        .call(ApiKey::JoinGroup, 9, joining(name, &member))
        .await;
    side.wire
        .call(ApiKey::SyncGroup, 5, syncing(name, &member, 1, &[&member]))
        .await;
    member
}

/// Commits an offset without noting it. A group without members and offsets is forgotten, here soon and in Kafka late;
/// one with offsets stays.
async fn commit(side: &mut Side, request: OffsetCommitRequest) {
    let response = side.wire.call(ApiKey::OffsetCommit, 8, request).await;
    let ResponseKind::OffsetCommit(answer) = response else {
        panic!()
    };
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

/// Waits until the first connection's member is told to join again.
async fn told_to_rejoin(side: &mut Side, name: &str, member: &StrBytes, generation: i32) {
    let wanted = |response: &ResponseKind| matches!(response, ResponseKind::Heartbeat(answer) if answer.error_code == 27);
    side.until(
        "a rebalance",
        ApiKey::Heartbeat,
        4,
        beating(name, member, generation),
        wanted,
    )
    .await;
}

pub(crate) async fn members_come_and_go(side: &mut Side) {
    side.begin("group");
    made(side, "followed", 1).await;
    let one = new_member(side, "first, without id", "team").await;
    side.ask(
        "first, with id",
        ApiKey::JoinGroup,
        9,
        joining("team", &one),
    )
    .await;
    side.ask(
        "described before sync",
        ApiKey::DescribeGroups,
        5,
        described("team"),
    )
    .await;
    side.ask(
        "beat before sync",
        ApiKey::Heartbeat,
        4,
        beating("team", &one, 1),
    )
    .await;
    side.ask(
        "first synced",
        ApiKey::SyncGroup,
        5,
        syncing("team", &one, 1, &[&one]),
    )
    .await;
    side.ask(
        "synced again",
        ApiKey::SyncGroup,
        5,
        syncing("team", &one, 1, &[&one]),
    )
    .await;
    side.ask("beat", ApiKey::Heartbeat, 4, beating("team", &one, 1))
        .await;
    side.ask(
        "beat of an old generation",
        ApiKey::Heartbeat,
        4,
        beating("team", &one, 0),
    )
    .await;
    let nobody = text("nobody");
    side.ask(
        "beat of nobody",
        ApiKey::Heartbeat,
        4,
        beating("team", &nobody, 1),
    )
    .await;
    side.ask(
        "beat in an unknown group",
        ApiKey::Heartbeat,
        4,
        beating("no-team", &one, 1),
    )
    .await;
    side.ask(
        "sync of an old generation",
        ApiKey::SyncGroup,
        5,
        syncing("team", &one, 0, &[]),
    )
    .await;
    side.ask(
        "sync of nobody",
        ApiKey::SyncGroup,
        5,
        syncing("team", &nobody, 1, &[]),
    )
    .await;
    let mut other_protocol = syncing("team", &one, 1, &[]);
    other_protocol.protocol_name = Some(text("sticky"));
    side.ask(
        "sync of another protocol",
        ApiKey::SyncGroup,
        5,
        other_protocol,
    )
    .await;
    side.ask("described", ApiKey::DescribeGroups, 5, described("team"))
        .await;

    let two = new_member(side, "second, without id", "team").await;
    let mut second = Wire::connect(side.address).await;
    second
        .send(ApiKey::JoinGroup, 9, joining("team", &two))
        .await;
    told_to_rejoin(side, "team", &one, 1).await;
    side.ask(
        "described in a rebalance",
        ApiKey::DescribeGroups,
        5,
        described("team"),
    )
    .await;
    side.ask(
        "sync in a rebalance",
        ApiKey::SyncGroup,
        5,
        syncing("team", &one, 1, &[]),
    )
    .await;
    side.ask("first again", ApiKey::JoinGroup, 9, joining("team", &one))
        .await;
    let (_, joined) = second.receive(ApiKey::JoinGroup, 9).await;
    side.note("second joined", &joined);
    second
        .send(ApiKey::SyncGroup, 5, syncing("team", &two, 2, &[]))
        .await;
    side.ask(
        "first deals",
        ApiKey::SyncGroup,
        5,
        syncing("team", &one, 2, &[&one, &two]),
    )
    .await;
    let (_, synced) = second.receive(ApiKey::SyncGroup, 5).await;
    side.note("second synced", &synced);

    let read = committing("team", "followed", &[(0, 1)])
        .with_generation_id_or_member_epoch(2)
        .with_member_id(one.clone());
    commit(side, read).await;
    let left = second
        .call(ApiKey::LeaveGroup, 5, leaving("team", &two, None))
        .await;
    side.note("second leaves", &left);
    told_to_rejoin(side, "team", &one, 2).await;
    side.ask(
        "first is alone again",
        ApiKey::JoinGroup,
        9,
        joining("team", &one),
    )
    .await;
    side.ask(
        "leave of nobody",
        ApiKey::LeaveGroup,
        5,
        leaving("team", &nobody, None),
    )
    .await;
    let old_form = LeaveGroupRequest::default().with_group_id(group("team"));
    side.ask(
        "v1 leave of nobody",
        ApiKey::LeaveGroup,
        1,
        old_form.clone().with_member_id(nobody),
    )
    .await;
    side.ask(
        "v1 leave",
        ApiKey::LeaveGroup,
        1,
        old_form.with_member_id(one),
    )
    .await;
    side.ask(
        "described when empty",
        ApiKey::DescribeGroups,
        5,
        described("team"),
    )
    .await;
}

pub(crate) async fn joins_that_are_refused(side: &mut Side) {
    side.begin("join");
    let new = StrBytes::default();
    let _member = alone(side, "fixed").await;
    let mut other = joining("fixed", &new);
    other.protocols[0].name = text("sticky");
    let mut silent = joining("refused", &new);
    silent.protocols.clear();
    for (step, request) in [
        (
            "session of a millisecond",
            joining("refused", &new).with_session_timeout_ms(1),
        ),
        (
            "session of a day",
            joining("refused", &new).with_session_timeout_ms(86_400_000),
        ),
        ("no group", joining("", &new)),
        ("an id nobody gave out", joining("refused", &text("nobody"))),
        (
            "an id nobody gave out, in a group",
            joining("fixed", &text("nobody")),
        ),
        ("no protocols", silent),
        (
            "no protocol type",
            joining("refused", &new).with_protocol_type(text("")),
        ),
        (
            "another protocol type",
            joining("fixed", &new).with_protocol_type(text("connect")),
        ),
        ("no protocol in common", other),
    ] {
        side.ask(step, ApiKey::JoinGroup, 9, request).await;
    }
    // Before version 4 a member gets its id and its place in one answer.
    for version in [0, 2, 3] {
        let mut request = joining(&format!("old-{version}"), &new);
        if version == 0 {
            request.rebalance_timeout_ms = -1;
        }
        side.ask(&format!("v{version}"), ApiKey::JoinGroup, version, request)
            .await;
    }
    for version in [4, 5, 7] {
        side.ask(
            &format!("v{version}"),
            ApiKey::JoinGroup,
            version,
            joining(&format!("newer-{version}"), &new),
        )
        .await;
    }
}

pub(crate) async fn static_members(side: &mut Side) {
    side.begin("static member");
    let new = StrBytes::default();
    let instance = Some(text("instance"));
    let fixed =
        |member: &StrBytes| joining("static", member).with_group_instance_id(instance.clone());
    let ResponseKind::JoinGroup(first) = side.ask("joins", ApiKey::JoinGroup, 9, fixed(&new)).await
    else {
        panic!()
    };
    let member = first.member_id;
    let dealt = syncing("static", &member, 1, &[&member]).with_group_instance_id(instance.clone());
    side.ask("synced", ApiKey::SyncGroup, 5, dealt).await;
    let beat = |member: &StrBytes, instance: &str| {
        beating("static", member, 1).with_group_instance_id(Some(text(instance)))
    };
    side.ask("beats", ApiKey::Heartbeat, 4, beat(&member, "instance"))
        .await;
    side.ask(
        "beats as an unknown instance",
        ApiKey::Heartbeat,
        4,
        beat(&member, "other"),
    )
    .await;

    let ResponseKind::JoinGroup(again) = side
        .ask("comes back", ApiKey::JoinGroup, 9, fixed(&new))
        .await
    else {
        panic!()
    };
    side.ask(
        "its old self beats",
        ApiKey::Heartbeat,
        4,
        beat(&member, "instance"),
    )
    .await;
    let old_sync = syncing("static", &member, 1, &[]).with_group_instance_id(instance.clone());
    side.ask("its old self syncs", ApiKey::SyncGroup, 5, old_sync)
        .await;
    side.ask("its old self joins", ApiKey::JoinGroup, 9, fixed(&member))
        .await;
    let synced =
        syncing("static", &again.member_id, 1, &[]).with_group_instance_id(instance.clone());
    side.ask("syncs again", ApiKey::SyncGroup, 5, synced).await;
    let read = committing("static", "followed", &[(0, 1)])
        .with_generation_id_or_member_epoch(1)
        .with_member_id(again.member_id.clone())
        .with_group_instance_id(instance.clone());
    commit(side, read).await;
    side.ask("described", ApiKey::DescribeGroups, 5, described("static"))
        .await;
    side.ask(
        "its old self leaves",
        ApiKey::LeaveGroup,
        5,
        leaving("static", &member, Some("instance")),
    )
    .await;
    side.ask(
        "an unknown instance leaves",
        ApiKey::LeaveGroup,
        5,
        leaving("static", &new, Some("other")),
    )
    .await;
    side.ask(
        "removed by instance",
        ApiKey::LeaveGroup,
        5,
        leaving("static", &new, Some("instance")),
    )
    .await;
}

fn described(name: &str) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(vec![group(name)])
}

pub(crate) async fn admin(side: &mut Side) {
    side.begin("groups");
    let member = alone(side, "listed").await;
    let read = committing("listed", "followed", &[(0, 1)])
        .with_generation_id_or_member_epoch(1)
        .with_member_id(member.clone());
    commit(side, read).await;
    side.ask("all", ApiKey::ListGroups, 4, ListGroupsRequest::default())
        .await;
    let empty = ListGroupsRequest::default().with_states_filter(vec![text("Empty")]);
    side.ask("empty ones", ApiKey::ListGroups, 4, empty).await;
    let classic = ListGroupsRequest::default().with_types_filter(vec![text("classic")]);
    side.ask("classic ones", ApiKey::ListGroups, 5, classic)
        .await;
    let odd = ListGroupsRequest::default().with_states_filter(vec![text("Tired")]);
    side.ask("in a state that is unknown", ApiKey::ListGroups, 4, odd)
        .await;
    side.ask("v0", ApiKey::ListGroups, 0, ListGroupsRequest::default())
        .await;
    for version in [0, 3, 5] {
        side.ask(
            &format!("v{version} described"),
            ApiKey::DescribeGroups,
            version,
            described("listed"),
        )
        .await;
    }
    side.ask(
        "unknown described",
        ApiKey::DescribeGroups,
        5,
        described("unknown"),
    )
    .await;
    side.ask(
        "nameless described",
        ApiKey::DescribeGroups,
        5,
        described(""),
    )
    .await;
    let deleting = |name: &str| DeleteGroupsRequest::default().with_groups_names(vec![group(name)]);
    side.ask(
        "delete with members",
        ApiKey::DeleteGroups,
        2,
        deleting("listed"),
    )
    .await;
    side.ask(
        "delete unknown",
        ApiKey::DeleteGroups,
        2,
        deleting("unknown"),
    )
    .await;
    side.ask("delete nameless", ApiKey::DeleteGroups, 2, deleting(""))
        .await;
    side.wire
        .call(ApiKey::LeaveGroup, 5, leaving("listed", &member, None))
        .await;
    side.ask("delete", ApiKey::DeleteGroups, 2, deleting("listed"))
        .await;
    side.ask(
        "deleted described",
        ApiKey::DescribeGroups,
        5,
        described("listed"),
    )
    .await;
    side.ask("delete again", ApiKey::DeleteGroups, 2, deleting("listed"))
        .await;
}
