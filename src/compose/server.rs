//! The parts that make a server: sockets, locks, and who is started before whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_opentelemetry::OpenTelemetryRecorder;
use metrics_util::layers::FanoutBuilder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use logboom_broker::{StatusHandle, log::Flush};
use logboom_disk::DirLock;

use super::indexes;
use super::listeners::{self, QueueListeners};
use super::mirror;
use super::receivers::{self, Receivers};
use super::{Role, Started, client, listen, part_dir, start_agent};
use crate::config::{Config, FlushMode, connectable};
use crate::supervise::Supervisor;
use crate::telemetry::Telemetry;

/// Groups whose committed offsets hold the queue's retention back.
const READERS: [&str; 2] = [logboom_indexer::GROUP, logboom_alerting::GROUP];

/// At a thousand requests a second, 5 s of their durations are 40 KiB.
const METRICS_DRAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Seconds: from a disk with a write cache that power cannot take to one that is ailing. A histogram and no quantiles: those of
/// several nodes can be put together.
const FSYNC_BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];

/// The sockets of this process. All are bound before the first part starts, so that
/// a port in use ends the process before it has touched anything.
struct Listeners {
    queue: Option<QueueListeners>,
    indexer: Option<TcpListener>,
    ui: Option<TcpListener>,
    receivers: Receivers,
}

/// Starts what is called before its callers; the supervisor stops in the reverse order.
pub(super) async fn start(
    role: Role,
    mut config: Config,
    mut telemetry: Telemetry,
    supervisor: &mut Supervisor,
) -> anyhow::Result<Started> {
    let runs = |part: Role| role == Role::Up || role == part;
    let lock = lock_data(role, &config)?;
    let listeners = Listeners {
        queue: match runs(Role::Queue) {
            true => Some(listeners::bind(role, &config.queue.serve).await?),
            false => None,
        },
        indexer: bind(runs(Role::Indexer), "indexer.listen", config.indexer.listen).await?,
        ui: bind(runs(Role::Ui), "ui.listen", config.ui.listen).await?,
        receivers: match role {
            Role::Up => receivers::bind(&config.receive).await?,
            _ => Receivers::default(),
        },
    };
    let ports = settle_addresses(role, &mut config, &listeners)?;
    let queue_listeners = listeners.queue.map(|queue| queue.open(role, &mut config));
    let queue_listeners = queue_listeners.transpose()?;
    let (here, elsewhere) = (listeners.receivers.http(), config.receive.http.configured());
    let metrics = install_metrics(telemetry.connect(here, elsewhere)?)?;
    telemetry.start_before_parts(supervisor);
    supervisor.start("metrics", |ready, stop| drain(metrics.clone(), ready, stop));

    let mut queue = None;
    if let Some(listeners) = queue_listeners {
        let broker = logboom_broker::Broker::open(broker_config(&config)?)
            .await
            .context("queue")?;
        queue = Some(broker.status());
        supervisor.start("queue", |ready, stop| broker.run(listeners, ready, stop));
        supervisor.last_is_ready().await?;
    }
    if role == Role::Mirror {
        mirror::start(&config, supervisor).await?;
    }
    if let Some(listener) = listeners.indexer {
        let indexer = indexer_config(&config)?;
        supervisor.start("indexer", |ready, stop| {
            logboom_indexer::run(indexer, listener, ready, stop)
        });
        supervisor.last_is_ready().await?;
    }
    if runs(Role::Agent) {
        start_agent(&config, supervisor).await?;
        listeners.receivers.start(&config, supervisor);
    }
    if runs(Role::Alerting) {
        let alerting = alerting_config(&config)?;
        supervisor.start("alerting", |ready, stop| {
            logboom_alerting::run(alerting, ready, stop)
        });
        supervisor.last_is_ready().await?;
    }
    if let Some(listener) = listeners.ui {
        let deps = ui_deps(&config, &ports, metrics, queue, supervisor)?;
        let ui = logboom_ui::Config {
            external_url: config.ui.external_url.clone(),
            ..logboom_ui::Config::default()
        };
        supervisor.start("ui", |ready, stop| {
            logboom_ui::run(ui, deps, listener, ready, stop)
        });
        supervisor.last_is_ready().await?;
    }
    telemetry.start_after_parts(supervisor);
    Ok(Started {
        at: announcement(role, &config, &ports),
        _lock: lock,
    })
}

/// `up` owns the data directory as a whole; the roles, which may share one, lock their own part of it.
fn lock_data(role: Role, config: &Config) -> anyhow::Result<Option<DirLock>> {
    let directory = match role {
        Role::Up => part_dir(config, "")?,
        Role::Indexer | Role::Alerting => part_dir(config, role.name())?,
        // These lock by themselves, or keep nothing.
        Role::Queue | Role::Mirror | Role::Agent | Role::Ui => return Ok(None),
    };
    let path = directory.join("lock");
    Ok(Some(DirLock::acquire(&path, role.name())?))
}

async fn bind(wanted: bool, key: &str, address: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    match wanted {
        true => listen(key, address).await.map(Some),
        false => Ok(None),
    }
}

