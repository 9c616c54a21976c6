//! Which topics are indexed and alerted on, and for how long events are kept.
//!
//! Indexer and alerting both take their topics from here, so that a topic which an operator names is searched and
//! alerted on. What the receivers write is always read: a span that was acked must be found.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::bail;

use super::raw::{Period, RawIndex, RawIndexes};

/// What the receivers write, whatever else is read.
const LOGS_TOPIC: &str = "otlp_logs";
const SPANS_TOPIC: &str = "otlp_spans";
const REJECTED_TOPIC: &str = "_logboom_rejected";

/// As Kafka allows.
const TOPIC_BYTES_MAX: usize = 249;
const HOT_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(4 << 30);
const HOT_AGE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const RETENTION_MIN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexesConfig {
    pub(crate) logs: IndexConfig,
    pub(crate) spans: IndexConfig,
    /// What receivers could not take.
    pub(crate) rejected: IndexConfig,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexConfig {
    pub(crate) lines: Lines,
    /// Topics of OTLP requests; the receivers' own first.
    pub(crate) otlp_topics: Vec<String>,
    pub(crate) hot_bytes_max: u64,
    pub(crate) hot_age_max: Duration,
    pub(crate) retention: Duration,
}

/// Topics of lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lines {
    pub(crate) topics: Vec<String>,
    /// Those whose `lb.*` headers are believed.
    pub(crate) agent_topics: Vec<String>,
}

/// `agent_topic` is where agents write unless a file says otherwise.
///
/// # Errors
/// Names the key that is wrong, and what would be right.
pub(super) fn resolve(raw: RawIndexes, agent_topic: &str) -> anyhow::Result<IndexesConfig> {
    for (key, given, instead) in [
        (
            "indexes.spans.topics",
            &raw.spans.topics,
            "spans are no lines; name topics of OTLP requests in `indexes.spans.otlp_topics`",
        ),
        (
            "indexes.spans.agent_topics",
            &raw.spans.agent_topics,
            "agents write lines, and spans are none; leave it out",
        ),
        (
            "indexes._rejected.topics",
            &raw.rejected.topics,
            "only receivers write there; leave it out",
        ),
        (
            "indexes._rejected.agent_topics",
            &raw.rejected.agent_topics,
            "only receivers write there; leave it out",
        ),
        (
            "indexes._rejected.otlp_topics",
            &raw.rejected.otlp_topics,
            "only receivers write there; leave it out",
        ),
    ] {
        if given.is_some() {
            bail!("`{key}`: {instead}");
        }
    }
    let logs = raw.logs;
    let of_agents = || vec![agent_topic.to_owned()];
    let lines = Lines {
        topics: logs.topics.clone().unwrap_or_else(of_agents),
        agent_topics: logs.agent_topics.clone().unwrap_or_else(of_agents),
    };
    if let Some(given) = &logs.agent_topics
        && let Some(other) = given.iter().find(|topic| !lines.topics.contains(topic))
    {
        bail!(
            "`indexes.logs.agent_topics`: `{other}` is not read; add it to `indexes.logs.topics` too"
        );
    }
    let rejected = Lines {
        topics: vec![REJECTED_TOPIC.to_owned()],
        agent_topics: Vec::new(),
    };
    let indexes = IndexesConfig {
        logs: index("indexes.logs", logs, lines, Some(LOGS_TOPIC), 64 << 20)?,
        spans: index(
            "indexes.spans",
            raw.spans,
            Lines::default(),
            Some(SPANS_TOPIC),
            32 << 20,
        )?,
        rejected: index("indexes._rejected", raw.rejected, rejected, None, 8 << 20)?,
    };
    indexes.check_topics()?;
    Ok(indexes)
}

fn index(
    key: &str,
    raw: RawIndex,
    lines: Lines,
    own_otlp: Option<&str>,
    hot_bytes_default: u64,
) -> anyhow::Result<IndexConfig> {
    let mut otlp_topics: Vec<String> = own_otlp.map(str::to_owned).into_iter().collect();
    let more = raw.otlp_topics.unwrap_or_default();
    otlp_topics.extend(
        more.into_iter()
            .filter(|topic| Some(topic.as_str()) != own_otlp),
    );
    let hot_bytes_max = raw.hot_bytes_max.map_or(hot_bytes_default, |bytes| bytes.0);
    if !HOT_BYTES.contains(&hot_bytes_max) {
        bail!(
            "`{key}.hot_bytes_max`: `{hot_bytes_max}` is out of range; allowed are `1MiB` to `4GiB`"
        );
    }
    let period = |given: Option<Period>, default| given.map_or(default, |period: Period| period.0);
    let hot_age_max = period(raw.hot_age_max, Duration::from_secs(30));
    if !HOT_AGE.contains(&hot_age_max) {
        bail!("`{key}.hot_age_max`: {hot_age_max:?} is out of range; allowed are `100ms` to `24h`");
    }
    let retention = period(raw.retention, Duration::from_secs(30 * 24 * 3600));
    if retention < RETENTION_MIN {
        bail!("`{key}.retention`: {retention:?} is out of range; allowed are `1m` and longer");
    }
    Ok(IndexConfig {
        lines,
        otlp_topics,
        hot_bytes_max,
        hot_age_max,
        retention,
    })
}

