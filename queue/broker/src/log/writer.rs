//! The thread that commits: one per disk, so that the partitions' syncs don't get in each other's way.
//!
//! While a group is being synced, the appends that arrive make up the next one. That alone batches as well as the
//! disk is slow; a lone producer never waits for company (`README.md` has the figures).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use logboom_disk::{DiskFile, Error as DiskError};

use super::commit::{Pending, commit};
use super::limits::GROUP_BYTES_MAX;
use super::metrics::{FSYNC_SECONDS, GROUP_BATCHES, GROUP_SECONDS};
use super::sync_pool::SyncPool;

pub(super) enum Message {
    Append(Pending),
    /// Commit what came before, then end.
    Stop,
}

/// Commits what `inbox` brings until it says stop or nobody can send any more.
pub(super) fn run(inbox: &Receiver<Message>, pool: &SyncPool, group_wait: Duration) {
    let mut gathering = Gathering {
        inbox,
        next: None,
        stopping: false,
    };
    let mut buffer = Vec::new();
    while let Some(group) = gathering.group(group_wait) {
        let start = Instant::now();
        metrics::histogram!(GROUP_BATCHES).record(group.len() as f64);
        commit(group, &mut buffer, |files| timed_sync(pool, files));
        metrics::histogram!(GROUP_SECONDS).record(start.elapsed().as_secs_f64());
    }
}

pub(super) fn timed_sync(
    pool: &SyncPool,
    files: &[Arc<dyn DiskFile>],
) -> Vec<Result<(), DiskError>> {
    let start = Instant::now();
    let outcomes = pool.sync(files);
    metrics::histogram!(FSYNC_SECONDS).record(start.elapsed().as_secs_f64());
    outcomes
}

struct Gathering<'a> {
    inbox: &'a Receiver<Message>,
    /// Did not fit into the last group any more.
    next: Option<Pending>,
    stopping: bool,
}

impl Gathering<'_> {
    /// The next group: at least one append, at most [`GROUP_BYTES_MAX`] unless it is a single larger one.
    fn group(&mut self, wait: Duration) -> Option<Vec<Pending>> {
        let first = match self.next.take() {
            Some(append) => append,
            None if self.stopping => return None,
            None => self.accept(self.inbox.recv().ok())?,
        };
        let deadline = Instant::now() + wait;
        let mut bytes = first.batch.len();
        let mut group = vec![first];
        while bytes < GROUP_BYTES_MAX && !self.stopping {
            // Zero also takes what is there already.
            let left = deadline.saturating_duration_since(Instant::now());
            let message = match self.inbox.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => break,
                other => other.ok(),
            };
            let Some(append) = self.accept(message) else {
                break;
            };
            bytes += append.batch.len();
            if bytes > GROUP_BYTES_MAX {
                self.next = Some(append);
                break;
            }
            group.push(append);
        }
        Some(group)
    }

    fn accept(&mut self, message: Option<Message>) -> Option<Pending> {
        match message {
            Some(Message::Append(append)) => Some(append),
            Some(Message::Stop) | None => {
                self.stopping = true;
                None
            }
        }
    }
}
