//! What the process was told to do, resolved: flag > `LOGBOOM_…` environment > file > default.
//!
//! [`raw`] holds the file as written; [`Config`] has no optional value that has a
//! default, no text where a type says more, and no relative path. Nothing past this
//! module reads the environment or the file.

mod access;
mod indexes;
mod mirrors;
mod raw;
mod receive;
#[cfg(feature = "server")]
mod serve;
mod telemetry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

#[cfg(feature = "server")]
pub(crate) use logboom_alerting::ReceiverConfig;
/// A build with the agent alone reads the same file and does not look into this part.
#[cfg(not(feature = "server"))]
pub(crate) type ReceiverConfig = serde_json::Value;

pub(crate) use indexes::IndexesConfig;
#[cfg(feature = "server")]
pub(crate) use indexes::{IndexConfig, Lines};
pub(crate) use mirrors::MirrorConfig;
#[cfg(feature = "server")]
pub(crate) use mirrors::validate as validate_mirror;
pub(crate) use receive::{Listen, ReceiveConfig};
#[cfg(feature = "server")]
pub(crate) use serve::{ServeConfig, Served};
pub(crate) use telemetry::{Target, TelemetryConfig};

const DEFAULT_DATA: &str = "logboom-data";
const DEFAULT_TOPIC: &str = "logs";
const DEFAULT_QUEUE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9092);
/// Name of the environment variable, and the key of the file that it overrides.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("LOGBOOM_DATA", "data"),
    ("LOGBOOM_LISTEN", "ui.listen"),
    ("LOGBOOM_QUEUE_ADDRESS", "queue.address"),
    ("LOGBOOM_QUEUE_LISTEN", "queue.listen"),
    ("LOGBOOM_INDEXER_LISTEN", "indexer.listen"),
    ("LOGBOOM_INDEXER_URL", "ui.indexer_url"),
    ("LOGBOOM_OTLP_GRPC", "receive.otlp.grpc"),
    ("LOGBOOM_OTLP_HTTP", "receive.otlp.http"),
    ("LOGBOOM_OTLP_TOKEN", "receive.otlp.token"),
    ("LOGBOOM_TELEMETRY_OTLP", "telemetry.otlp"),
    ("LOGBOOM_TELEMETRY_TOKEN", "telemetry.token"),
    ("LOGBOOM_LOG", "log.filter"),
    ("LOGBOOM_LOG_FORMAT", "log.format"),
];

/// Values typed as flags; they win over everything.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) tail: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) log: LogConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) queue: QueueConfig,
    pub(crate) mirrors: Vec<MirrorConfig>,
    pub(crate) agent: AgentConfig,
    pub(crate) receive: ReceiveConfig,
    pub(crate) indexes: IndexesConfig,
    pub(crate) indexer: IndexerConfig,
    pub(crate) alerting: AlertingConfig,
    pub(crate) ui: UiConfig,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogConfig {
    /// A `tracing` filter such as `info` or `info,logboom_agent=debug`.
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueueConfig {
    /// Where agent, indexer and alerting find the queue (`host:port`, comma separated).
    pub(crate) address: String,
    /// How they get in there.
    pub(crate) security: logboom_client::Security,
    #[cfg(feature = "server")]
    pub(crate) serve: ServeConfig,
    pub(crate) partitions: u32,
    pub(crate) auto_create_topics: bool,
    pub(crate) flush: FlushMode,
    /// Between syncs, with [`FlushMode::Interval`].
    pub(crate) flush_interval: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) retention: Duration,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) disk_free_min: u64,
}

/// When the queue's records are synced; the queue's own README says what each promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FlushMode {
    Always,
    Group,
    Interval,
    Os,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentConfig {
    pub(crate) topic: String,
    pub(crate) line_bytes_max: usize,
    pub(crate) tail: Vec<TailConfig>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TailConfig {
    pub(crate) glob: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) format: logboom_event::Format,
    pub(crate) service: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) read_from: ReadFrom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadFrom {
    Beginning,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) refresh: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlertingConfig {
    pub(crate) rules: Vec<PathBuf>,
    pub(crate) receivers: Vec<ReceiverConfig>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UiConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) external_url: Option<String>,
    pub(crate) indexer_url: String,
    /// Directory of alerting's state, which the page reads.
    pub(crate) alerting_data: PathBuf,
}

