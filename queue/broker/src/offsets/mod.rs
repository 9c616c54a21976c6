//! Offsets that groups have committed: durable before the commit is answered, readable from memory.
//!
//! A journal of changes (`offsets/`), replayed into a map at start. One thread owns the journal: it takes the changes
//! that have queued up, appends them, syncs once, applies them to the map and answers, so the map never shows what a
//! crash could take back. A change is a postcard-encoded [`Change`]; variants and fields are only ever added at the
//! end. Offsets of an open transaction are kept apart, as pending, until it ends. When the journal has grown to twice its last snapshot it is replaced by the next, some `Commit`s a group; when
//! that failed for so long that the journal is full, by the commit that finds no room in it.

mod memory;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use logboom_disk::{Disk, Journal, JournalLimits};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use self::memory::{Memory, Room, rows_of};
use self::writer::Writer;
use crate::error::Error;
use crate::limits::{
    OFFSETS_BYTES_MAX, OFFSETS_COMPACT_BYTES_MIN, OFFSETS_JOURNAL_BYTES_MAX, OFFSETS_MAX,
};

/// The journal's directory below the broker's.
const DIR: &str = "offsets";

/// Changes that wait for the journal; senders wait beyond that.
const QUEUE_MAX: usize = 256;

/// Rows of one journal record: with the longest topic name and metadata a row has 4.4 KiB, so 128 stay below the
/// journal's 1 MiB a record.
const ROWS_PER_RECORD_MAX: usize = 128;

/// What was committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The offset to read next.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// When, for tools that list what is stale.
    pub(crate) time_ms: i64,
}

/// A row of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) committed: Committed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Change {
    Commit {
        group: String,
        rows: Vec<Row>,
    },
    DeleteGroup {
        group: String,
    },
    DeleteTopic {
        topic: String,
    },
    DeleteRows {
        group: String,
        rows: Vec<(String, i32)>,
    },
    /// Rows of an open transaction of this producer.
    Pend {
        group: String,
        producer_id: i64,
        rows: Vec<Row>,
    },
    /// The transaction has ended: its rows are committed, or gone.
    EndPending {
        group: String,
        producer_id: i64,
        commit: bool,
    },
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("more than {OFFSETS_MAX} offsets are committed; delete groups that are no longer used")]
    TooMany,
    #[error(
        "committed offsets and their metadata take more than {OFFSETS_BYTES_MAX} bytes; delete groups that are no longer used, or commit less metadata"
    )]
    TooLarge,
    #[error("the journal of offsets is full")]
    JournalFull,
    #[error("the journal of offsets cannot be written: {0}")]
    Storage(String),
    #[error("the broker is stopping")]
    Stopping,
}

/// Whether the journal in `dir` has a torn tail; an error if it is damaged.
pub(crate) fn examine(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
    let dir = dir.join(DIR);
    let examined = Journal::examine(disk, &dir, journal_limits());
    let (records, is_torn) = examined.map_err(|source| Error::DataDir {
        path: dir.clone(),
        source: Box::new(source),
    })?;
    for record in &records {
        decode(record, &dir)?;
    }
    Ok(is_torn)
}

fn journal_limits() -> JournalLimits {
    JournalLimits {
        file_bytes_max: OFFSETS_JOURNAL_BYTES_MAX,
        ..JournalLimits::default()
    }
}

fn decode(record: &[u8], dir: &Path) -> Result<Change, Error> {
    postcard::from_bytes(record).map_err(|error| Error::Damaged {
        path: dir.to_path_buf(),
        problem: format!("a record is not a change of offsets: {error}"),
    })
}

