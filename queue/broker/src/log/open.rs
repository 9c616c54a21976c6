//! Closed segments that are open as files: a bounded number, least recently used go first.
//!
//! A partition may have thousands of closed segments and is read mostly at its end; a descriptor and an index in
//! memory for each would be spent for nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use logboom_disk::{Disk, DiskFile};

use super::error::LogError;
use super::index::{self, Index, Summary};
use super::partition::ClosedSegment;
use super::recovery;
use super::segment;

/// A closed segment ready to be read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) index: Index,
}

#[derive(Debug)]
pub(super) struct OpenSegments {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_path: HashMap<PathBuf, (Arc<Opened>, u64)>,
    /// Counts uses; the smallest in `by_path` is the least recent.
    clock: u64,
}

impl OpenSegments {
    pub(super) fn new(capacity: usize) -> OpenSegments {
        OpenSegments {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Blocking. A lost index is rebuilt from the segment, which also verifies it.
    pub(super) fn get(
        &self,
        disk: &dyn Disk,
        closed: &ClosedSegment,
        index_interval_bytes: u64,
    ) -> Result<Arc<Opened>, LogError> {
        let path = segment::path(&closed.dir, closed.summary.base);
        if let Some(found) = self.touch(&path, &closed.summary) {
            return Ok(found);
        }
        // Outside of the lock: two readers may open the same segment, one of the handles then goes its way.
        let file = disk.open(&path)?;
        let index = match index::load(disk, &closed.dir, closed.summary.base)? {
            Some((index, _)) if index.summary == closed.summary => index,
            _ => recovery::rebuild_index(&file, &path, &closed.summary, index_interval_bytes)?,
        };
        let opened = Arc::new(Opened { file, index });
        self.insert(path, opened.clone());
        Ok(opened)
    }

    /// The segment is being deleted; readers that have it open keep it until they are done.
    pub(super) fn forget(&self, closed: &ClosedSegment) {
        self.lock()
            .by_path
            .remove(&segment::path(&closed.dir, closed.summary.base));
    }

    /// A segment of another content is of a deleted topic whose name was used again.
    fn touch(&self, path: &PathBuf, summary: &Summary) -> Option<Arc<Opened>> {
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        let (opened, used) = state
            .by_path
            .get_mut(path)
            .filter(|(opened, _)| opened.index.summary == *summary)?;
        *used = now;
        Some(opened.clone())
    }

    fn insert(&self, path: PathBuf, opened: Arc<Opened>) {
        let mut state = self.lock();
        while state.by_path.len() >= self.capacity {
            let oldest = state
                .by_path
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            state.by_path.remove(&oldest);
        }
        state.clock += 1;
        let now = state.clock;
        state.by_path.insert(path, (opened, now));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with the open segments in hand")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_disk::SimDisk;

    #[test]
    fn the_least_recently_used_segment_goes_first() {
        let disk = SimDisk::new(0);
        let file = disk.create(std::path::Path::new("/f")).unwrap();
        let cache = OpenSegments::new(2);
        let opened = || {
            Arc::new(Opened {
                file: file.clone(),
                index: Index::empty(0),
            })
        };
        let (a, b, c) = (PathBuf::from("a"), PathBuf::from("b"), PathBuf::from("c"));
        cache.insert(a.clone(), opened());
        cache.insert(b.clone(), opened());
        let summary = Index::empty(0).summary;
        assert!(cache.touch(&a, &summary).is_some());
        cache.insert(c.clone(), opened());
        assert!(
            cache.touch(&a, &summary).is_some()
                && cache.touch(&c, &summary).is_some()
                && cache.touch(&b, &summary).is_none()
        );
        let other = Summary {
            end_offset: 7,
            ..summary
        };
        assert!(cache.touch(&a, &other).is_none(), "another segment's file");
    }
}
