//! Walks: which files are there, where known ones went, which are new.
//!
//! Known files are matched by place first, so that a file that was renamed keeps its source before
//! anybody asks what the new file under its old name is.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use logboom_client::SourceId;
use tracing::{info, warn};

use crate::checkpoint::Stage;
use crate::content::{Place, stat};
use crate::discover::Found;
use crate::error::Error;
use crate::sink::Sink;
use crate::source::Source;
use crate::tail::Tailer;
use crate::{limits, metrics};

/// Names by inode of folders that were looked at during one walk.
type Listings = HashMap<PathBuf, HashMap<u64, OsString>>;

impl<S: Sink> Tailer<S> {
    /// Walks the patterns and brings the sources in line with what is there.
    pub(crate) fn scan(&mut self, now_ms: u64) -> Result<(), Error> {
        let started = Instant::now();
        // Whatever asks for another walk during this one gets it.
        self.next_scan_ms = u64::MAX;
        let walk = self.patterns.walk();
        for (path, error) in &walk.errors {
            self.complain(path, error);
        }
        self.folders = walk.folders;
        let mut by_place: HashMap<(u64, u64), &Found> = HashMap::new();
        let mut by_path: HashMap<&Path, &Found> = HashMap::new();
        for found in &walk.files {
            by_place
                .entry((found.stat.place.dev, found.stat.place.ino))
                .or_insert(found);
            by_path.insert(&found.path, found);
        }

        let bound: Vec<SourceId> = self
            .sources
            .iter()
            .filter(|(_, source)| source.is_bound())
            .map(|(id, _)| *id)
            .collect();
        let mut listings = Listings::new();
        for id in bound {
            let source = &self.sources[&id];
            let Some(place) = source.saved.place else {
                continue;
            };
            let same = by_path
                .get(source.saved.path.as_path())
                .filter(|found| found.stat.place == place)
                .or_else(|| {
                    by_place
                        .get(&(place.dev, place.ino))
                        .filter(|found| found.stat.place == place)
                });
            match same {
                Some(found) => self.seen_at(id, &found.path, true, now_ms)?,
                None => self.look_for(id, place, &mut listings, now_ms)?,
            }
        }
        // One name per file.
        let files: Vec<&Found> = walk
            .files
            .iter()
            .filter(|found| {
                by_place[&(found.stat.place.dev, found.stat.place.ino)].path == found.path
            })
            .collect();
        let mut proven = HashSet::new();
        for found in &files {
            if found.stat.size > 0 && !self.is_owned(found) {
                self.prove_originals_of(found, &mut proven, now_ms)?;
            }
        }
        // Files that started anew come first: what looks like a copy may be a copy of one of them.
        let (fresh, others): (Vec<&Found>, Vec<&Found>) = files
            .iter()
            .partition(|found| self.fresh.contains(&found.stat.place));
        for found in fresh.into_iter().chain(others) {
            if !self.is_owned(found) {
                self.claim(found, now_ms)?;
            }
        }
        self.pending.retain(|place, _| by_place.contains_key(place));
        self.fresh
            .retain(|place| by_place.contains_key(&(place.dev, place.ino)));
        self.retire(now_ms)?;
        self.checkpoints.walked()?;
        let cost = started.elapsed();
        let pause = limits::SCAN.max(cost * limits::SCAN_COST_MAX);
        let pause_min = limits::SCAN_MIN.max(cost * limits::SCAN_COST_MAX / 5);
        self.next_scan_ms = self.next_scan_ms.min(now_ms + pause.as_millis() as u64);
        self.scan_floor_ms = now_ms + pause_min.as_millis() as u64;
        Ok(())
    }

    fn is_owned(&self, found: &Found) -> bool {
        let place = (found.stat.place.dev, found.stat.place.ino);
        let owner = self.places.get(&place).and_then(|id| self.sources.get(id));
        owner
            .is_some_and(|source| source.is_bound() && source.saved.place == Some(found.stat.place))
    }

