//! Opening a partition: what of its files counts.
//!
//! Closed segments are believed if their index file is whole and their length is what it says; their batches are
//! checked when they are read. A closed segment without its index is walked from end to end, and anything bad in it
//! is damage. The open segment is walked from the last note of its index on (see `index`); what stands behind the
//! last good batch is zeros, a torn tail, or damage (see [`scan::judge_rest`]). A torn tail is cut and the cut synced
//! before the partition takes writes.
//!
//! What counts is written once more and synced. After a failed sync the kernel shows pages that it will never write;
//! a process that starts anew on them must not take them for durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use logboom_disk::{Disk, DiskFile};

use super::error::LogError;
use super::index::{self, Index, Summary};
use super::limits::UNSYNCED_BYTES_MAX;
use super::partition::{
    ClosedSegment, Core, Env, OpenSegment, Tail, View, is_left_over, remove_if_there,
};
use super::producers::Producers;
use super::scan::{self, Rest, Scan};
use super::segment::{self, DATA_FROM};
use super::state::PartitionState;

/// Written again at once.
const REWRITE_BYTES: u64 = 4 << 20;

/// A new partition in `dir`, which must not exist or hold nothing but an unfinished creation.
pub(super) fn create_partition(env: &Env, dir: &Path) -> Result<Core, LogError> {
    let disk = env.disk.as_ref();
    disk.create_dir(dir)?;
    remove_if_there(disk, &segment::path(dir, 0))?;
    let (file, allocated) = segment::create(disk, dir, 0, env.config.segment_bytes, (env.clock)())?;
    // Last: a directory without this file is one whose creation did not get here, and nothing was promised.
    let mut state = PartitionState::new();
    state.is_lazy = !env.config.flush.comes_first();
    state.store(disk, dir)?;
    disk.sync_dir(
        dir.parent()
            .expect("partitions live below the log's directory"),
    )?;
    let tail = Tail {
        allocated,
        producers: Producers::default(),
        noted: DATA_FROM,
        is_settled: false,
        is_unsynced: false,
    };
    let view = View {
        closed: Vec::new(),
        open: OpenSegment {
            file,
            index: Index::empty(0),
        },
        log_start: 0,
        first_open: None,
    };
    Ok(Core::new(
        dir.to_path_buf(),
        env.config.partition(),
        tail,
        state,
        view,
    ))
}

/// The partition in `dir` after a restart. `clean`: the last process closed everything in order.
pub(super) fn open_partition(env: &Env, dir: &Path, clean: bool) -> Result<Core, LogError> {
    let disk = env.disk.as_ref();
    let (mut bases, mut notes) = (Vec::new(), Vec::new());
    for entry in disk.list(dir)? {
        if is_left_over(&entry.name) {
            disk.remove(&dir.join(&entry.name))?;
        } else if let Some(base) = segment::base_of(&entry.name) {
            bases.push(base);
        } else if entry.name.ends_with(index::NOTE_EXTENSION) {
            notes.push(dir.join(&entry.name));
        }
    }
    bases.sort_unstable();
    let Some(mut state) = PartitionState::load(disk, dir)? else {
        check_creation_was_unfinished(disk, dir, &bases)?;
        return create_partition(env, dir);
    };
    let dead = split_dead(dir, &mut bases, state.log_start)?;
    let mut segments = Segments::open(disk, dir, &bases)?;
    segments.producers = inherited(disk, dir, &dead, &bases)?;
    segments.is_lazy = state.is_lazy && !clean;
    segments.recover(env, clean)?;
    let last = segments.last();
    let view = View {
        closed: segments.closed(),
        open: OpenSegment {
            file: last.file.clone(),
            index: last.index.clone(),
        },
        log_start: state.log_start,
        first_open: segments.producers.first_open(),
    };
    if state.log_start > view.end() {
        return Err(damaged(
            &last.path,
            last.index.summary.end_position,
            "records that had been synced are missing",
        ));
    }
    // All that is there is synced now.
    let was_lazy = std::mem::replace(&mut state.is_lazy, !env.config.flush.comes_first());
    if !clean {
        state.bump_epoch(view.end());
    }
    if !clean || state.is_lazy != was_lazy {
        state.store(disk, dir)?;
    }
    // A note is of use to the open segment only.
    notes.retain(|note| *note != index::note_path(dir, last.index.summary.base));
    notes.iter().try_for_each(|note| disk.remove(note))?;
    if !dead.is_empty() {
        if view.closed.is_empty() {
            index::store_durably(disk, dir, &last.index, &segments.producers)?;
        }
        remove_dead(disk, dir, &dead)?;
    }
    let end_position = last.index.summary.end_position;
    let tail = Tail {
        allocated: last.file.len()?.max(end_position),
        producers: segments.producers.clone(),
        noted: end_position,
        is_settled: clean,
        is_unsynced: false,
    };
    Ok(Core::new(
        dir.to_path_buf(),
        env.config.partition(),
        tail,
        state,
        view,
    ))
}

