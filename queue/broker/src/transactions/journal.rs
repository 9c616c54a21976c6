//! The thread that owns the journal of transactions, and the bounds of what is kept.
//!
//! A journal of changes (`transactions/`), replayed into the map at start. The thread takes the changes that have queued
//! up, appends them, syncs once, shows them and answers, so that nobody sees what a crash could take back. A change is a
//! postcard-encoded [`Change`]; variants and fields are only ever added at the end. When the journal has grown to
//! twice its last snapshot, it is replaced by the next.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use logboom_disk::{Disk, Error as DiskError, Journal, JournalLimits};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tracing::{error, warn};

use super::{Entry, Kept, QUEUE_MAX, Refusal, Slot, Slots};
use crate::error::Error;
use crate::limits::{
    TRANSACTION_RECORD_BYTES_MAX, TRANSACTIONAL_IDS_MAX, TRANSACTIONS_BYTES_MAX,
    TRANSACTIONS_COMPACT_BYTES_MIN, TRANSACTIONS_JOURNAL_BYTES_MAX, TRANSACTIONS_OPEN_MAX,
};

/// Below the broker's directory.
pub(super) const DIR: &str = "transactions";

#[derive(Debug, Serialize, Deserialize)]
enum Change {
    Put { id: String, entry: Entry },
    Forget { id: String },
}

/// A change of one id.
pub(super) struct Command {
    pub(super) id: String,
    pub(super) slot: Arc<Slot>,
    /// `None`: the id is forgotten.
    pub(super) entry: Option<Entry>,
    pub(super) done: oneshot::Sender<Result<(), Refusal>>,
    /// Given back when the change is shown.
    pub(super) changing: OwnedMutexGuard<()>,
}

/// How much there is of what is bounded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Room {
    ids: usize,
    open: usize,
    bytes: usize,
}

impl Room {
    fn of(id: &str, entry: Option<&Entry>) -> Room {
        entry.map_or(Room::default(), |entry| Room {
            ids: 1,
            open: usize::from(entry.state.is_open()),
            bytes: id.len() + entry.bytes(),
        })
    }

    fn replace(self, old: Room, new: Room) -> Room {
        Room {
            ids: self.ids - old.ids + new.ids,
            open: self.open - old.open + new.open,
            bytes: self.bytes - old.bytes + new.bytes,
        }
    }
}

pub(super) struct Writer {
    journal: Journal,
    slots: Arc<Slots>,
    /// With what is appended and not shown yet.
    room: Room,
    compact_at: u64,
}

pub(super) fn limits() -> JournalLimits {
    JournalLimits {
        record_bytes_max: TRANSACTION_RECORD_BYTES_MAX,
        file_bytes_max: TRANSACTIONS_JOURNAL_BYTES_MAX,
        ..JournalLimits::default()
    }
}

/// Looks through the journal without touching it: whether it has a torn tail. Blocking.
pub(crate) fn examine(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
    let dir = dir.join(DIR);
    let examined = Journal::examine(disk, &dir, limits());
    let (records, is_torn) = examined.map_err(|source| Error::DataDir {
        path: dir.clone(),
        source: Box::new(source),
    })?;
    for record in &records {
        decode(record, &dir)?;
    }
    Ok(is_torn)
}

fn decode(record: &[u8], dir: &Path) -> Result<Change, Error> {
    postcard::from_bytes(record).map_err(|error| Error::Damaged {
        path: dir.to_path_buf(),
        problem: format!("a record is not a change of transactions: {error}"),
    })
}

/// Opens the journal and makes of its records what is known. Blocking.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    limits: JournalLimits,
) -> Result<(Journal, HashMap<String, Arc<Slot>>), Error> {
    let (journal, records) = Journal::open(disk, dir, limits).map_err(|source| Error::DataDir {
        path: dir.to_path_buf(),
        source: Box::new(source),
    })?;
    let mut slots = HashMap::new();
    for record in records {
        match decode(&record, dir)? {
            Change::Put { id, entry } => {
                let slot = Slot {
                    entry: Mutex::new(Kept::Entry(entry)),
                    ..Slot::default()
                };
                slots.insert(id, Arc::new(slot));
            }
            Change::Forget { id } => {
                slots.remove(&id);
            }
        }
    }
    Ok((journal, slots))
}

