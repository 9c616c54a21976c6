//! Where reading stands in every partition: found at the start and when a topic grows, and proved
//! again when the log is not what it was.
//!
//! A reading moves together with the engine's state (`step`) and is committed together with it
//! (`store`). Marks belong to it, so a record counts once whatever the log or an agent repeats.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use logboom_client::{Admin, Assignment, Checkpoint, Marks, Verdict, record_crc, resume};
use logboom_event::Record;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    Config, Error,
    store::{Progress, Stored},
};

/// Where reading of one partition stands.
pub(crate) struct Reading {
    /// The index that its topic fills.
    pub(crate) index: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    incarnation: u32,
    pub(crate) next_offset: i64,
    /// For the checkpoint's checksum: the record before `next_offset`, or what was stored of it.
    last: Last,
    marks: Marks,
    /// Moved since the last commit.
    dirty: bool,
}

enum Last {
    Stored(Option<u32>),
    Read(Record),
}

impl Reading {
    pub(crate) fn new(
        index: Arc<str>,
        topic: Arc<str>,
        partition: i32,
        checkpoint: Checkpoint,
        marks: Marks,
    ) -> Reading {
        Reading {
            index,
            topic,
            partition,
            incarnation: checkpoint.incarnation,
            next_offset: checkpoint.next_offset,
            last: Last::Stored(checkpoint.last_crc),
            marks,
            dirty: true,
        }
    }

    /// Whether the record is the next one here. Others are of a partition that was never assigned, or
    /// from before a move back.
    pub(crate) fn expects(&self, record: &Record) -> bool {
        self.partition == record.partition
            && self.topic == record.topic
            && record.offset >= self.next_offset
    }

    /// Moves past the record, and says whether it is new. [`Reading::keep`] has to follow.
    pub(crate) fn pass(&mut self, record: &Record) -> Verdict {
        self.next_offset = record.offset + 1;
        self.dirty = true;
        match &record.origin {
            Some(origin) => self.marks.observe(origin, record.timestamp_ms),
            None => Verdict::New,
        }
    }

    /// Keeps the record that was passed last.
    pub(crate) fn keep(&mut self, record: Record) {
        self.last = Last::Read(record);
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let last_crc = match &self.last {
            Last::Stored(crc) => *crc,
            Last::Read(record) => Some(record_crc(record)),
        };
        Checkpoint {
            incarnation: self.incarnation,
            next_offset: self.next_offset,
            last_crc,
        }
    }

    /// Goes on from another place of the log, as `resume` said.
    fn move_to(&mut self, checkpoint: Checkpoint) {
        self.incarnation = checkpoint.incarnation;
        self.next_offset = checkpoint.next_offset;
        self.last = Last::Stored(checkpoint.last_crc);
        self.dirty = true;
    }

    /// An offset of this partition.
    pub(crate) fn assignment(&self, offset: i64) -> Assignment {
        Assignment {
            topic: self.topic.to_string(),
            partition: self.partition,
            offset,
        }
    }

    /// What has to be written down, if it moved since the last time.
    pub(crate) fn take_progress(&mut self) -> Option<Progress> {
        std::mem::take(&mut self.dirty).then(|| Progress {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            checkpoint: self.checkpoint(),
            marks: self.marks.to_bytes(),
        })
    }

    /// Drops the marks of sources that are long gone.
    pub(crate) fn forget_marks(&mut self, before_ms: i64) {
        let before = self.marks.len();
        self.marks.forget_closed(before_ms);
        self.dirty |= self.marks.len() != before;
    }
}

/// What the consumer has to be told to read.
pub(crate) fn assignments(readings: &[Reading]) -> Vec<Assignment> {
    let next = |reading: &Reading| reading.assignment(reading.next_offset);
    readings.iter().map(next).collect()
}

