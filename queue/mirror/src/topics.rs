//! Which topics there are to copy, and the same ones at the target.

use std::collections::BTreeMap;

use logboom_client::{Admin, Isolation, Partition};
use tracing::info;

use crate::error::Error;
use crate::pattern::TopicPattern;

/// Names and numbers of partitions.
pub(crate) type Topics = BTreeMap<String, u32>;

pub(crate) async fn look(from: &Admin, pattern: &TopicPattern) -> Result<Topics, Error> {
    let all = from.topics().await?.into_iter();
    // Without partitions, it is being made or deleted.
    let whole = all.filter(|topic| !topic.partitions.is_empty() && pattern.matches(&topic.name));
    Ok(whole
        .map(|topic| (topic.name, topic.partitions.len() as u32))
        .collect())
}

pub(crate) fn partitions(topics: &Topics) -> Vec<Partition> {
    let numbered = topics.iter();
    numbered
        .flat_map(|(topic, count)| (0..*count as i32).map(|number| (topic.clone(), number)))
        .collect()
}

/// Sees to it that the target has the topic with as many partitions. One that exists with fewer is given more if it is
/// known to hold copies, or holds nothing: elsewhere, somebody may rely on which key is in which partition.
pub(crate) async fn ensure(
    to: &Admin,
    topic: &str,
    count: u32,
    is_known: bool,
    addresses: (&str, &str),
) -> Result<(), Error> {
    let found = to.ensure_topic(topic, count).await?;
    if found >= count {
        return Ok(());
    }
    if !is_known && !is_empty(to, topic, found).await? {
        return Err(Error::FewerPartitions {
            topic: topic.to_owned(),
            from: addresses.0.to_owned(),
            to: addresses.1.to_owned(),
            wanted: count,
            found,
        });
    }
    to.grow_topic(topic, count).await?;
    info!(topic, count, found, "gave the topic more partitions");
    Ok(())
}

async fn is_empty(to: &Admin, topic: &str, count: u32) -> Result<bool, Error> {
    let partitions = partitions(&Topics::from([(topic.to_owned(), count)]));
    let bounds = to.bounds(&partitions, Isolation::None).await?;
    let are_all_told = bounds.len() == partitions.len();
    Ok(are_all_told && bounds.values().all(|bounds| bounds.high == 0))
}
