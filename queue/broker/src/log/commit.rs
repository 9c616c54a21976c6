//! The group commit: the one place where batches become part of the log.
//!
//! For each partition of a group: judge the batches, give them offsets, write them with one call. Then sync all files
//! that were touched, if acknowledgements wait for that ([`Flush`]). Then publish: index, high watermark, answers. Whatever fails before publishing leaves the
//! partition as it was (no space) or out of service (anything else); nothing is half published.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use logboom_disk::{DiskFile, Error as DiskError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::{self, Header};
use super::config::Flush;
use super::error::AppendError;
use super::index;
use super::limits::{GROUP_BYTES_MAX, SEGMENT_ABORTED_MAX};
use super::marker::{self, Marker};
use super::partition::{Appended, Core, PartitionLog, Tail};
use super::producers::{Undo, Verdict};
use super::segment::{self, DATA_FROM};

type Answer = Result<Appended, AppendError>;

/// An append that waits to be committed.
pub(super) struct Pending {
    pub(super) log: Arc<PartitionLog>,
    pub(super) batch: Bytes,
    pub(super) reply: oneshot::Sender<Answer>,
    /// Its share of the memory for waiting batches, given back when the append is done.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// The appends of one partition in a group.
struct Share {
    log: Arc<PartitionLog>,
    appends: Vec<Pending>,
}

/// Commits `group`, in order per partition, and answers everybody. `sync` syncs files, each outcome in its place.
/// `buffer` is where a partition's share is put together; it is kept for its memory, [`GROUP_BYTES_MAX`] at most.
pub(super) fn commit(
    group: Vec<Pending>,
    buffer: &mut Vec<u8>,
    sync: impl Fn(&[Arc<dyn DiskFile>]) -> Vec<Result<(), DiskError>>,
) {
    let Some(flush) = group.first().map(|append| append.log.env.config.flush) else {
        return;
    };
    if flush != Flush::Always {
        return commit_round(by_partition(group), flush, buffer, &sync);
    }
    for round in one_each(by_partition(group)) {
        commit_round(round, flush, buffer, &sync);
    }
}

/// Rounds in which each partition has one append.
fn one_each(shares: Vec<Share>) -> Vec<Vec<Share>> {
    let mut rounds: Vec<Vec<Share>> = Vec::new();
    for share in shares {
        for (number, append) in share.appends.into_iter().enumerate() {
            if rounds.len() == number {
                rounds.push(Vec::new());
            }
            rounds[number].push(Share {
                log: share.log.clone(),
                appends: vec![append],
            });
        }
    }
    rounds
}

fn commit_round(
    shares: Vec<Share>,
    flush: Flush,
    buffer: &mut Vec<u8>,
    sync: &impl Fn(&[Arc<dyn DiskFile>]) -> Vec<Result<(), DiskError>>,
) {
    let mut staged: Vec<Staged<'_>> = Vec::with_capacity(shares.len());
    let mut answers: Vec<Vec<Answer>> = Vec::with_capacity(shares.len());
    for share in &shares {
        let (stage, answer) = stage(share, buffer);
        staged.extend(stage);
        answers.push(answer);
    }
    buffer.clear();
    buffer.shrink_to(GROUP_BYTES_MAX);
    // Who coordinates a transaction forgets it by its markers: those are synced, with all before them, in every mode.
    let is_due = |stage: &Staged<'_>| flush.comes_first() || stage.has_marker();
    let due = staged.iter().filter(|stage| is_due(stage));
    let files: Vec<Arc<dyn DiskFile>> = due.map(|stage| stage.file.clone()).collect();
    let mut synced = match files.is_empty() {
        true => Vec::new(),
        false => sync(&files),
    }
    .into_iter();
    let outcomes: Vec<Result<(), DiskError>> = staged
        .iter()
        .map(|stage| match is_due(stage) {
            true => synced.next().expect("an outcome for each file"),
            false => Ok(()),
        })
        .collect();
    let failures: HashMap<*const Core, AppendError> = staged
        .into_iter()
        .zip(outcomes)
        .filter_map(|(stage, outcome)| {
            let core: *const Core = stage.core;
            stage.publish(outcome).err().map(|error| (core, error))
        })
        .collect();
    for (share, mut answers) in shares.into_iter().zip(answers) {
        let failure = share
            .log
            .core()
            .ok()
            .and_then(|core| failures.get(&std::ptr::from_ref(core)));
        if let Some(failure) = failure {
            answers.fill(Err(failure.clone()));
        }
        for (append, answer) in share.appends.into_iter().zip(answers) {
            drop(append.permit);
            // Who does not wait any more does not need the answer.
            let _receiver_may_be_gone = append.reply.send(answer);
        }
    }
}

fn by_partition(group: Vec<Pending>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let mut places: HashMap<*const PartitionLog, usize> = HashMap::new();
    for append in group {
        let place = *places.entry(Arc::as_ptr(&append.log)).or_insert_with(|| {
            shares.push(Share {
                log: append.log.clone(),
                appends: Vec::new(),
            });
            shares.len() - 1
        });
        shares[place].appends.push(append);
    }
    shares
}

/// A partition whose batches are written and wait for the sync.
struct Staged<'a> {
    log: &'a Arc<PartitionLog>,
    core: &'a Core,
    tail: MutexGuard<'a, Tail>,
    file: Arc<dyn DiskFile>,
    /// Each with what it says, if it is a marker.
    headers: Vec<(Header, Option<Marker>)>,
    /// What the producers were before this group.
    undo: Vec<Undo>,
    now_ms: i64,
}

