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

/// The broker as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Every partition, ordered by topic and number.
    pub partitions: Vec<PartitionStatus>,
    /// Whether Produce is refused for want of disk space.
    pub disk_low: bool,
    /// Connections being served.
    pub connections: usize,
}

/// Cheap to clone; stays valid (and then frozen) after the broker has stopped.
#[derive(Clone)]
pub struct StatusHandle {
    pub(crate) read: Arc<dyn Fn() -> Status + Send + Sync>,
}

impl StatusHandle {
    /// The state of this moment.
    pub fn get(&self) -> Status {
        (self.read)()
    }
}
