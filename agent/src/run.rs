//! The agent as a component: the tailer's thread, the task that waits for acks, and the status.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use logboom_client::{Admin, Producer};
use logboom_disk::{DirLock, RealDisk};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::checkpoint::Checkpoints;
use crate::config::Config;
use crate::error::Error;
use crate::limits;
use crate::ship::QueueSink;
use crate::status::{Status, now_ms};
use crate::tail::Tailer;
use crate::watch::Hints;

/// What wakes the tailer's thread.
#[derive(Debug)]
pub(crate) enum Wake {
    Changed(std::path::PathBuf),
    Acked,
    Stop,
}

/// Ships lines until `stop`. Waits for a queue that is away; ends with an error only when its state
/// cannot be kept.
pub async fn run(
    mut config: Config,
    ready: tokio::sync::watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.line_bytes_max = config.line_bytes_max.clamp(1, limits::LINE_BYTES_CEILING);
    if config.host.is_empty() {
        config.host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
    }
    let data_dir = config.data_dir.clone();
    std::fs::create_dir_all(&data_dir).map_err(|error| Error::Thread {
        what: "state",
        reason: format!("`{}`: {error}", data_dir.display()),
    })?;
    let _lock = DirLock::acquire(&data_dir.join("lock"), "agent")?;

    let Some(partitions) = partitions(&config, &stop).await? else {
        return Ok(());
    };
    let (wake, woken) = std::sync::mpsc::channel();
    let (sink, acks) = QueueSink::new(&config.queue, &config.topic, wake.clone())?;
    let acks = tokio::spawn(acks);
    let (states, state) = mpsc::channel(1);
    let status = tokio::spawn(publish(config.clone(), state));

    let hints = wake.clone();
    let tailer = tokio::task::spawn_blocking(move || {
        let seed = || rand::random::<[u8; 16]>();
        let journal_dir = config.data_dir.join("journal");
        let (checkpoints, saved) =
            Checkpoints::open(Arc::new(RealDisk), &journal_dir, machine(), seed)?;
        let tailer = Tailer::new(config, partitions, checkpoints, saved, sink, rand::random())?;
        drive(tailer, &woken, hints, &states)
    });
    ready.send_replace(true);
    let stopper = async {
        stop.cancelled().await;
        drop(wake.send(Wake::Stop));
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        joined = tailer => joined.map_err(|error| Error::Thread { what: "tailer", reason: error.to_string() }),
        () = stopper => unreachable!("it never ends"),
    };
    ready.send_replace(false);
    // Both end by themselves once the tailer has dropped its ends.
    for (what, task) in [("acks", acks), ("status", status)] {
        task.await.map_err(|error| Error::Thread {
            what,
            reason: error.to_string(),
        })?;
    }
    outcome?
}

/// Makes sure the topics exist, waiting for the queue; `None` when told to stop first.
async fn partitions(config: &Config, stop: &CancellationToken) -> Result<Option<u32>, Error> {
    let admin = Admin::new(&config.queue)?;
    let mut told = false;
    loop {
        let found = async {
            admin.ensure_topic(&config.status_topic, 1).await?;
            admin.ensure_topic(&config.topic, config.partitions).await
        };
        let found = tokio::select! {
            found = found => found,
            () = stop.cancelled() => return Ok(None),
        };
        match found {
            Ok(found) => return Ok(Some(found)),
            Err(error) if error.is_retriable() => {
                if told {
                    debug!(%error, "still waiting for the queue");
                } else {
                    warn!(%error, "waiting for the queue; files are read once it answers");
                }
                told = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// The tailer's time: begins at the wall clock's and then only goes forward, so that a clock that is
/// set back does not put off walks and checkpoints.
struct Clock {
    started_ms: u64,
    started: Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            started_ms: now_ms(),
            started: Instant::now(),
        }
    }

    fn now_ms(&self) -> u64 {
        self.started_ms + self.started.elapsed().as_millis() as u64
    }
}

/// Turns until told to stop, then waits a moment for what is in flight.
fn drive(
    mut tailer: Tailer<QueueSink>,
    woken: &Receiver<Wake>,
    wake: Sender<Wake>,
    states: &mpsc::Sender<Status>,
) -> Result<(), Error> {
    let mut hints = Hints::new(wake);
    let clock = Clock::start();
    let mut next_status = Instant::now();
    let mut changed = HashSet::new();
    loop {
        let now = clock.now_ms();
        for path in changed.drain() {
            tailer.hint(std::path::Path::new(&path), now);
        }
        let due_ms = tailer.turn(now)?;
        hints.watch(&tailer.folders);
        if Instant::now() >= next_status {
            // When the last one still waits for the queue, this one is left out.
            drop(states.try_send(tailer.status(clock.started_ms, now_ms())));
            next_status = Instant::now() + limits::STATUS;
        }
        let patience =
            Duration::from_millis(due_ms.saturating_sub(clock.now_ms())).min(limits::WARM_SWEEP);
        let mut wakes = match woken.recv_timeout(patience) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Wake::Stop),
        };
        while let Some(wake) = wakes {
            match wake {
                Wake::Changed(path) if changed.len() < limits::HINTS_MAX => {
                    changed.insert(path.into_os_string());
                }
                Wake::Changed(_) | Wake::Acked => {}
                Wake::Stop => return finish(tailer, woken, &clock),
            }
            wakes = woken.try_recv().ok();
        }
    }
}

/// Gives what is in flight a moment to be acked, so that a clean restart sends nothing twice.
fn finish(
    mut tailer: Tailer<QueueSink>,
    woken: &Receiver<Wake>,
    clock: &Clock,
) -> Result<(), Error> {
    let deadline = Instant::now() + limits::STOP_WAIT;
    while !tailer.runs.is_empty() && Instant::now() < deadline {
        // Any wake will do: acks are looked at in either case.
        let _woken = woken.recv_timeout(Duration::from_millis(20));
        tailer.take_reports(clock.now_ms())?;
    }
    info!(in_flight = tailer.runs.len(), "stopping");
    tailer.checkpoint()
}

/// Sends the agent's state to the queue.
async fn publish(config: Config, mut states: mpsc::Receiver<Status>) {
    let producer = match Producer::new(&config.queue) {
        Ok(producer) => producer,
        Err(error) => {
            warn!(%error, "cannot tell the state of this agent");
            return;
        }
    };
    while let Some(status) = states.recv().await {
        let value = serde_json::to_vec(&status).expect("a status has no unserialisable part");
        let time = status_time();
        let sent = producer
            .send(
                &config.status_topic,
                Some(0),
                Some(status.id.as_bytes()),
                &value,
                time,
                &[],
            )
            .await;
        // One at a time: while the queue is away, states are left out instead of piling up. The channel
        // closing means that the agent stops.
        if let Ok(delivery) = sent {
            tokio::select! {
                result = delivery => if let Err(error) = result { debug!(%error, "a status was not taken") },
                () = closed(&states) => return,
            }
        }
    }
}

async fn closed(states: &mpsc::Receiver<Status>) {
    while !states.is_closed() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn status_time() -> i64 {
    now_ms() as i64
}

/// Tells machines apart: a clone of a disk must not go on under the ids of its original.
fn machine() -> u64 {
    let id = std::fs::read("/etc/machine-id").unwrap_or_default();
    xxhash_rust::xxh3::xxh3_64(&id)
}
