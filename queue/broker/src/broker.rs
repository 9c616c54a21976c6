//! The broker as a whole: what is opened, what runs beside the sessions, and in which order it all ends.
//!
//! Order of the end: no new connections; every session answers what it has read; the timers stop; the journals of
//! transactions and offsets and the logs are written out and the clean-shutdown mark is set. A kill instead of that costs a longer start.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use logboom_disk::{DirLock, Disk, RealDisk};
use metrics::{counter, gauge};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::limits::{BATCH_BYTES_MAX, FRAME_BYTES_MAX, PARTITIONS_PER_TOPIC_MAX};
use crate::log::{Flush, LogConfig, Logs};
use crate::metrics as names;
use crate::node::{Node, Peer};
use crate::offsets::Offsets;
use crate::producer_ids::ProducerIds;
use crate::security::{self, Admitted, Listener, Listeners, Terms, Users};
use crate::session::SessionError;
use crate::status::StatusHandle;
use crate::topics::Topics;
use crate::transactions::{self, Transactions};
use crate::{retention, session, stored};

/// After the listener could not accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An opened broker: its data directory is locked and recovered, nothing is served yet.
pub struct Broker {
    node: Arc<Node>,
    logs: Arc<Logs>,
    disk: Arc<dyn Disk>,
    /// Held to the end: one broker a directory.
    lock: DirLock,
}

impl Broker {
    /// Locks the data directory and recovers what is in it.
    pub async fn open(config: Config) -> Result<Broker, Error> {
        check(&config)?;
        match tokio::task::spawn_blocking(move || Broker::open_blocking(config)).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::Panicked { task: "open" }),
        }
    }

    fn open_blocking(config: Config) -> Result<Broker, Error> {
        let dir = config.data_dir.clone();
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::DataDir {
            path: dir.clone(),
            source,
        };
        std::fs::create_dir_all(&dir).map_err(|error| failed(error.into()))?;
        let lock =
            DirLock::acquire(&dir.join("lock"), "queue").map_err(|error| failed(error.into()))?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let log_config = LogConfig {
            flush: config.flush,
            segment_bytes: config.segment_bytes,
            retention: config.retention,
            retention_bytes: config.retention_bytes,
            disk_free_min_bytes: config.disk_free_min_bytes,
            ..LogConfig::default()
        };
        let logs = Logs::open(disk.clone(), &dir.join("log"), log_config)
            .map_err(|error| failed(error.into()))?;
        let logs = Arc::new(logs);
        let topics = Topics::open(disk.clone(), &dir, logs.clone())?;
        let offsets = Offsets::open(disk.clone(), &dir)?;
        if let Err(error) = offsets.retain_topics(|topic| topics.get(topic).is_some()) {
            warn!(%error, "offsets that groups committed for deleted topics remain");
        }
        let producer_ids = ProducerIds::open(disk.clone(), &dir)?;
        let transactions = Transactions::open(disk.clone(), &dir)?;
        let cluster_id = match &config.cluster_id {
            Some(id) => id.clone(),
            None => stored_cluster_id(&*disk, &dir)?,
        };
        let users = Users::open(disk.clone(), config.users_file.clone())?;
        let node = Node::new(
            config,
            cluster_id,
            topics,
            offsets,
            producer_ids,
            transactions,
            users,
        );
        let node = Arc::new(node);
        Ok(Broker {
            node,
            logs,
            disk,
            lock,
        })
    }

    /// A view for those who only look.
    pub fn status(&self) -> StatusHandle {
        let (node, grouped) = (self.node.clone(), self.node.clone());
        StatusHandle {
            read: Arc::new(move || node.status()),
            groups: Arc::new(move || grouped.lag.groups()),
        }
    }

    /// Serves until `stop`; then refuses new connections, finishes what was accepted, syncs and returns.
    pub async fn run(
        self,
        listeners: impl Into<Listeners>,
        ready: watch::Sender<bool>,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let Broker {
            node,
            logs,
            disk,
            lock,
        } = self;
        let listeners: Vec<Listener> = listeners.into().0;
        for listener in &listeners {
            if let Ok(address) = listener.socket.local_addr() {
                let protocol = listener.terms.protocol();
                info!(%address, protocol, cluster = node.cluster_id, "queue serves");
            }
        }
        // What a crash interrupted is ended before anybody can ask for it.
        transactions::finish_prepared(&node).await;
        transactions::abort_orphans(&node).await;
        let timers_stop = CancellationToken::new();
        let mut timers = JoinSet::new();
        timers.spawn({
            let (node, stop) = (node.clone(), timers_stop.clone());
            async move { node.groups.keep_time(stop).await }
        });
        timers.spawn({
            let (node, stop) = (node.clone(), timers_stop.clone());
            async move { transactions::keep_time(&node, stop).await }
        });
        timers.spawn(retention::run(node.clone(), disk, timers_stop.clone()));
        timers.spawn(security::reload(
            node.clone(),
            listeners
                .iter()
                .filter_map(|listener| listener.terms.tls.clone())
                .collect(),
            timers_stop.clone(),
        ));

        ready.send_replace(true);
        let served = accept(&node, listeners, &mut timers, stop).await;
        ready.send_replace(false);

        timers_stop.cancel();
        let mut outcome = served;
        while let Some(ended) = timers.join_next().await {
            outcome = outcome.and(joined(ended, "timers"));
        }
        let closed = tokio::task::spawn_blocking(move || {
            let transactions = node.transactions.close().map_err(|_| Error::Panicked {
                task: "transactions",
            });
            let offsets = node
                .offsets
                .close()
                .map_err(|_| Error::Panicked { task: "offsets" });
            let closed = logs.close().map_err(|source| Error::DataDir {
                path: node.config.data_dir.clone(),
                source: Box::new(source),
            });
            drop(lock);
            transactions.and(offsets).and(closed)
        });
        let closed = closed
            .await
            .unwrap_or(Err(Error::Panicked { task: "close" }));
        info!("queue stopped");
        outcome.and(closed)
    }
}