/// Judges and writes one partition's share. Without a stage there is nothing to sync and the answers are final;
/// with one they hold if the sync succeeds.
fn stage<'a>(share: &'a Share, buffer: &mut Vec<u8>) -> (Option<Staged<'a>>, Vec<Answer>) {
    let refuse = |error: AppendError| (None, vec![Err(error); share.appends.len()]);
    let core = match share.log.core_or(|reason| AppendError::Storage { reason }) {
        Ok(core) => core,
        Err(error) => return refuse(error),
    };
    let mut tail = core.tail();
    if let Err(error) = core.check() {
        return refuse(error);
    }
    let now_ms = (share.log.env.clock)();
    let bytes: usize = share.appends.iter().map(|append| append.batch.len()).sum();
    tail.is_settled = false;
    if let Err(error) = make_room(share, core, &mut tail, bytes as u64, now_ms) {
        return refuse(refusal(core, &error));
    }
    let (file, position, mut next_offset) = {
        let view = core.view();
        (
            view.open.file.clone(),
            view.open.index.summary.end_position,
            view.end(),
        )
    };
    let epoch = core.state().epoch();
    let stamp = core.settings().stamp_arrival.then_some(now_ms);
    let mut headers = Vec::with_capacity(share.appends.len());
    let mut undo: Vec<Undo> = Vec::new();
    let mut answers = Vec::with_capacity(share.appends.len());
    buffer.clear();
    for append in &share.appends {
        let answer = PartitionLog::header_of(&append.batch).and_then(|mut header| {
            let answer = |base_offset, duplicate| Appended {
                base_offset,
                stamped_ms: stamp,
                duplicate,
            };
            match tail.producers.check(&header)? {
                Verdict::Store => {}
                Verdict::Duplicate { base_offset } => return Ok(answer(base_offset, true)),
                Verdict::NothingOpen => return Ok(answer(-1, true)),
            }
            header.base_offset = next_offset;
            let from = buffer.len();
            buffer.extend_from_slice(&append.batch);
            let placed = &mut buffer[from..];
            if header.is_control() {
                let first_offset = tail.producers.open_from(header.producer_id);
                marker::complete(placed, first_offset.expect("that verdict needs one"));
            }
            batch::place(placed, next_offset, epoch);
            if let Some(arrival_ms) = stamp.filter(|_| !header.is_control()) {
                header.stamp(placed, arrival_ms);
            }
            let marker = marker::read(&header, placed);
            undo.extend(tail.producers.apply(&header, marker.as_ref(), now_ms));
            next_offset = header.next_offset();
            headers.push((header, marker));
            Ok(answer(header.base_offset, false))
        });
        answers.push(answer);
    }
    if headers.is_empty() {
        return (None, answers);
    }
    if let Err(error) = file.write_at(position, buffer) {
        // Part of the group may stand there, and must not be taken for more when the partition goes on.
        tail.producers.undo(undo);
        let error = file.set_len(position).err().unwrap_or(error);
        tail.allocated = position;
        return refuse(refusal(core, &error));
    }
    (
        Some(Staged {
            log: &share.log,
            core,
            tail,
            file,
            headers,
            undo,
            now_ms,
        }),
        answers,
    )
}

