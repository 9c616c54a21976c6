//! Reads stretches of many partitions of a cluster to their ends, at once.

use std::time::Duration;

use logboom_client::{Assignment, ClientConfig, Consumer, Isolation, Partition, RawRecord};
use tokio::time::Instant;

use crate::error::Error;
use crate::limits::{READ_PATIENCE, RECEIVE_WAIT, ROUND_BYTES, ROUND_RECORDS};

/// Offsets `from..to` of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) name: Partition,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Shows every record of the stretches, each partition's in order, and perhaps some that follow.
pub(crate) async fn read(
    client: &ClientConfig,
    isolation: Isolation,
    stretches: &[Stretch],
    mut see: impl FnMut(&RawRecord),
) -> Result<(), Error> {
    let stretches: Vec<&Stretch> = stretches.iter().filter(|s| s.from < s.to).collect();
    if stretches.is_empty() {
        return Ok(());
    }
    let at = |offset: fn(&Stretch) -> i64| -> Vec<Assignment> {
        let all = stretches.iter();
        all.map(|stretch| assignment(&stretch.name, offset(stretch)))
            .collect()
    };
    let ends = at(|stretch| stretch.to);
    let mut consumer = Consumer::of_raw(client, isolation)?;
    consumer.assign(&at(|stretch| stretch.from))?;
    let mut heard = Instant::now();
    while !consumer.has_read_to(&ends) {
        let records = consumer
            .recv_raw(ROUND_RECORDS, ROUND_BYTES, RECEIVE_WAIT)
            .await?;
        if !records.is_empty() {
            heard = Instant::now();
        } else if heard.elapsed() > READ_PATIENCE {
            return Err(stalled(client, &ends, &consumer, READ_PATIENCE));
        }
        records.iter().for_each(&mut see);
    }
    Ok(())
}

fn stalled(
    client: &ClientConfig,
    ends: &[Assignment],
    consumer: &Consumer,
    waited: Duration,
) -> Error {
    let unread = |end: &&Assignment| !consumer.has_read_to(std::slice::from_ref(*end));
    let topic = ends.iter().find(unread).map(|end| end.topic.clone());
    Error::Stalled {
        topic: topic.unwrap_or_default(),
        address: client.bootstrap.clone(),
        waited,
    }
}

pub(crate) fn assignment(name: &Partition, offset: i64) -> Assignment {
    Assignment {
        topic: name.0.clone(),
        partition: name.1,
        offset,
    }
}
