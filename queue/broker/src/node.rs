//! What all sessions share: the settings, the stores, and the budgets that bound them together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::config::Config;
use crate::groups::Groups;
use crate::lag::Lag;
use crate::limits::{FETCH_BYTES_IN_FLIGHT_MAX, IN_FLIGHT_BYTES_MAX};
use crate::offsets::Offsets;
use crate::producer_ids::ProducerIds;
use crate::security::{Admissions, Principal, Refusals, Users};
use crate::status::{PartitionStatus, Status};
use crate::topics::{Topic, TopicError, Topics};
use crate::transactions::Transactions;

/// The one broker of this process.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) cluster_id: String,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) offsets: Offsets,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) transactions: Transactions,
    pub(crate) lag: Lag,
    /// Kept by the retention task, for those who look; the log itself refuses appends.
    pub(crate) disk_low: AtomicBool,
    pub(crate) connections: AtomicUsize,
    pub(crate) admissions: Admissions,
    /// Bounds the lines about those who may not.
    pub(crate) refusals: Refusals,
    /// Permits are bytes of request frames.
    pub(crate) frame_budget: Arc<Semaphore>,
    /// Permits are bytes of Fetch answers.
    pub(crate) fetch_budget: Arc<Semaphore>,
}

impl Node {
    pub(crate) fn new(
        config: Config,
        cluster_id: String,
        topics: Topics,
        offsets: Offsets,
        producer_ids: ProducerIds,
        transactions: Transactions,
        users: Users,
    ) -> Node {
        Node {
            config,
            cluster_id,
            topics,
            groups: Groups::default(),
            offsets,
            producer_ids,
            transactions,
            lag: Lag::default(),
            disk_low: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            admissions: Admissions::new(users),
            refusals: Refusals::default(),
            frame_budget: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
            fetch_budget: Arc::new(Semaphore::new(FETCH_BYTES_IN_FLIGHT_MAX)),
        }
    }

    /// The topic, created with the default number of partitions if that is allowed.
    pub(crate) async fn topic_or_create(
        &self,
        name: &str,
        may_create: bool,
    ) -> Result<Arc<Topic>, TopicError> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic);
        }
        if !may_create || !self.config.auto_create_topics {
            // A name that can never exist is told apart, so that clients stop asking.
            return Err(match self.topics.check_create(name, 1) {
                Err(error @ TopicError::Name { .. }) => error,
                _ => TopicError::Unknown {
                    name: name.to_owned(),
                },
            });
        }
        match self
            .topics
            .create(name, self.config.default_partitions)
            .await
        {
            Err(TopicError::Exists { name }) => {
                debug!(topic = name, "another request created the topic first");
                self.topics.get(&name).ok_or(TopicError::Unknown { name })
            }
            outcome => outcome,
        }
    }

    pub(crate) fn status(&self) -> Status {
        let partitions = self
            .topics
            .list()
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .enumerate()
                    .map(|(number, log)| (topic.clone(), number, log.clone()))
            })
            .map(|(topic, number, log)| PartitionStatus {
                topic: topic.name.to_string(),
                partition: number as i32,
                start: log.log_start(),
                end: log.high_watermark(),
                bytes: log.size_bytes(),
            })
            .collect();
        Status {
            partitions,
            groups: self.lag.groups(),
            disk_low: self.disk_low.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

/// Milliseconds since 1970, by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// The client on one connection, and the address by which it reached this broker.
pub(crate) struct Peer {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    /// What its listener wants to be called, if it does not go by the settings of the whole broker.
    pub(crate) advertised: Option<(String, u16)>,
    pub(crate) principal: Principal,
    /// Cancelled when nothing more will come from the client, or the broker is stopping: long waits end early.
    pub(crate) closing: CancellationToken,
}

impl Peer {
    /// Host and port under which this client can reach the broker again.
    pub(crate) fn advertised(&self, config: &Config) -> (String, i32) {
        match self.advertised.as_ref().or(config.advertised.as_ref()) {
            // Port 0 stands for the port that was bound.
            Some((host, 0)) => (host.clone(), i32::from(self.local.port())),
            Some((host, port)) => (host.clone(), i32::from(*port)),
            None => (
                self.local.ip().to_canonical().to_string(),
                i32::from(self.local.port()),
            ),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A node on a simulated disk, for tests of what a request does to it.

    use std::path::Path;

    use logboom_disk::{Disk, SimDisk};

    use super::*;
    use crate::log::{LogConfig, Logs};

    pub(crate) fn node(disk: SimDisk) -> Node {
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let dir = Path::new("/");
        let config = LogConfig {
            disk_free_min_bytes: 0,
            ..LogConfig::default()
        };
        let logs = Arc::new(Logs::open(disk.clone(), Path::new("/log"), config).unwrap());
        Node::new(
            Config::new(dir),
            "cluster".to_owned(),
            Topics::open(disk.clone(), dir, logs).unwrap(),
            Offsets::open(disk.clone(), dir).unwrap(),
            ProducerIds::open(disk.clone(), dir).unwrap(),
            Transactions::open(disk.clone(), dir).unwrap(),
            Users::open(disk, dir.join("users")).unwrap(),
        )
    }

    pub(crate) fn peer() -> Peer {
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        Peer {
            remote: address,
            local: address,
            advertised: None,
            principal: Principal::anonymous(),
            closing: CancellationToken::new(),
        }
    }
}