/// Sees to it that `bytes` can be written: closes the open segment if it is full or old, reserves space.
fn make_room(
    share: &Share,
    core: &Core,
    tail: &mut Tail,
    bytes: u64,
    now_ms: i64,
) -> Result<(), DiskError> {
    let env = &share.log.env;
    let settings = core.settings();
    let (summary, aborted, mut file) = {
        let view = core.view();
        let index = &view.open.index;
        (index.summary, index.aborted_count(), view.open.file.clone())
    };
    let mut end = summary.end_position + bytes;
    let old = now_ms.saturating_sub(summary.first_append_ms)
        >= i64::try_from(settings.segment_age_max.as_millis()).unwrap_or(i64::MAX);
    let full = end > settings.segment_bytes || aborted >= SEGMENT_ABORTED_MAX;
    if !summary.is_empty() && (full || old) {
        check_free(share, segment::allocation_step(0))?;
        core.roll(env, tail)?;
        end = DATA_FROM + bytes;
        file = core.view().open.file.clone();
    }
    if end > tail.allocated {
        let step = segment::allocation_step(tail.allocated)
            .min(settings.segment_bytes.saturating_sub(tail.allocated));
        let wanted = step.max(end - tail.allocated);
        check_free(share, wanted)?;
        file.allocate(tail.allocated, wanted)?;
        tail.allocated += wanted;
    }
    Ok(())
}

/// The watermark of the disk: space is taken in steps, so this is asked once a step and not once an append.
fn check_free(share: &Share, wanted: u64) -> Result<(), DiskError> {
    let env = &share.log.env;
    let core = share.log.core().expect("staged partitions are open");
    if env.disk.free_bytes(&core.dir)? < env.config.disk_free_min_bytes.saturating_add(wanted) {
        return Err(DiskError::Full {
            operation: "reserve space for records in",
            path: core.dir.clone(),
        });
    }
    Ok(())
}

/// No space is the producer's to wait for; anything else takes the partition out of service.
fn refusal(core: &Core, error: &DiskError) -> AppendError {
    if error.is_full() {
        tracing::warn!(dir = %core.dir.display(), "no room for records");
        return AppendError::StorageFull;
    }
    AppendError::Storage {
        reason: core.fail(error),
    }
}

impl Staged<'_> {
    fn has_marker(&self) -> bool {
        self.headers.iter().any(|(_, marker)| marker.is_some())
    }

    /// Makes the written batches part of the log, or takes the partition out of service if they are not safe.
    fn publish(mut self, outcome: Result<(), DiskError>) -> Result<(), AppendError> {
        if let Err(error) = outcome {
            // No append asks the producers any more, but retention may still store them.
            self.tail.producers.undo(std::mem::take(&mut self.undo));
            return Err(AppendError::Storage {
                reason: self.core.fail(&error),
            });
        }
        let env = &self.log.env;
        {
            let mut view = self.core.view_mut();
            for (header, marker) in &self.headers {
                let interval_bytes = env.config.index_interval_bytes;
                view.open
                    .index
                    .note(header, marker.as_ref(), interval_bytes, self.now_ms);
            }
            // With the end, in one step: between the two a reader would take an open transaction for committed.
            view.first_open = self.tail.producers.first_open();
        }
        self.core.publish_watermark();
        if !env.config.flush.comes_first() {
            self.leave_unsynced();
            return Ok(());
        }
        let end_position = self.core.view().open.index.summary.end_position;
        if end_position - self.tail.noted >= env.config.checkpoint_bytes
            || self.tail.producers.is_crowded()
        {
            self.note_index(end_position);
        }
        Ok(())
    }

    /// Whoever syncs later is told. Nothing is noted before that: a note speaks of synced bytes only.
    fn leave_unsynced(&mut self) {
        let env = &self.log.env;
        if self.tail.producers.is_crowded() {
            let log_start = self.core.view().log_start;
            self.tail.producers.prune(log_start, self.now_ms);
        }
        if matches!(env.config.flush, Flush::Interval(_)) && !self.tail.is_unsynced {
            self.tail.is_unsynced = true;
            env.unsynced().push(Arc::downgrade(self.log));
        }
    }

    /// Shortens the next recovery; nothing depends on it.
    fn note_index(&mut self, end_position: u64) {
        let (index, log_start) = {
            let view = self.core.view();
            (view.open.index.clone(), view.log_start)
        };
        self.tail.producers.prune(log_start, self.now_ms);
        self.tail.noted = end_position;
        if let Err(error) = index::store_note(
            self.log.env.disk.as_ref(),
            &self.core.dir,
            &index,
            &self.tail.producers,
        ) {
            tracing::warn!(dir = %self.core.dir.display(), %error, "index was not noted, the next recovery will take longer");
        }
    }
}
