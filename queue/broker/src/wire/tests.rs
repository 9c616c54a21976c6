//! The guard and the codec against each other: what the codec writes the guard walks to the last byte, and what the
//! guard lets through the codec takes or refuses, but never dies of.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use proptest::prelude::*;

use super::codec::{self, DecodeError, Decoded};
use super::{guard, shape};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

/// One request of each type with every array filled, cut down to what the version knows.
pub(crate) fn samples(key: ApiKey, version: i16) -> Option<RequestKind> {
    use kafka_protocol::messages::{
        add_partitions_to_txn_request as ap, alter_configs_request as ac,
        create_acls_request as ca, create_partitions_request as cp, create_topics_request as ct,
        delete_acls_request as da, delete_records_request as dr, delete_topics_request as dt,
        describe_configs_request as dc, describe_log_dirs_request as ld,
        describe_producers_request as dp, fetch_request as f,
        incremental_alter_configs_request as ia, join_group_request as j, leave_group_request as l,
        list_offsets_request as lo, metadata_request as m, offset_commit_request as oc,
        offset_delete_request as od, offset_fetch_request as of,
        offset_for_leader_epoch_request as le, produce_request as p, sync_group_request as s,
        txn_offset_commit_request as to,
    };
    let request: RequestKind = match key {
        ApiKey::Produce => ProduceRequest::default()
            .with_acks(-1)
            .with_topic_data(vec![
                p::TopicProduceData::default()
                    .with_name(name("logs"))
                    .with_partition_data(vec![
                        p::PartitionProduceData::default()
                            .with_index(3)
                            .with_records(Some(Bytes::from(vec![7; 200]))),
                        p::PartitionProduceData::default().with_records(None),
                    ]),
            ])
            .into(),
        ApiKey::Fetch => {
            let mut forgotten = Vec::new();
            if version >= 7 {
                forgotten.push(
                    f::ForgottenTopic::default()
                        .with_topic(name("old"))
                        .with_partitions(vec![1, 2, 3]),
                );
            }
            FetchRequest::default()
                .with_cluster_id((version >= 12).then(|| text("cluster")))
                .with_topics(vec![
                    f::FetchTopic::default()
                        .with_topic(name("logs"))
                        .with_partitions(vec![
                            f::FetchPartition::default().with_fetch_offset(5),
                            f::FetchPartition::default().with_partition(1),
                        ]),
                ])
                .with_forgotten_topics_data(forgotten)
                .into()
        }
        ApiKey::ListOffsets => ListOffsetsRequest::default()
            .with_topics(vec![
                lo::ListOffsetsTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![lo::ListOffsetsPartition::default().with_timestamp(-1)]),
            ])
            .into(),
        ApiKey::Metadata => MetadataRequest::default()
            .with_topics(Some(vec![
                m::MetadataRequestTopic::default().with_name(Some(name("logs"))),
            ]))
            .into(),
        ApiKey::OffsetCommit => OffsetCommitRequest::default()
            .with_group_id(group("g"))
            .with_topics(vec![
                oc::OffsetCommitRequestTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![
                        oc::OffsetCommitRequestPartition::default()
                            .with_committed_metadata(Some(text("x"))),
                    ]),
            ])
            .into(),
        ApiKey::OffsetFetch if version >= 8 => OffsetFetchRequest::default()
            .with_groups(vec![
                of::OffsetFetchRequestGroup::default()
                    .with_group_id(group("g"))
                    .with_topics(Some(vec![
                        of::OffsetFetchRequestTopics::default()
                            .with_name(name("logs"))
                            .with_partition_indexes(vec![1, 2]),
                    ])),
            ])
            .into(),
        ApiKey::OffsetFetch => OffsetFetchRequest::default()
            .with_group_id(group("g"))
            .with_topics(Some(vec![
                of::OffsetFetchRequestTopic::default()
                    .with_name(name("logs"))
                    .with_partition_indexes(vec![1, 2]),
            ]))
            .into(),
        ApiKey::FindCoordinator if version >= 4 => FindCoordinatorRequest::default()
            .with_coordinator_keys(vec![text("a"), text("b")])
            .into(),
        ApiKey::FindCoordinator => FindCoordinatorRequest::default().with_key(text("g")).into(),
        ApiKey::JoinGroup => JoinGroupRequest::default()
            .with_group_id(group("g"))
            .with_protocols(vec![
                j::JoinGroupRequestProtocol::default()
                    .with_name(text("range"))
                    .with_metadata(Bytes::from_static(b"meta")),
            ])
            .into(),
        ApiKey::Heartbeat => HeartbeatRequest::default().with_group_id(group("g")).into(),
        ApiKey::LeaveGroup if version <= 2 => LeaveGroupRequest::default()
            .with_group_id(group("g"))
            .with_member_id(text("m"))
            .into(),
        ApiKey::LeaveGroup => LeaveGroupRequest::default()
            .with_group_id(group("g"))
            .with_members(vec![l::MemberIdentity::default().with_member_id(text("m"))])
            .into(),
        ApiKey::SyncGroup => SyncGroupRequest::default()
            .with_group_id(group("g"))
            .with_assignments(vec![
                s::SyncGroupRequestAssignment::default()
                    .with_member_id(text("m"))
                    .with_assignment(Bytes::from_static(b"p0")),
            ])
            .into(),
        ApiKey::DescribeGroups => DescribeGroupsRequest::default()
            .with_groups(vec![group("a"), group("b")])
            .into(),
        ApiKey::ListGroups => ListGroupsRequest::default()
            .with_states_filter(if version >= 4 {
                vec![text("Stable")]
            } else {
                vec![]
            })
            .with_types_filter(if version >= 5 {
                vec![text("classic")]
            } else {
                vec![]
            })
            .into(),
        ApiKey::ApiVersions => ApiVersionsRequest::default().into(),
        ApiKey::SaslHandshake => SaslHandshakeRequest::default()
            .with_mechanism(text("PLAIN"))
            .into(),
        ApiKey::SaslAuthenticate => SaslAuthenticateRequest::default()
            .with_auth_bytes(Bytes::from_static(b"token"))
            .into(),
        ApiKey::CreateTopics => CreateTopicsRequest::default()
            .with_topics(vec![
                ct::CreatableTopic::default()
                    .with_name(name("logs"))
                    .with_assignments(vec![
                        ct::CreatableReplicaAssignment::default()
                            .with_broker_ids(vec![BrokerId(1), BrokerId(2)]),
                    ])
                    .with_configs(vec![
                        ct::CreatableTopicConfig::default()
                            .with_name(text("k"))
                            .with_value(Some(text("v"))),
                    ]),
            ])
            .into(),
        ApiKey::DeleteTopics if version >= 6 => DeleteTopicsRequest::default()
            .with_topics(vec![
                dt::DeleteTopicState::default().with_name(Some(name("logs"))),
            ])
            .into(),
        ApiKey::DeleteTopics => DeleteTopicsRequest::default()
            .with_topic_names(vec![name("a"), name("b")])
            .into(),
        ApiKey::DeleteRecords => DeleteRecordsRequest::default()
            .with_topics(vec![
                dr::DeleteRecordsTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![dr::DeleteRecordsPartition::default()]),
            ])
            .into(),
        ApiKey::InitProducerId => InitProducerIdRequest::default()
            .with_transactional_id(None)
            .into(),
        ApiKey::OffsetForLeaderEpoch => OffsetForLeaderEpochRequest::default()
            .with_topics(vec![
                le::OffsetForLeaderTopic::default()
                    .with_topic(name("logs"))
                    .with_partitions(vec![le::OffsetForLeaderPartition::default()]),
            ])
            .into(),
        ApiKey::DescribeConfigs => DescribeConfigsRequest::default()
            .with_resources(vec![
                dc::DescribeConfigsResource::default()
                    .with_resource_name(text("logs"))
                    .with_configuration_keys(Some(vec![text("a"), text("b")])),
            ])
            .into(),
        ApiKey::DescribeAcls => DescribeAclsRequest::default()
            .with_resource_name_filter(Some(text("logs")))
            .with_principal_filter(Some(text("User:a")))
            .into(),
        ApiKey::CreateAcls => CreateAclsRequest::default()
            .with_creations(vec![
                ca::AclCreation::default()
                    .with_resource_name(text("logs"))
                    .with_principal(text("User:a"))
                    .with_host(text("*")),
            ])
            .into(),
        ApiKey::DeleteAcls => DeleteAclsRequest::default()
            .with_filters(vec![
                da::DeleteAclsFilter::default()
                    .with_resource_name_filter(Some(text("logs")))
                    .with_principal_filter(None),
            ])
            .into(),
        ApiKey::CreatePartitions => CreatePartitionsRequest::default()
            .with_topics(vec![
                cp::CreatePartitionsTopic::default()
                    .with_name(name("logs"))
                    .with_assignments(Some(vec![
                        cp::CreatePartitionsAssignment::default()
                            .with_broker_ids(vec![BrokerId(1)]),
                    ])),
            ])
            .into(),
        ApiKey::AlterConfigs => AlterConfigsRequest::default()
            .with_resources(vec![
                ac::AlterConfigsResource::default()
                    .with_resource_name(text("logs"))
                    .with_configs(vec![
                        ac::AlterableConfig::default()
                            .with_name(text("retention.ms"))
                            .with_value(Some(text("1"))),
                    ]),
            ])
            .into(),
        ApiKey::IncrementalAlterConfigs => IncrementalAlterConfigsRequest::default()
            .with_resources(vec![
                ia::AlterConfigsResource::default()
                    .with_resource_name(text("logs"))
                    .with_configs(vec![
                        ia::AlterableConfig::default()
                            .with_name(text("retention.ms"))
                            .with_config_operation(1)
                            .with_value(None),
                    ]),
            ])
            .into(),
        ApiKey::DescribeLogDirs => DescribeLogDirsRequest::default()
            .with_topics(Some(vec![
                ld::DescribableLogDirTopic::default()
                    .with_topic(name("logs"))
                    .with_partitions(vec![0, 1]),
            ]))
            .into(),
        ApiKey::OffsetDelete => OffsetDeleteRequest::default()
            .with_group_id(group("g"))
            .with_topics(vec![
                od::OffsetDeleteRequestTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![od::OffsetDeleteRequestPartition::default()]),
            ])
            .into(),
        ApiKey::DeleteGroups => DeleteGroupsRequest::default()
            .with_groups_names(vec![group("a")])
            .into(),
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        ApiKey::AddPartitionsToTxn => AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text("id")))
            .with_v3_and_below_topics(vec![
                ap::AddPartitionsToTxnTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![0, 1]),
            ])
            .into(),
        ApiKey::AddOffsetsToTxn => AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text("id")))
            .with_group_id(group("g"))
            .into(),
        ApiKey::EndTxn => EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text("id")))
            .with_committed(true)
            .into(),
        ApiKey::TxnOffsetCommit => TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text("id")))
            .with_group_id(group("g"))
            .with_member_id(text(if version >= 3 { "member" } else { "" }))
            .with_topics(vec![
                to::TxnOffsetCommitRequestTopic::default()
                    .with_name(name("logs"))
                    .with_partitions(vec![
                        to::TxnOffsetCommitRequestPartition::default()
                            .with_committed_metadata(Some(text("m"))),
                    ]),
            ])
            .into(),
        ApiKey::DescribeProducers => DescribeProducersRequest::default()
            .with_topics(vec![
                dp::TopicRequest::default()
                    .with_name(name("logs"))
                    .with_partition_indexes(vec![0, 1]),
            ])
            .into(),
        ApiKey::DescribeTransactions => DescribeTransactionsRequest::default()
            .with_transactional_ids(vec![TransactionalId(text("a")), TransactionalId(text("b"))])
            .into(),
        ApiKey::ListTransactions => ListTransactionsRequest::default()
            .with_state_filters(vec![text("Ongoing")])
            .with_producer_id_filters(vec![ProducerId(1), ProducerId(2)])
            .into(),
        _ => return None,
    };
    Some(request)
}

