//! The answers. One function per request type, from the decoded request to the decoded response; Kafka's error
//! codes appear here and nowhere deeper.

mod acls;
mod admin;
mod alter_configs;
mod configs;
mod fetch;
mod groups;
mod list_offsets;
mod log_dirs;
mod metadata;
mod offset_delete;
mod offsets;
mod produce;
#[cfg(test)]
mod rights_tests;
mod topics;
mod transaction_views;
mod transactions;

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;

use crate::log::PartitionLog;
use crate::metrics as names;
use crate::node::{Node, Peer};
use crate::security::{self, Operation, Resource};
use crate::topics::Topic;
use crate::wire::{codec, shape};

/// What a request comes with besides its body.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a Node,
    pub(crate) peer: &'a Peer,
    pub(crate) version: i16,
    pub(crate) client_id: &'a str,
}

impl Call<'_> {
    /// Whether the client may do what `key` does with the resource.
    pub(crate) fn may(&self, key: ApiKey, resource: Resource<'_>) -> bool {
        let operation = security::needed(key, resource.kind());
        let rules = &self.node.config.access;
        let may = rules.allow(&self.peer.principal, operation, resource);
        if !may {
            self.note_refusal(key, resource);
        }
        may
    }

    /// Whether the client may make a topic of this name.
    pub(crate) fn may_create(&self, name: &str) -> bool {
        let rules = &self.node.config.access;
        let create =
            |resource: Resource<'_>| rules.allow(&self.peer.principal, Operation::Create, resource);
        create(Resource::Cluster) || create(Resource::Topic(name))
    }

    /// The topic, if it is there and the client may do with it what `key` does.
    pub(crate) fn topic(&self, key: ApiKey, name: &str) -> Result<Arc<Topic>, ResponseError> {
        // Rights first: who may not even see it does not learn whether it is there.
        if !self.may(key, Resource::Topic(name)) {
            return Err(ResponseError::TopicAuthorizationFailed);
        }
        let topic = self.node.topics.get(name);
        topic.ok_or(ResponseError::UnknownTopicOrPartition)
    }

    fn note_refusal(&self, key: ApiKey, resource: Resource<'_>) {
        counter!(names::REQUESTS_REFUSED, "api" => format!("{key:?}")).increment(1);
        if self.node.refusals.may_tell() {
            let (principal, remote) = (&self.peer.principal, self.peer.remote);
            warn!(%principal, %remote, ?resource, "{key:?} refused: no access rule allows it");
        }
    }
}

/// A partition of what [`Call::topic`] has found.
fn partition(
    topic: &Result<Arc<Topic>, ResponseError>,
    index: i32,
) -> Result<&Arc<PartitionLog>, ResponseError> {
    let topic = topic.as_ref().map_err(|error| *error)?;
    let partition = topic.partition(index);
    partition.ok_or(ResponseError::UnknownTopicOrPartition)
}

/// Whether a request may be started while others of its connection are still being answered: a Produce that only
/// has to hand its batches over. One that has to create a topic first may not, or the next would overtake it.
pub(crate) fn may_overlap(node: &Node, request: &RequestKind) -> bool {
    matches!(request, RequestKind::Produce(request) if produce::topics_exist(node, request))
}

