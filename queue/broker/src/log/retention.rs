//! Letting go of old records.
//!
//! In this order, so that a crash at any point neither shows deleted records again nor hides live ones: the new log
//! start becomes durable; readers see it; files are renamed to `.deleted`; the directory is synced; they are unlinked.
//! What a crash leaves behind is below the log start, and removed when the partition is opened.
//!
//! Offsets never start again: when everything is old, the open segment is closed first, and the next one carries the
//! end offset in its name.

use std::ops::AddAssign;
use std::sync::Arc;

use super::error::{LogError, one_line};
use super::index;
use super::partition::{ClosedSegment, Core, PartitionLog};
use super::segment::{self, DELETED_SUFFIX};

/// What a call of [`PartitionLog::apply_retention`] deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub segments: usize,
    pub bytes: u64,
    pub records: u64,
}

impl AddAssign for Removed {
    fn add_assign(&mut self, other: Removed) {
        self.segments += other.segments;
        self.bytes += other.bytes;
        self.records += other.records;
    }
}

impl PartitionLog {
    /// Deletes whole segments that are older (by arrival) or more than the settings allow, but nothing at or after
    /// `keep_from`, which somebody has still to read, and nothing of an open transaction or behind it. Blocking.
    pub fn apply_retention(&self, now_ms: i64, keep_from: i64) -> Result<Removed, LogError> {
        let core = self.core_or(|reason| LogError::Failed { reason })?;
        let keep_from = keep_from.min(core.view().stable_end());
        let config = core.settings();
        let mut removed = Removed::default();
        if let Some(retention) = config.retention {
            let oldest_kept_ms =
                now_ms.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
            self.close_if_old(core, oldest_kept_ms, keep_from)?;
            let old = core
                .view()
                .closed
                .iter()
                .take_while(|closed| closed.summary.last_append_ms < oldest_kept_ms)
                .count();
            removed += self.drop_first(core, old, keep_from)?;
        }
        if let Some(bytes_max) = config.retention_bytes {
            let mut excess = self.size_bytes().saturating_sub(bytes_max);
            let fits = |closed: &&Arc<ClosedSegment>| {
                let left = excess.checked_sub(closed.summary.data_bytes());
                excess = left.unwrap_or(0);
                left.is_some()
            };
            let many = core.view().closed.iter().take_while(fits).count();
            removed += self.drop_first(core, many, keep_from)?;
        }
        Ok(removed)
    }

    /// Moves the log start to `offset`, at most the high watermark, and deletes the segments wholly before it, even if
    /// their transactions are open: who gives this order means it. Returns the log start, which is higher if it was
    /// already. Blocking.
    pub fn delete_before(&self, offset: i64) -> Result<i64, LogError> {
        let core = self.core_or(|reason| LogError::Failed { reason })?;
        let (log_start, end) = {
            let view = core.view();
            (view.log_start, view.end())
        };
        if offset > end {
            return Err(LogError::OutOfRange {
                offset,
                log_start,
                end,
            });
        }
        self.advance(core, offset)?;
        if core.is_closed() {
            return Err(LogError::Closed);
        }
        Ok(core.view().log_start)
    }

    /// The open segment holds on to its records until it is closed; nobody may append for a long time.
    fn close_if_old(
        &self,
        core: &Core,
        oldest_kept_ms: i64,
        keep_from: i64,
    ) -> Result<(), LogError> {
        let is_old = |summary: &index::Summary| {
            !summary.is_empty()
                && summary.last_append_ms < oldest_kept_ms
                && summary.end_offset <= keep_from
        };
        if !is_old(&core.view().open.index.summary) {
            return Ok(());
        }
        let mut tail = core.tail();
        if core.check().is_err() || !is_old(&core.view().open.index.summary) {
            return Ok(());
        }
        core.roll(&self.env, &mut tail).map_err(|error| {
            if error.is_full() {
                LogError::Disk(error)
            } else {
                LogError::Failed {
                    reason: core.fail(&error),
                }
            }
        })
    }

