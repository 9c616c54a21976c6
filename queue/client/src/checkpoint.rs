//! Where a consumer goes on, proved against the log (design §2 "Incarnation").
//!
//! A checkpoint names the next offset and the checksum of the record before it. On resume that
//! record is read again. If the log no longer holds it there (it was restored from a backup, made
//! anew, mirrored, or promoted from a standby that lagged), offsets mean something else now: we look
//! backwards for the record we ended with, go on after it, or from the start of the log when it is
//! not there, and open a new incarnation so that no event id is given twice. Marks then drop
//! what was seen, for all records that carry an origin.

use std::time::Duration;

use logboom_event::Record;
use tokio::time::Instant;
use tracing::warn;

use crate::admin::Admin;
use crate::config::ClientConfig;
use crate::consumer::{Assignment, Consumer};
use crate::error::Error;
use crate::{limits, metrics};

/// The position of a consumer in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// Counts the lives of the partition's offsets; part of every event id.
    pub incarnation: u32,
    /// The offset to read next.
    pub next_offset: i64,
    /// [`record_crc`] of the record at `next_offset - 1`; `None` when nothing was read yet.
    pub last_crc: Option<u32>,
}

/// What `resume` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    pub checkpoint: Checkpoint,
    /// The log did not agree with the stored checkpoint: a new incarnation was opened.
    pub rewound: bool,
}

/// CRC32C over what makes a record itself: its value and, where it has one, its source and range.
pub fn record_crc(record: &Record) -> u32 {
    let mut crc = crc32c::crc32c(&record.value);
    if let Some(origin) = &record.origin {
        crc = crc32c::crc32c_append(crc, &origin.source.0);
        crc = crc32c::crc32c_append(crc, &origin.prev.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &origin.end.to_le_bytes());
    }
    crc
}

/// Says where to go on in `topic`/`partition`. One try: the caller repeats while the error
/// [`Error::is_retriable`]. `agent_topics` must be those of the consumer that made the checkpoint; how
/// values are encoded does not matter here. The incarnation is one that this partition never had: who gives ids to
/// events of several topics sees to it that they differ.
pub async fn resume(
    config: &ClientConfig,
    agent_topics: &[String],
    topic: &str,
    partition: i32,
    stored: Option<Checkpoint>,
) -> Result<Resumed, Error> {
    let (low, high) = Admin::new(config)?.watermarks(topic, partition).await?;
    let Some(stored) = stored else {
        let checkpoint = Checkpoint {
            incarnation: 1,
            next_offset: low,
            last_crc: None,
        };
        return Ok(Resumed {
            checkpoint,
            rewound: false,
        });
    };
    let log = Log {
        config,
        agent_topics,
        topic,
        partition,
    };
    let Some(wanted) = stored.last_crc else {
        // Nothing was read, so nothing can be taken for something else.
        let next_offset = stored.next_offset.clamp(low, high);
        return Ok(Resumed {
            checkpoint: Checkpoint {
                next_offset,
                ..stored
            },
            rewound: false,
        });
    };
    let last = stored.next_offset - 1;
    if (low..high).contains(&last) && log.crc_at(last).await? == Some(wanted) {
        return Ok(Resumed {
            checkpoint: stored,
            rewound: false,
        });
    }
    if stored.next_offset == low {
        // Retention took all that was read and nothing that was not: nothing to compare with.
        return Ok(Resumed {
            checkpoint: stored,
            rewound: false,
        });
    }

    let agreed = log.find_before(wanted, low, last.min(high)).await?;
    let next_offset = agreed.map_or(low, |offset| offset + 1);
    let checkpoint = Checkpoint {
        incarnation: stored.incarnation + 1,
        next_offset,
        last_crc: agreed.map(|_| wanted),
    };
    ::metrics::counter!(metrics::CHECKPOINT_MISMATCH).increment(1);
    warn!(
        topic,
        partition,
        stored_offset = stored.next_offset,
        log_start = low,
        log_end = high,
        next_offset,
        deleted_unread = (low - stored.next_offset).max(0),
        "the log of `{topic}`/{partition} is not the one this checkpoint was taken from: going on from \
         offset {next_offset} as a new incarnation; records of agents are not doubled, others may be"
    );
    Ok(Resumed {
        checkpoint,
        rewound: true,
    })
}

/// One partition, looked at.
struct Log<'a> {
    config: &'a ClientConfig,
    agent_topics: &'a [String],
    topic: &'a str,
    partition: i32,
}

impl Log<'_> {
    async fn crc_at(&self, offset: i64) -> Result<Option<u32>, Error> {
        let mut consumer = self.consumer_at(offset)?;
        let records = self.next(&mut consumer, 1, offset + 1).await?;
        let record = records.into_iter().next();
        Ok(record
            .filter(|record| record.offset == offset)
            .map(|record| record_crc(&record)))
    }

    /// The last offset in `[low, before)` whose record has this checksum.
    async fn find_before(&self, wanted: u32, low: i64, before: i64) -> Result<Option<i64>, Error> {
        const WINDOW: i64 = 10_000;
        let floor = low.max(before - limits::RESUME_WALK_RECORDS);
        let mut end = before;
        while end > floor {
            let start = floor.max(end - WINDOW);
            let mut found = None;
            let mut consumer = self.consumer_at(start)?;
            let mut next = start;
            while next < end {
                let records = self.next(&mut consumer, WINDOW as usize, end).await?;
                if records.is_empty() {
                    break;
                }
                for record in records {
                    next = record.offset + 1;
                    if record.offset < end && record_crc(&record) == wanted {
                        found = Some(record.offset);
                    }
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            end = start;
        }
        Ok(None)
    }

    fn consumer_at(&self, offset: i64) -> Result<Consumer, Error> {
        let mut consumer = Consumer::new(self.config, self.agent_topics)?;
        consumer.assign(&[Assignment {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset,
        }])?;
        Ok(consumer)
    }

    /// At least one record, or none if none is left before `end`: transactions end with markers, which take offsets, and
    /// aborted ones are nothing but offsets to us. Or an error that the caller may retry.
    async fn next(
        &self,
        consumer: &mut Consumer,
        count: usize,
        end: i64,
    ) -> Result<Vec<Record>, Error> {
        const PATIENCE: Duration = limits::REQUEST_TIMEOUT;
        let end = [Assignment {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: end,
        }];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = consumer
                .recv(count, limits::PREFETCH_BYTES, limits::FETCH_WAIT)
                .await?;
            if !records.is_empty() || consumer.has_read_to(&end) {
                return Ok(records);
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(Error::Unavailable {
            what: format!(
                "read `{}`/{} to prove a checkpoint",
                self.topic, self.partition
            ),
            bootstrap: self.config.bootstrap.clone(),
            cause: Box::new(rdkafka::error::KafkaError::MessageConsumption(
                rdkafka::error::RDKafkaErrorCode::OperationTimedOut,
            )),
        })
    }
}
