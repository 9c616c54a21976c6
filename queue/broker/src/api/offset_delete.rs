//! OffsetDelete: a group forgets what it has committed for partitions, unless one of its members reads their topic.

use std::collections::HashSet;

use bytes::Buf;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{ApiKey, OffsetDeleteRequest, OffsetDeleteResponse};
use tracing::warn;

use super::{Call, partition};
use crate::groups::Description;
use crate::security::Resource;

const CONSUMER: &str = "consumer";

pub(super) async fn delete(call: &Call<'_>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let group = &request.group_id;
    let described = call.node.groups.describe(group);
    let refuse =
        |error: ResponseError| OffsetDeleteResponse::default().with_error_code(error.code());
    if !call.may(ApiKey::OffsetDelete, Resource::Group(group)) {
        return refuse(ResponseError::GroupAuthorizationFailed);
    }
    if described.is_none() && !call.node.offsets.has_group(group) {
        return refuse(ResponseError::GroupIdNotFound);
    }
    let subscribed = match described.as_ref().map(subscriptions) {
        Some(Err(error)) => return refuse(error),
        Some(Ok(topics)) => topics,
        None => HashSet::new(),
    };
    let mut rows = Vec::new();
    let mut topics: Vec<OffsetDeleteResponseTopic> = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = call.topic(ApiKey::OffsetDelete, &asked.name);
        let is_read = subscribed.contains(&*asked.name.0);
        let partitions = asked.partitions.iter().map(|row| {
            let index = row.partition_index;
            let known = partition(&topic, index);
            let error = if let Err(error @ ResponseError::TopicAuthorizationFailed) = known {
                error.code()
            } else if is_read {
                ResponseError::GroupSubscribedToTopic.code()
            } else if let Err(error) = known {
                error.code()
            } else {
                rows.push((asked.name.to_string(), index));
                0
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error)
        });
        let partitions = partitions.collect();
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(asked.name)
                .with_partitions(partitions),
        );
    }
    if !rows.is_empty()
        && let Err(error) = call.node.offsets.delete_rows(group, rows).await
    {
        warn!(group = %group.0, %error, "offsets cannot be deleted");
        return refuse(ResponseError::CoordinatorNotAvailable);
    }
    OffsetDeleteResponse::default().with_topics(topics)
}

/// The topics that members of a group read. A group whose members speak of something else than topics has to be empty.
fn subscriptions(group: &Description) -> Result<HashSet<String>, ResponseError> {
    let mut topics = HashSet::new();
    for member in &group.members {
        let read = (group.protocol_type == CONSUMER)
            .then(|| subscribed_topics(&member.metadata))
            .flatten();
        topics.extend(read.ok_or(ResponseError::NonEmptyGroup)?);
    }
    Ok(topics)
}

/// The topics in a consumer's subscription: a version, then an array of names. What follows differs by version and
/// is nothing to us. `None` if it is no such thing.
fn subscribed_topics(mut metadata: &[u8]) -> Option<Vec<String>> {
    metadata.try_get_i16().ok()?;
    let count = usize::try_from(metadata.try_get_i32().ok()?).ok()?;
    // Each name has a length in front: a count beyond that is a lie, found before anything is allocated.
    if count > metadata.len() / 2 {
        return None;
    }
    (0..count)
        .map(|_| {
            let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
            let (name, rest) = metadata.split_at_checked(length)?;
            metadata = rest;
            String::from_utf8(name.to_vec()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_and_anything_else_is_not() {
        let subscription = [0, 3, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 9, 9];
        assert_eq!(
            subscribed_topics(&subscription),
            Some(vec!["a".to_owned(), "bc".to_owned()])
        );
        for end in 0..13 {
            assert_eq!(subscribed_topics(&subscription[..end]), None, "{end} bytes");
        }
        assert_eq!(
            subscribed_topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0]),
            None
        );
        assert_eq!(subscribed_topics(&[0, 0, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