fn body(request: &RequestKind, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    request
        .encode(&mut body, version)
        .expect("samples hold what the version knows");
    body.freeze()
}

/// Header and body, without the length.
pub(crate) fn frame(key: ApiKey, version: i16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("test")))
        .encode(&mut frame, key.request_header_version(version))
        .unwrap();
    frame.put_slice(body);
    frame.freeze()
}

fn every_version() -> impl Iterator<Item = (&'static shape::Shape, i16)> {
    shape::SHAPES
        .iter()
        .flat_map(|shape| (shape.min..=shape.max).map(move |version| (shape, version)))
}

#[test]
fn the_guard_walks_what_the_codec_writes_to_the_last_byte() {
    for (shape, version) in every_version() {
        let request =
            samples(shape.key, version).unwrap_or_else(|| panic!("{:?} has no sample", shape.key));
        let body = body(&request, version);
        assert_eq!(
            guard::check(shape, version, &body),
            Ok(body.len()),
            "{:?} v{version}",
            shape.key
        );
        match codec::decode(frame(shape.key, version, &body)) {
            Ok(Decoded::Request {
                tag,
                client_id,
                body,
            }) => {
                assert_eq!(
                    (tag.key, tag.version, tag.correlation_id),
                    (shape.key, version, 77)
                );
                assert_eq!(client_id.as_deref(), Some("test"));
                assert_eq!(*body, request, "{:?} v{version}", shape.key);
            }
            other => panic!("{:?} v{version}: {other:?}", shape.key),
        }
    }
}

