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

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Disk, DiskFile, Entry, Error};

const SECTOR_BYTES: usize = 512;

/// As on ext4, xfs and most others.
const NAME_BYTES_MAX: usize = 255;

type NodeId = usize;

/// Clones are handles on the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chance: StdRng,
    nodes: Vec<Node>,
    /// `None`: endless.
    capacity: Option<u64>,
    /// Of all files that have a name.
    used: u64,
    /// How many more calls that change something succeed.
    steps_left: Option<u64>,
    /// Of a thousand syncs of a file, how many fail.
    sync_failures_per_mille: u32,
    /// Handles opened before a crash are of an older life and useless.
    life: u32,
    syncs: u64,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
struct FileNode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `seen` that the next sync would write.
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct DirNode {
    seen: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Add(String, NodeId),
    Remove(String),
    Rename(String, String),
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

impl FileNode {
    fn crash(&mut self, chance: &mut StdRng) {
        let len_changed = self.seen.len() != self.durable.len();
        if self.dirty.is_empty() && !len_changed {
            return;
        }
        let dirty: Vec<usize> = self.dirty.iter().copied().collect();
        let kept: BTreeSet<usize> = match chance.random_range(0..4) {
            0 => BTreeSet::new(),
            1 => dirty.iter().copied().collect(),
            2 => dirty
                .iter()
                .copied()
                .take(chance.random_range(0..=dirty.len()))
                .collect(),
            _ => dirty
                .iter()
                .copied()
                .filter(|_| chance.random_bool(0.5))
                .collect(),
        };
        let len = if chance.random_bool(0.5) {
            self.seen.len()
        } else {
            self.durable.len()
        };
        let mut after = self.durable.clone();
        after.resize(len, 0);
        for sector in kept {
            let from = sector * SECTOR_BYTES;
            let to = (from + SECTOR_BYTES).min(len).min(self.seen.len());
            if from < to {
                after[from..to].copy_from_slice(&self.seen[from..to]);
            }
        }
        self.seen.clone_from(&after);
        self.durable = after;
        self.dirty.clear();
    }

    fn mark_dirty(&mut self, from: usize, to: usize) {
        if from < to {
            self.dirty
                .extend(from / SECTOR_BYTES..=(to - 1) / SECTOR_BYTES);
        }
    }

    fn sync(&mut self) {
        let len = self.seen.len();
        self.durable.resize(len, 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = (sector * SECTOR_BYTES).min(len);
            let to = (from + SECTOR_BYTES).min(len);
            self.durable[from..to].copy_from_slice(&self.seen[from..to]);
        }
    }
}

impl DirNode {
    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }

    fn crash(&mut self, chance: &mut StdRng) {
        let survive = chance.random_range(0..=self.unsynced.len());
        self.unsynced.truncate(survive);
        self.sync();
        self.seen.clone_from(&self.durable);
    }
}

fn apply(names: &mut BTreeMap<String, NodeId>, change: &Change) {
    match change {
        Change::Add(name, id) => {
            names.insert(name.clone(), *id);
        }
        Change::Remove(name) => {
            names.remove(name);
        }
        Change::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
    }
}

fn check_name(path: &Path, name: &str) -> Result<(), Error> {
    if name.len() > NAME_BYTES_MAX {
        let source = io::ErrorKind::InvalidFilename.into();
        return Err(Error::io("use the name", path, source));
    }
    Ok(())
}

impl State {
    fn find(&self, path: &Path) -> Option<NodeId> {
        let mut id = 0;
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            let Node::Dir(dir) = &self.nodes[id] else {
                return None;
            };
            id = *dir.seen.get(name.to_str()?)?;
        }
        Some(id)
    }

    /// The directory that holds the name of `path`, and the name.
    fn place(&mut self, path: &Path) -> Result<(&mut DirNode, String), Error> {
        let not_found = || Error::NotFound {
            path: path.to_path_buf(),
        };
        let parent = path.parent().ok_or_else(not_found)?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(not_found)?
            .to_owned();
        check_name(path, &name)?;
        let id = self.find(parent).ok_or_else(not_found)?;
        match &mut self.nodes[id] {
            Node::Dir(dir) => Ok((dir, name)),
            Node::File(_) => Err(not_found()),
        }
    }

    fn step(&mut self, operation: &'static str, path: &Path) -> Result<(), Error> {
        match &mut self.steps_left {
            Some(0) => Err(Error::io(
                operation,
                path,
                io::Error::other("simulated stop"),
            )),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn add(&mut self, operation: &'static str, path: &Path, node: Node) -> Result<NodeId, Error> {
        self.step(operation, path)?;
        let id = self.nodes.len();
        let (dir, name) = self.place(path)?;
        if dir.seen.contains_key(&name) {
            return Err(Error::io(
                operation,
                path,
                io::ErrorKind::AlreadyExists.into(),
            ));
        }
        dir.change(Change::Add(name, id));
        self.nodes.push(node);
        Ok(id)
    }

    fn count_used(&self, id: NodeId) -> u64 {
        match &self.nodes[id] {
            Node::File(file) => file.seen.len() as u64,
            Node::Dir(dir) => dir.seen.values().map(|id| self.count_used(*id)).sum(),
        }
    }

    fn room(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(self.used))
    }

    fn file(&mut self, id: NodeId) -> &mut FileNode {
        match &mut self.nodes[id] {
            Node::File(file) => file,
            Node::Dir(_) => unreachable!("handles are made for files only"),
        }
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

    fn free_bytes(&self, _dir: &Path) -> Result<u64, Error> {
        Ok(self.lock().room())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: NodeId,
    life: u32,
    path: PathBuf,
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
