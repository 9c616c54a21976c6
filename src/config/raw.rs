//! The configuration file as it is written: every key optional, unknown keys refused.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

use super::ReceiverConfig;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) version: Option<u32>,
    pub(super) data: Option<PathBuf>,
    pub(super) log: RawLog,
    pub(super) telemetry: RawTelemetry,
    pub(super) queue: RawQueue,
    pub(super) mirrors: Vec<RawMirror>,
    pub(super) agent: RawAgent,
    pub(super) receive: RawReceive,
    pub(super) indexes: RawIndexes,
    pub(super) indexer: RawIndexer,
    pub(super) alerting: RawAlerting,
    pub(super) ui: RawUi,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) filter: Option<String>,
    pub(super) format: Option<super::LogFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTelemetry {
    pub(super) otlp: Option<String>,
    pub(super) token: Option<String>,
    pub(super) every: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(not(feature = "server"), allow(dead_code))] // Listeners are for the full build.
pub(super) struct RawQueue {
    pub(super) address: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) advertised: Option<String>,
    pub(super) partitions: Option<u32>,
    pub(super) auto_create_topics: Option<bool>,
    pub(super) flush: Option<super::FlushMode>,
    pub(super) flush_interval: Option<Period>,
    pub(super) segment_bytes: Option<Bytes>,
    pub(super) retention: Option<Period>,
    pub(super) retention_bytes: Option<Bytes>,
    pub(super) disk_free_min: Option<Bytes>,
    pub(super) listeners: Vec<RawListener>,
    pub(super) users: Option<PathBuf>,
    pub(super) super_users: Vec<String>,
    pub(super) acls: Vec<RawAcl>,
    pub(super) tls: Option<RawClientTls>,
    pub(super) sasl: Option<RawClientSasl>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListener {
    pub(super) listen: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) advertised: Option<String>,
    pub(super) tls: Option<RawListenerTls>,
    pub(super) mechanisms: Option<Vec<String>>,
    pub(super) plain_without_tls: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListenerTls {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_auth: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAcl {
    pub(super) principal: Option<String>,
    pub(super) allow: Vec<String>,
    pub(super) topics: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) transactional_ids: Vec<String>,
    pub(super) cluster: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawClientTls {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawClientSasl {
    pub(super) mechanism: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMirror {
    pub(super) name: Option<String>,
    pub(super) from: Option<String>,
    pub(super) from_tls: Option<RawClientTls>,
    pub(super) from_sasl: Option<RawClientSasl>,
    pub(super) to: Option<String>,
    pub(super) to_tls: Option<RawClientTls>,
    pub(super) to_sasl: Option<RawClientSasl>,
    pub(super) topics: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAgent {
    pub(super) topic: Option<String>,
    pub(super) line_bytes_max: Option<Bytes>,
    pub(super) tail: Vec<RawTail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTail {
    pub(super) glob: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) format: Option<String>,
    pub(super) service: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) read_from: Option<super::ReadFrom>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawReceive {
    pub(super) otlp: RawOtlp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOtlp {
    pub(super) grpc: Option<String>,
    pub(super) http: Option<String>,
    pub(super) token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIndexes {
    pub(super) logs: RawIndex,
    pub(super) spans: RawIndex,
    #[serde(rename = "_rejected")]
    pub(super) rejected: RawIndex,
}

/// Keys that an index has no use for are refused by [`super::indexes`], which knows what to say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIndex {
    pub(super) topics: Option<Vec<String>>,
    pub(super) agent_topics: Option<Vec<String>>,
    pub(super) otlp_topics: Option<Vec<String>>,
    pub(super) hot_bytes_max: Option<Bytes>,
    pub(super) hot_age_max: Option<Period>,
    pub(super) retention: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIndexer {
    pub(super) listen: Option<String>,
    pub(super) refresh: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAlerting {
    pub(super) rules: Vec<PathBuf>,
    pub(super) receivers: Vec<ReceiverConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUi {
    pub(super) listen: Option<String>,
    pub(super) external_url: Option<String>,
    pub(super) indexer_url: Option<String>,
    pub(super) alerting_data: Option<PathBuf>,
}

/// A length of time as people write it: `100ms`, `30s`, `24h`, `30d`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period(pub(super) Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Period)
            .map_err(|error| {
                serde::de::Error::custom(format!(
                    "`{text}` is no duration ({error}); write e.g. `30s`, `24h` or `30d`"
                ))
            })
    }
}

/// An amount of bytes as people write it: `1MiB`, `10GB`, `1048576`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<ByteSize>()
            .map(|size| Bytes(size.as_u64()))
            .map_err(|_| {
                serde::de::Error::custom(format!(
                    "`{text}` is no amount of bytes; write e.g. `64MiB` or `10GiB`"
                ))
            })
    }
}

impl RawConfig {
    /// Parses the text of a configuration file.
    ///
    /// # Errors
    /// One line that names the key, where it stands, and what is allowed there.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut at = String::new();
        let parsed = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                at = error.path().to_string();
                error.into_inner()
            })
        });
        let config: RawConfig = parsed.map_err(|error| describe(&error, &at))?;
        match config.version {
            Some(1) => Ok(config),
            Some(other) => Err(anyhow!(
                "`version: {other}` is not known; this logboom reads `version: 1`"
            )),
            None => Err(anyhow!(
                "the key `version` is missing; start the file with `version: 1`"
            )),
        }
    }
}

fn describe(error: &serde_saphyr::Error, path: &str) -> anyhow::Error {
    let error = error.without_snippet();
    let line = error
        .location()
        .map(|at| format!("line {}, column {}: ", at.line(), at.column()))
        .unwrap_or_default();
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let nearest = expected.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, field).total_cmp(&strsim::jaro_winkler(b, field))
            });
            let hint = match nearest {
                Some(key) if strsim::jaro_winkler(key, field) > 0.7 => {
                    format!("did you mean `{key}`? ")
                }
                _ => String::new(),
            };
            let section = match path.trim_end_matches(field.as_str()).trim_end_matches('.') {
                "" | "?" => "at the top level".to_owned(),
                section => format!("in `{section}`"),
            };
            anyhow!(
                "{line}unknown key `{field}` {section}; {hint}known there: {}",
                expected.join(", ")
            )
        }
        other => {
            // The library's own text begins with its location; ours names the key as well.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default().to_owned();
            match path {
                "" | "." | "?" => anyhow!("{line}{text}"),
                path => anyhow!("{line}`{path}`: {text}"),
            }
        }
    }
}

/// Reads and parses a configuration file.
///
/// # Errors
/// As [`RawConfig::parse`], with the file's name in front.
pub(super) fn read(path: &std::path::Path) -> anyhow::Result<RawConfig> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file `{}`", path.display()))?;
    RawConfig::parse(&text).with_context(|| format!("configuration file `{}`", path.display()))
}