/// What becomes of a request.
pub(crate) struct Answer {
    /// `None`: the client wants none (Produce with acks=0).
    pub(crate) response: Option<ResponseKind>,
    /// Memory that the response holds until it has been written.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// Answers a request.
pub(crate) async fn answer(call: Call<'_>, request: RequestKind) -> Answer {
    let response = match request {
        RequestKind::Produce(request) => {
            let response = produce::produce(&call, request)
                .await
                .map(ResponseKind::Produce);
            return Answer {
                response,
                permit: None,
            };
        }
        RequestKind::Fetch(request) => {
            let fetched = fetch::fetch(&call, request).await;
            return Answer {
                response: Some(fetched.response.into()),
                permit: fetched.permit,
            };
        }
        RequestKind::ListOffsets(request) => {
            list_offsets::list_offsets(&call, request).await.into()
        }
        RequestKind::OffsetForLeaderEpoch(request) => {
            list_offsets::offset_for_leader_epoch(&call, request).into()
        }
        RequestKind::ApiVersions(_) => api_versions().into(),
        RequestKind::Metadata(request) => metadata::metadata(&call, request).await.into(),
        RequestKind::DescribeCluster(request) => metadata::describe_cluster(&call, &request).into(),
        RequestKind::FindCoordinator(request) => metadata::find_coordinator(&call, request).into(),
        RequestKind::CreateTopics(request) => topics::create(&call, request).await.into(),
        RequestKind::DeleteTopics(request) => topics::delete(&call, request).await.into(),
        RequestKind::CreatePartitions(request) => {
            topics::create_partitions(&call, request).await.into()
        }
        RequestKind::DeleteRecords(request) => admin::delete_records(&call, request).await.into(),
        RequestKind::InitProducerId(request) => {
            transactions::init_producer_id(&call, &request).await.into()
        }
        RequestKind::AddPartitionsToTxn(request) => {
            transactions::add_partitions(&call, request).await.into()
        }
        RequestKind::AddOffsetsToTxn(request) => {
            transactions::add_offsets(&call, &request).await.into()
        }
        RequestKind::TxnOffsetCommit(request) => {
            transactions::commit_offsets(&call, request).await.into()
        }
        RequestKind::EndTxn(request) => transactions::end(&call, &request).await.into(),
        RequestKind::ListTransactions(request) => transaction_views::list(&call, &request).into(),
        RequestKind::DescribeTransactions(request) => {
            transaction_views::describe(&call, request).into()
        }
        RequestKind::DescribeProducers(request) => {
            transaction_views::producers(&call, request).await.into()
        }
        RequestKind::DescribeConfigs(request) => configs::describe(&call, request).into(),
        RequestKind::AlterConfigs(request) => alter_configs::replace(&call, request).await.into(),
        RequestKind::IncrementalAlterConfigs(request) => {
            alter_configs::change(&call, request).await.into()
        }
        RequestKind::DescribeLogDirs(request) => log_dirs::describe(&call, request).await.into(),
        RequestKind::JoinGroup(request) => groups::join(&call, request).await.into(),
        RequestKind::SyncGroup(request) => groups::sync(&call, request).await.into(),
        RequestKind::Heartbeat(request) => groups::heartbeat(&call, &request).into(),
        RequestKind::LeaveGroup(request) => groups::leave(&call, request).into(),
        RequestKind::DescribeGroups(request) => groups::describe(&call, request).into(),
        RequestKind::ListGroups(request) => groups::list(&call, &request).into(),
        RequestKind::DeleteGroups(request) => groups::delete(&call, request).await.into(),
        RequestKind::OffsetCommit(request) => offsets::commit(&call, request).await.into(),
        RequestKind::OffsetFetch(request) => offsets::fetch(&call, request).into(),
        RequestKind::OffsetDelete(request) => offset_delete::delete(&call, request).await.into(),
        RequestKind::DescribeAcls(request) => acls::describe(&call, &request).into(),
        RequestKind::CreateAcls(request) => acls::create(&call, &request).into(),
        RequestKind::DeleteAcls(request) => acls::delete(&call, &request).into(),
        RequestKind::SaslHandshake(_) => security::handshake_again().into(),
        RequestKind::SaslAuthenticate(_) => security::authenticate_again().into(),
        // The shape table lets nothing else through to the codec.
        other => unreachable!("request without a shape: {other:?}"),
    };
    Answer {
        response: Some(response),
        permit: None,
    }
}

pub(crate) fn api_versions() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_api_keys(shape::SHAPES.iter().map(codec::api_version).collect())
}

fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