/// Accepts connections until `stop`, then waits for their sessions. A timer that ends early is a defect and ends
/// the serving.
async fn accept(
    node: &Arc<Node>,
    listeners: Vec<Listener>,
    timers: &mut JoinSet<()>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut sessions = JoinSet::new();
    let sessions_stop = CancellationToken::new();
    let mut accepting: FuturesUnordered<_> = listeners.into_iter().map(accept_one).collect();
    let outcome = loop {
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some(ended) = timers.join_next() => {
                break joined(ended, "timers").and(Err(Error::Panicked { task: "timers" }));
            }
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => log_session(ended),
            Some((listener, accepted)) = accepting.next() => {
                match accepted {
                    Ok((stream, _)) => start_session(node, &listener.terms, stream, &mut sessions, &sessions_stop),
                    Err(error) => {
                        warn!(%error, "connection cannot be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                accepting.push(accept_one(listener));
            }
        }
    };
    drop(accepting);
    sessions_stop.cancel();
    let drained = tokio::time::timeout(node.config.drain_timeout, async {
        while let Some(ended) = sessions.join_next().await {
            log_session(ended);
        }
    });
    if drained.await.is_err() {
        warn!(connections = sessions.len(), patience = ?node.config.drain_timeout, "connections did not finish in time");
        sessions.shutdown().await;
    }
    outcome
}

/// Each listener is waited for on its own, so that a busy one does not keep the others waiting.
async fn accept_one(listener: Listener) -> (Listener, io::Result<(TcpStream, SocketAddr)>) {
    let accepted = listener.socket.accept().await;
    (listener, accepted)
}

fn start_session(
    node: &Arc<Node>,
    terms: &Arc<Terms>,
    stream: TcpStream,
    sessions: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        // Gone before it was looked at.
        return;
    };
    if sessions.len() >= node.config.max_connections {
        counter!(names::CONNECTIONS_REFUSED).increment(1);
        warn!(%remote, max = node.config.max_connections, "too many connections, this one is closed");
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%remote, %error, "small answers may be delayed");
    }
    let (node, terms, stop) = (node.clone(), terms.clone(), stop.clone());
    sessions.spawn(async move {
        let _counted = Counted::new(&node);
        if let Err(error) = converse(&node, &terms, stream, (remote, local), stop).await {
            counter!(names::CONNECTIONS_FAILED, "reason" => error.reason()).increment(1);
            match &error {
                SessionError::Admission(error)
                    if error.is_telling() && node.refusals.may_tell() =>
                {
                    warn!(%remote, %error, "connection refused");
                }
                error => debug!(%remote, %error, "connection closed"),
            }
        }
    });
}