/// A closed segment's index, had again from its batches, all of which have to be good.
pub(super) fn rebuild_index(
    file: &Arc<dyn DiskFile>,
    path: &Path,
    summary: &Summary,
    interval_bytes: u64,
) -> Result<Index, LogError> {
    let mut scan = Scan::new(file.clone(), DATA_FROM);
    let mut index = Index::empty(summary.base);
    while let Some((header, marker)) = scan.next(index.summary.end_offset)? {
        index.note(&header, marker.as_ref(), interval_bytes, 0);
    }
    if (index.summary.end_offset, index.summary.end_position)
        != (summary.end_offset, summary.end_position)
    {
        return Err(damaged(
            path,
            scan.position(),
            "a batch of a closed segment is bad",
        ));
    }
    index.summary = *summary;
    Ok(index)
}

fn damaged(path: &Path, position: u64, reason: &str) -> LogError {
    LogError::Damaged {
        path: path.to_path_buf(),
        position,
        reason: reason.to_owned(),
    }
}

/// Without a state file there must not be records: their loss would be silent.
pub(super) fn check_creation_was_unfinished(
    disk: &dyn Disk,
    dir: &Path,
    bases: &[i64],
) -> Result<(), LogError> {
    let lost = |path: &Path| {
        Err(damaged(
            path,
            0,
            "there are records, but the partition's state file is missing",
        ))
    };
    for entry in disk.list(dir)? {
        if index::is_name(&entry.name) {
            return lost(&dir.join(&entry.name));
        }
    }
    for base in bases {
        let path = segment::path(dir, *base);
        let file = disk.open(&path)?;
        let is_empty =
            *base == 0 && scan::judge_rest(file.as_ref(), &path, DATA_FROM, 0, 0)? == Rest::Zeros;
        if !is_empty {
            return lost(&path);
        }
    }
    Ok(())
}

/// Segments wholly before the log start, which a crash kept from being deleted, are taken out of `bases`.
pub(super) fn split_dead(
    dir: &Path,
    bases: &mut Vec<i64>,
    log_start: i64,
) -> Result<Vec<i64>, LogError> {
    match bases
        .partition_point(|base| *base <= log_start)
        .checked_sub(1)
    {
        Some(first) => Ok(bases.drain(..first).collect()),
        None => Err(damaged(
            &segment::path(dir, log_start),
            0,
            "the segment with the first record is missing",
        )),
    }
}

/// The producers as of the first live segment, from the dead one before it: nobody else may know them any more.
fn inherited(
    disk: &dyn Disk,
    dir: &Path,
    dead: &[i64],
    live: &[i64],
) -> Result<Producers, LogError> {
    let Some(last) = dead.last() else {
        return Ok(Producers::default());
    };
    let stored = index::load(disk, dir, *last)?;
    let adjoins = |index: &Index| live.first() == Some(&index.summary.end_offset);
    Ok(stored
        .filter(|(index, _)| adjoins(index))
        .map(|(_, producers)| producers)
        .unwrap_or_default())
}