/// The store. One a broker.
pub(crate) struct Offsets {
    memory: Arc<RwLock<Memory>>,
    /// Taken by `close`, which ends the thread.
    sender: Mutex<Option<mpsc::Sender<Command>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Command {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Offsets {
    /// Replays the journal. Blocking.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Offsets, Error> {
        Offsets::open_with(disk, dir, journal_limits())
    }

    fn open_with(disk: Arc<dyn Disk>, dir: &Path, limits: JournalLimits) -> Result<Offsets, Error> {
        let dir = dir.join(DIR);
        let failed = |source| Error::DataDir {
            path: dir.clone(),
            source: Box::new(source),
        };
        let (journal, records) = Journal::open(disk, &dir, limits).map_err(failed)?;
        let mut memory = Memory::default();
        for record in records {
            memory.apply(decode(&record, &dir)?);
        }
        let memory = Arc::new(RwLock::new(memory));
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let writer = Writer {
            journal,
            memory: memory.clone(),
            compact_at: OFFSETS_COMPACT_BYTES_MIN,
            unapplied: Room::default(),
        };
        let thread = thread::Builder::new()
            .name("queue-offsets".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|source| Error::DataDir {
                path: dir.clone(),
                source: Box::new(source),
            })?;
        Ok(Offsets {
            memory,
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Commits for one group; durable when it returns `Ok`.
    pub(crate) async fn commit(&self, group: &str, rows: Vec<Row>) -> Result<(), StoreError> {
        let changes = rows
            .chunks(ROWS_PER_RECORD_MAX)
            .map(|rows| Change::Commit {
                group: group.to_owned(),
                rows: rows.to_vec(),
            })
            .collect();
        self.change(changes).await
    }

    /// Stores what shows only when this producer's transaction commits; durable when it returns `Ok`.
    pub(crate) async fn pend(
        &self,
        group: &str,
        producer_id: i64,
        rows: Vec<Row>,
    ) -> Result<(), StoreError> {
        let changes = rows
            .chunks(ROWS_PER_RECORD_MAX)
            .map(|rows| Change::Pend {
                group: group.to_owned(),
                producer_id,
                rows: rows.to_vec(),
            })
            .collect();
        self.change(changes).await
    }

    /// Commits what is pending of this producer, or drops it. Nothing happens if nothing is pending.
    pub(crate) async fn end_pending(
        &self,
        group: &str,
        producer_id: i64,
        commit: bool,
    ) -> Result<(), StoreError> {
        self.change(vec![Change::EndPending {
            group: group.to_owned(),
            producer_id,
            commit,
        }])
        .await
    }

    /// Groups and the producers whose offsets are pending there.
    pub(crate) fn pending(&self) -> Vec<(String, i64)> {
        let memory = self.memory.read().expect("no reader or writer panics");
        let groups = memory.pending.iter();
        groups
            .flat_map(|(group, by_producer)| by_producer.keys().map(|id| (group.clone(), *id)))
            .collect()
    }

    /// Whether an open transaction has an offset for this partition.
    pub(crate) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let memory = self.memory.read().expect("no reader or writer panics");
        let Some(of_group) = memory.pending.get(group) else {
            return false;
        };
        let key = (Arc::from(topic), partition);
        of_group.values().any(|rows| rows.contains_key(&key))
    }

    /// Forgets everything that a group has committed.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), StoreError> {
        self.change(vec![Change::DeleteGroup {
            group: group.to_owned(),
        }])
        .await
    }

    /// Forgets what a group has committed for some partitions.
    pub(crate) async fn delete_rows(
        &self,
        group: &str,
        rows: Vec<(String, i32)>,
    ) -> Result<(), StoreError> {
        let changes = rows
            .chunks(ROWS_PER_RECORD_MAX)
            .map(|rows| Change::DeleteRows {
                group: group.to_owned(),
                rows: rows.to_vec(),
            })
            .collect();
        self.change(changes).await
    }

    /// Forgets what any group has committed for a topic, so that a new topic of that name starts clean.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<(), StoreError> {
        self.change(vec![Change::DeleteTopic {
            topic: topic.to_owned(),
        }])
        .await
    }

    /// Forgets what was committed for topics that are not known: a crash came between the deletion of the topic and
    /// that of its offsets. Blocking.
    pub(crate) fn retain_topics(&self, is_known: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let unknown: BTreeSet<Arc<str>> = {
            let memory = self.memory.read().expect("no reader or writer panics");
            let pending = memory.pending.values().flat_map(BTreeMap::values);
            let topics = memory.groups.values().chain(pending);
            topics
                .flat_map(BTreeMap::keys)
                .map(|(topic, _)| topic)
                .filter(|topic| !is_known(topic))
                .cloned()
                .collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let changes = unknown.iter().map(|topic| Change::DeleteTopic {
            topic: topic.to_string(),
        });
        let (done, answer) = oneshot::channel();
        let command = Command {
            changes: changes.collect(),
            done,
        };
        let sender = self.sender.lock().expect("held for a clone only").clone();
        sender
            .ok_or(StoreError::Stopping)?
            .blocking_send(command)
            .map_err(|_| StoreError::Stopping)?;
        answer.blocking_recv().unwrap_or(Err(StoreError::Stopping))
    }

    async fn change(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let sender = self
            .sender
            .lock()
            .expect("held for a clone only")
            .clone()
            .ok_or(StoreError::Stopping)?;
        let (done, answer) = oneshot::channel();
        sender
            .send(Command { changes, done })
            .await
            .map_err(|_| StoreError::Stopping)?;
        answer.await.unwrap_or(Err(StoreError::Stopping))
    }

    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<Committed> {
        let memory = self.memory.read().expect("no reader or writer panics");
        memory
            .groups
            .get(group)?
            .get(&(topic.into(), partition))
            .cloned()
    }

    /// Everything that a group has committed, ordered by topic and partition.
    pub(crate) fn all(&self, group: &str) -> Vec<Row> {
        let memory = self.memory.read().expect("no reader or writer panics");
        memory.groups.get(group).map(rows_of).unwrap_or_default()
    }

    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.memory
            .read()
            .expect("no reader or writer panics")
            .groups
            .contains_key(group)
    }

    /// Whether a group has committed anything for a topic.
    pub(crate) fn has_topic(&self, group: &str, topic: &str) -> bool {
        let memory = self.memory.read().expect("no reader or writer panics");
        let Some(rows) = memory.groups.get(group) else {
            return false;
        };
        let first = (Arc::from(topic), i32::MIN);
        rows.range(first..)
            .next()
            .is_some_and(|((name, _), _)| **name == *topic)
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.memory
            .read()
            .expect("no reader or writer panics")
            .groups
            .keys()
            .cloned()
            .collect()
    }

    /// Writes what was accepted and ends the thread. Blocking.
    pub(crate) fn close(&self) -> thread::Result<()> {
        drop(self.sender.lock().expect("held for a take only").take());
        let thread = self.thread.lock().expect("held for a take only").take();
        thread.map_or(Ok(()), thread::JoinHandle::join)
    }
}

fn encode(change: &Change) -> Vec<u8> {
    postcard::to_stdvec(change)
        .expect("plain structures of text and numbers are encoded into memory")
}
