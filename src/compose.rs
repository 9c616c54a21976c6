//! Builds the parts that a role needs and hands them to the supervisor.
//!
//! `up` is not a mode of its own: it starts the same parts as the roles do, and they
//! speak to each other over the same sockets, so that what is tested in one process
//! holds in several.

#[cfg(feature = "server")]
mod indexes;
#[cfg(feature = "server")]
mod listeners;
#[cfg(feature = "server")]
mod mirror;
mod receivers;
#[cfg(feature = "server")]
mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tracing::info;

use logboom_client::ClientConfig;
use logboom_disk::DirLock;

use crate::config::{Config, ReadFrom};
use crate::supervise::{StopSignals, Supervisor};
use crate::telemetry::Telemetry;

#[cfg(feature = "server")]
pub(crate) use mirror::once as mirror_once;

/// What one process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Agent,
    #[cfg(feature = "server")]
    Up,
    #[cfg(feature = "server")]
    Queue,
    #[cfg(feature = "server")]
    Mirror,
    #[cfg(feature = "server")]
    Indexer,
    #[cfg(feature = "server")]
    Alerting,
    #[cfg(feature = "server")]
    Ui,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            #[cfg(feature = "server")]
            Role::Up => "up",
            #[cfg(feature = "server")]
            Role::Queue => "queue",
            #[cfg(feature = "server")]
            Role::Mirror => "mirror",
            #[cfg(feature = "server")]
            Role::Indexer => "indexer",
            #[cfg(feature = "server")]
            Role::Alerting => "alerting",
            #[cfg(feature = "server")]
            Role::Ui => "ui",
        }
    }
}

/// Runs the parts of `role` until a signal or a failure.
///
/// # Errors
/// One line that names the part and what it stumbled over.
pub(crate) async fn run(role: Role, config: Config, telemetry: Telemetry) -> anyhow::Result<()> {
    let mut signals = StopSignals::catch()?;
    let mut supervisor = Supervisor::default();
    let started = tokio::select! {
        started = start(role, config, telemetry, &mut supervisor) => Some(started),
        () = signals.received() => None,
    };
    let started = match started {
        Some(Ok(started)) => started,
        Some(Err(error)) => {
            // The first failure is what the operator needs to read; those of the stop are logged.
            let _stopped_badly = supervisor.stop().await;
            return Err(error);
        }
        None => return supervisor.stop().await,
    };
    // The one line on the standard output: scripts wait for it, people click on it.
    let mut stdout = std::io::stdout();
    if let Err(error) = writeln!(stdout, "logboom {} is ready: {}", role.name(), started.at) {
        tracing::warn!(%error, "cannot write the ready line to the standard output");
    }
    info!(role = role.name(), "ready");
    supervisor.run_until_stopped(signals).await
}

async fn start(
    role: Role,
    config: Config,
    mut telemetry: Telemetry,
    supervisor: &mut Supervisor,
) -> anyhow::Result<Started> {
    match role {
        Role::Agent => {
            let receivers = receivers::bind_configured(&config.receive).await?;
            if let Some(recorder) = telemetry.connect(receivers.http(), None)? {
                metrics::set_global_recorder(recorder)
                    .map_err(|_| anyhow!("cannot install the metrics recorder"))?;
            }
            telemetry.start_before_parts(supervisor);
            start_agent(&config, supervisor).await?;
            let at = receivers.addresses();
            receivers.start(&config, supervisor);
            telemetry.start_after_parts(supervisor);
            Ok(Started::on_queue(&config, &at))
        }
        #[cfg(feature = "server")]
        _ => server::start(role, config, telemetry, supervisor).await,
    }
}

/// What stays for as long as the process runs.
struct Started {
    at: String,
    /// Keeps a second process off the data directory.
    _lock: Option<DirLock>,
}

impl Started {
    fn on_queue(config: &Config, receivers: &[(&'static str, SocketAddr)]) -> Started {
        let mut at = format!("ships to the queue at {}", config.queue.address);
        for (name, address) in receivers {
            at.push_str(&format!(", {name} {address}"));
        }
        Started { at, _lock: None }
    }
}

async fn start_agent(config: &Config, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let agent = agent_config(config)?;
    supervisor.start("agent", |ready, stop| {
        logboom_agent::run(agent, ready, stop)
    });
    supervisor.last_is_ready().await
}

/// Binds a socket; `key` is what an error calls it by.
async fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(anyhow!(
            "`{key}`: port {} of {} is in use by another process; stop that one or choose another port (0 takes a free one)",
            address.port(),
            address.ip()
        )),
        Err(error) => Err(error).with_context(|| format!("`{key}`: cannot listen on `{address}`")),
    }
}

pub(crate) fn client(config: &Config, part: &str) -> ClientConfig {
    ClientConfig {
        security: config.queue.security.clone(),
        ..ClientConfig::new(&config.queue.address, format!("logboom-{part}"))
    }
}

/// The directory of one part, made when missing.
fn part_dir(config: &Config, part: &str) -> anyhow::Result<PathBuf> {
    let directory = Path::new(&config.data).join(part);
    std::fs::create_dir_all(&directory).with_context(|| {
        format!(
            "cannot create the data directory `{}`; choose another with --data or `data:`",
            directory.display()
        )
    })?;
    Ok(directory)
}

fn agent_config(config: &Config) -> anyhow::Result<logboom_agent::Config> {
    let tails = config
        .agent
        .tail
        .iter()
        .map(|tail| logboom_agent::TailConfig {
            globs: tail.glob.clone(),
            exclude: tail.exclude.clone(),
            format: tail.format.clone(),
            service: tail.service.clone(),
            timezone: tail.timezone.clone(),
            read_from: match tail.read_from {
                ReadFrom::Beginning => logboom_agent::ReadFrom::Beginning,
                ReadFrom::End => logboom_agent::ReadFrom::End,
            },
        });
    Ok(logboom_agent::Config {
        topic: config.agent.topic.clone(),
        partitions: config.queue.partitions,
        line_bytes_max: config.agent.line_bytes_max,
        open_files_max: tailed_files_max(),
        trace_every: config.telemetry.every,
        ..logboom_agent::Config::new(
            part_dir(config, "agent")?,
            client(config, "agent"),
            tails.collect(),
        )
    })
}

/// A quarter of what this process may open: segments, splits and sockets share the rest.
fn tailed_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let quarter = usize::try_from(limit.unwrap_or(u64::MAX) / 4).unwrap_or(usize::MAX);
    quarter.clamp(64, 2048)
}
