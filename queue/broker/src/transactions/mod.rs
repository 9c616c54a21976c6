//! The coordinator of transactions: which producer of a transactional id may write, what its transaction has touched,
//! and how it ends.
//!
//! `entry` is the state machine of one id, `journal` keeps it, here is the set of all, and `coordinate` carries
//! the steps out: it alone knows the logs and the offsets. What a client is told is durable before.
//!
//! How a transaction ends, also after a crash at any point:
//!
//! 1. The decision is synced (`Preparing`). From then on nothing new is let in, and it is never taken back.
//! 2. What had been let in is waited for (the `gate` of the id), so that no record comes behind its marker.
//! 3. Markers go to every partition, offsets to every group. Both are no-ops where they are done already, so who does
//!    not know how far it got does all of it again.
//! 4. `Completed` is synced, and the next transaction may begin.
//!
//! Steps of one id follow one another (`changing`), those of different ids share a sync.

mod coordinate;
mod entry;
mod error;
mod journal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use logboom_disk::{Disk, JournalLimits};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, mpsc, oneshot};

pub(crate) use coordinate::{
    abort_orphans, add, commit_offsets, end, finish_prepared, keep_time, start,
};
pub(crate) use entry::{Entry, Instance, Partitions, State};
pub(crate) use error::Refusal;
pub(crate) use journal::examine;

use self::journal::{Command, Writer};
use crate::error::Error;
use crate::limits::{
    CONNECTIONS_MAX, TRANSACTIONAL_ID_SILENCE, TRANSACTIONAL_ID_SILENCE_MIN, TRANSACTIONAL_IDS_MAX,
};

/// Changes that wait for the journal; senders wait beyond that.
const QUEUE_MAX: usize = 256;

/// One transactional id.
#[derive(Default)]
struct Slot {
    /// Held from a look at the entry until its change is durable and shown. The journal gives it back: a client that
    /// goes away in between leaves no half-made step to the next.
    changing: Arc<tokio::sync::Mutex<()>>,
    entry: Mutex<Kept>,
    /// Shared by what is being written for the open transaction, owned by who ends it.
    gate: Arc<tokio::sync::RwLock<()>>,
}

/// What is durable of an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Kept {
    /// Nothing yet.
    #[default]
    Nothing,
    Entry(Entry),
    /// The slot is not in the map any more.
    Forgotten,
}

impl Slot {
    fn entry(&self) -> Option<Entry> {
        self.look(Entry::clone)
    }

    fn look<T>(&self, at: impl FnOnce(&Entry) -> T) -> Option<T> {
        match &*self.lock() {
            Kept::Entry(entry) => Some(at(entry)),
            Kept::Nothing | Kept::Forgotten => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.entry.lock().expect("held for a look or a swap only")
    }
}

type Slots = Mutex<HashMap<String, Arc<Slot>>>;

/// The coordinator's memory. One a broker.
pub(crate) struct Transactions {
    slots: Arc<Slots>,
    /// Taken by `close`, which ends the thread.
    sender: Mutex<Option<mpsc::Sender<Command>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// An id that nobody else changes meanwhile.
struct Locked {
    id: String,
    slot: Arc<Slot>,
    changing: OwnedMutexGuard<()>,
    entry: Option<Entry>,
}

/// Leave to write for an open transaction. Its end waits until this is dropped.
pub(crate) struct Admission {
    _gate: OwnedRwLockReadGuard<()>,
}

impl Transactions {
    /// Replays the journal. Blocking.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Transactions, Error> {
        Transactions::open_with(disk, dir, journal::limits())
    }

    fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limits: JournalLimits,
    ) -> Result<Transactions, Error> {
        let dir = dir.join(journal::DIR);
        let (journal, slots) = journal::open(disk, &dir, limits)?;
        let slots = Arc::new(Mutex::new(slots));
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let writer = Writer::new(journal, slots.clone());
        let thread = thread::Builder::new()
            .name("queue-transactions".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|source| Error::DataDir {
                path: dir,
                source: Box::new(source),
            })?;
        Ok(Transactions {
            slots,
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// An id that is known.
    pub(crate) fn get(&self, id: &str) -> Option<Entry> {
        self.slot(id)?.entry()
    }

    /// What `pick` takes of all ids, in no order.
    pub(crate) fn select<T>(&self, mut pick: impl FnMut(&str, &Entry) -> Option<T>) -> Vec<T> {
        self.slots()
            .iter()
            .filter_map(|(id, slot)| slot.look(|entry| pick(id, entry)).flatten())
            .collect()
    }

    /// The ids of entries like that.
    fn ids(&self, are: impl Fn(&Entry) -> bool) -> Vec<String> {
        self.select(|id, entry| are(entry).then(|| id.to_owned()))
    }

    /// Lets records of an open transaction into a partition.
    pub(crate) fn admit_to_partition(
        &self,
        id: &str,
        by: Instance,
        topic: &str,
        partition: i32,
    ) -> Result<Admission, Refusal> {
        self.admit(id, |entry| entry.check_partition(by, topic, partition))
    }

    /// Lets offsets of an open transaction to a group.
    pub(crate) fn admit_to_group(
        &self,
        id: &str,
        by: Instance,
        group: &str,
    ) -> Result<Admission, Refusal> {
        self.admit(id, |entry| entry.check_group(by, group))
    }

    fn admit(
        &self,
        id: &str,
        check: impl FnOnce(&Entry) -> Result<(), Refusal>,
    ) -> Result<Admission, Refusal> {
        let slot = self.slot(id).ok_or(Refusal::UnknownProducer)?;
        // The gate first: who has it and then sees the transaction ongoing is waited for by its end.
        let gate = slot.gate.clone().try_read_owned();
        let gate = gate.map_err(|_ending| Refusal::Concurrent)?;
        slot.look(check).ok_or(Refusal::UnknownProducer)??;
        Ok(Admission { _gate: gate })
    }

    /// Waits until no step of this id is under way. An id that is not known gets a place if `create`.
    async fn lock(&self, id: &str, create: bool) -> Result<Locked, Refusal> {
        loop {
            let slot = match self.slot(id) {
                Some(slot) => slot,
                None if create => self.place(id)?,
                None => return Err(Refusal::UnknownProducer),
            };
            let changing = slot.changing.clone().lock_owned().await;
            if *slot.lock() == Kept::Forgotten {
                continue;
            }
            let entry = slot.entry();
            return Ok(Locked {
                id: id.to_owned(),
                slot,
                changing,
                entry,
            });
        }
    }

    /// A slot without an entry. Those that get none are cleared away, but must not become many before.
    fn place(&self, id: &str) -> Result<Arc<Slot>, Refusal> {
        let mut slots = self.slots();
        if slots.len() >= TRANSACTIONAL_IDS_MAX + CONNECTIONS_MAX {
            return Err(Refusal::TooManyIds);
        }
        Ok(slots.entry(id.to_owned()).or_default().clone())
    }

    /// Makes `entry` what is known of the id; durable when it returns `Ok`.
    async fn put(&self, locked: Locked, entry: Entry) -> Result<(), Refusal> {
        self.change(locked, Some(entry)).await
    }

    async fn change(&self, locked: Locked, entry: Option<Entry>) -> Result<(), Refusal> {
        let sender = self
            .sender
            .lock()
            .expect("held for a clone only")
            .clone()
            .ok_or(Refusal::Stopping)?;
        let (done, answer) = oneshot::channel();
        let command = Command {
            id: locked.id,
            slot: locked.slot,
            entry,
            done,
            changing: locked.changing,
        };
        sender.send(command).await.map_err(|_| Refusal::Stopping)?;
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Forgets ids that have had no transaction for long, and places that never got an entry.
    async fn forget_silent(&self, now_ms: i64) {
        // Nobody else can hold what only the map does.
        self.slots()
            .retain(|_, slot| Arc::strong_count(slot) > 1 || *slot.lock() != Kept::Nothing);
        let is_silent = |entry: &Entry| entry.is_silent(TRANSACTIONAL_ID_SILENCE, now_ms);
        for id in self.ids(is_silent) {
            self.forget(&id, is_silent).await;
        }
    }

    /// Before a new id comes, if there is no room: forgets the one that was silent longest. Its producer, should it come
    /// back, is refused, and no less fenced than before.
    async fn make_room(&self, now_ms: i64) {
        if self.slots().len() < TRANSACTIONAL_IDS_MAX {
            return;
        }
        let is_silent = |entry: &Entry| entry.is_silent(TRANSACTIONAL_ID_SILENCE_MIN, now_ms);
        let silent =
            self.select(|id, entry| is_silent(entry).then(|| (entry.changed_ms, id.to_owned())));
        if let Some((_, id)) = silent.into_iter().min() {
            tracing::warn!(
                id,
                "a silent transactional id is forgotten to make room for a new one"
            );
            self.forget(&id, is_silent).await;
        }
    }

    async fn forget(&self, id: &str, if_still: impl Fn(&Entry) -> bool) {
        let Ok(locked) = self.lock(id, false).await else {
            return;
        };
        if locked.entry.as_ref().is_some_and(if_still)
            && let Err(error) = self.change(locked, None).await
        {
            tracing::warn!(id, %error, "a transactional id cannot be forgotten");
        }
    }

    fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.slots().get(id).cloned()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.slots
            .lock()
            .expect("nothing panics with the map in hand")
    }

    /// Writes what was accepted and ends the thread. Blocking.
    pub(crate) fn close(&self) -> thread::Result<()> {
        drop(self.sender.lock().expect("held for a take only").take());
        let thread = self.thread.lock().expect("held for a take only").take();
        thread.map_or(Ok(()), thread::JoinHandle::join)
    }
}
