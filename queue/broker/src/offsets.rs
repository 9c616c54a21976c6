//! Offsets that groups have committed: durable before the commit is answered, readable from memory.
//!
//! A journal of changes (`offsets/`), replayed into a map at start. One thread owns the journal: it takes the changes
//! that have queued up, appends them, syncs once, applies them to the map and answers, so the map never shows what a
//! crash could take back. A change is a postcard-encoded [`Change`]; variants and fields are only ever added at the
//! end. When the journal has grown to twice its last snapshot it is replaced by the next, some `Commit`s a group; when
//! that failed for so long that the journal is full, by the commit that finds no room in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use logboom_disk::{Disk, Error as DiskError, Journal, JournalLimits};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::error::Error;
use crate::limits::{
    OFFSETS_BYTES_MAX, OFFSETS_COMPACT_BYTES_MIN, OFFSETS_JOURNAL_BYTES_MAX, OFFSETS_MAX,
};

/// Changes that wait for the journal; senders wait beyond that.
const QUEUE_MAX: usize = 256;

/// What a row or a group takes beside its text: numbers, lengths, and its place in the map.
const ROW_FIXED_BYTES: usize = 64;

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
    Commit { group: String, rows: Vec<Row> },
    DeleteGroup { group: String },
    DeleteTopic { topic: String },
}

type Rows = BTreeMap<(Arc<str>, i32), Committed>;

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

#[derive(Default)]
struct Memory {
    groups: HashMap<String, Rows>,
    /// Rows over all groups.
    count: usize,
    /// See [`row_bytes`] and [`group_bytes`].
    bytes: usize,
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
        let limits = JournalLimits {
            file_bytes_max: OFFSETS_JOURNAL_BYTES_MAX,
            ..JournalLimits::default()
        };
        Offsets::open_with(disk, dir, limits)
    }

    fn open_with(disk: Arc<dyn Disk>, dir: &Path, limits: JournalLimits) -> Result<Offsets, Error> {
        let dir = dir.join("offsets");
        let failed = |source| Error::DataDir {
            path: dir.clone(),
            source: Box::new(source),
        };
        let (journal, records) = Journal::open(disk, &dir, limits).map_err(failed)?;
        let mut memory = Memory::default();
        for record in records {
            let change = postcard::from_bytes(&record).map_err(|error| Error::Damaged {
                path: dir.clone(),
                problem: format!("a record is not a change of offsets: {error}"),
            })?;
            memory.apply(change);
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

    /// Forgets everything that a group has committed.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), StoreError> {
        self.change(vec![Change::DeleteGroup {
            group: group.to_owned(),
        }])
        .await
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
            let topics = memory.groups.values().flat_map(BTreeMap::keys);
            topics
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

impl Memory {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Commit { group, rows } => {
                if !self.groups.contains_key(&group) {
                    self.bytes += group_bytes(&group);
                }
                let known = self.groups.entry(group).or_default();
                for row in rows {
                    self.bytes += row_bytes(&row.topic, &row.committed);
                    self.count += 1;
                    let key = (Arc::from(row.topic), row.partition);
                    if let Some(old) = known.insert(key.clone(), row.committed) {
                        self.bytes -= row_bytes(&key.0, &old);
                        self.count -= 1;
                    }
                }
            }
            Change::DeleteGroup { group } => {
                let Some(rows) = self.groups.remove(&group) else {
                    return;
                };
                self.count -= rows.len();
                self.bytes -= group_bytes(&group) + bytes_of(&rows);
            }
            Change::DeleteTopic { topic } => {
                self.groups.retain(|group, rows| {
                    let gone = rows
                        .extract_if(.., |(name, _), _| **name == topic)
                        .collect();
                    self.count -= Rows::len(&gone);
                    self.bytes -= bytes_of(&gone);
                    if rows.is_empty() {
                        self.bytes -= group_bytes(group);
                    }
                    !rows.is_empty()
                });
            }
        }
    }

    /// What `rows` of `group` would need beside what is there, those that replace others their difference at most.
    fn room_for(&self, group: &str, rows: &[Row]) -> Room {
        let known = self.groups.get(group);
        let mut room = Room {
            rows: 0,
            bytes: known.map_or_else(|| group_bytes(group), |_| 0),
        };
        for row in rows {
            let key = (Arc::from(row.topic.as_str()), row.partition);
            let bytes = row_bytes(&row.topic, &row.committed);
            match known.and_then(|rows| rows.get(&key)) {
                Some(old) => {
                    room.bytes += bytes.saturating_sub(row_bytes(&row.topic, old));
                }
                None => {
                    room.rows += 1;
                    room.bytes += bytes;
                }
            }
        }
        room
    }

    fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for (group, rows) in &self.groups {
            for rows in rows_of(rows).chunks(ROWS_PER_RECORD_MAX) {
                records.push(encode(&Change::Commit {
                    group: group.clone(),
                    rows: rows.to_vec(),
                }));
            }
        }
        records
    }
}

