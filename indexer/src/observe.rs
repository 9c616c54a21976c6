//! Looks at the rest of the pipeline for the status page: agents' reports and the ends of the
//! partitions; and tells the queue how far we are. Indexing never waits for any of it.

use std::{collections::BTreeMap, sync::Arc};

use logboom_client::{Admin, Assignment, Consumer, Error as QueueError};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{AGENT_STATUS_TOPIC, Config, GROUP},
    error::Error,
    limits,
    pipeline::Pipeline,
};

/// What is in published splits: the next offset of every partition, of all indexes.
pub(crate) type Offsets = BTreeMap<(Arc<str>, i32), i64>;

pub(crate) async fn run(
    config: Arc<Config>,
    pipeline: Arc<Pipeline>,
    mut published: watch::Receiver<Offsets>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let admin = Admin::new(&config.queue)?;
    loop {
        let looked = stop
            .run_until_cancelled(look(&config, &admin, &pipeline, &mut published))
            .await;
        match looked {
            None => return Ok(()),
            // The indexing loop says when the queue is away; this one only tries again.
            Some(Err(error)) => tracing::debug!(%error, "looking at the queue failed"),
            Some(Ok(never)) => match never {},
        }
        if stop
            .run_until_cancelled(sleep(limits::WATERMARK_INTERVAL))
            .await
            .is_none()
        {
            return Ok(());
        }
    }
}

fn assignments(offsets: &Offsets) -> Vec<Assignment> {
    let each = offsets.iter();
    each.map(|((topic, partition), offset)| Assignment {
        topic: topic.to_string(),
        partition: *partition,
        offset: *offset,
    })
    .collect()
}

/// Ends only with an error.
async fn look(
    config: &Config,
    admin: &Admin,
    pipeline: &Pipeline,
    published: &mut watch::Receiver<Offsets>,
) -> Result<std::convert::Infallible, QueueError> {
    admin.ensure_topic(AGENT_STATUS_TOPIC, 1).await?;
    let (start, end) = admin.watermarks(AGENT_STATUS_TOPIC, 0).await?;
    let mut reports = Consumer::new(&config.queue, &[])?;
    let offset = start.max(end - limits::AGENT_REPORTS_READ_BACK);
    reports.assign(&[Assignment {
        topic: AGENT_STATUS_TOPIC.to_owned(),
        partition: 0,
        offset,
    }])?;
    let mut ends_at = Instant::now();
    let mut is_told = false;
    loop {
        if !is_told || published.has_changed().unwrap_or(false) {
            let offsets = assignments(&published.borrow_and_update());
            if !offsets.is_empty() {
                admin.commit(GROUP, &offsets).await?;
            }
            is_told = true;
        }
        if ends_at <= Instant::now() {
            for (topic, partition) in pipeline.known_partitions() {
                let (start, end) = admin.watermarks(&topic, partition).await?;
                pipeline.ends(&topic, partition, start, end);
            }
            ends_at = Instant::now() + limits::WATERMARK_INTERVAL;
        }
        for record in reports
            .recv(
                limits::BATCH_RECORDS_MAX,
                limits::BATCH_BYTES_MAX,
                limits::RECEIVE_WAIT,
            )
            .await?
        {
            // Anybody may write to the topic: what is not a report is not shown.
            if let Ok(report) = serde_json::from_slice(&record.value) {
                pipeline.agent(report, record.timestamp_ms);
            }
        }
    }
}