impl Config {
    /// Reads `file` (all defaults without one), then lays the environment and the flags over it.
    ///
    /// # Errors
    /// Names the file, key or variable that is wrong, and what would be right.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        overrides: Overrides,
    ) -> anyhow::Result<Config> {
        let raw = match file {
            Some(path) => raw::read(path)?,
            None => raw::RawConfig::default(),
        };
        let environment: BTreeMap<&str, (&str, String)> = ENVIRONMENT
            .iter()
            .filter_map(|(name, key)| environment(name).map(|value| (*key, (*name, value))))
            .collect();
        let relative_to = file
            .and_then(Path::parent)
            .map(Path::to_path_buf)
            .unwrap_or_default();
        resolve(raw, &environment, overrides, &relative_to)
    }
}

/// A value of the environment or the file, and what to call it in an error.
struct Named {
    name: String,
    value: String,
}

fn resolve(
    mut raw: raw::RawConfig,
    environment: &BTreeMap<&str, (&str, String)>,
    overrides: Overrides,
    relative_to: &Path,
) -> anyhow::Result<Config> {
    let given = |key: &str, file: Option<String>| -> Option<Named> {
        let named = |name: &str, value: String| Named {
            name: name.to_owned(),
            value,
        };
        match environment.get(key) {
            Some((name, value)) => Some(named(name, value.clone())),
            None => file.map(|value| named(key, value)),
        }
    };
    let text = |key: &str, file: Option<String>, default: &str| -> Named {
        given(key, file).unwrap_or_else(|| Named {
            name: key.to_owned(),
            value: default.to_owned(),
        })
    };
    // Paths in a file are meant from where the file is, those of the environment from the working directory.
    let data = match (overrides.data, environment.get("data"), raw.data) {
        (Some(path), _, _) => absolute(&path)?,
        (None, Some((_, path)), _) => absolute(Path::new(path))?,
        (None, None, Some(path)) => absolute(&relative_to.join(path))?,
        (None, None, None) => absolute(Path::new(DEFAULT_DATA))?,
    };

    let log_format = match environment.get("log.format") {
        Some((_, text)) if text == "text" => LogFormat::Text,
        Some((_, text)) if text == "json" => LogFormat::Json,
        Some((name, text)) => {
            bail!("`{name}`: `{text}` is no log format; allowed are `text` and `json`")
        }
        None => raw.log.format.unwrap_or(LogFormat::Text),
    };
    let filter = text(
        "log.filter",
        raw.log.filter,
        "info,librdkafka=error,rdkafka=error,tantivy=warn",
    );
    tracing_subscriber::EnvFilter::try_new(&filter.value).map_err(|error| {
        anyhow!(
            "`{}`: `{}` is no log filter ({error}); write e.g. `info`",
            filter.name,
            filter.value
        )
    })?;

    let listen = given("queue.listen", raw.queue.listen.take());
    #[cfg(feature = "server")]
    let serve = resolve_serve(listen.as_ref(), &mut raw.queue, &data, relative_to)?;
    #[cfg(feature = "server")]
    let queue_listen = serve.listeners[0].listen;
    #[cfg(not(feature = "server"))]
    let queue_listen = listen.as_ref().map_or(Ok(DEFAULT_QUEUE), address)?;
    let security = access::client(
        "queue.",
        raw.queue.tls.take(),
        raw.queue.sasl.take(),
        relative_to,
    )?;
    let indexer_listen = address(&text(
        "indexer.listen",
        raw.indexer.listen.take(),
        "127.0.0.1:7481",
    ))?;
    let ui_listen = match overrides.listen {
        Some(listen) => listen,
        None => address(&text("ui.listen", raw.ui.listen, "127.0.0.1:7480"))?,
    };
    let partitions = raw.queue.partitions.unwrap_or(4);
    if !(1..=1000).contains(&partitions) {
        bail!("`queue.partitions`: `{partitions}` is out of range; allowed are 1 to 1000");
    }
    let segment_bytes = raw.queue.segment_bytes.map_or(128 << 20, |bytes| bytes.0);
    if !((16 << 20)..=(1 << 30)).contains(&segment_bytes) {
        bail!(
            "`queue.segment_bytes`: `{segment_bytes}` is out of range; allowed are `16MiB` to `1GiB`"
        );
    }
    let flush = raw.queue.flush.unwrap_or(FlushMode::Group);
    let flush_interval = match raw.queue.flush_interval {
        Some(_) if flush != FlushMode::Interval => {
            bail!("`queue.flush_interval` is for `queue.flush: interval` only; leave it out")
        }
        Some(period) => period.0,
        None => Duration::from_millis(100),
    };
    if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&flush_interval) {
        bail!(
            "`queue.flush_interval`: {flush_interval:?} is out of range; allowed are `1ms` to `1h`"
        );
    }
    let line_bytes_max = raw.agent.line_bytes_max.map_or(1 << 20, |bytes| bytes.0);
    if !(1024..=(8 << 20)).contains(&line_bytes_max) {
        bail!(
            "`agent.line_bytes_max`: `{line_bytes_max}` is out of range; allowed are `1KiB` to `8MiB`"
        );
    }
    let refresh = raw
        .indexer
        .refresh
        .map_or(Duration::from_millis(100), |period| period.0);
    if !(Duration::from_millis(20)..=Duration::from_secs(10)).contains(&refresh) {
        bail!("`indexer.refresh`: {refresh:?} is out of range; allowed are `20ms` to `10s`");
    }

    let tail = raw
        .agent
        .tail
        .into_iter()
        .enumerate()
        .map(|(index, tail)| resolve_tail(tail).with_context(|| format!("`agent.tail[{index}]`")))
        .chain(overrides.tail.into_iter().map(|glob| {
            let raw = raw::RawTail {
                glob: vec![glob],
                ..raw::RawTail::default()
            };
            resolve_tail(raw).context("`--tail`")
        }))
        .collect::<anyhow::Result<Vec<_>>>()?;

    let receive = receive::resolve(
        given("receive.otlp.grpc", raw.receive.otlp.grpc),
        given("receive.otlp.http", raw.receive.otlp.http),
        given("receive.otlp.token", raw.receive.otlp.token),
    )?;
    let telemetry = telemetry::resolve(
        given("telemetry.otlp", raw.telemetry.otlp),
        given("telemetry.token", raw.telemetry.token),
        raw.telemetry.every,
        &receive,
    )?;
    let topic = raw.agent.topic.unwrap_or_else(|| DEFAULT_TOPIC.to_owned());
    let indexes = indexes::resolve(raw.indexes, &topic)?;
    Ok(Config {
        log: LogConfig {
            filter: filter.value,
            format: log_format,
        },
        queue: QueueConfig {
            address: text(
                "queue.address",
                raw.queue.address,
                &connectable(queue_listen).to_string(),
            )
            .value,
            security,
            #[cfg(feature = "server")]
            serve,
            partitions,
            auto_create_topics: raw.queue.auto_create_topics.unwrap_or(true),
            flush,
            flush_interval,
            segment_bytes,
            retention: raw
                .queue
                .retention
                .map_or(Duration::from_secs(24 * 3600), |period| period.0),
            retention_bytes: raw.queue.retention_bytes.map(|bytes| bytes.0),
            disk_free_min: raw.queue.disk_free_min.map_or(256 << 20, |bytes| bytes.0),
        },
        indexer: IndexerConfig {
            listen: indexer_listen,
            refresh,
        },
        alerting: AlertingConfig {
            rules: raw
                .alerting
                .rules
                .iter()
                .map(|path| absolute(&relative_to.join(path)))
                .collect::<anyhow::Result<_>>()?,
            receivers: raw.alerting.receivers,
        },
        ui: UiConfig {
            listen: ui_listen,
            external_url: raw.ui.external_url,
            indexer_url: text(
                "ui.indexer_url",
                raw.ui.indexer_url,
                &format!("http://{}", connectable(indexer_listen)),
            )
            .value,
            alerting_data: match raw.ui.alerting_data {
                Some(path) => absolute(&relative_to.join(path))?,
                None => data.join("alerting"),
            },
        },
        receive,
        telemetry,
        indexes,
        mirrors: mirrors::resolve(raw.mirrors, relative_to)?,
        agent: AgentConfig {
            topic,
            line_bytes_max: usize::try_from(line_bytes_max).context("`agent.line_bytes_max`")?,
            tail,
        },
        data,
    })
}

