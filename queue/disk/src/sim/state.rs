//! The tree of nodes and the faults that are to come.

use std::io;
use std::path::{Component, Path};

use rand::rngs::StdRng;

use super::node::{Change, DirNode, FileNode, Node, NodeId};
use crate::Error;

/// As on ext4, xfs and most others.
const NAME_BYTES_MAX: usize = 255;

#[derive(Debug)]
pub(super) struct State {
    pub(super) chance: StdRng,
    pub(super) nodes: Vec<Node>,
    /// `None`: endless.
    pub(super) capacity: Option<u64>,
    /// Of all files that have a name.
    pub(super) used: u64,
    /// How many more calls that change something succeed.
    pub(super) steps_left: Option<u64>,
    /// Of a thousand syncs of a file, how many fail.
    pub(super) sync_failures_per_mille: u32,
    /// Handles opened before a crash are of an older life and useless.
    pub(super) life: u32,
    pub(super) syncs: u64,
}

pub(super) fn check_name(path: &Path, name: &str) -> Result<(), Error> {
    if name.len() > NAME_BYTES_MAX {
        let source = io::ErrorKind::InvalidFilename.into();
        return Err(Error::io("use the name", path, source));
    }
    Ok(())
}

impl State {
    pub(super) fn find(&self, path: &Path) -> Option<NodeId> {
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
    pub(super) fn place(&mut self, path: &Path) -> Result<(&mut DirNode, String), Error> {
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

    pub(super) fn step(&mut self, operation: &'static str, path: &Path) -> Result<(), Error> {
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

    pub(super) fn add(
        &mut self,
        operation: &'static str,
        path: &Path,
        node: Node,
    ) -> Result<NodeId, Error> {
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

    pub(super) fn count_used(&self, id: NodeId) -> u64 {
        match &self.nodes[id] {
            Node::File(file) => file.seen.len() as u64,
            Node::Dir(dir) => dir.seen.values().map(|id| self.count_used(*id)).sum(),
        }
    }

    pub(super) fn room(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(self.used))
    }

    pub(super) fn file(&mut self, id: NodeId) -> &mut FileNode {
        match &mut self.nodes[id] {
            Node::File(file) => file,
            Node::Dir(_) => unreachable!("handles are made for files only"),
        }
    }
}
