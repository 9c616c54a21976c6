//! The thread that owns the journal.

use std::sync::{Arc, RwLock};

use logboom_disk::{Error as DiskError, Journal};
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::memory::{Memory, Room, group_bytes, row_bytes};
use super::{Change, Command, QUEUE_MAX, StoreError, encode};
use crate::limits::{OFFSETS_BYTES_MAX, OFFSETS_COMPACT_BYTES_MIN, OFFSETS_MAX};

pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) memory: Arc<RwLock<Memory>>,
    /// Journal size at which the next snapshot is due: twice the last one at least, so that a store which is
    /// large by itself is not rewritten at every commit.
    pub(super) compact_at: u64,
    /// What the appended changes add that are not in memory yet.
    pub(super) unapplied: Room,
}

impl Writer {
    pub(super) fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
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
            Change::Commit { group, rows } => Some((group, None, rows)),
            Change::Pend {
                group,
                producer_id,
                rows,
            } => Some((group, Some(*producer_id), rows)),
            Change::DeleteGroup { .. }
            | Change::DeleteTopic { .. }
            | Change::DeleteRows { .. }
            | Change::EndPending { .. } => None,
        });
        let mut needed = Room::default();
        for (group, _, rows) in commits.clone() {
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
            for (group, producer_id, rows) in commits {
                let room = memory.room_for(group, producer_id, rows);
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