/// A connection from its first byte to its last.
async fn converse(
    node: &Arc<Node>,
    terms: &Terms,
    stream: TcpStream,
    (remote, local): (SocketAddr, SocketAddr),
    stop: CancellationToken,
) -> Result<(), SessionError> {
    let admitting = security::admit(&node.admissions, terms, stream);
    let Some(admitted) = stop.run_until_cancelled(admitting).await else {
        return Ok(());
    };
    let (stream, principal) = admitted?;
    let peer = Peer {
        remote,
        local,
        advertised: terms.advertised.clone(),
        principal,
        closing: CancellationToken::new(),
    };
    match stream {
        Admitted::Plain(stream) => {
            let (reader, writer) = stream.into_split();
            session::serve(node.clone(), peer, reader, writer, stop).await
        }
        Admitted::Tls(stream) => {
            let (reader, writer) = tokio::io::split(stream);
            session::serve(node.clone(), peer, reader, writer, stop).await
        }
    }
}

/// A connection in the count, also when its session panics.
struct Counted {
    node: Arc<Node>,
}

impl Counted {
    fn new(node: &Arc<Node>) -> Counted {
        let count = node.connections.fetch_add(1, Ordering::Relaxed) + 1;
        gauge!(names::CONNECTIONS).set(count as f64);
        Counted { node: node.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let count = self.node.connections.fetch_sub(1, Ordering::Relaxed) - 1;
        gauge!(names::CONNECTIONS).set(count as f64);
    }
}

/// One session's panic is a defect, but it has taken nobody else down: it is reported, and the rest is served.
fn log_session(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        counter!(names::CONNECTIONS_FAILED, "reason" => "panic").increment(1);
        tracing::error!(%error, "a connection's task panicked");
    }
}

fn joined(ended: Result<(), JoinError>, task: &'static str) -> Result<(), Error> {
    ended.map_err(|_| Error::Panicked { task })
}

fn stored_cluster_id(disk: &dyn Disk, dir: &Path) -> Result<String, Error> {
    const KIND: &str = "cluster";
    let path = dir.join(KIND);
    if let Some(id) = stored::read::<String>(disk, &path, KIND)? {
        return Ok(id);
    }
    let id = Uuid::new_v4().simple().to_string();
    stored::write(disk, &path, KIND, &id).map_err(|source| Error::DataDir {
        path,
        source: Box::new(source),
    })?;
    Ok(id)
}

fn check(config: &Config) -> Result<(), Error> {
    let refuse = |key, problem: String| Err(Error::Setting { key, problem });
    if !(1..=PARTITIONS_PER_TOPIC_MAX).contains(&config.default_partitions) {
        return refuse(
            "default_partitions",
            format!(
                "`{}`: 1 to {PARTITIONS_PER_TOPIC_MAX} are allowed",
                config.default_partitions
            ),
        );
    }
    if !(1..=BATCH_BYTES_MAX).contains(&config.max_batch_bytes) {
        return refuse(
            "max_batch_bytes",
            format!(
                "`{}`: 1 to {BATCH_BYTES_MAX} are allowed",
                config.max_batch_bytes
            ),
        );
    }
    if !(config.max_batch_bytes..=FRAME_BYTES_MAX).contains(&config.max_frame_bytes) {
        return refuse(
            "max_frame_bytes",
            format!(
                "`{}`: max_batch_bytes to {FRAME_BYTES_MAX} are allowed",
                config.max_frame_bytes
            ),
        );
    }
    if config.max_connections == 0 {
        return refuse("max_connections", "`0`: at least 1 is needed".to_owned());
    }
    if config.flush == Flush::Interval(Duration::ZERO) {
        return refuse("flush", "an interval of `0`: must be longer".to_owned());
    }
    if config.reload_interval.is_zero() {
        return refuse("reload_interval", "`0`: must be longer".to_owned());
    }
    if config.retention_interval.is_zero() {
        return refuse("retention_interval", "`0`: must be longer".to_owned());
    }
    Ok(())
}