fn remove_dead(disk: &dyn Disk, dir: &Path, dead: &[i64]) -> Result<(), LogError> {
    for base in dead {
        disk.remove(&segment::path(dir, *base))?;
        remove_if_there(disk, &index::path(dir, *base))?;
    }
    Ok(())
}

struct Found {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    index: Index,
    /// Where the walk of its batches began: what is before had been synced.
    walked_from: u64,
    /// Whether `index` is what the disk has, and not empty because that was not there or not whole.
    is_stored: bool,
}

struct Segments<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// Oldest first; never empty. Of closed ones whose index is stored only the summary is filled in.
    found: Vec<Found>,
    /// Before the recovery as of the start of the first segment, after it as of the end of the last.
    producers: Producers,
    /// Whether all of the open segment behind its note may be unsynced.
    is_lazy: bool,
}

impl<'a> Segments<'a> {
    fn open(disk: &'a dyn Disk, dir: &'a Path, bases: &[i64]) -> Result<Segments<'a>, LogError> {
        let mut found = Vec::with_capacity(bases.len());
        for base in bases {
            let path = segment::path(dir, *base);
            let file = disk.open(&path)?;
            segment::check_header(file.as_ref(), &path, *base)?;
            let summary = index::load_summary(disk, dir, *base)?;
            let len = file.len()?;
            let mut index = Index::empty(*base);
            index.summary = summary.unwrap_or(index.summary);
            found.push(Found {
                path,
                file,
                len,
                index,
                walked_from: DATA_FROM,
                is_stored: summary.is_some(),
            });
        }
        Ok(Segments {
            disk,
            dir,
            found,
            producers: Producers::default(),
            is_lazy: false,
        })
    }

    /// Makes every summary true and the last segment ready for writes, or says what is damaged.
    fn recover(&mut self, env: &Env, clean: bool) -> Result<(), LogError> {
        let last = self.found.len() - 1;
        let from = self.newest_stored()?;
        for at in 0..=last {
            let is_last = at == last;
            let found = &self.found[at];
            let end = found.index.summary.end_position;
            if is_last || !found.is_stored {
                // Before `from` the producers don't matter; from there on every batch counts for them.
                self.walk(env, at, at >= from, is_last)?;
            } else if found.len != end {
                return Err(damaged(
                    &found.path,
                    found.len.min(end),
                    "a closed segment has not the length it was closed with",
                ));
            }
            if at > 0 {
                self.check_chain(at)?;
            }
        }
        self.settle_last(env, clean)
    }

    fn last(&self) -> &Found {
        self.found.last().expect("never empty")
    }

    /// The last segment whose index and producers are stored whole: where the walk for producers starts. Takes both in.
    fn newest_stored(&mut self) -> Result<usize, LogError> {
        for at in (0..self.found.len()).rev() {
            let base = self.found[at].index.summary.base;
            let is_last = at + 1 == self.found.len();
            let load = if is_last {
                index::load_open
            } else {
                index::load
            };
            match load(self.disk, self.dir, base)? {
                Some((index, producers)) => {
                    self.found[at].index = index;
                    self.producers = producers;
                    return Ok(at);
                }
                None => {
                    self.found[at].index = Index::empty(base);
                    self.found[at].is_stored = false;
                }
            }
        }
        Ok(0)
    }

    /// Walks the batches of a segment behind what its index knows, which is nothing if none is stored.
    fn walk(
        &mut self,
        env: &Env,
        at: usize,
        with_producers: bool,
        is_last: bool,
    ) -> Result<(), LogError> {
        let found = &mut self.found[at];
        let known = found.index.summary.end_position;
        found.walked_from = known;
        if known > found.len {
            return Err(damaged(
                &found.path,
                found.len,
                "the segment is shorter than what had been synced",
            ));
        }
        // When they arrived is not known any more. Now is the latest it can have been: nothing is deleted too early.
        let now_ms = (env.clock)();
        let mut scan = Scan::new(found.file.clone(), known);
        while let Some((header, marker)) = scan.next(found.index.summary.end_offset)? {
            let interval_bytes = env.config.index_interval_bytes;
            found
                .index
                .note(&header, marker.as_ref(), interval_bytes, now_ms);
            if with_producers {
                self.producers.apply(&header, marker.as_ref(), now_ms);
            }
        }
        if is_last {
            return Ok(());
        }
        if scan.position() != found.len {
            return Err(damaged(
                &found.path,
                scan.position(),
                "a batch of a closed segment is bad",
            ));
        }
        if with_producers {
            index::store_durably(self.disk, self.dir, &found.index, &self.producers)?;
        }
        Ok(())
    }

    fn check_chain(&self, at: usize) -> Result<(), LogError> {
        let (before, found) = (&self.found[at - 1], &self.found[at]);
        if before.index.summary.end_offset == found.index.summary.base {
            return Ok(());
        }
        let reason = format!(
            "it ends at offset {} but the next segment starts at {}: a segment or its end is missing",
            before.index.summary.end_offset, found.index.summary.base
        );
        Err(LogError::Damaged {
            path: before.path.clone(),
            position: before.len,
            reason,
        })
    }

    /// Cuts what is torn off the last segment and makes durable what is left.
    fn settle_last(&self, env: &Env, clean: bool) -> Result<(), LogError> {
        let found = self.last();
        let summary = &found.index.summary;
        let end = summary.end_position;
        match scan::judge_rest(
            found.file.as_ref(),
            &found.path,
            end,
            summary.end_offset,
            // Where any of it may be unsynced, a good batch proves nothing about those before it.
            if self.is_lazy {
                u64::MAX
            } else {
                UNSYNCED_BYTES_MAX as u64
            },
        )? {
            Rest::Zeros => {}
            Rest::Torn => {
                metrics::counter!(super::metrics::TORN_TAILS).increment(1);
                tracing::warn!(path = %found.path.display(), position = end, offset = summary.end_offset, "torn tail cut off");
            }
            Rest::GoodBatchAt(good) => {
                let reason = format!(
                    "the batch here is bad, but there is a good one at byte {good}, written after it was synced"
                );
                return Err(LogError::Damaged {
                    path: found.path.clone(),
                    position: end,
                    reason,
                });
            }
        }
        if clean {
            return Ok(());
        }
        // Also when there are only zeros: on a full disk the space that was reserved is what a start needs.
        found.file.set_len(end)?;
        rewrite_unsynced(env, found, self.is_lazy)?;
        found.file.sync_data()?;
        Ok(())
    }

    fn closed(&self) -> Vec<Arc<ClosedSegment>> {
        let (_, closed) = self.found.split_last().expect("never empty");
        closed
            .iter()
            .map(|found| {
                Arc::new(ClosedSegment {
                    dir: self.dir.to_path_buf(),
                    summary: found.index.summary,
                })
            })
            .collect()
    }
}

/// Writes again what may never have been synced: the last group, which is at most so large, or a single batch; or all
/// behind the note, if that is how it was written.
fn rewrite_unsynced(env: &Env, found: &Found, is_lazy: bool) -> Result<(), LogError> {
    let summary = &found.index.summary;
    if summary.is_empty() {
        return Ok(());
    }
    let stretch = super::read::Stretch {
        file: found.file.clone(),
        path: found.path.clone(),
        from: found.index.position_before(summary.end_offset - 1),
        to: summary.end_position,
    };
    let (_, last_batch, _) = stretch.find(summary.end_offset - 1)?;
    let from = last_batch
        .min(
            summary
                .end_position
                .saturating_sub(UNSYNCED_BYTES_MAX as u64),
        )
        .max(DATA_FROM);
    let mut from = if is_lazy {
        from.min(found.walked_from)
    } else {
        from
    };
    tracing::debug!(path = %found.path.display(), bytes = summary.end_position - from, disk = ?env.disk, "writing again what may be unsynced");
    while from < summary.end_position {
        let len = (summary.end_position - from).min(REWRITE_BYTES);
        let bytes = stretch.read(from, len as usize)?;
        found.file.write_at(from, &bytes)?;
        from += len;
    }
    Ok(())
}
