//! Looking through the files of partitions without touching any: what a start would refuse, what it would put right,
//! and what it does not look at, the batches of closed segments.
//!
//! Every batch is read and held against length, magic, checksum, fields and its place in the line of offsets; every
//! index against the batches. One damage is told for each segment: behind a bad batch nothing can be followed.

use std::path::{Path, PathBuf};

use logboom_disk::{Disk, Error as DiskError};

use super::error::{LogError, one_line};
use super::index::{self, Agreement, Index};
use super::limits::UNSYNCED_BYTES_MAX;
use super::partition::{is_left_over, parse_dir_name};
use super::scan::{self, Rest, Scan};
use super::segment::{self, DATA_FROM};
use super::state::PartitionState;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// Byte in the file.
    pub position: u64,
    pub reason: String,
}

/// What was found in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    pub topic: String,
    pub partition: i32,
    pub segments: usize,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    /// The first offset that may be read, and the one after the last record.
    pub offsets: (i64, i64),
    pub damages: Vec<Damage>,
    /// What is no damage, and what the next start does about it.
    pub notes: Vec<String>,
}

/// The directories of partitions below `dir`, with topic and number.
pub fn partitions(disk: &dyn Disk, dir: &Path) -> Result<Vec<(String, i32)>, DiskError> {
    let entries = match disk.list(dir) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let directories = entries
        .iter()
        .filter(|entry| entry.is_dir && !is_left_over(&entry.name));
    Ok(directories
        .filter_map(|entry| parse_dir_name(&entry.name))
        .map(|(topic, partition)| (topic.to_owned(), partition))
        .collect())
}

/// Looks through one partition below `dir`. Blocking, and reads all of it.
pub fn examine(disk: &dyn Disk, dir: &Path, topic: &str, partition: i32) -> Examined {
    let dir = dir.join(super::partition::dir_name(topic, partition));
    let mut walk = Walk {
        disk,
        dir: &dir,
        is_lazy: false,
        found: Examined {
            topic: topic.to_owned(),
            partition,
            ..Examined::default()
        },
    };
    if let Err(error) = walk.partition() {
        walk.damage(error);
    }
    walk.found
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// Whether any part of the open segment may be unsynced.
    is_lazy: bool,
    found: Examined,
}

impl Walk<'_> {
    fn damage(&mut self, error: LogError) {
        let (path, position, reason) = match error {
            LogError::Damaged {
                path,
                position,
                reason,
            } => (path, position, reason),
            other => (self.dir.to_path_buf(), 0, one_line(&other).to_string()),
        };
        self.found.damages.push(Damage {
            path,
            position,
            reason,
        });
    }

    fn partition(&mut self) -> Result<(), LogError> {
        let mut bases = Vec::new();
        for entry in self.disk.list(self.dir)? {
            if is_left_over(&entry.name) {
                let note = format!(
                    "`{}` was being made or deleted, the next start removes it",
                    entry.name
                );
                self.found.notes.push(note);
            } else {
                bases.extend(segment::base_of(&entry.name));
            }
        }
        bases.sort_unstable();
        let Some(state) = PartitionState::load(self.disk, self.dir)? else {
            super::recovery::check_creation_was_unfinished(self.disk, self.dir, &bases)?;
            let note = "its creation was not finished, the next start does it again";
            self.found.notes.push(note.to_owned());
            return Ok(());
        };
        let dead = super::recovery::split_dead(self.dir, &mut bases, state.log_start)?;
        for base in dead {
            let note = format!("segment {base} is before the log start, the next start removes it");
            self.found.notes.push(note);
        }
        let last = bases.last().copied();
        self.is_lazy = state.is_lazy;
        let mut end = None;
        for base in bases {
            if let Some(end) = end.filter(|end| *end != base) {
                self.damage(LogError::Damaged {
                    path: segment::path(self.dir, base),
                    position: 0,
                    reason: format!("it starts at offset {base}, the one before ends at {end}"),
                });
            }
            end = match self.segment(base, last == Some(base)) {
                Ok(next) => Some(next),
                Err(error) => {
                    self.damage(error);
                    None
                }
            };
        }
        // Unknown if the last segment is damaged, which was told.
        let end = end.unwrap_or(state.log_start);
        self.found.offsets = (state.log_start, end);
        if state.log_start > end {
            return Err(LogError::Damaged {
                path: self.dir.join("partition.state"),
                position: 0,
                reason: format!(
                    "the log starts at offset {}, but records end at {end}: some that had been synced are missing",
                    state.log_start
                ),
            });
        }
        Ok(())
    }

    /// Returns the offset after the segment's last record.
    fn segment(&mut self, base: i64, is_last: bool) -> Result<i64, LogError> {
        let path = segment::path(self.dir, base);
        let file = self.disk.open(&path)?;
        self.found.segments += 1;
        segment::check_header(file.as_ref(), &path, base)?;
        let stored = if is_last {
            index::load_open(self.disk, self.dir, base)?
        } else {
            index::load(self.disk, self.dir, base)?
        };
        let mut agreement = stored.as_ref().map(|(index, _)| Agreement::new(index));
        let mut walked = Index::empty(base);
        let mut scan = Scan::new(file.clone(), DATA_FROM);
        while let Some((header, marker)) = scan.next(walked.summary.end_offset)? {
            if let Some(agreement) = &mut agreement {
                agreement.batch(&header, &walked.summary);
            }
            // One entry a segment: only the summary is of use here.
            walked.note(&header, marker.as_ref(), u64::MAX, 0);
            self.found.batches += 1;
            self.found.records += u64::from(header.count.unsigned_abs());
            self.found.bytes += header.total_bytes as u64;
        }
        let end = walked.summary.end_offset;
        let bad = |reason: String| LogError::Damaged {
            path: path.clone(),
            position: scan.position(),
            reason,
        };
        if is_last
            && let Some((index, _)) = &stored
            && index.summary.end_position > scan.position()
        {
            return Err(bad(format!(
                "the batch that should start at offset {end} is bad or missing; up to offset {} they had been synced",
                index.summary.end_offset
            )));
        }
        if is_last {
            let rest = scan::judge_rest(
                file.as_ref(),
                &path,
                scan.position(),
                end,
                if self.is_lazy {
                    u64::MAX
                } else {
                    UNSYNCED_BYTES_MAX as u64
                },
            )?;
            match rest {
                Rest::Zeros => {}
                Rest::Torn => self.found.notes.push(format!(
                    "`{}`: torn tail at byte {}, the next start cuts it off",
                    path.display(),
                    scan.position()
                )),
                Rest::GoodBatchAt(good) => {
                    return Err(bad(format!(
                        "the batch here is bad, but there is a good one at byte {good}"
                    )));
                }
            }
        } else if scan.position() != file.len()? {
            return Err(bad(format!(
                "the batch that should start at offset {end} is bad"
            )));
        }
        self.index(base, &walked, agreement, is_last)?;
        Ok(end)
    }

    fn index(
        &mut self,
        base: i64,
        walked: &Index,
        agreement: Option<Agreement<'_>>,
        is_last: bool,
    ) -> Result<(), LogError> {
        let Some(agreement) = agreement else {
            // An open segment may have none yet.
            if !is_last {
                let path = index::path(self.dir, base);
                let note = format!(
                    "`{}` is missing or not whole, it is made again",
                    path.display()
                );
                self.found.notes.push(note);
            }
            return Ok(());
        };
        agreement
            .end(&walked.summary, is_last)
            .map_err(|reason| LogError::Damaged {
                path: index::path(self.dir, base),
                position: 0,
                reason,
            })
    }
}