/// One listener as `queue.listen` and `queue.advertised`, or several with what each asks as `queue.listeners`.
#[cfg(feature = "server")]
fn resolve_serve(
    listen: Option<&Named>,
    raw: &mut raw::RawQueue,
    data: &Path,
    relative_to: &Path,
) -> anyhow::Result<ServeConfig> {
    let raw_listeners = std::mem::take(&mut raw.listeners);
    let mut listeners = Vec::with_capacity(raw_listeners.len().max(1));
    for (index, listener) in raw_listeners.into_iter().enumerate() {
        listeners.push(serve::listener(index, listener, relative_to)?);
    }
    if listeners.is_empty() {
        let advertised = raw.advertised.take();
        let advertised = advertised.map(|text| host_and_port("queue.advertised", &text));
        listeners.push(Served {
            key: "queue.listen".to_owned(),
            listen: listen.map_or(Ok(DEFAULT_QUEUE), address)?,
            terms: logboom_broker::ListenerConfig {
                advertised: advertised.transpose()?,
                ..Default::default()
            },
        });
    } else if let Some(listen) = listen {
        bail!(
            "`{}` beside `queue.listeners`: take it out, or write it as one of them",
            listen.name
        );
    } else if raw.advertised.is_some() {
        bail!(
            "`queue.advertised` beside `queue.listeners`: write it as `advertised` of the listener that it is of"
        );
    }
    Ok(ServeConfig {
        listeners,
        access: serve::access(&raw.super_users, std::mem::take(&mut raw.acls))?,
        users_file: match raw.users.take() {
            Some(path) => absolute(&relative_to.join(path))?,
            None => data.join("queue").join("users"),
        },
    })
}