impl Writer {
    pub(super) fn new(journal: Journal, slots: Arc<Slots>) -> Writer {
        let mut room = Room::default();
        for (id, slot) in slots.lock().expect("nobody else has it yet").iter() {
            let entry = slot.entry();
            room = room.replace(Room::default(), Room::of(id, entry.as_ref()));
        }
        Writer {
            journal,
            slots,
            room,
            compact_at: TRANSACTIONS_COMPACT_BYTES_MIN,
        }
    }

    pub(super) fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        while receiver.blocking_recv_many(&mut commands, QUEUE_MAX) > 0 {
            let mut appended = Vec::with_capacity(commands.len());
            for command in commands.drain(..) {
                let mut outcome = self.append(&command);
                if outcome == Err(Refusal::JournalFull) {
                    // A snapshot is made from memory, which has to have everything that is in the journal.
                    self.finish(&mut appended);
                    self.compact();
                    outcome = self.append(&command);
                }
                appended.push((command, outcome));
            }
            self.finish(&mut appended);
            if self.journal.bytes() >= self.compact_at {
                self.compact();
            }
        }
    }

    fn append(&mut self, command: &Command) -> Result<(), Refusal> {
        // Nobody else changes this id, so what is shown of it is what the journal has.
        let old = Room::of(&command.id, command.slot.entry().as_ref());
        let new = Room::of(&command.id, command.entry.as_ref());
        let room = self.room.replace(old, new);
        if new.ids > old.ids && room.ids > TRANSACTIONAL_IDS_MAX {
            return Err(Refusal::TooManyIds);
        }
        if new.open > old.open && room.open > TRANSACTIONS_OPEN_MAX {
            return Err(Refusal::TooManyOpen);
        }
        if new.bytes > old.bytes && room.bytes > TRANSACTIONS_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let id = command.id.clone();
        let change = match command.entry.clone() {
            Some(entry) => Change::Put { id, entry },
            None => Change::Forget { id },
        };
        self.journal
            .append(&encode(&change))
            .map_err(|error| match error {
                // No record is: that is what the maxima of its parts are for.
                DiskError::TooLarge { .. } => Refusal::JournalFull,
                error => Refusal::Storage(error.to_string()),
            })?;
        self.room = room;
        Ok(())
    }

    /// Syncs what was appended, shows it and answers.
    fn finish(&mut self, appended: &mut Vec<(Command, Result<(), Refusal>)>) {
        let synced = self.journal.sync().map_err(|error| {
            error!(%error, "transactions cannot be synced; they are refused until the broker is restarted");
            Refusal::Storage(error.to_string())
        });
        for (command, outcome) in appended.drain(..) {
            let outcome = outcome.and(synced.clone());
            if outcome.is_ok() {
                self.show(command.id, &command.slot, command.entry);
            }
            drop(command.changing);
            // The client may have gone; its step is made.
            let _gone = command.done.send(outcome);
        }
    }

    fn show(&self, id: String, slot: &Arc<Slot>, entry: Option<Entry>) {
        let mut slots = self
            .slots
            .lock()
            .expect("nothing panics with the map in hand");
        match entry {
            Some(entry) => {
                *slot.lock() = Kept::Entry(entry);
                // A place without entry may have been cleared away.
                slots.insert(id, slot.clone());
            }
            None => {
                *slot.lock() = Kept::Forgotten;
                slots.remove(&id);
            }
        }
    }

    fn compact(&mut self) {
        let snapshot: Vec<Vec<u8>> = {
            let slots = self
                .slots
                .lock()
                .expect("nothing panics with the map in hand");
            let entries = slots
                .iter()
                .filter_map(|(id, slot)| Some((id.clone(), slot.entry()?)));
            entries
                .map(|(id, entry)| encode(&Change::Put { id, entry }))
                .collect()
        };
        if let Err(error) = self.journal.compact(snapshot.iter()) {
            warn!(%error, "journal of transactions cannot be compacted; it goes on growing and is tried again");
        }
        self.compact_at = TRANSACTIONS_COMPACT_BYTES_MIN.max(2 * self.journal.bytes());
    }
}

fn encode(change: &Change) -> Vec<u8> {
    postcard::to_stdvec(change)
        .expect("plain structures of text and numbers are encoded into memory")
}
