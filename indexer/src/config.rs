//! What the binary tells the indexer.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use logboom_client::ClientConfig;
use logboom_event::Encoding;
use logboom_query::SPANS;

use crate::{kind::Kind, limits};

/// The group under which offsets are committed: for the display of lag, and so that the built-in
/// queue keeps what is not indexed yet. The indexer itself never starts from them.
pub const GROUP: &str = "logboom-indexer";

/// Where agents report how they are.
pub const AGENT_STATUS_TOPIC: &str = "_logboom_agents";

/// A resolved configuration; [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds `metastore.db` and `splits/`; the caller holds its lock.
    pub data_dir: PathBuf,
    pub queue: ClientConfig,
    /// The first is the one that a query means which names none.
    pub indexes: Vec<IndexConfig>,
    /// With how many partitions a missing topic is created.
    pub partitions: u32,
    /// The longest that an indexed record waits until searches see it.
    pub refresh: Duration,
}

/// One index: what goes in, how much of it is kept in memory, and for how long it stays.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// What `index:` says in queries.
    pub name: String,
    pub kind: Kind,
    pub topics: Vec<Topic>,
    /// A hot segment is published when its records reach this many bytes …
    pub hot_bytes_max: u64,
    /// … or when its first record is this old.
    pub hot_age_max: Duration,
    /// Splits whose last record arrived longer ago are deleted.
    pub retention: Duration,
}

/// A topic that is indexed, and how its records are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub encoding: Encoding,
    /// Whether `lb.*` headers are believed.
    pub from_agents: bool,
}

/// Why indexes cannot be as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("no index is configured; `logs` is the usual one")]
    NoIndex,
    #[error(
        "`{name}` is no name of an index: it begins with a lower-case letter or `_`, and goes on with those, digits and `-`"
    )]
    Name { name: String },
    #[error("two indexes are called `{name}`; rename one")]
    SameName { name: String },
    #[error("index `{name}` has no topic; name at least one, or leave the index out")]
    NoTopic { name: String },
    #[error("topic `{topic}` is listed twice; a topic belongs to one index")]
    SameTopic { topic: String },
    #[error(
        "index `{name}` cannot hold topic `{topic}`: spans belong into an index of spans, and nothing else does"
    )]
    Encoding { name: String, topic: String },
    #[error(
        "index `{name}` cannot be of this kind: the index of spans, and only that one, is called `{SPANS}`"
    )]
    Kind { name: String },
}

impl Config {
    /// The defaults: logs of agents and OpenTelemetry, spans, and what the receivers had to reject.
    pub fn new(data_dir: PathBuf, queue: ClientConfig) -> Config {
        Config {
            data_dir,
            queue,
            indexes: vec![
                IndexConfig::logs(),
                IndexConfig::spans(),
                IndexConfig::rejected(),
            ],
            partitions: 4,
            refresh: Duration::from_millis(100),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let (mut names, mut topics) = (HashSet::new(), HashSet::new());
        for index in &self.indexes {
            index.check()?;
            if !names.insert(&index.name) {
                let name = index.name.clone();
                return Err(ConfigError::SameName { name });
            }
            for topic in &index.topics {
                if !topics.insert(&topic.name) {
                    let topic = topic.name.clone();
                    return Err(ConfigError::SameTopic { topic });
                }
            }
        }
        if names.is_empty() {
            return Err(ConfigError::NoIndex);
        }
        Ok(())
    }

    pub(crate) fn splits_dir(&self) -> PathBuf {
        self.data_dir.join("splits")
    }

    pub(crate) fn metastore_path(&self) -> PathBuf {
        self.data_dir.join("metastore.db")
    }
}

impl IndexConfig {
    /// `logs`: the agents' topic of the same name, and `otlp_logs`.
    pub fn logs() -> IndexConfig {
        let topics = vec![
            Topic::of_agents("logs"),
            Topic::encoded("otlp_logs", Encoding::OtlpLogs),
        ];
        IndexConfig::new("logs", Kind::Logs, topics, 64 << 20)
    }

    /// `spans`: topic `otlp_spans`.
    pub fn spans() -> IndexConfig {
        let topics = vec![Topic::encoded("otlp_spans", Encoding::OtlpSpans)];
        IndexConfig::new(SPANS, Kind::Spans, topics, 32 << 20)
    }