    fn drop_first(&self, core: &Core, count: usize, keep_from: i64) -> Result<Removed, LogError> {
        let to = {
            let view = core.view();
            let droppable = view
                .closed
                .iter()
                .take(count)
                .take_while(|closed| closed.summary.end_offset <= keep_from);
            droppable.last().map(|closed| closed.summary.end_offset)
        };
        to.map_or(Ok(Removed::default()), |to| self.advance(core, to))
    }

    fn advance(&self, core: &Core, to: i64) -> Result<Removed, LogError> {
        // One at a time, which keeps the durable and the visible log start in step. Held to the end: a topic is deleted
        // with the start in hand, and then its paths may be another topic's.
        let _start = core.start();
        if core.is_closed() {
            return Ok(Removed::default());
        }
        let mut next = core.state().clone();
        if to <= next.log_start {
            return Ok(Removed::default());
        }
        if to > core.view().open.index.summary.base {
            // Or a power cut would leave a log that ends before it starts.
            core.settle_open(&self.env)
                .map_err(|error| LogError::Failed {
                    reason: one_line(&error),
                })?;
        }
        let records = (to - next.log_start) as u64;
        next.advance_log_start(to);
        next.store(self.env.disk.as_ref(), &core.dir)?;
        *core.state() = next;
        let removed: Vec<Arc<ClosedSegment>> = {
            let mut view = core.view_mut();
            view.log_start = to;
            let count = view
                .closed
                .partition_point(|closed| closed.summary.end_offset <= to);
            view.closed.drain(..count).collect()
        };
        if self.keep_producers(core, &removed) {
            self.remove_files(core, &removed);
        }
        let bytes = removed
            .iter()
            .map(|closed| closed.summary.data_bytes())
            .sum();
        Ok(Removed {
            segments: removed.len(),
            bytes,
            records,
        })
    }

    /// The producers are stored with the closed segments. When the last of those goes, the open one's index has to have
    /// them first: a repeated batch must be known although its first copy is deleted. `false`: the files have to stay.
    fn keep_producers(&self, core: &Core, removed: &[Arc<ClosedSegment>]) -> bool {
        if removed.is_empty() || !core.view().closed.is_empty() {
            return true;
        }
        // The one sync that the writer has to wait for: were the open segment closed meanwhile, its final index would be
        // replaced by this one. It takes a partition that filled no segment within the retention.
        let mut tail = core.tail();
        if !core.view().closed.is_empty() {
            return true;
        }
        let index = core.view().open.index.clone();
        let kept = core
            .settle_open(&self.env)
            .map_err(|error| one_line(&error))
            .and_then(|()| {
                let disk = self.env.disk.as_ref();
                index::store_durably(disk, &core.dir, &index, &tail.producers)
                    .map_err(|error| one_line(&error))
            });
        match kept {
            Ok(()) => {
                tail.noted = index.summary.end_position;
                true
            }
            Err(error) => {
                tracing::warn!(dir = %core.dir.display(), %error, "old files stay until the next start");
                false
            }
        }
    }

    /// The records are gone already; what stays of the files is removed at the next start.
    fn remove_files(&self, core: &Core, removed: &[Arc<ClosedSegment>]) {
        let disk = self.env.disk.as_ref();
        let mut deleted = Vec::new();
        for closed in removed {
            self.env.open_segments.forget(closed);
            for path in [
                segment::path(&closed.dir, closed.summary.base),
                index::path(&closed.dir, closed.summary.base),
            ] {
                let mut target = path.clone().into_os_string();
                target.push(DELETED_SUFFIX);
                match disk.rename(&path, target.as_ref()) {
                    Ok(()) => deleted.push(target),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => {
                        tracing::warn!(path = %path.display(), error = %one_line(&error), "old file stays until the next start")
                    }
                }
            }
        }
        if deleted.is_empty() {
            return;
        }
        let outcome = disk.sync_dir(&core.dir).and_then(|()| {
            deleted
                .iter()
                .try_for_each(|path| disk.remove(path.as_ref()))
        });
        if let Err(error) = outcome {
            tracing::warn!(dir = %core.dir.display(), error = %one_line(&error), "old files stay until the next start");
        }
    }
}