fn resolve_tail(raw: raw::RawTail) -> anyhow::Result<TailConfig> {
    if raw.glob.is_empty() {
        bail!("`glob` is missing; write e.g. `glob: [/var/log/*.log]`");
    }
    let absolute_globs = |globs: Vec<String>| {
        globs
            .into_iter()
            .map(|glob| Ok(absolute(Path::new(&glob))?.to_string_lossy().into_owned()))
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let format = match raw.format {
        Some(text) => text.parse().map_err(|error| anyhow!("`format`: {error}"))?,
        None => logboom_event::Format::Auto,
    };
    if let Some(zone) = &raw.timezone {
        jiff::tz::TimeZone::get(zone).map_err(|_| {
            anyhow!("`timezone`: `{zone}` is no IANA time zone; write e.g. `Europe/Berlin`")
        })?;
    }
    Ok(TailConfig {
        glob: absolute_globs(raw.glob)?,
        exclude: absolute_globs(raw.exclude)?,
        format,
        service: raw.service,
        timezone: raw.timezone,
        read_from: raw.read_from.unwrap_or(ReadFrom::Beginning),
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot make `{}` absolute", path.display()))
}

fn address(named: &Named) -> anyhow::Result<SocketAddr> {
    named.value.parse().map_err(|_| {
        anyhow!(
            "`{}`: `{}` is no address; write an IP address and a port, e.g. `127.0.0.1:9092`",
            named.name,
            named.value
        )
    })
}

fn host_and_port(key: &str, text: &str) -> anyhow::Result<(String, u16)> {
    text.rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| {
            anyhow!("`{key}`: `{text}` is no host and port; write e.g. `queue.example.net:9092`")
        })
}

/// The address by which this machine reaches a listener: an unspecified one is reached over loopback.
pub(crate) fn connectable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod tests;