    /// `_rejected`: what receivers cannot take, each with the reason.
    pub fn rejected() -> IndexConfig {
        let topics = vec![Topic::encoded("_logboom_rejected", Encoding::Line)];
        IndexConfig::new("_rejected", Kind::Logs, topics, 8 << 20)
    }

    fn new(name: &str, kind: Kind, topics: Vec<Topic>, hot_bytes_max: u64) -> IndexConfig {
        IndexConfig {
            name: name.to_owned(),
            kind,
            topics,
            hot_bytes_max,
            hot_age_max: Duration::from_secs(30),
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let name = || self.name.clone();
        let begins = |c: char| c.is_ascii_lowercase() || c == '_';
        let goes_on = |c: char| begins(c) || c.is_ascii_digit() || c == '-';
        if !self.name.starts_with(begins) || !self.name.chars().all(goes_on) {
            return Err(ConfigError::Name { name: name() });
        }
        // The query language knows a query of spans by the name of its index.
        if (self.kind == Kind::Spans) != (self.name == SPANS) {
            return Err(ConfigError::Kind { name: name() });
        }
        if self.topics.is_empty() {
            return Err(ConfigError::NoTopic { name: name() });
        }
        let is_of_spans = |topic: &&Topic| topic.encoding == Encoding::OtlpSpans;
        let wrong = |topic: &&Topic| is_of_spans(topic) != (self.kind == Kind::Spans);
        if let Some(topic) = self.topics.iter().find(wrong) {
            return Err(ConfigError::Encoding {
                name: name(),
                topic: topic.name.clone(),
            });
        }
        Ok(())
    }

    pub(crate) fn agent_topics(&self) -> Vec<String> {
        let believed = self.topics.iter().filter(|topic| topic.from_agents);
        believed.map(|topic| topic.name.clone()).collect()
    }

    pub(crate) fn encodings(&self) -> HashMap<String, Encoding> {
        let encodings = self.topics.iter();
        encodings
            .map(|topic| (topic.name.clone(), topic.encoding))
            .collect()
    }

    /// What the consumer may hold beside what is hot: an eighth, so that a small index stays small.
    pub(crate) fn prefetch_bytes(&self) -> usize {
        let eighth = usize::try_from(self.hot_bytes_max / 8).unwrap_or(usize::MAX);
        eighth.clamp(limits::PREFETCH_BYTES_MIN, limits::PREFETCH_BYTES_MAX)
    }
}

impl Topic {
    /// Lines that agents have read.
    pub fn of_agents(name: &str) -> Topic {
        Topic {
            from_agents: true,
            ..Topic::encoded(name, Encoding::Line)
        }
    }

    /// What anybody writes.
    pub fn encoded(name: &str, encoding: Encoding) -> Topic {
        Topic {
            name: name.to_owned(),
            encoding,
            from_agents: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let queue = ClientConfig::new(String::new(), String::new());
        let mut config = Config::new(PathBuf::new(), queue);
        config.check().unwrap();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_indexed_as_configured_is_named() {
        let spans = || Topic::encoded("more", Encoding::OtlpSpans);
        let refusals = [
            (refused(|config| config.indexes.clear()), "no index"),
            (
                refused(|config| config.indexes[0].name = "Logs".into()),
                "`Logs` is no name",
            ),
            (
                refused(|config| config.indexes[0].name.clear()),
                "`` is no name",
            ),
            (
                refused(|config| config.indexes[2].name = "logs".into()),
                "two indexes are called `logs`",
            ),
            (
                refused(|config| config.indexes[1].name = "traces".into()),
                "is called `spans`",
            ),
            (
                refused(|config| config.indexes[1].topics.clear()),
                "`spans` has no topic",
            ),
            (
                refused(|config| config.indexes[2].topics.push(Topic::of_agents("logs"))),
                "`logs` is listed twice",
            ),
            (
                refused(|config| config.indexes[0].topics.push(spans())),
                "index `logs` cannot hold topic `more`",
            ),
            (
                refused(|config| config.indexes[1].topics.push(Topic::of_agents("x"))),
                "index `spans` cannot hold topic `x`",
            ),
        ];
        for (found, expected) in refusals {
            assert!(found.contains(expected), "{found}");
        }
    }
}