impl IndexesConfig {
    /// A topic belongs to one index and is read in one way.
    fn check_topics(&self) -> anyhow::Result<()> {
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for (key, topics) in [
            ("indexes.logs.topics", &self.logs.lines.topics),
            ("indexes.logs.otlp_topics", &self.logs.otlp_topics),
            ("indexes.spans.otlp_topics", &self.spans.otlp_topics),
            ("indexes._rejected.topics", &self.rejected.lines.topics),
        ] {
            for topic in topics {
                if !is_topic(topic) {
                    bail!(
                        "`{key}`: `{topic}` is no name of a topic; it has 1 to {TOPIC_BYTES_MAX} letters, digits and `.`, `_`, `-`"
                    );
                }
                if let Some(other) = seen.insert(topic, key) {
                    bail!(
                        "`{key}`: topic `{topic}` is in `{other}` already; a topic belongs to one index and is read in one way"
                    );
                }
            }
        }
        Ok(())
    }
}

fn is_topic(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::super::raw::RawConfig;
    use super::*;

    fn resolved(text: &str) -> anyhow::Result<IndexesConfig> {
        let raw = RawConfig::parse(&format!("version: 1\n{text}"))?;
        resolve(raw.indexes, "logs")
    }

    #[test]
    fn each_index_is_kept_as_long_as_its_own_key_says() {
        let indexes = resolved(
            "indexes: {logs: {retention: 7d}, spans: {retention: 2d, hot_age_max: 5s, hot_bytes_max: 16MiB}, _rejected: {retention: 1h}}",
        )
        .unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(indexes.logs.retention, hours(7 * 24));
        assert_eq!(indexes.logs.hot_age_max, Duration::from_secs(30));
        assert_eq!(indexes.spans.retention, hours(2 * 24));
        assert_eq!(indexes.spans.hot_age_max, Duration::from_secs(5));
        assert_eq!(indexes.spans.hot_bytes_max, 16 << 20);
        assert_eq!(indexes.rejected.retention, hours(1));
    }

    #[test]
    fn topics_that_others_write_are_read_beside_those_of_the_receivers() {
        let indexes = resolved(
            "indexes: {spans: {otlp_topics: [collector-spans, otlp_spans]}, logs: {otlp_topics: [collector-logs]}}",
        )
        .unwrap();
        assert_eq!(indexes.spans.otlp_topics, ["otlp_spans", "collector-spans"]);
        assert_eq!(indexes.logs.otlp_topics, ["otlp_logs", "collector-logs"]);
        let agents = vec!["logs".to_owned()];
        assert_eq!(indexes.logs.lines.topics, agents);
        assert_eq!(indexes.logs.lines.agent_topics, agents);
    }

    #[test]
    fn the_examples_show_the_defaults_and_the_same_topics_to_both_who_read_them() {
        let example = |name: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
            let text = std::fs::read_to_string(path.join(name)).unwrap();
            let raw = RawConfig::parse(&text).unwrap();
            resolve(raw.indexes, "logs").unwrap()
        };
        assert_eq!(example("up.yaml"), resolved("").unwrap());
        let (indexer, alerting) = (example("indexer.yaml"), example("alerting.yaml"));
        assert_eq!(indexer.logs.lines, alerting.logs.lines);
        assert_eq!(indexer.spans.otlp_topics, ["otlp_spans", "collector-spans"]);
        assert_eq!(indexer.spans.otlp_topics, alerting.spans.otlp_topics);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (text, expected) in [
            (
                "indexes: {span: {retention: 2d}}",
                "unknown key `span` in `indexes`; did you mean `spans`?",
            ),
            (
                "indexes: {spans: {retension: 2d}}",
                "unknown key `retension` in `indexes.spans`; did you mean `retention`?",
            ),
            (
                "indexes: {spans: {topics: [a]}}",
                "`indexes.spans.topics`: spans are no lines",
            ),
            (
                "indexes: {_rejected: {otlp_topics: [a]}}",
                "`indexes._rejected.otlp_topics`: only receivers",
            ),
            (
                "indexes: {spans: {otlp_topics: [logs]}}",
                "`indexes.spans.otlp_topics`: topic `logs` is in `indexes.logs.topics` already",
            ),
            (
                "indexes: {logs: {topics: [otlp_spans]}}",
                "topic `otlp_spans` is in `indexes.logs.topics` already",
            ),
            (
                "indexes: {spans: {otlp_topics: ['my spans']}}",
                "`my spans` is no name of a topic",
            ),
            (
                "indexes: {logs: {agent_topics: [b]}}",
                "`indexes.logs.agent_topics`: `b` is not read",
            ),
            (
                "indexes: {spans: {hot_bytes_max: 1KiB}}",
                "`indexes.spans.hot_bytes_max`: `1024` is out of range",
            ),
            (
                "indexes: {spans: {hot_age_max: 1ms}}",
                "`indexes.spans.hot_age_max`: 1ms is out of range",
            ),
            (
                "indexes: {_rejected: {retention: 1s}}",
                "`indexes._rejected.retention`: 1s is out of range",
            ),
            (
                "indexes: {spans: {retention: soon}}",
                "`indexes.spans.retention`: `soon` is no duration",
            ),
        ] {
            let error = resolved(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text} gives {error}");
        }
    }
}
