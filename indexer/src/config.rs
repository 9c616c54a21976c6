//! What the binary tells the indexer.

use std::{path::PathBuf, time::Duration};

use logboom_client::ClientConfig;

/// The group under which offsets are committed: for the display of lag, and so that the built-in
/// queue keeps what is not indexed yet. The indexer itself never starts from them.
pub const GROUP: &str = "logboom-indexer";

/// Where agents report how they are.
pub const AGENT_STATUS_TOPIC: &str = "_logboom_agents";

/// A resolved configuration; [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds `metastore.db` and `splits/`; the caller holds its lock.
    pub data_dir: PathBuf,
    pub queue: ClientConfig,
    /// What is indexed.
    pub topics: Vec<String>,
    /// Those of the topics whose `lb.*` headers are believed.
    pub agent_topics: Vec<String>,
    /// With how many partitions a missing topic is created.
    pub partitions: u32,
    /// A hot segment is published when its lines reach this many bytes …
    pub hot_bytes_max: u64,
    /// … or when its first record is this old.
    pub hot_age_max: Duration,
    /// The longest that an indexed record waits until searches see it.
    pub refresh: Duration,
    /// Splits whose last record arrived longer ago are deleted.
    pub retention: Duration,
}

impl Config {
    /// The defaults, for the agents' topic `logs`.
    pub fn new(data_dir: PathBuf, queue: ClientConfig) -> Config {
        Config {
            data_dir,
            queue,
            topics: vec!["logs".to_owned()],
            agent_topics: vec!["logs".to_owned()],
            partitions: 4,
            hot_bytes_max: 64 << 20,
            hot_age_max: Duration::from_secs(30),
            refresh: Duration::from_millis(100),
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }

    pub(crate) fn splits_dir(&self) -> PathBuf {
        self.data_dir.join("splits")
    }

    pub(crate) fn metastore_path(&self) -> PathBuf {
        self.data_dir.join("metastore.db")
    }
}
