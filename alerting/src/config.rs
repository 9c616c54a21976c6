//! What alerting has to be told: where records come from, which rules, whom to tell.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use logboom_client::ClientConfig;
use logboom_event::Encoding;
use serde::{Deserialize, Serialize};

use crate::{limits, rules::INDEXES};

/// The resolved configuration of this component.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of `alerting.db`; made when missing. One process at a time.
    pub data_dir: PathBuf,
    pub queue: ClientConfig,
    /// What rules look at. A topic belongs to one index.
    pub indexes: Vec<IndexConfig>,
    /// Partitions that a topic gets if it does not exist yet.
    pub partitions: u32,
    /// Rule files, and folders of them (`*.yaml`, `*.yml`).
    pub rules: Vec<PathBuf>,
    /// Receivers beside those that rule files bring.
    pub receivers: Vec<ReceiverConfig>,
    /// Where people reach the web page; goes into notifications.
    pub external_url: String,
    pub timing: Timing,
}

/// An index, as far as rules look at it: the topics that it is filled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// One of [`crate::rules::INDEXES`].
    pub name: String,
    pub topics: Vec<Topic>,
}

impl IndexConfig {
    /// The lines of agents, and logs that came over OTLP.
    pub fn logs() -> IndexConfig {
        IndexConfig {
            name: LOGS.to_owned(),
            topics: vec![
                Topic::of_agents("logs"),
                Topic::encoded("otlp_logs", Encoding::OtlpLogs),
            ],
        }
    }

    /// The spans that came over OTLP.
    pub fn spans() -> IndexConfig {
        IndexConfig {
            name: logboom_query::SPANS.to_owned(),
            topics: vec![Topic::encoded("otlp_spans", Encoding::OtlpSpans)],
        }
    }
}

/// The index of rules that name none.
pub(crate) const LOGS: &str = "logs";

/// A topic, and how its records are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub encoding: Encoding,
    /// Only agents write to it, so their `lb.*` headers are believed.
    pub from_agents: bool,
}

impl Topic {
    /// A topic of lines that only agents write to.
    pub fn of_agents(name: &str) -> Topic {
        Topic {
            name: name.to_owned(),
            encoding: Encoding::Line,
            from_agents: true,
        }
    }

    /// A topic that anybody writes to.
    pub fn encoded(name: &str, encoding: Encoding) -> Topic {
        Topic {
            name: name.to_owned(),
            encoding,
            from_agents: false,
        }
    }
}

impl Config {
    /// Every topic with the name of its index.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.indexes.iter().flat_map(|index| {
            let topics = index.topics.iter();
            topics.map(|topic| (index.name.as_str(), topic))
        })
    }

    pub(crate) fn agent_topics(&self) -> Vec<String> {
        let agents = self.topics().filter(|(_, topic)| topic.from_agents);
        agents.map(|(_, topic)| topic.name.clone()).collect()
    }

    pub(crate) fn encodings(&self) -> Vec<(String, Encoding)> {
        self.topics()
            .map(|(_, topic)| (topic.name.clone(), topic.encoding))
            .collect()
    }

    /// What is wrong with `indexes`, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        for (at, index) in self.indexes.iter().enumerate() {
            if !INDEXES.contains(&index.name.as_str()) {
                return Some(format!(
                    "there is no index `{}` that rules can look at; known are `{}`",
                    index.name,
                    INDEXES.join("`, `")
                ));
            }
            if self.indexes[..at]
                .iter()
                .any(|other| other.name == index.name)
            {
                return Some(format!("the index `{}` is given twice", index.name));
            }
        }
        let mut seen = HashSet::new();
        for (index, topic) in self.topics() {
            let spans = topic.encoding == Encoding::OtlpSpans;
            if spans != (index == logboom_query::SPANS) {
                return Some(format!(
                    "the topic `{}` does not fit the index `{index}`: spans, and only they, belong in `{}`",
                    topic.name,
                    logboom_query::SPANS
                ));
            }
            if !seen.insert(&topic.name) {
                return Some(format!(
                    "the topic `{}` is given twice; a topic belongs to one index",
                    topic.name
                ));
            }
        }
        None
    }
}

/// The clocks of the engine, apart so that tests can turn them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// A live source that is silent for this long no longer holds a resolve back.
    pub idle_live: Duration,
    /// The same for a source whose lines are old when they arrive (a backfill).
    pub idle_backfill: Duration,
    /// Progress that told nobody anything is written down this often.
    pub checkpoint_interval: Duration,
    /// Waits before each try of a notification; after the last one it is a dead letter.
    pub retry_schedule: Vec<Duration>,
    /// How long delivered notifications and the history are kept.
    pub history_retention: Duration,
    /// How often rule files are looked at for changes.
    pub reload_interval: Duration,
    /// How often topics are asked for partitions that they did not have before.
    pub partitions_interval: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            idle_live: limits::IDLE_LIVE,
            idle_backfill: limits::IDLE_BACKFILL,
            checkpoint_interval: limits::CHECKPOINT_INTERVAL,
            retry_schedule: limits::RETRY_SCHEDULE.to_vec(),
            history_retention: limits::HISTORY_RETENTION,
            reload_interval: limits::RELOAD_INTERVAL,
            partitions_interval: limits::PARTITIONS_INTERVAL,
        }
    }
}

/// Somebody to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    pub name: String,
    pub webhook: WebhookConfig,
}

/// An HTTP endpoint that takes notifications.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `http://…` or `https://…`; user and password in it become basic authentication.
    pub url: String,
    /// `whsec_` and base64 of 24 to 64 bytes: requests are signed (Standard Webhooks 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(default = "timeout_default", with = "human_duration")]
    pub timeout: Duration,
    #[serde(default = "yes")]
    pub send_resolved: bool,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("url", &self.shown_url())
            .field("signed", &self.secret.is_some())
            .field("timeout", &self.timeout)
            .field("send_resolved", &self.send_resolved)
            .finish()
    }
}

impl WebhookConfig {
    /// The address without what may be a credential (user info, query): for logs and pages.
    pub fn shown_url(&self) -> String {
        match url::Url::parse(&self.url) {
            Ok(url) => format!(
                "{}://{}{}{}",
                url.scheme(),
                url.host_str().unwrap_or(""),
                url.port()
                    .map(|port| format!(":{port}"))
                    .unwrap_or_default(),
                url.path()
            ),
            Err(_) => "(not a url)".to_owned(),
        }
    }

    /// What is wrong with this receiver, and what would be right.
    pub fn problem(&self) -> Option<String> {
        match url::Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
            _ => {
                return Some(format!(
                    "`{}` is no http:// or https:// address",
                    self.shown_url()
                ));
            }
        }
        if let Some(secret) = &self.secret
            && let Err(error) = crate::signature::Secret::parse(secret)
        {
            return Some(error.to_string());
        }
        let range = limits::WEBHOOK_TIMEOUT_MIN..=limits::WEBHOOK_TIMEOUT_MAX;
        (!range.contains(&self.timeout)).then(|| {
            format!(
                "timeout `{}` is out of range; allowed are {} to {}",
                humantime::format_duration(self.timeout),
                humantime::format_duration(*range.start()),
                humantime::format_duration(*range.end())
            )
        })
    }
}

fn timeout_default() -> Duration {
    limits::WEBHOOK_TIMEOUT
}

fn yes() -> bool {
    true
}

/// Durations as people write them: `15s`, `2m`.
mod human_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is no duration; write it like `15s` or `2m`"
            ))
        })
    }
}