#[test]
fn a_request_cut_anywhere_is_refused() {
    for (shape, version) in every_version() {
        let body = body(&samples(shape.key, version).unwrap(), version);
        for length in 0..body.len() {
            assert!(
                guard::check(shape, version, &body[..length]).is_err(),
                "{:?} v{version} at {length}",
                shape.key
            );
        }
    }
}

#[test]
fn the_shape_table_says_what_the_codec_says() {
    let mut last = None;
    for shape in shape::SHAPES {
        let key = shape.key as i16;
        assert!(last < Some(key), "ascending by key");
        last = Some(key);
        let versions = shape.key.valid_versions();
        assert!(
            versions.min <= shape.min && shape.max <= versions.max,
            "{:?}",
            shape.key
        );
        for version in shape.min..=shape.max {
            let flexible = shape.key.request_header_version(version) >= 2;
            assert_eq!(
                flexible,
                version >= shape.flexible,
                "{:?} v{version}",
                shape.key
            );
        }
    }
}

#[test]
fn api_versions_answers_never_have_tagged_fields_in_the_header() {
    for version in 0..=4 {
        assert_eq!(ApiVersionsResponse::header_version(version), 0);
    }
}

#[test]
fn an_api_versions_request_of_the_future_is_answered_in_version_0_with_key_18_alone() {
    let decoded = codec::decode(frame(ApiKey::ApiVersions, 99, &[1, 2, 3]));
    let Ok(Decoded::FutureApiVersions { correlation_id: 77 }) = decoded else {
        panic!("{decoded:?}")
    };
    let answer = codec::encode_future_api_versions(77).unwrap();
    // Length, correlation id, error 35, one key: 18 from 0 to 4.
    let expected = [
        0, 0, 0, 16, 0, 0, 0, 77, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4,
    ];
    assert_eq!(&answer[..], expected);
}

