//! Who is there, what it can, and who coordinates.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::side::Side;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Kafka makes the topics of its coordinators when they are first asked for.
pub(crate) async fn warm_up(side: &mut Side) {
    for key_type in [0, 1] {
        let request = FindCoordinatorRequest::default()
            .with_key(text("warm-up"))
            .with_key_type(key_type);
        // Whatever is not "not available yet".
        let wanted = |response: &ResponseKind| matches!(response, ResponseKind::FindCoordinator(answer) if answer.error_code != 15);
        side.until("a coordinator", ApiKey::FindCoordinator, 3, request, wanted)
            .await;
    }
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text("warm-up")))
        .with_topics(None);
    let wanted = |response: &ResponseKind| matches!(response, ResponseKind::OffsetFetch(answer) if answer.error_code == 0);
    side.until("loaded offsets", ApiKey::OffsetFetch, 7, request, wanted)
        .await;
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(1000);
    let wanted = |response: &ResponseKind| matches!(response, ResponseKind::InitProducerId(answer) if answer.error_code == 0);
    side.until("a producer id", ApiKey::InitProducerId, 4, request, wanted)
        .await;
}

pub(crate) async fn versions(side: &mut Side) {
    side.begin("versions");
    side.ask("v0", ApiKey::ApiVersions, 0, ApiVersionsRequest::default())
        .await;
    let named = ApiVersionsRequest::default()
        .with_client_software_name(text("parity"))
        .with_client_software_version(text("1"));
    side.ask("v3", ApiKey::ApiVersions, 3, named.clone()).await;
    side.ask(
        "v3 without a name",
        ApiKey::ApiVersions,
        3,
        ApiVersionsRequest::default(),
    )
    .await;
    side.ask(
        "v3 with a bad name",
        ApiKey::ApiVersions,
        3,
        named.with_client_software_name(text("-;-")),
    )
    .await;
    if let Some(answer) = side.ask_bytes("v99", 18, 99, &[]).await {
        side.note_versions("v99", answer);
    }
    side.ask_bytes("an unknown API", 999, 0, &[]).await;
    side.ask_bytes("Produce v0", 0, 0, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        .await;
    side.ask_bytes("Fetch v99", 1, 99, &[]).await;
    side.ask_bytes("Metadata cut short", 3, 1, &[0, 0]).await;
}

pub(crate) async fn describe(side: &mut Side) {
    side.begin("describe cluster");
    for version in [0, 1] {
        side.ask(
            &format!("v{version}"),
            ApiKey::DescribeCluster,
            version,
            DescribeClusterRequest::default(),
        )
        .await;
    }
}

pub(crate) async fn coordinators(side: &mut Side) {
    side.begin("coordinators");
    let single = FindCoordinatorRequest::default().with_key(text("g"));
    for version in [0, 3] {
        side.ask(
            &format!("v{version}"),
            ApiKey::FindCoordinator,
            version,
            single.clone(),
        )
        .await;
    }
    let many = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]);
    side.ask("v4 two keys", ApiKey::FindCoordinator, 4, many)
        .await;
    side.ask(
        "v4 no keys",
        ApiKey::FindCoordinator,
        4,
        FindCoordinatorRequest::default(),
    )
    .await;
    side.ask(
        "of transactions",
        ApiKey::FindCoordinator,
        3,
        single.clone().with_key_type(1),
    )
    .await;
    side.ask(
        "of an unknown kind",
        ApiKey::FindCoordinator,
        3,
        single.with_key_type(9),
    )
    .await;
    side.ask(
        "without a group",
        ApiKey::FindCoordinator,
        3,
        FindCoordinatorRequest::default(),
    )
    .await;
}
