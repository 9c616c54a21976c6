//! Which operation each API asks for, and of what: Kafka's table, as one table.
//!
//! An API whose requests name several things asks about each, and answers for each. Those that are not here are not
//! answered: a test holds this table against the one of shapes, and another asks every API as somebody who may nothing.

use kafka_protocol::messages::ApiKey;

use super::acl::{Operation, ResourceKind};

/// What one API asks for.
struct Row {
    key: ApiKey,
    needs: &'static [(ResourceKind, Operation)],
}

const fn row(key: ApiKey, needs: &'static [(ResourceKind, Operation)]) -> Row {
    Row { key, needs }
}

/// The operation that `key` asks for of this kind of resource.
pub(crate) fn needed(key: ApiKey, kind: ResourceKind) -> Operation {
    let row = ROWS.iter().find(|row| row.key == key);
    let needs = row.map_or(&[][..], |row| row.needs);
    let need = needs.iter().find(|(needed, _)| *needed == kind);
    // A test asks every API once, so this is found before it is shipped; if it is not, nobody gets in.
    need.map_or(Operation::All, |(_, operation)| *operation)
}

/// Whether there is a row for `key`.
#[cfg(test)]
pub(crate) fn is_known(key: ApiKey) -> bool {
    ROWS.iter().any(|row| row.key == key)
}

/// Whether `key` asks for nothing: everybody who was admitted gets an answer.
#[cfg(test)]
pub(crate) fn is_free(key: ApiKey) -> bool {
    ROWS.iter()
        .any(|row| row.key == key && row.needs.is_empty())
}

use Operation::{Alter, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read, Write};
use ResourceKind::{Cluster, Group, Topic, TransactionalId};

static ROWS: &[Row] = &[
    row(ApiKey::Produce, &[(Topic, Write), (TransactionalId, Write)]),
    row(ApiKey::Fetch, &[(Topic, Read)]),
    row(ApiKey::ListOffsets, &[(Topic, Describe)]),
    // What may not be described is hidden; what is created on the way is asked for as by CreateTopics.
    row(ApiKey::Metadata, &[(Topic, Describe)]),
    row(ApiKey::OffsetCommit, &[(Group, Read), (Topic, Read)]),
    row(ApiKey::OffsetFetch, &[(Group, Describe), (Topic, Describe)]),
    row(
        ApiKey::FindCoordinator,
        &[(Group, Describe), (TransactionalId, Describe)],
    ),
    row(ApiKey::JoinGroup, &[(Group, Read)]),
    row(ApiKey::Heartbeat, &[(Group, Read)]),
    row(ApiKey::LeaveGroup, &[(Group, Read)]),
    row(ApiKey::SyncGroup, &[(Group, Read)]),
    row(ApiKey::DescribeGroups, &[(Group, Describe)]),
    // Who may describe the cluster sees all groups, who may not those that it may describe.
    row(
        ApiKey::ListGroups,
        &[(Cluster, Describe), (Group, Describe)],
    ),
    row(ApiKey::SaslHandshake, &[]),
    row(ApiKey::ApiVersions, &[]),
    row(ApiKey::CreateTopics, &[(Cluster, Create), (Topic, Create)]),
    row(ApiKey::DeleteTopics, &[(Topic, Delete)]),
    row(ApiKey::DeleteRecords, &[(Topic, Delete)]),
    // Who may write to any topic may have a producer id.
    row(
        ApiKey::InitProducerId,
        &[(Cluster, IdempotentWrite), (TransactionalId, Write)],
    ),
    row(ApiKey::OffsetForLeaderEpoch, &[(Topic, Describe)]),
    row(
        ApiKey::AddPartitionsToTxn,
        &[(TransactionalId, Write), (Topic, Write)],
    ),
    row(
        ApiKey::AddOffsetsToTxn,
        &[(TransactionalId, Write), (Group, Read)],
    ),
    row(ApiKey::EndTxn, &[(TransactionalId, Write)]),
    row(
        ApiKey::TxnOffsetCommit,
        &[(TransactionalId, Write), (Group, Read), (Topic, Read)],
    ),
    row(ApiKey::DescribeAcls, &[(Cluster, Describe)]),
    row(ApiKey::CreateAcls, &[(Cluster, Alter)]),
    row(ApiKey::DeleteAcls, &[(Cluster, Alter)]),
    row(
        ApiKey::DescribeConfigs,
        &[(Topic, DescribeConfigs), (Cluster, DescribeConfigs)],
    ),
    row(
        ApiKey::AlterConfigs,
        &[
            (Topic, Operation::AlterConfigs),
            (Cluster, Operation::AlterConfigs),
        ],
    ),
    row(ApiKey::DescribeLogDirs, &[(Cluster, Describe)]),
    row(ApiKey::SaslAuthenticate, &[]),
    row(ApiKey::CreatePartitions, &[(Topic, Alter)]),
    row(ApiKey::DeleteGroups, &[(Group, Delete)]),
    row(
        ApiKey::IncrementalAlterConfigs,
        &[
            (Topic, Operation::AlterConfigs),
            (Cluster, Operation::AlterConfigs),
        ],
    ),
    row(ApiKey::OffsetDelete, &[(Group, Delete), (Topic, Read)]),
    row(ApiKey::DescribeCluster, &[]),
    row(ApiKey::DescribeTransactions, &[(TransactionalId, Describe)]),
    row(ApiKey::ListTransactions, &[(TransactionalId, Describe)]),
    row(ApiKey::DescribeProducers, &[(Topic, Read)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shape::SHAPES;

    #[test]
    fn every_api_that_is_served_says_what_it_asks_for() {
        for shape in SHAPES {
            assert!(is_known(shape.key), "{:?} has no row", shape.key);
        }
    }
}
