//! What a file and a directory are to a process, what they are on the medium, and what a crash leaves of the
//! difference.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::StdRng;

const SECTOR_BYTES: usize = 512;

pub(super) type NodeId = usize;

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors of `seen` that the next sync would write.
    pub(super) dirty: BTreeSet<usize>,
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) seen: BTreeMap<String, NodeId>,
    pub(super) durable: BTreeMap<String, NodeId>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(String, NodeId),
    Remove(String),
    Rename(String, String),
}

impl FileNode {
    pub(super) fn crash(&mut self, chance: &mut StdRng) {
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

    pub(super) fn mark_dirty(&mut self, from: usize, to: usize) {
        if from < to {
            self.dirty
                .extend(from / SECTOR_BYTES..=(to - 1) / SECTOR_BYTES);
        }
    }

    pub(super) fn sync(&mut self) {
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
    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }

    pub(super) fn crash(&mut self, chance: &mut StdRng) {
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
