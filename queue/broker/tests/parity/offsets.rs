//! Committed offsets: who may commit, and the forms in which they are asked for.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::*;

use crate::cluster::text;
use crate::groups::{alone, group};
use crate::side::Side;
use crate::topics::{made, name};

pub(crate) fn committing(of: &str, topic: &str, rows: &[(i32, i64)]) -> OffsetCommitRequest {
    let rows = rows.iter().map(|(partition, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text("a note")))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(name(topic))
        .with_partitions(rows.collect());
    OffsetCommitRequest::default()
        .with_group_id(group(of))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

pub(crate) async fn commits(side: &mut Side) {
    side.begin("commit");
    made(side, "read", 2).await;
    for version in [2, 3, 5, 6, 7, 8] {
        let request = committing("simple", "read", &[(0, i64::from(version))]);
        side.ask(
            &format!("v{version}"),
            ApiKey::OffsetCommit,
            version,
            request,
        )
        .await;
    }
    let mut long = committing("simple", "read", &[(0, 1)]);
    long.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(5_000)));
    let mut null = committing("simple", "read", &[(1, 1)]);
    null.topics[0].partitions[0].committed_metadata = None;
    for (step, request) in [
        ("long metadata", long),
        ("null metadata", null),
        (
            "a good and an unknown partition",
            committing("simple", "read", &[(0, 3), (99, 3)]),
        ),
        (
            "unknown topic",
            committing("simple", "never-made", &[(0, 3)]),
        ),
        ("negative offset", committing("simple", "read", &[(1, -5)])),
        ("no group", committing("", "read", &[(0, 3)])),
        (
            "a generation of no group",
            committing("simple", "read", &[(0, 3)]).with_generation_id_or_member_epoch(4),
        ),
        ("nothing", committing("simple", "read", &[])),
    ] {
        side.ask(step, ApiKey::OffsetCommit, 8, request).await;
    }
    let member = alone(side, "busy").await;
    let as_member = |generation, member| {
        committing("busy", "read", &[(0, 9)])
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(member)
    };
    for (step, request) in [
        ("as a member", as_member(1, member.clone())),
        ("of an old generation", as_member(0, member.clone())),
        ("as nobody", as_member(1, text("nobody"))),
        ("from outside", committing("busy", "read", &[(0, 9)])),
        (
            "as an unknown instance",
            as_member(1, member).with_group_instance_id(Some(text("other"))),
        ),
    ] {
        side.ask(step, ApiKey::OffsetCommit, 8, request).await;
    }
}

fn all_of(of: &str) -> OffsetFetchRequestGroup {
    OffsetFetchRequestGroup::default()
        .with_group_id(group(of))
        .with_topics(None)
}

fn some_of(of: &str, topic: &str, partitions: &[i32]) -> OffsetFetchRequestGroup {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(name(topic))
        .with_partition_indexes(partitions.to_vec());
    OffsetFetchRequestGroup::default()
        .with_group_id(group(of))
        .with_topics(Some(vec![topic]))
}

pub(crate) async fn fetches(side: &mut Side) {
    side.begin("committed");
    made(side, "kept", 3).await;
    side.wire
        .call(
            ApiKey::OffsetCommit,
            8,
            committing("one", "kept", &[(0, 5), (2, 7)]),
        )
        .await;
    side.wire
        .call(
            ApiKey::OffsetCommit,
            8,
            committing("two", "kept", &[(1, 6)]),
        )
        .await;
    let single = |of: &str, topic: &str, partitions: &[i32]| {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(name(topic))
            .with_partition_indexes(partitions.to_vec());
        OffsetFetchRequest::default()
            .with_group_id(group(of))
            .with_topics(Some(vec![topic]))
    };
    for version in [1, 2, 3, 5, 6, 7] {
        let request = single("one", "kept", &[0, 1]);
        side.ask(
            &format!("v{version}"),
            ApiKey::OffsetFetch,
            version,
            request,
        )
        .await;
    }
    for version in [2, 7] {
        let request = OffsetFetchRequest::default()
            .with_group_id(group("one"))
            .with_topics(None);
        side.ask(
            &format!("v{version} null: all"),
            ApiKey::OffsetFetch,
            version,
            request,
        )
        .await;
    }
    for (step, request) in [
        (
            "no topics",
            single("one", "kept", &[]).with_topics(Some(vec![])),
        ),
        ("unknown partition", single("one", "kept", &[99])),
        ("unknown topic", single("one", "never-made", &[0])),
        ("unknown group", single("nobody", "kept", &[0])),
        ("no group", single("", "kept", &[0])),
        (
            "stable ones",
            single("one", "kept", &[0]).with_require_stable(true),
        ),
    ] {
        side.ask(step, ApiKey::OffsetFetch, 7, request).await;
    }
    for (step, groups) in [
        (
            "v8 two groups",
            vec![
                some_of("one", "kept", &[0, 1]),
                some_of("two", "kept", &[1]),
            ],
        ),
        ("v8 null: all", vec![all_of("one"), all_of("two")]),
        (
            "v8 one unknown",
            vec![all_of("nobody"), some_of("two", "kept", &[0])],
        ),
        ("v8 no groups", vec![]),
    ] {
        let request = OffsetFetchRequest::default().with_groups(groups.clone());
        side.ask(step, ApiKey::OffsetFetch, 8, request.clone())
            .await;
        side.ask(
            &format!("{step}, stable"),
            ApiKey::OffsetFetch,
            8,
            request.with_require_stable(true),
        )
        .await;
    }
}