fn row_bytes(topic: &str, committed: &Committed) -> usize {
    ROW_FIXED_BYTES + topic.len() + committed.metadata.len()
}

fn group_bytes(group: &str) -> usize {
    ROW_FIXED_BYTES + group.len()
}

fn bytes_of(rows: &Rows) -> usize {
    let bytes = |((topic, _), committed): (&(Arc<str>, i32), _)| row_bytes(topic, committed);
    rows.iter().map(bytes).sum()
}

fn rows_of(rows: &Rows) -> Vec<Row> {
    rows.iter()
        .map(|((topic, partition), committed)| Row {
            topic: topic.to_string(),
            partition: *partition,
            committed: committed.clone(),
        })
        .collect()
}

fn encode(change: &Change) -> Vec<u8> {
    postcard::to_stdvec(change)
        .expect("plain structures of text and numbers are encoded into memory")
}

/// Rows and bytes that a change adds.
#[derive(Clone, Copy, Default)]
struct Room {
    rows: usize,
    bytes: usize,
}

struct Writer {
    journal: Journal,
    memory: Arc<RwLock<Memory>>,
    /// Journal size at which the next snapshot is due: twice the last one at least, so that a store which is
    /// large by itself is not rewritten at every commit.
    compact_at: u64,
    /// What the appended changes add that are not in memory yet.
    unapplied: Room,
}

