//! What alerting has to be told: where records come from, which rules, whom to tell.

use std::{path::PathBuf, time::Duration};

use logboom_client::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::limits;

/// The resolved configuration of this component.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of `alerting.db`; made when missing. One process at a time.
    pub data_dir: PathBuf,
    pub queue: ClientConfig,
    /// Topics that rules look at.
    pub topics: Vec<String>,
    /// Those of `topics` whose `lb.*` headers are believed.
    pub agent_topics: Vec<String>,
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
