//! Every API, asked by somebody who may nothing and by somebody who may everything.

use kafka_protocol::messages::{ApiKey, DescribeAclsRequest, ResponseKind};
use logboom_disk::SimDisk;

use super::{Call, answer};
use crate::node::testing::{node, peer};
use crate::node::{Node, Peer};
use crate::security::{AccessRules, Acl, Operation, Principal, rights};
use crate::wire::shape::SHAPES;
use crate::wire::tests::samples;

/// A node with a topic `logs`, a group `g` with an offset, and rules.
async fn guarded_node(acls: Vec<Acl>) -> Node {
    let mut node = node(SimDisk::new(0));
    node.topics.create("logs", 1).await.unwrap();
    node.config.access = AccessRules {
        super_users: vec!["User:root".parse().unwrap()],
        acls,
    };
    let commit = samples(ApiKey::OffsetCommit, 8).unwrap();
    ask(&node, &user("root"), ApiKey::OffsetCommit, 8, commit).await;
    node
}

fn user(name: &str) -> Peer {
    Peer {
        principal: Principal::user(name),
        ..peer()
    }
}

async fn ask(
    node: &Node,
    peer: &Peer,
    key: ApiKey,
    version: i16,
    request: impl Into<kafka_protocol::messages::RequestKind>,
) -> ResponseKind {
    let call = Call {
        node,
        peer,
        version,
        client_id: "test",
    };
    let answer = answer(call, request.into()).await;
    answer
        .response
        .unwrap_or_else(|| panic!("{key:?} was not answered"))
}

/// Whether something in it is refused for want of rights.
fn is_refused(response: &ResponseKind) -> bool {
    let text = format!("{response:?}");
    let says = |code: &i16| text.contains(&format!("error_code: {code},"));
    [29, 30, 31, 53].iter().any(says)
}

#[tokio::test]
async fn whoever_may_nothing_is_refused_by_every_api_in_every_version_and_who_may_is_not() {
    let node = guarded_node(Vec::new()).await;
    for shape in SHAPES {
        for version in shape.min..=shape.max {
            let request = || samples(shape.key, version).unwrap();
            let stranger = ask(&node, &user("stranger"), shape.key, version, request()).await;
            let name = format!("{:?} v{version}: {stranger:?}", shape.key);
            match shape.key {
                // Shown less instead of refused.
                ApiKey::ListTransactions => {}
                ApiKey::ListGroups => assert!(!name.contains("GroupId(\"g\")"), "{name}"),
                key => assert_eq!(is_refused(&stranger), !rights::is_free(key), "{name}"),
            }
        }
    }
    // Nothing has come of all that.
    assert!(node.topics.get("logs").is_some());
    assert_eq!(node.topics.list().len(), 1);
    for shape in SHAPES {
        // What deletes the topic that the others ask for comes last.
        if shape.key == ApiKey::DeleteTopics {
            continue;
        }
        let request = samples(shape.key, shape.max).unwrap();
        let root = ask(&node, &user("root"), shape.key, shape.max, request).await;
        assert!(!is_refused(&root), "{:?}: {root:?}", shape.key);
    }
    let delete = samples(ApiKey::DeleteTopics, 6).unwrap();
    ask(&node, &user("root"), ApiKey::DeleteTopics, 6, delete).await;
    assert!(node.topics.get("logs").is_none());
}

#[tokio::test]
async fn what_may_not_be_described_is_hidden_and_not_made() {
    use kafka_protocol::messages::MetadataRequest;
    let node = guarded_node(vec![acl("User:web", &[Operation::Write], &["web*"])]).await;
    node.topics.create("web", 1).await.unwrap();
    let all = || MetadataRequest::default().with_topics(None);
    let names = |response: &ResponseKind| match response {
        ResponseKind::Metadata(response) => {
            let names = response
                .topics
                .iter()
                .filter_map(|topic| topic.name.clone());
            names.map(|name| name.to_string()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let seen = ask(&node, &user("web"), ApiKey::Metadata, 12, all()).await;
    assert_eq!(names(&seen), ["web"]);
    let seen = ask(&node, &user("root"), ApiKey::Metadata, 12, all()).await;
    assert_eq!(names(&seen).len(), 2);
    // `web2` may be written, but not created.
    let asked = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
        .with_name(Some(kafka_protocol::messages::TopicName(super::text(
            "web2",
        ))));
    let request = all()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(true);
    let made = ask(&node, &user("web"), ApiKey::Metadata, 12, request).await;
    assert!(is_refused(&made), "{made:?}");
    assert!(node.topics.get("web2").is_none());
}

fn acl(principal: &str, allow: &[Operation], topics: &[&str]) -> Acl {
    Acl {
        principal: principal.parse().unwrap(),
        allow: allow.to_vec(),
        topics: topics.iter().map(|topic| topic.parse().unwrap()).collect(),
        groups: vec!["*".parse().unwrap()],
        transactional_ids: Vec::new(),
        cluster: false,
    }
}

#[tokio::test]
async fn rules_are_described_as_kafka_writes_them_and_by_filter() {
    let both = [Operation::Read, Operation::Write];
    let node = guarded_node(vec![acl("User:web", &both, &["logs*", "web"])]).await;
    let described = async |filter: DescribeAclsRequest| match ask(
        &node,
        &user("root"),
        ApiKey::DescribeAcls,
        3,
        filter,
    )
    .await
    {
        ResponseKind::DescribeAcls(answer) => {
            assert_eq!(answer.error_code, 0);
            let rows = answer.resources.into_iter().flat_map(|resource| {
                let name = resource.resource_name.to_string();
                let (kind, pattern) = (resource.resource_type, resource.pattern_type);
                let acls = resource.acls.into_iter();
                acls.map(move |acl| (kind, name.clone(), pattern, acl.operation))
            });
            rows.collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let any = || {
        DescribeAclsRequest::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1)
    };
    let topic = |name: &str, pattern, operation| (2, name.to_owned(), pattern, operation);
    let all = described(any()).await;
    assert_eq!(
        all,
        [
            topic("logs", 4, 3),
            topic("logs", 4, 4),
            topic("web", 3, 3),
            topic("web", 3, 4),
            (3, "*".to_owned(), 3, 3),
            (3, "*".to_owned(), 3, 4),
        ]
    );
    let matching = any()
        .with_resource_type_filter(2)
        .with_pattern_type_filter(2)
        .with_resource_name_filter(Some(super::text("logs.web")))
        .with_operation(4);
    assert_eq!(described(matching).await, [topic("logs", 4, 4)]);
    let others = any().with_principal_filter(Some(super::text("User:db")));
    assert_eq!(described(others).await, []);
    assert_eq!(described(any().with_permission_type(2)).await, []);
}
