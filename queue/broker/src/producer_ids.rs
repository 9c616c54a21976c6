//! Ids for idempotent producers: each is handed out once in the life of the data directory.
//!
//! Ids are reserved in blocks: the file `producer_ids` holds the first id that no block has taken yet, and it is
//! durable before any id of the new block is given out. A crash skips the rest of a block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use logboom_disk::Disk;

use crate::error::Error;
use crate::limits::PRODUCER_ID_BLOCK;
use crate::stored;

const KIND: &str = "producer_ids";

/// Whether the file in `dir`, if there is one, can be read.
pub(crate) fn examine(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    stored::read::<i64>(disk, &dir.join(KIND), KIND).map(|_next| ())
}

/// The source of producer ids. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ProducerIds {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    block: Mutex<Block>,
}

struct Block {
    next: i64,
    end: i64,
}

impl ProducerIds {
    /// Reads where the last broker on this directory stopped reserving. Blocking.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<ProducerIds, Error> {
        let path = dir.join(KIND);
        let next = stored::read::<i64>(&*disk, &path, KIND)?.unwrap_or(1);
        Ok(ProducerIds {
            inner: Arc::new(Inner {
                disk,
                path,
                block: Mutex::new(Block { next, end: next }),
            }),
        })
    }

    /// A new id.
    pub(crate) async fn next(&self) -> Result<i64, logboom_disk::Error> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || inner.next()).await {
            Ok(id) => id,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

impl Inner {
    fn next(&self) -> Result<i64, logboom_disk::Error> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        if block.next == block.end {
            let end = block.end + PRODUCER_ID_BLOCK;
            stored::write(&*self.disk, &self.path, KIND, &end)?;
            block.end = end;
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_disk::SimDisk;

    #[test]
    fn ids_are_never_handed_out_twice_across_crashes_and_full_disks() {
        let disk = SimDisk::new(7);
        let mut seen = std::collections::HashSet::new();
        for round in 0..20 {
            let ids = ProducerIds::open(Arc::new(disk.clone()), Path::new("/")).unwrap();
            for _ in 0..(round * 173) {
                assert!(seen.insert(ids.inner.next().unwrap()));
            }
            disk.crash();
        }
    }
}
