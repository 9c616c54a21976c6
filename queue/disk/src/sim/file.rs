//! An open file of the simulated disk.

use std::io;
use std::path::PathBuf;
use std::sync::MutexGuard;

use rand::RngExt;

use super::SimDisk;
use super::node::NodeId;
use super::state::State;
use crate::{DiskFile, Error};

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) id: NodeId,
    pub(super) life: u32,
    pub(super) path: PathBuf,
}

impl SimFile {
    fn live(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.disk.lock();
        if state.life != self.life {
            return Err(Error::io(
                operation,
                &self.path,
                io::Error::other("the handle is from before the crash"),
            ));
        }
        Ok(state)
    }

    fn change(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.live(operation)?;
        state.step(operation, &self.path)?;
        Ok(state)
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.change("write")?;
        let offset = offset as usize;
        let room = state.room();
        let len = state.file(self.id).seen.len();
        let grows = (offset + bytes.len()).saturating_sub(len) as u64;
        let fits = grows <= room;
        let written = if fits {
            bytes.len()
        } else {
            state
                .chance
                .random_range(0..=len.saturating_sub(offset).min(bytes.len()) + room as usize)
        };
        let written = written.min(bytes.len());
        let file = state.file(self.id);
        if written > 0 {
            let end = offset + written;
            if file.seen.len() < end {
                file.seen.resize(end, 0);
            }
            file.seen[offset..end].copy_from_slice(&bytes[..written]);
            file.mark_dirty(offset, end);
        }
        let grown = (file.seen.len() - len) as u64;
        state.used += grown;
        if fits {
            Ok(())
        } else {
            Err(Error::io(
                "write",
                &self.path,
                io::ErrorKind::StorageFull.into(),
            ))
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut state = self.live("read")?;
        let seen = &state.file(self.id).seen;
        let from = (offset as usize).min(seen.len());
        let count = buffer.len().min(seen.len() - from);
        buffer[..count].copy_from_slice(&seen[from..from + count]);
        Ok(count)
    }

    fn len(&self) -> Result<u64, Error> {
        Ok(self.live("stat")?.file(self.id).seen.len() as u64)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut state = self.change("cut")?;
        let file = state.file(self.id);
        let (old, new) = (file.seen.len(), len as usize);
        file.seen.resize(new, 0);
        // What was cut and grown again reads as zeros once synced, whatever the medium had there.
        file.mark_dirty(old.min(new), old.max(new));
        state.used = state.used + len - old as u64;
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        let mut state = self.change("reserve space for")?;
        let end = offset + len;
        let old = state.file(self.id).seen.len() as u64;
        let grows = end.saturating_sub(old);
        if grows > state.room() {
            return Err(Error::io(
                "reserve space for",
                &self.path,
                io::ErrorKind::StorageFull.into(),
            ));
        }
        let file = state.file(self.id);
        if grows > 0 {
            file.seen.resize(end as usize, 0);
            file.mark_dirty(old as usize, end as usize);
        }
        state.used += grows;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut state = self.change("sync")?;
        state.syncs += 1;
        let rate = state.sync_failures_per_mille;
        let fails = rate > 0 && state.chance.random_range(0..1000) < rate;
        let file = state.file(self.id);
        if fails {
            // The kernel marks the pages clean: seen, not durable, and no later sync will write them.
            file.dirty.clear();
            return Err(Error::SyncFailed {
                path: self.path.clone(),
                source: io::Error::other("simulated failure"),
            });
        }
        file.sync();
        Ok(())
    }
}
