//! A disk in memory that behaves as badly as a real one is allowed to.
//!
//! Every file has what a process sees and what the medium holds; every directory likewise. [`SimDisk::crash`]
//! decides, from the seed, what of the difference survives: of a file none, all, a prefix or any subset of the
//! 512-byte sectors that were written but not synced (a lost one beyond the old end reads as zeros); of a
//! directory a prefix of the changes that were not synced. Space can run out, with part of a write done. A sync can
//! fail, and then, as on Linux, the unsynced bytes are still seen but will never be written unless written anew.
//!
//! [`SimDisk::stop_after`] makes every call fail from some step on, so that a test can crash at each step of a
//! procedure. Not modelled: a sector that holds an intermediate of two unsynced writes, and sectors torn inside.

mod file;
mod node;
mod state;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::file::SimFile;
use self::node::{Change, DirNode, FileNode, Node};
use self::state::{State, check_name};
use crate::{Disk, DiskFile, DiskSpace, Entry, Error};

/// Clones are handles on the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk whose every choice follows from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            chance: StdRng::seed_from_u64(seed),
            nodes: vec![Node::Dir(DirNode::default())],
            capacity: None,
            used: 0,
            steps_left: None,
            sync_failures_per_mille: 0,
            life: 0,
            syncs: 0,
        };
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Power fails: unsynced changes survive or not, open handles are useless, faults are switched off.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.steps_left = None;
        state.sync_failures_per_mille = 0;
        let State { chance, nodes, .. } = &mut *state;
        for node in nodes.iter_mut() {
            match node {
                Node::File(file) => file.crash(chance),
                Node::Dir(dir) => dir.crash(chance),
            }
        }
        state.used = state.count_used(0);
    }

    /// Switches the faults off and leaves all else as it is, like a kill of the process alone.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.steps_left = None;
        state.sync_failures_per_mille = 0;
    }

    /// Total size of files after which writes and reservations fail.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    pub fn used_bytes(&self) -> u64 {
        self.lock().used
    }

    /// Of a thousand syncs of a file, how many fail from now on.
    pub fn fail_syncs(&self, per_mille: u32) {
        self.lock().sync_failures_per_mille = per_mille;
    }

    /// Lets `steps` more calls that change something succeed, then fails all of them until [`SimDisk::crash`].
    pub fn stop_after(&self, steps: u64) {
        self.lock().steps_left = Some(steps);
    }

    /// Syncs of files so far, failed ones included.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Changes bytes behind everybody's back, both seen and durable: bit rot.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let id = state.find(path).expect("no such path");
        let Node::File(file) = &mut state.nodes[id] else {
            panic!("not a file")
        };
        change(&mut file.seen);
        file.durable.clone_from(&file.seen);
        file.dirty.clear();
        state.used = state.count_used(0);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked with the lock held has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let mut state = self.lock();
        let id = state.add("create", path, Node::File(FileNode::default()))?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            id,
            life: state.life,
            path: path.to_path_buf(),
        }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let state = self.lock();
        let id = state
            .find(path)
            .filter(|id| matches!(state.nodes[*id], Node::File(_)));
        let id = id.ok_or_else(|| Error::NotFound {
            path: path.to_path_buf(),
        })?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            id,
            life: state.life,
            path: path.to_path_buf(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        assert_eq!(
            from.parent(),
            to.parent(),
            "nothing of ours moves between directories"
        );
        let mut state = self.lock();
        state.step("rename", from)?;
        let (dir, old) = state.place(from)?;
        if !dir.seen.contains_key(&old) {
            return Err(Error::NotFound {
                path: from.to_path_buf(),
            });
        }
        let new = to
            .file_name()
            .and_then(|name| name.to_str())
            .expect("names of ours are UTF-8")
            .to_owned();
        check_name(to, &new)?;
        dir.change(Change::Rename(old, new));
        state.used = state.count_used(0);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        let mut state = self.lock();
        state.step("remove", path)?;
        if !state
            .find(path)
            .is_some_and(|id| matches!(state.nodes[id], Node::File(_)))
        {
            return Err(Error::NotFound {
                path: path.to_path_buf(),
            });
        }
        let (dir, name) = state.place(path)?;
        dir.change(Change::Remove(name));
        state.used = state.count_used(0);
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        let state = self.lock();
        match state.find(dir).map(|id| &state.nodes[id]) {
            Some(Node::Dir(found)) => Ok(found
                .seen
                .iter()
                .map(|(name, id)| Entry {
                    name: name.clone(),
                    is_dir: matches!(state.nodes[*id], Node::Dir(_)),
                })
                .collect()),
            _ => Err(Error::NotFound {
                path: dir.to_path_buf(),
            }),
        }
    }

    fn create_dir(&self, dir: &Path) -> Result<(), Error> {
        let mut state = self.lock();
        if state
            .find(dir)
            .is_some_and(|id| matches!(state.nodes[id], Node::Dir(_)))
        {
            return Ok(());
        }
        state
            .add("create directory", dir, Node::Dir(DirNode::default()))
            .map(|_id| ())
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), Error> {
        let mut state = self.lock();
        state.step("remove directory", dir)?;
        match state.find(dir).map(|id| &state.nodes[id]) {
            Some(Node::Dir(found)) if found.seen.is_empty() => {}
            Some(Node::Dir(_)) => {
                return Err(Error::io(
                    "remove directory",
                    dir,
                    io::ErrorKind::DirectoryNotEmpty.into(),
                ));
            }
            _ => {
                return Err(Error::NotFound {
                    path: dir.to_path_buf(),
                });
            }
        }
        let (parent, name) = state.place(dir)?;
        parent.change(Change::Remove(name));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        let mut state = self.lock();
        state.step("sync directory", dir)?;
        match state.find(dir) {
            Some(id) => match &mut state.nodes[id] {
                Node::Dir(found) => {
                    found.sync();
                    Ok(())
                }
                Node::File(_) => Err(Error::NotFound {
                    path: dir.to_path_buf(),
                }),
            },
            None => Err(Error::NotFound {
                path: dir.to_path_buf(),
            }),
        }
    }

    fn space(&self, _dir: &Path) -> Result<DiskSpace, Error> {
        let state = self.lock();
        Ok(DiskSpace {
            total: state.capacity.unwrap_or(u64::MAX / 2),
            free: state.room(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_longer_than_a_filesystem_takes_are_refused() {
        let disk = SimDisk::new(0);
        let path = |len: usize| Path::new("/").join("x".repeat(len));
        assert!(disk.create(&path(256)).is_err() && disk.create_dir(&path(256)).is_err());
        disk.create(&path(255)).unwrap();
        assert!(disk.rename(&path(255), &path(256)).is_err());
        disk.open(&path(255)).unwrap();
    }
}
