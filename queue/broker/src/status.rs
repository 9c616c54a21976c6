//! A view on a running broker for those who only look: the pipeline page, `/readyz`, tests.

use std::sync::Arc;

/// One partition as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartitionStatus {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// First offset that is still kept.
    pub start: i64,
    /// Offset that the next synced record will get.
    pub end: i64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A group on a topic for which it has committed offsets.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct GroupStatus {
    /// Group name.
    pub group: String,
    /// Topic name.
    pub topic: String,
    /// Records that it has still to read.
    pub lag_records: u64,
    /// About so many bytes of batches hold them.
    pub lag_bytes: u64,
    /// How old the oldest of them is, by its own time.
    pub lag_seconds: f64,
    /// Records that retention deleted before it read them, since the broker started.
    pub lost_records: u64,
    /// Whether it has still to read past the last of those.
    pub is_losing: bool,
}

/// The broker as it stands now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Status {
    /// Every partition, ordered by topic and number.
    pub partitions: Vec<PartitionStatus>,
    /// Every group with committed offsets, a few seconds old, ordered by group and topic.
    pub groups: Vec<GroupStatus>,
    /// Whether Produce is refused for want of disk space.
    pub disk_low: bool,
    /// Connections being served.
    pub connections: usize,
}

/// Cheap to clone; stays valid (and then frozen) after the broker has stopped.
#[derive(Clone)]
pub struct StatusHandle {
    pub(crate) read: Arc<dyn Fn() -> Status + Send + Sync>,
    pub(crate) groups: Arc<dyn Fn() -> Vec<GroupStatus> + Send + Sync>,
}

impl StatusHandle {
    /// The groups alone, for those who ask often: see [`Status::groups`].
    pub fn groups(&self) -> Vec<GroupStatus> {
        (self.groups)()
    }

    /// The state of this moment.
    pub fn get(&self) -> Status {
        (self.read)()
    }
}