#[test]
fn unknown_keys_and_versions_are_named() {
    let unknown = codec::decode(frame(ApiKey::ShareFetch, 0, &[]));
    assert!(
        matches!(unknown, Err(DecodeError::UnknownApi { key: 78 })),
        "{unknown:?}"
    );
    let old = codec::decode(frame(ApiKey::Fetch, 13, &[]));
    assert!(
        matches!(
            old,
            Err(DecodeError::UnsupportedVersion {
                version: 13,
                min: 4,
                max: 12,
                ..
            })
        ),
        "{old:?}"
    );
    // Declared for librdkafka's sake, and not served.
    let mut produce_v0 = BytesMut::new();
    produce_v0.put_slice(&[0, 0, 0, 0, 0, 0, 0, 77, 0, 0]);
    let produce_v0 = codec::decode(produce_v0.freeze());
    assert!(
        matches!(
            produce_v0,
            Err(DecodeError::UnsupportedVersion {
                version: 0,
                min: 3,
                ..
            })
        ),
        "{produce_v0:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::decode(&bytes);
    }

    #[test]
    fn random_bodies_behind_valid_headers_never_panic(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..3, 253u8..=255], 0..300),
    ) {
        crate::fuzz::decode_body(&bytes);
    }

    #[test]
    fn mutated_requests_never_panic(
        which in 0..shape::SHAPES.len(),
        version in 0i16..14,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let shape = &shape::SHAPES[which];
        let version = version.clamp(shape.min, shape.max);
        let mut mutated = body(&samples(shape.key, version).unwrap(), version).to_vec();
        for (index, byte) in changes {
            if !mutated.is_empty() {
                let at = index.index(mutated.len());
                mutated[at] = byte;
            }
        }
        crate::fuzz::decode(&frame(shape.key, version, &mutated));
    }
}
