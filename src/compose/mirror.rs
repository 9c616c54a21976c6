//! Mirrors, by themselves until they are stopped, or as a command that ends.

use anyhow::{Context, anyhow};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use logboom_client::{ClientConfig, Security};
use logboom_mirror::Until;

use crate::config::{Config, MirrorConfig};
use crate::supervise::{StopSignals, Supervisor};
use crate::telemetry::Telemetry;

/// Starts all, and returns when each has reached both its clusters.
pub(super) async fn start(config: &Config, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let mirrors = configs(config, Until::Stopped)?;
    supervisor.start("mirror", |ready, stop| {
        logboom_mirror::run(mirrors, ready, stop)
    });
    supervisor.last_is_ready().await
}

/// Copies what the sources hold now.
///
/// # Errors
/// When not all of it is in the targets, whatever the reason.
pub(crate) async fn once(config: Config, mut telemetry: Telemetry) -> anyhow::Result<()> {
    let mut signals = StopSignals::catch()?;
    if let Some(recorder) = telemetry.connect(None, config.receive.http.configured())? {
        metrics::set_global_recorder(recorder)
            .map_err(|_| anyhow!("cannot install the metrics recorder"))?;
    }
    let mut supervisor = Supervisor::default();
    telemetry.start_before_parts(&mut supervisor);
    let stop = CancellationToken::new();
    let (ready, _is_ready) = watch::channel(false);
    let copying = logboom_mirror::run(configs(&config, Until::Drained)?, ready, stop.clone());
    tokio::pin!(copying);
    let copied = tokio::select! {
        copied = &mut copying => copied,
        () = signals.received() => {
            stop.cancel();
            copying.await
        }
    };
    telemetry.start_after_parts(&mut supervisor);
    let stopped = supervisor.stop().await;
    copied.context("mirror")?;
    for mirror in &config.mirrors {
        info!(mirror = mirror.name, "everything is copied");
    }
    stopped
}

/// Where from and where to, for the ready line.
pub(super) fn announcement(config: &Config) -> String {
    let mirrors = config.mirrors.iter();
    let all: Vec<String> = mirrors
        .map(|mirror| {
            format!(
                "copies `{}` from {} to {}",
                mirror.topics, mirror.from, mirror.to
            )
        })
        .collect();
    all.join(", ")
}

fn configs(config: &Config, until: Until) -> anyhow::Result<Vec<logboom_mirror::Config>> {
    config
        .mirrors
        .iter()
        .map(|mirror| one(mirror, until))
        .collect()
}

fn one(mirror: &MirrorConfig, until: Until) -> anyhow::Result<logboom_mirror::Config> {
    let client = |bootstrap: &str, security: &Security| ClientConfig {
        security: security.clone(),
        ..ClientConfig::new(bootstrap, "logboom-mirror")
    };
    let from = client(&mirror.from, &mirror.from_security);
    let to = client(&mirror.to, &mirror.to_security);
    let topics = mirror.topics.parse()?;
    Ok(logboom_mirror::Config {
        until,
        ..logboom_mirror::Config::new(&mirror.name, from, to, topics)
    })
}
