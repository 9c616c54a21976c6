//! What an owner of the log may choose.

use std::time::Duration;

/// When written batches are synced, and so what an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Each batch by itself, before it is acknowledged and seen.
    Always,
    /// All batches that came in during the last sync with one sync, before they are acknowledged and seen.
    Group,
    /// So long after they were written and acknowledged at most: a power cut may take what came within.
    Interval(Duration),
    /// When the kernel sees fit, or their segment is closed: a power cut may take all of an open segment.
    Os,
}

impl Flush {
    /// Whether what is acknowledged is synced.
    pub fn comes_first(self) -> bool {
        matches!(self, Flush::Always | Flush::Group)
    }
}

/// Settings of all partitions of one disk. Resolved: nothing is optional that has a default.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A segment is closed rather than grown beyond this. Large enough that closing is rare, small enough that
    /// retention, which removes whole segments, is not coarse.
    pub segment_bytes: u64,
    /// A segment that has taken records for this long is closed at the next append, so that retention reaches
    /// them although little is written.
    pub segment_age_max: Duration,
    /// One index entry for so many bytes: how much a read may have to walk over.
    pub index_interval_bytes: u64,
    /// After so many bytes a partition notes its index and producers, so that a restart after a crash reads at most
    /// this much of each: 8 MiB take 40 ms at 200 MB/s.
    pub checkpoint_bytes: u64,
    /// Records are kept this long after their arrival. `None`: for ever.
    pub retention: Option<Duration>,
    /// A partition is kept below this. `None`: no bound.
    pub retention_bytes: Option<u64>,
    /// Appends are refused, retriably, rather than leave less than this free on the disk.
    pub disk_free_min_bytes: u64,
    pub flush: Flush,
    /// Threads that create, open and close partitions side by side: most of that is waiting for syncs, which a disk does
    /// together. 1: in the caller's.
    pub threads: usize,
    /// How long a group waits for more appends once it has one. The group before it, while it is being synced,
    /// does the collecting; a wait on top only helps disks whose sync costs more than this.
    pub group_wait: Duration,
}

/// What a partition may have for its own; the same fields of [`LogConfig`] hold for those that have nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSettings {
    pub segment_bytes: u64,
    pub segment_age_max: Duration,
    pub retention: Option<Duration>,
    pub retention_bytes: Option<u64>,
    /// Batches get the time of their arrival (Kafka's LogAppendTime) instead of keeping the times of their producer.
    pub stamp_arrival: bool,
}

impl LogConfig {
    /// The settings of a partition that has none of its own.
    pub fn partition(&self) -> PartitionSettings {
        PartitionSettings {
            segment_bytes: self.segment_bytes,
            segment_age_max: self.segment_age_max,
            retention: self.retention,
            retention_bytes: self.retention_bytes,
            stamp_arrival: false,
        }
    }
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 128 << 20,
            segment_age_max: Duration::from_secs(24 * 3600),
            index_interval_bytes: 32 << 10,
            checkpoint_bytes: 8 << 20,
            retention: Some(Duration::from_secs(7 * 24 * 3600)),
            retention_bytes: None,
            disk_free_min_bytes: 256 << 20,
            flush: Flush::Group,
            threads: 16,
            group_wait: Duration::ZERO,
        }
    }
}