impl Writer {
    fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        while receiver.blocking_recv_many(&mut commands, QUEUE_MAX) > 0 {
            let mut appended = Vec::with_capacity(commands.len());
            for command in commands.drain(..) {
                let mut outcome = self.append(&command.changes);
                if outcome == Err(StoreError::JournalFull) {
                    // A snapshot is made from memory, which has to have everything that is in the journal.
                    self.finish(&mut appended);
                    self.compact();
                    outcome = self.append(&command.changes);
                }
                appended.push((command, outcome));
            }
            self.finish(&mut appended);
            if self.journal.bytes() >= self.compact_at {
                self.compact();
            }
        }
    }

    /// Syncs what was appended, shows it and answers.
    fn finish(&mut self, appended: &mut Vec<(Command, Result<(), StoreError>)>) {
        let synced = self.journal.sync().map_err(|error| {
            error!(%error, "offsets cannot be synced; commits are refused until the broker is restarted");
            StoreError::Storage(error.to_string())
        });
        for (command, outcome) in appended.drain(..) {
            let outcome = outcome.and(synced.clone());
            if outcome.is_ok() {
                let mut memory = self.memory.write().expect("no reader or writer panics");
                command
                    .changes
                    .into_iter()
                    .for_each(|change| memory.apply(change));
            }
            // The client may have gone; its commit stands.
            let _gone = command.done.send(outcome);
        }
        self.unapplied = Room::default();
    }

    fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let room = self.check_room(changes)?;
        for change in changes {
            self.journal
                .append(&encode(change))
                .map_err(|error| match error {
                    // No record is: that is what the maxima of its parts are for.
                    DiskError::TooLarge { .. } => StoreError::JournalFull,
                    error => StoreError::Storage(error.to_string()),
                })?;
        }
        self.unapplied = room;
        Ok(())
    }

    /// Offsets that move on need no room; new ones and longer metadata do. What is new is looked up near the limits
    /// only. Returns what is unapplied with `changes`.
    fn check_room(&self, changes: &[Change]) -> Result<Room, StoreError> {
        let memory = self.memory.read().expect("no reader or writer panics");
        let commits = changes.iter().filter_map(|change| match change {
            Change::Commit { group, rows } => Some((group, rows)),
            Change::DeleteGroup { .. } | Change::DeleteTopic { .. } => None,
        });
        let mut needed = Room::default();
        for (group, rows) in commits.clone() {
            let bytes = rows.iter().map(|row| row_bytes(&row.topic, &row.committed));
            needed.rows += rows.len();
            needed.bytes += group_bytes(group) + bytes.sum::<usize>();
        }
        let with = |needed: Room| Room {
            rows: self.unapplied.rows + needed.rows,
            bytes: self.unapplied.bytes + needed.bytes,
        };
        let fits = |room: Room| {
            (
                memory.count + room.rows <= OFFSETS_MAX,
                memory.bytes + room.bytes <= OFFSETS_BYTES_MAX,
            )
        };
        if fits(with(needed)) != (true, true) {
            needed = Room::default();
            for (group, rows) in commits {
                let room = memory.room_for(group, rows);
                needed.rows += room.rows;
                needed.bytes += room.bytes;
            }
        }
        let room = with(needed);
        match fits(room) {
            (true, true) => Ok(room),
            // A store that is over its maxima by an older one's still lets offsets move on.
            _ if needed.rows == 0 && needed.bytes == 0 => Ok(room),
            (false, _) => Err(StoreError::TooMany),
            (true, false) => Err(StoreError::TooLarge),
        }
    }

    fn compact(&mut self) {
        let snapshot = self
            .memory
            .read()
            .expect("no reader or writer panics")
            .snapshot();
        if let Err(error) = self.journal.compact(snapshot.iter()) {
            warn!(%error, "offsets journal cannot be compacted; it goes on growing and is tried again");
        }
        self.compact_at = OFFSETS_COMPACT_BYTES_MIN.max(2 * self.journal.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OFFSET_METADATA_BYTES_MAX;
    use logboom_disk::SimDisk;

    fn row(topic: &str, partition: i32, offset: i64) -> Row {
        let committed = Committed {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
            time_ms: 5,
        };
        Row {
            topic: topic.to_owned(),
            partition,
            committed,
        }
    }

    #[tokio::test]
    async fn offsets_of_unknown_topics_are_dropped_for_good() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(0));
        let offsets = Arc::new(Offsets::open(disk.clone(), Path::new("/")).unwrap());
        let rows = vec![row("here", 0, 1), row("gone", 0, 2)];
        offsets.commit("g", rows).await.unwrap();
        let opened = offsets.clone();
        let retain = move || opened.retain_topics(|topic| topic == "here");
        tokio::task::spawn_blocking(retain).await.unwrap().unwrap();
        offsets.close().unwrap();
        for offsets in [&*offsets, &Offsets::open(disk, Path::new("/")).unwrap()] {
            assert_eq!(offsets.all("g"), [row("here", 0, 1)]);
        }
    }

    fn open(disk: &SimDisk) -> Offsets {
        Offsets::open(Arc::new(disk.clone()), Path::new("/")).unwrap()
    }

    fn offset(offsets: &Offsets, group: &str, topic: &str, partition: i32) -> Option<i64> {
        offsets
            .get(group, topic, partition)
            .map(|committed| committed.offset)
    }

    #[tokio::test]
    async fn what_was_answered_survives_a_crash_at_any_time() {
        for seed in 0..30 {
            let disk = SimDisk::new(seed);
            let mut answered = 0;
            for round in 0..5 {
                let offsets = open(&disk);
                let found = offset(&offsets, "g", "t", 0).unwrap_or(0);
                assert!(
                    found >= answered,
                    "seed {seed}: {answered} was answered, {found} is there"
                );
                disk.stop_after(3 + (seed * 7 + round * 5) % 20);
                for next in found + 1..found + 20 {
                    if offsets.commit("g", vec![row("t", 0, next)]).await.is_err() {
                        break;
                    }
                    answered = next;
                }
                // A crash, not a close: the thread ends with its channel, its disk is dead.
                offsets.close().unwrap();
                disk.crash();
            }
        }
    }

    #[tokio::test]
    async fn deleted_groups_and_topics_stay_deleted_through_a_snapshot() {
        let disk = SimDisk::new(1);
        let offsets = open(&disk);
        offsets
            .commit(
                "stays",
                vec![row("t", 0, 1), row("u", 0, 2), row("t", 1, 3)],
            )
            .await
            .unwrap();
        offsets.commit("goes", vec![row("t", 0, 9)]).await.unwrap();
        offsets.delete_group("goes").await.unwrap();
        offsets.delete_topic("u").await.unwrap();
        offsets.close().unwrap();
        for _ in 0..2 {
            let offsets = open(&disk);
            assert_eq!(offsets.groups(), ["stays"]);
            assert_eq!(offset(&offsets, "stays", "t", 1), Some(3));
            assert_eq!(offset(&offsets, "stays", "u", 0), None);
            assert!(offsets.has_topic("stays", "t") && !offsets.has_topic("stays", "u"));
            offsets.close().unwrap();
        }
    }

    #[tokio::test]
    async fn the_journal_is_replaced_by_a_snapshot_before_it_grows_for_ever() {
        let disk = SimDisk::new(1);
        let offsets = open(&disk);
        let metadata = "m".repeat(4000);
        let mut written = 0;
        let mut next = 0;
        while written < 3 * OFFSETS_COMPACT_BYTES_MIN as usize {
            next += 1;
            let mut row = row("t", 0, next);
            row.committed.metadata.clone_from(&metadata);
            offsets.commit("g", vec![row; 100]).await.unwrap();
            written += 100 * metadata.len();
        }
        offsets.close().unwrap();
        let dir = Path::new("/offsets");
        let sizes = disk
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|entry| disk.open(&dir.join(entry.name)).unwrap().len().unwrap());
        let total: u64 = sizes.sum();
        assert!(
            total <= OFFSETS_COMPACT_BYTES_MIN + 2 * 1024 * 1024,
            "{total} bytes"
        );
        assert_eq!(offset(&open(&disk), "g", "t", 0), Some(next));
    }

    #[tokio::test]
    async fn a_full_disk_refuses_commits_until_there_is_room() {
        let disk = SimDisk::new(1);
        let offsets = open(&disk);
        offsets.commit("g", vec![row("t", 0, 1)]).await.unwrap();
        disk.set_capacity(Some(0));
        let mut refused = false;
        for next in 2..40_000 {
            let rows = (0..100)
                .map(|partition| row("t", partition, next))
                .collect();
            if offsets.commit("g", rows).await.is_err() {
                refused = true;
                break;
            }
        }
        assert!(refused);
        disk.set_capacity(None);
        offsets.commit("g", vec![row("t", 0, 77)]).await.unwrap();
        assert_eq!(offset(&offsets, "g", "t", 0), Some(77));
        offsets.close().unwrap();
    }

    #[tokio::test]
    async fn the_number_of_offsets_is_bounded() {
        let offsets = open(&SimDisk::new(1));
        let rows = |from: usize, to: usize| {
            (from..to)
                .map(|partition| row("t", partition as i32, 1))
                .collect()
        };
        offsets.commit("g", rows(0, OFFSETS_MAX)).await.unwrap();
        assert_eq!(
            offsets.commit("h", rows(0, 1)).await,
            Err(StoreError::TooMany)
        );
        offsets
            .commit("g", rows(0, 100))
            .await
            .expect("what is known moves on");
        offsets.delete_group("g").await.unwrap();
        offsets.commit("h", rows(0, 1)).await.unwrap();
        offsets.close().unwrap();
    }

    /// With the longest metadata that a commit may have.
    fn long_row(partition: i32) -> Row {
        let mut row = row("t", partition, 1);
        row.committed.metadata = "m".repeat(OFFSET_METADATA_BYTES_MAX);
        row
    }

    #[tokio::test]
    async fn the_bytes_of_offsets_are_bounded() {
        let disk = SimDisk::new(1);
        let offsets = open(&disk);
        let rows = |from: i32, to: i32| (from..to).map(long_row).collect::<Vec<_>>();
        let fit = (OFFSETS_BYTES_MAX / row_bytes("t", &long_row(0).committed)) as i32;
        offsets.commit("g", rows(0, fit - 1)).await.unwrap();
        let refused = offsets.commit("g", rows(fit, fit + 2)).await;
        assert_eq!(refused, Err(StoreError::TooLarge));
        assert_eq!(
            offsets.commit("h", rows(0, 2)).await,
            Err(StoreError::TooLarge)
        );
        offsets
            .commit("g", rows(0, 100))
            .await
            .expect("what is known moves on");
        // Shorter metadata makes room, a deleted topic all of it.
        let short = (0..10).map(|partition| row("t", partition, 2)).collect();
        offsets.commit("g", short).await.unwrap();
        offsets.commit("g", rows(fit, fit + 5)).await.unwrap();
        offsets.delete_topic("t").await.unwrap();
        offsets.commit("h", rows(0, fit - 1)).await.unwrap();
        offsets.delete_group("h").await.unwrap();
        offsets.commit("i", rows(0, fit - 1)).await.unwrap();
        offsets.close().unwrap();
        assert_eq!(open(&disk).all("i").len(), fit as usize - 1);
    }

    #[tokio::test]
    async fn a_full_journal_makes_way_for_a_snapshot_and_loses_nothing() {
        let disk = SimDisk::new(1);
        let limits = JournalLimits {
            file_bytes_max: 64 << 10,
            ..JournalLimits::default()
        };
        let open = || Offsets::open_with(Arc::new(disk.clone()), Path::new("/"), limits).unwrap();
        let offsets = open();
        let (partitions, last) = (0..17, 30);
        let commit = async |partition, offset| {
            let mut row = row("t", partition, offset);
            row.committed.metadata = "m".repeat(1000);
            offsets.commit("g", vec![row]).await.unwrap();
        };
        for next in 0..=last {
            // Together, so that the journal gets full in the middle of a round.
            let commits = partitions.clone().map(|partition| commit(partition, next));
            futures::future::join_all(commits).await;
        }
        offsets.close().unwrap();
        for offsets in [&offsets, &open()] {
            for partition in partitions.clone() {
                assert_eq!(offset(offsets, "g", "t", partition), Some(last));
            }
        }
    }
}