    /// A known file is at `path`.
    fn seen_at(
        &mut self,
        id: SourceId,
        path: &Path,
        listed: bool,
        now_ms: u64,
    ) -> Result<(), Error> {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        source.listed = listed;
        if source.saved.path != path {
            if self.paths.get(&source.saved.path) == Some(&id) {
                self.paths.remove(&source.saved.path);
            }
            self.families.rename(&source.saved, path);
            source.saved.path = path.to_path_buf();
            self.checkpoints.save(&source.saved, false)?;
        }
        self.paths.insert(path.to_path_buf(), id);
        self.look(id, now_ms);
        Ok(())
    }

    /// A known file that no pattern names any more: renamed out of sight, or deleted.
    fn look_for(
        &mut self,
        id: SourceId,
        place: Place,
        listings: &mut Listings,
        now_ms: u64,
    ) -> Result<(), Error> {
        let path = self.sources[&id].saved.path.clone();
        match stat(&path) {
            Ok(seen) if seen.place == place => return self.seen_at(id, &path, false, now_ms),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                // A folder that cannot be read for now says nothing about the file.
                self.complain(&path, &error);
                return Ok(());
            }
            _ => {}
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let listing = listings
            .entry(folder.clone())
            .or_insert_with(|| list(&folder));
        if let Some(name) = listing.get(&place.ino) {
            let moved = folder.join(name);
            if stat(&moved).is_ok_and(|seen| seen.place == place) {
                return self.seen_at(id, &moved, false, now_ms);
            }
        }
        // Deleted, or moved out of reach.
        let source = self.sources.get_mut(&id).expect("the caller has it");
        source.listed = false;
        if let Some(content) = &source.content {
            // What it was when it was last looked at says nothing about the lines written just before.
            if let Ok(seen) = content.stat()
                && source.note(&seen, now_ms)
            {
                self.queue(id);
                return Ok(());
            }
            // It can still be read to its end, and its writer may still have it.
            let quiet = now_ms.saturating_sub(source.changed_ms)
                > 2 * self.config.idle_flush.as_millis() as u64;
            if !(quiet && source.is_drained()) {
                self.look(id, now_ms);
                self.queue(id);
                return Ok(());
            }
        }
        let size = source.size.max(source.scanned);
        self.unbind(
            id,
            Stage::Orphan {
                since_ms: now_ms,
                size,
            },
        )
    }

    /// Gives up what no copy brought back, and forgets what ended long ago.
    fn retire(&mut self, now_ms: u64) -> Result<(), Error> {
        let mut closed = Vec::new();
        for (id, source) in &mut self.sources {
            match source.saved.stage {
                Stage::Orphan { since_ms, size } | Stage::Replaced { since_ms, size }
                    if now_ms.saturating_sub(since_ms)
                        >= limits::ORPHAN_WAIT.as_millis() as u64
                        && source.runs.is_empty() =>
                {
                    let lost = size.saturating_sub(source.sent);
                    if lost > 0 {
                        ::metrics::counter!(metrics::LOST_BYTES).increment(lost);
                        warn!(source = %id, path = %source.saved.path.display(), lost_bytes = lost,
                            "the rest of this file was gone before it was read, and no copy has it");
                    }
                    source.saved.stage = Stage::Closed { at_ms: now_ms };
                    source.saved.trail.forget_marks();
                    self.checkpoints.save(&source.saved, false)?;
                }
                Stage::Closed { at_ms } => closed.push((at_ms, *id)),
                _ => {}
            }
        }
        let surplus = closed.len().saturating_sub(limits::CLOSED_SOURCES_MAX);
        if surplus > 0 {
            closed.sort_unstable_by_key(|(at_ms, id)| (*at_ms, id.0));
            for (_, id) in closed.into_iter().take(surplus) {
                self.checkpoints.forget(id)?;
                if let Some(Source { saved, .. }) = self.sources.remove(&id) {
                    self.families.remove(&saved.first_path, id);
                    self.families.remove(&saved.path, id);
                }
            }
            info!(surplus, "forgot the sources that ended first");
        }
        Ok(())
    }
}

fn list(folder: &Path) -> HashMap<u64, OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| (entry.ino(), entry.file_name()))
        .collect()
}
