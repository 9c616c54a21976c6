//! Starting parts in order, noticing the first that ends, and stopping callers
//! before what they call.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How long one part may take to finish what it accepted. Longer than any fsync
/// of a busy disk, shorter than the 90 s after which systemd kills.
const PATIENCE: Duration = Duration::from_secs(15);

struct Component {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    ready: watch::Receiver<bool>,
    /// Cancelled when the task is over, by panic too.
    ended: CancellationToken,
}

/// The parts of one process, in the order they were started: what is called first.
#[derive(Default)]
pub(crate) struct Supervisor {
    components: Vec<Component>,
}

/// SIGINT and SIGTERM, caught from the moment this is made: before the first part
/// starts, so that there is no instant at which a stop is a kill.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn catch() -> anyhow::Result<StopSignals> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Which parts answer, for `/healthz` and `/readyz`.
#[cfg(feature = "server")]
#[derive(Clone, Default)]
pub(crate) struct Health(Vec<(&'static str, watch::Receiver<bool>)>);

#[cfg(feature = "server")]
impl Health {
    pub(crate) fn report(&self) -> Vec<(String, bool)> {
        self.0
            .iter()
            .map(|(name, ready)| ((*name).to_owned(), *ready.borrow()))
            .collect()
    }
}

impl Supervisor {
    /// Starts a part. `build` gets the sender by which it says that it serves, and its stop signal.
    pub(crate) fn start<F, E>(
        &mut self,
        name: &'static str,
        build: impl FnOnce(watch::Sender<bool>, CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let (ready_sender, ready) = watch::channel(false);
        let running = build(ready_sender, stop.clone());
        let ended = CancellationToken::new();
        let on_end = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _on_end = on_end;
            running.await.map_err(Into::into)
        });
        self.components.push(Component {
            name,
            stop,
            task,
            ready,
            ended,
        });
    }

    #[cfg(feature = "server")]
    pub(crate) fn health(&self) -> Health {
        Health(
            self.components
                .iter()
                .map(|part| (part.name, part.ready.clone()))
                .collect(),
        )
    }

    /// Waits until the part started last serves.
    ///
    /// # Errors
    /// When it ends instead.
    pub(crate) async fn last_is_ready(&mut self) -> anyhow::Result<()> {
        let Some(component) = self.components.last_mut() else {
            return Ok(());
        };
        let mut ready = component.ready.clone();
        // A sender dropped before it said `true` means that the part is ending: its result says why.
        if ready.wait_for(|ready| *ready).await.is_ok() {
            return Ok(());
        }
        let name = component.name;
        let ended = self
            .components
            .pop()
            .expect("the last component was just looked at");
        ended
            .task
            .await
            .context("panicked")
            .flatten()
            .context(name)?;
        Err(anyhow!("{name} ended before it was ready"))
    }

    /// Runs until a signal or until a part ends by itself, which is a failure; then stops all.
    pub(crate) async fn run_until_stopped(
        mut self,
        mut signals: StopSignals,
    ) -> anyhow::Result<()> {
        let ended_early = tokio::select! {
            () = signals.received() => None,
            index = first_to_end(&self.components) => Some(index),
        };
        let early = match ended_early {
            None => {
                info!("stopping");
                Ok(())
            }
            Some(index) => {
                let component = self.components.remove(index);
                let result = component.task.await.context("panicked").flatten();
                let result =
                    result.and_then(|()| Err(anyhow!("ended although nobody asked it to")));
                if let Err(error) = &result {
                    error!(
                        component = component.name,
                        error = format!("{error:#}"),
                        "component failed, stopping the others"
                    );
                }
                result.context(component.name)
            }
        };
        let stopped = self.stop().await;
        early.and(stopped)
    }

    /// Stops callers before what they call, so that each drains into a live neighbour.
    /// The first failure is returned, but only after every part was given its turn.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for mut component in self.components.into_iter().rev() {
            component.stop.cancel();
            let result = match tokio::time::timeout(PATIENCE, &mut component.task).await {
                Ok(joined) => joined.context("panicked").flatten(),
                Err(_) => {
                    component.task.abort();
                    Err(anyhow!("did not finish within {PATIENCE:?}"))
                }
            };
            if let Err(error) = &result {
                error!(
                    component = component.name,
                    error = format!("{error:#}"),
                    "component stopped badly"
                );
            }
            outcome = outcome.and(result.context(component.name));
        }
        outcome
    }
}

async fn first_to_end(components: &[Component]) -> usize {
    if components.is_empty() {
        return std::future::pending().await;
    }
    let endings = components
        .iter()
        .map(|component| Box::pin(component.ended.cancelled()));
    futures::future::select_all(endings).await.1
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn clean(log: &Log, name: &'static str, supervisor: &mut Supervisor) {
        let log = Arc::clone(log);
        supervisor.start(name, |ready, stop| async move {
            ready.send_replace(true);
            stop.cancelled().await;
            log.lock().unwrap().push(name);
            drop(ready);
            anyhow::Ok(())
        });
    }

    #[tokio::test(start_paused = true)]
    async fn callers_stop_before_what_they_call() {
        let (log, mut supervisor) = (Log::default(), Supervisor::default());
        for name in ["queue", "indexer", "ui"] {
            clean(&log, name, &mut supervisor);
            supervisor.last_is_ready().await.unwrap();
        }
        assert!(supervisor.health().report().iter().all(|(_, ready)| *ready));
        supervisor.stop().await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["ui", "indexer", "queue"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_fails_stops_the_others_and_is_the_error() {
        let (log, mut supervisor) = (Log::default(), Supervisor::default());
        clean(&log, "queue", &mut supervisor);
        supervisor.start("indexer", |ready, _stop| async move {
            ready.send_replace(true);
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(ready);
            Err::<(), _>(anyhow!("the disk is gone"))
        });
        let error = supervisor
            .run_until_stopped(StopSignals::catch().unwrap())
            .await
            .expect_err("a part failed");
        assert_eq!(format!("{error:#}"), "indexer: the disk is gone");
        assert_eq!(*log.lock().unwrap(), ["queue"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_or_panics_does_not_keep_the_others_from_their_turn() {
        let (log, mut supervisor) = (Log::default(), Supervisor::default());
        clean(&log, "queue", &mut supervisor);
        supervisor.start("hangs", |_ready, _stop| {
            std::future::pending::<anyhow::Result<()>>()
        });
        supervisor.start("panics", |_ready, _stop| async {
            panic!("on purpose") as anyhow::Result<()>
        });
        let error = supervisor
            .stop()
            .await
            .expect_err("two parts stopped badly");
        assert!(
            format!("{error:#}").starts_with("panics: panicked"),
            "{error:#}"
        );
        assert_eq!(*log.lock().unwrap(), ["queue"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_before_it_is_ready_tells_why() {
        let mut supervisor = Supervisor::default();
        supervisor.start("queue", |_ready, _stop| async {
            Err::<(), _>(anyhow!("port in use"))
        });
        let error = supervisor
            .last_is_ready()
            .await
            .expect_err("it never became ready");
        assert_eq!(format!("{error:#}"), "queue: port in use");
    }
}
