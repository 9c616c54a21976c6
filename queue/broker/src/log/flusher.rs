//! Syncing what was acknowledged before it was synced: the thread behind `flush: interval`.
//!
//! The writer goes on meanwhile: a sync covers what was written when it began, and what comes later is for the next
//! round. The index is noted with what it was before the sync, and only if the segment is still the open one.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::index::{self, Index};
use super::partition::{Env, PartitionLog};
use super::producers::Producers;
use super::sync_pool::SyncPool;
use super::writer::timed_sync;

/// Syncs every `interval` until told to stop, or nobody can tell any more.
pub(super) fn run(stop: &Receiver<()>, pool: &SyncPool, env: &Env, interval: Duration) {
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(interval) {
        flush(env, pool);
    }
}

/// A partition's open segment as it was when the sync began.
struct Round {
    log: Arc<PartitionLog>,
    file: Arc<dyn logboom_disk::DiskFile>,
    /// What to note, if that is due.
    note: Option<(Index, Producers)>,
}

/// Syncs every partition that has acknowledged something since its last round. One whose sync fails is out of service.
pub(super) fn flush(env: &Env, pool: &SyncPool) {
    let waiting: Vec<Weak<PartitionLog>> = std::mem::take(&mut *env.unsynced());
    let rounds: Vec<Round> = waiting
        .iter()
        .filter_map(Weak::upgrade)
        .filter_map(|log| begin(env, log))
        .collect();
    if rounds.is_empty() {
        return;
    }
    let files: Vec<_> = rounds.iter().map(|round| round.file.clone()).collect();
    let outcomes = timed_sync(pool, &files);
    for (round, outcome) in rounds.into_iter().zip(outcomes) {
        let Ok(core) = round.log.core() else { continue };
        match (outcome, round.note) {
            (Ok(()), Some((index, producers))) => note(env, &round.log, &index, &producers),
            (Ok(()), None) => {}
            (Err(error), _) => {
                core.fail(&error);
            }
        }
    }
}

fn begin(env: &Env, log: Arc<PartitionLog>) -> Option<Round> {
    let core = log.core().ok()?;
    let mut tail = core.tail();
    tail.is_unsynced = false;
    if core.check().is_err() {
        return None;
    }
    let (file, index) = {
        let view = core.view();
        let end_position = view.open.index.summary.end_position;
        let is_due = end_position.saturating_sub(tail.noted) >= env.config.checkpoint_bytes;
        let index = is_due.then(|| view.open.index.clone());
        (view.open.file.clone(), index)
    };
    let note = index.map(|index| (index, tail.producers.clone()));
    drop(tail);
    Some(Round { log, file, note })
}

/// Shortens the next recovery; nothing depends on it. With the tail in hand, so that the directory is still this
/// partition's.
fn note(env: &Env, log: &PartitionLog, index: &Index, producers: &Producers) {
    let Ok(core) = log.core() else { return };
    let mut tail = core.tail();
    let is_open = core.view().open.index.summary.base == index.summary.base;
    if core.check().is_err() || !is_open || tail.noted >= index.summary.end_position {
        return;
    }
    tail.noted = index.summary.end_position;
    if let Err(error) = index::store_note(env.disk.as_ref(), &core.dir, index, producers) {
        tracing::warn!(dir = %core.dir.display(), %error, "index was not noted, the next recovery will take longer");
    }
}