/// Finds all partitions of the topics and where to go on in each. Waits for the queue; nothing when
/// `stop` comes first.
pub(crate) async fn find(
    config: &Config,
    stored: &mut Stored,
    stop: &CancellationToken,
) -> Result<Option<Vec<Reading>>, Error> {
    let mut readings = Vec::new();
    for (index, topic) in config.topics() {
        let admin = Admin::new(&config.queue)?;
        let Some(partitions) =
            patiently(stop, || admin.ensure_topic(&topic.name, config.partitions)).await?
        else {
            return Ok(None);
        };
        let (index, topic): (Arc<str>, Arc<str>) = (index.into(), topic.name.as_str().into());
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            let (checkpoint, marks) = stored
                .partitions
                .remove(&(topic.to_string(), partition))
                .unzip();
            let Some(checkpoint) = resumed(config, &topic, partition, checkpoint, stop).await?
            else {
                return Ok(None);
            };
            readings.push(Reading::new(
                Arc::clone(&index),
                Arc::clone(&topic),
                partition,
                checkpoint,
                marks.unwrap_or_default(),
            ));
        }
    }
    Ok(Some(readings))
}

/// Names a partition.
pub(crate) type Partition = (Arc<str>, i32);

/// What is stored of partitions that were not there at start: of a topic that was made anew, and may
/// grow again.
pub(crate) type Left = HashMap<(String, i32), (Checkpoint, Marks)>;

/// The partitions that are not `known`, and where to begin in each: where it starts, since it was born
/// while we ran, unless something of it is `left`. What the queue does not tell now is left to the
/// next look.
pub(crate) async fn born(
    config: &Config,
    admin: &Admin,
    known: &HashSet<Partition>,
    left: &Left,
) -> Vec<Reading> {
    let mut readings = Vec::new();
    let agent_topics = config.agent_topics();
    for (index, topic) in config.topics() {
        let topic = &topic.name;
        let partitions = match admin.partitions(topic).await {
            Ok(partitions) => i32::try_from(partitions.unwrap_or(0)).unwrap_or(i32::MAX),
            Err(error) => {
                warn!(%error, topic, "cannot look for new partitions; looking again later");
                continue;
            }
        };
        let (index, name): (Arc<str>, Arc<str>) = (index.into(), topic.as_str().into());
        for partition in 0..partitions {
            if known.contains(&(Arc::clone(&name), partition)) {
                continue;
            }
            let (stored, marks) = left.get(&(topic.clone(), partition)).cloned().unzip();
            let resumed = resume(&config.queue, &agent_topics, topic, partition, stored);
            match resumed.await {
                Ok(resumed) => readings.push(Reading::new(
                    Arc::clone(&index),
                    Arc::clone(&name),
                    partition,
                    resumed.checkpoint,
                    marks.unwrap_or_default(),
                )),
                Err(error) => {
                    warn!(%error, topic, partition, "a new partition cannot be read yet; looking again later");
                }
            }
        }
    }
    readings
}

/// The log is not what it was: proves every checkpoint again. False when stopped.
pub(crate) async fn prove(
    config: &Config,
    readings: &mut [Reading],
    stop: &CancellationToken,
) -> Result<bool, logboom_client::Error> {
    for reading in readings {
        let held = Some(reading.checkpoint());
        let found = resumed(config, &reading.topic, reading.partition, held, stop).await?;
        let Some(checkpoint) = found else {
            return Ok(false);
        };
        if checkpoint != reading.checkpoint() {
            reading.move_to(checkpoint);
        }
    }
    Ok(true)
}

async fn resumed(
    config: &Config,
    topic: &str,
    partition: i32,
    stored: Option<Checkpoint>,
    stop: &CancellationToken,
) -> Result<Option<Checkpoint>, logboom_client::Error> {
    let agent_topics = config.agent_topics();
    let resumed = patiently(stop, || {
        resume(&config.queue, &agent_topics, topic, partition, stored)
    })
    .await?;
    Ok(resumed.map(|resumed| resumed.checkpoint))
}

/// Asks again until the queue answers; nothing when `stop` comes first.
async fn patiently<T, F>(
    stop: &CancellationToken,
    ask: impl Fn() -> F,
) -> Result<Option<T>, logboom_client::Error>
where
    F: Future<Output = Result<T, logboom_client::Error>>,
{
    let mut wait = Duration::from_millis(50);
    loop {
        let answer = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = ask() => answer,
        };
        match answer {
            Err(error) if passes(&error) => {
                warn!(%error, "waiting for the queue");
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(2)),
                }
            }
            other => return other.map(Some),
        }
    }
}

/// Whether asking anew, with a new client, may help.
fn passes(error: &logboom_client::Error) -> bool {
    use logboom_client::Error as E;
    error.is_retriable() || matches!(error, E::OffsetOutOfRange | E::Consume { .. })
}