/// Where ports were left to the system, everything that refers to them learns what they became.
fn settle_addresses(
    role: Role,
    config: &mut Config,
    listeners: &Listeners,
) -> anyhow::Result<Value> {
    let mut ports = serde_json::Map::new();
    if let Some(queue) = &listeners.queue {
        for (index, bound) in queue.addresses()?.into_iter().enumerate() {
            // The first, which `queue.listen` is, goes by its name alone.
            let name = match index {
                0 => "kafka".to_owned(),
                _ => format!("kafka_{}", index + 1),
            };
            ports.insert(name, bound.to_string().into());
        }
    }
    if let Some(listener) = &listeners.indexer {
        let bound = listener.local_addr()?;
        ports.insert("indexer".to_owned(), bound.to_string().into());
        if role == Role::Up {
            config.ui.indexer_url = format!("http://{}", connectable(bound));
        }
    }
    if let Some(listener) = &listeners.ui {
        let bound = listener.local_addr()?;
        ports.insert("http".to_owned(), bound.to_string().into());
        let url = format!("http://{}", connectable(bound));
        config.ui.external_url.get_or_insert(url);
    }
    for (name, address) in listeners.receivers.addresses() {
        ports.insert(name.to_owned(), address.to_string().into());
    }
    Ok(ports.into())
}

/// For whoever scrapes us, and for the collector if there is one.
fn install_metrics(exported: Option<OpenTelemetryRecorder>) -> anyhow::Result<PrometheusHandle> {
    let fsync = Matcher::Full(logboom_broker::log::FSYNC_SECONDS.to_owned());
    let scraped = PrometheusBuilder::new()
        .set_buckets_for_metric(fsync, &FSYNC_BUCKETS)?
        .build_recorder();
    let handle = scraped.handle();
    let is_installed = match exported {
        None => metrics::set_global_recorder(scraped).is_ok(),
        Some(exported) => {
            let both = FanoutBuilder::default().add_recorder(scraped);
            metrics::set_global_recorder(both.add_recorder(exported).build()).is_ok()
        }
    };
    ensure!(is_installed, "cannot install the metrics recorder");
    Ok(handle)
}

/// Every value of a histogram is kept until somebody reads the metrics, which may be never.
async fn drain(
    metrics: PrometheusHandle,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    ready.send_replace(true);
    let mut due = tokio::time::interval(METRICS_DRAIN_INTERVAL);
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        metrics.run_upkeep();
    }
    Ok(())
}

fn announcement(role: Role, config: &Config, ports: &Value) -> String {
    let bound = |name: &str| ports[name].as_str().unwrap_or_default().to_owned();
    let page = || format!("http://{}", bound("http"));
    match role {
        Role::Up => format!(
            "{} (queue {}, data {})",
            page(),
            bound("kafka"),
            config.data.display()
        ),
        Role::Queue => bound("kafka"),
        Role::Mirror => mirror::announcement(config),
        Role::Indexer => format!("http://{}", bound("indexer")),
        Role::Ui => page(),
        Role::Agent | Role::Alerting => format!("reads the queue at {}", config.queue.address),
    }
}

fn broker_config(config: &Config) -> anyhow::Result<logboom_broker::Config> {
    let queue = &config.queue;
    Ok(logboom_broker::Config {
        users_file: queue.serve.users_file.clone(),
        access: queue.serve.access.clone(),
        default_partitions: queue.partitions,
        auto_create_topics: queue.auto_create_topics,
        flush: match queue.flush {
            FlushMode::Always => Flush::Always,
            FlushMode::Group => Flush::Group,
            FlushMode::Interval => Flush::Interval(queue.flush_interval),
            FlushMode::Os => Flush::Os,
        },
        segment_bytes: queue.segment_bytes,
        retention: Some(queue.retention),
        retention_bytes: queue.retention_bytes,
        protected_groups: READERS.map(str::to_owned).to_vec(),
        disk_free_min_bytes: queue.disk_free_min,
        ..logboom_broker::Config::new(part_dir(config, "queue")?)
    })
}

fn indexer_config(config: &Config) -> anyhow::Result<logboom_indexer::Config> {
    Ok(logboom_indexer::Config {
        indexes: indexes::searched(&config.indexes),
        partitions: config.queue.partitions,
        refresh: config.indexer.refresh,
        ..logboom_indexer::Config::new(part_dir(config, "indexer")?, client(config, "indexer"))
    })
}

fn alerting_config(config: &Config) -> anyhow::Result<logboom_alerting::Config> {
    let alerting = &config.alerting;
    Ok(logboom_alerting::Config {
        data_dir: part_dir(config, "alerting")?,
        queue: client(config, "alerting"),
        indexes: indexes::alerted(&config.indexes),
        partitions: config.queue.partitions,
        rules: alerting.rules.clone(),
        receivers: alerting.receivers.clone(),
        external_url: config.ui.external_url.clone().unwrap_or_default(),
        timing: logboom_alerting::Timing::default(),
    })
}

fn ui_deps(
    config: &Config,
    ports: &Value,
    metrics: PrometheusHandle,
    queue: Option<StatusHandle>,
    supervisor: &Supervisor,
) -> anyhow::Result<logboom_ui::Deps> {
    let health = supervisor.health();
    Ok(logboom_ui::Deps {
        search: logboom_indexer::Remote::new(&config.ui.indexer_url)
            .with_context(|| format!("`ui.indexer_url`: `{}`", config.ui.indexer_url))?,
        alerts: Some(logboom_alerting::View::open(
            config.ui.alerting_data.join("alerting.db"),
        )),
        metrics: Arc::new(move || metrics.render()),
        groups: queue.map(|queue| -> Arc<dyn Fn() -> Value + Send + Sync> {
            Arc::new(move || serde_json::to_value(queue.groups()).unwrap_or_default())
        }),
        ports: ports.clone(),
        health: Arc::new(move || health.report()),
    })
}
