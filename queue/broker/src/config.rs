//! What the broker is told: resolved and validated by the binary, taken here by value.
//! Nothing in this crate reads the environment or a file to find out how it should behave.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::log::Flush;
use crate::security::AccessRules;

/// Everything that the broker needs to know before it opens its data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory that this broker owns, by lock, for as long as it runs.
    pub data_dir: PathBuf,
    /// What clients are told to connect to, unless their listener says otherwise. `None`: the address by which each client reached us,
    /// which is right unless a NAT or a container boundary lies between.
    pub advertised: Option<(String, u16)>,
    /// Reported by Metadata and DescribeCluster. `None`: made once and kept in the data directory.
    pub cluster_id: Option<String>,
    /// This broker's id on the wire; one node has one.
    pub node_id: i32,
    /// Partitions of a topic that was created without saying how many.
    pub default_partitions: u32,
    /// Whether Metadata and Produce create a topic that does not exist.
    pub auto_create_topics: bool,
    /// When records are synced, and so what an acknowledgement of Produce promises. Offsets, topics and the rest of the
    /// broker's state are always synced before they are answered.
    pub flush: Flush,
    /// Size at which a partition's active segment is closed and the next one begun.
    pub segment_bytes: u64,
    /// Age past which a closed segment is deleted. `None`: age does not count.
    pub retention: Option<Duration>,
    /// Size of a partition past which its oldest closed segments are deleted. `None`: size does not count.
    pub retention_bytes: Option<u64>,
    /// How often retention and the disk watermark are looked at.
    pub retention_interval: Duration,
    /// Groups whose committed offsets retention never passes, for topics on which they have committed.
    pub protected_groups: Vec<String>,
    /// Free space on the data directory's disk below which Produce is refused (retriably).
    pub disk_free_min_bytes: u64,
    /// Largest request frame taken from a client.
    pub max_frame_bytes: usize,
    /// Largest record batch taken from a client; a larger one is answered with MESSAGE_TOO_LARGE.
    pub max_batch_bytes: usize,
    /// Connections served at a time; further ones are closed at once and counted.
    pub max_connections: usize,
    /// A connection that has sent nothing for this long is closed.
    pub idle_timeout: Duration,
    /// How long a stop waits for requests that were already accepted.
    pub drain_timeout: Duration,
    /// The users that listeners with SASL know: what [`UsersFile`](crate::UsersFile) writes. It may be missing.
    pub users_file: PathBuf,
    /// What principals may do. Without any rule, everything.
    pub access: AccessRules,
    /// How often users and certificates are looked at for changes.
    pub reload_interval: Duration,
}

impl Config {
    /// The documented defaults on the given data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Config {
        let data_dir = data_dir.into();
        Config {
            users_file: data_dir.join("users"),
            data_dir,
            advertised: None,
            cluster_id: None,
            node_id: 1,
            default_partitions: 4,
            auto_create_topics: true,
            flush: Flush::Group,
            segment_bytes: 128 * 1024 * 1024,
            retention: Some(Duration::from_secs(7 * 24 * 3600)),
            retention_bytes: None,
            retention_interval: Duration::from_secs(10),
            protected_groups: Vec::new(),
            disk_free_min_bytes: 512 * 1024 * 1024,
            max_frame_bytes: limits::FRAME_BYTES_MAX,
            max_batch_bytes: limits::BATCH_BYTES_MAX,
            max_connections: limits::CONNECTIONS_MAX,
            idle_timeout: limits::IDLE_TIMEOUT,
            drain_timeout: limits::DRAIN_TIMEOUT,
            access: AccessRules::default(),
            reload_interval: limits::RELOAD_INTERVAL,
        }
    }
}
