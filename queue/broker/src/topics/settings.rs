//! What a topic may have set for itself: names and values as Kafka has them, and what they become.
//!
//! A topic keeps the values as text, in their shortest form, and only those that somebody set. Whatever is not set
//! is the broker's. A setting that this broker can't honour is refused with a reason; none is kept without effect.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::BATCH_BYTES_MAX;
use crate::log::{PartitionSettings, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

pub(crate) const CLEANUP_POLICY: &str = "cleanup.policy";
pub(crate) const COMPRESSION_TYPE: &str = "compression.type";
pub(crate) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
pub(crate) const TIMESTAMP_TYPE: &str = "message.timestamp.type";
pub(crate) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
pub(crate) const RETENTION_BYTES: &str = "retention.bytes";
pub(crate) const RETENTION_MS: &str = "retention.ms";
pub(crate) const SEGMENT_BYTES: &str = "segment.bytes";
pub(crate) const SEGMENT_MS: &str = "segment.ms";
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// One setting that topics know.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// What the broker calls its own value, which holds for topics without one.
    pub(crate) broker_name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: &'static str,
    allowed: Allowed,
}

/// The type of a value, as admin clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Text,
    Int,
    Long,
    List,
}

#[derive(Debug)]
enum Allowed {
    OneOf(&'static [&'static str]),
    Between(i64, i64),
}

/// By name, as it is listed.
pub(crate) static SETTINGS: [Setting; 9] = [
    Setting {
        name: CLEANUP_POLICY,
        broker_name: "log.cleanup.policy",
        kind: Kind::List,
        meaning: "Old segments are deleted. There is no compaction.",
        allowed: Allowed::OneOf(&["delete"]),
    },
    Setting {
        name: COMPRESSION_TYPE,
        broker_name: "compression.type",
        kind: Kind::Text,
        meaning: "Batches are kept as the producer compressed them.",
        allowed: Allowed::OneOf(&["producer"]),
    },
    Setting {
        name: MAX_MESSAGE_BYTES,
        broker_name: "message.max.bytes",
        kind: Kind::Int,
        meaning: "Largest record batch that is taken.",
        allowed: Allowed::Between(0, BATCH_BYTES_MAX as i64),
    },
    Setting {
        name: TIMESTAMP_TYPE,
        broker_name: "log.message.timestamp.type",
        kind: Kind::Text,
        meaning: "Whether records keep the producer's time or get that of their arrival.",
        allowed: Allowed::OneOf(&["CreateTime", LOG_APPEND_TIME]),
    },
    Setting {
        name: MIN_INSYNC_REPLICAS,
        broker_name: "min.insync.replicas",
        kind: Kind::Int,
        meaning: "There is one node.",
        allowed: Allowed::OneOf(&["1"]),
    },
    Setting {
        name: RETENTION_BYTES,
        broker_name: "log.retention.bytes",
        kind: Kind::Long,
        meaning: "Size of a partition past which its oldest segments are deleted; -1 is no bound.",
        allowed: Allowed::Between(-1, i64::MAX),
    },
    Setting {
        name: RETENTION_MS,
        broker_name: "log.retention.ms",
        kind: Kind::Long,
        meaning: "How long records are kept after their arrival; -1 is for ever.",
        allowed: Allowed::Between(-1, i64::MAX),
    },
    Setting {
        name: SEGMENT_BYTES,
        broker_name: "log.segment.bytes",
        kind: Kind::Int,
        meaning: "Size at which a segment is closed. Retention deletes whole segments.",
        allowed: Allowed::Between(SEGMENT_BYTES_MIN as i64, SEGMENT_BYTES_MAX as i64),
    },
    Setting {
        name: SEGMENT_MS,
        broker_name: "log.roll.ms",
        kind: Kind::Long,
        meaning: "Age at which a segment is closed by the next record.",
        allowed: Allowed::Between(1, i64::MAX),
    },
];

/// Why a setting is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("topics have no setting `{name}` here; there are {}", names())]
    Unknown { name: String },
    #[error("setting `{name}` cannot be `{value}`: {allowed}")]
    Value {
        name: &'static str,
        value: String,
        allowed: String,
    },
    #[error("setting `{name}` is no list, nothing can be added to it or taken from it")]
    NoList { name: &'static str },
}

/// How much of a client's text an error repeats.
const QUOTED_CHARS_MAX: usize = 100;

fn names() -> String {
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    names.join(", ")
}

impl Setting {
    pub(crate) fn of(name: &str) -> Result<&'static Setting, SettingError> {
        let found = SETTINGS.iter().find(|setting| setting.name == name);
        found.ok_or_else(|| SettingError::Unknown {
            name: name.chars().take(QUOTED_CHARS_MAX).collect(),
        })
    }

    /// The value in its shortest form, if the setting can have it.
    fn check(&self, value: &str) -> Result<String, SettingError> {
        let value = value.trim();
        let good = match self.allowed {
            Allowed::OneOf(values) => values.contains(&value).then(|| value.to_owned()),
            Allowed::Between(min, max) => value
                .parse::<i64>()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(|number| number.to_string()),
        };
        good.ok_or_else(|| SettingError::Value {
            name: self.name,
            value: value.chars().take(QUOTED_CHARS_MAX).collect(),
            allowed: self.says_what_is_allowed(),
        })
    }

    fn says_what_is_allowed(&self) -> String {
        match (self.name, &self.allowed) {
            (CLEANUP_POLICY, _) => {
                "topics are not compacted here, only `delete` is allowed".to_owned()
            }
            (MIN_INSYNC_REPLICAS, _) => "there is one node, only `1` is allowed".to_owned(),
            (_, Allowed::OneOf(values)) => format!("allowed is {}", values.join(", ")),
            (_, Allowed::Between(min, max)) => format!("allowed is {min} to {max}"),
        }
    }
}

/// What one topic has set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Overrides {
    values: BTreeMap<String, String>,
}

impl Overrides {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let setting = Setting::of(name)?;
        let value = setting.check(value)?;
        self.values.insert(setting.name.to_owned(), value);
        Ok(())
    }

    /// Back to the broker's value.
    pub(crate) fn unset(&mut self, name: &str) -> Result<(), SettingError> {
        let setting = Setting::of(name)?;
        self.values.remove(setting.name);
        Ok(())
    }

    /// Adds words to a list, or takes them out. `now`: the broker's value.
    pub(crate) fn edit_list(
        &mut self,
        name: &str,
        now: &str,
        words: &str,
        adds: bool,
    ) -> Result<(), SettingError> {
        let setting = Setting::of(name)?;
        if setting.kind != Kind::List {
            return Err(SettingError::NoList { name: setting.name });
        }
        let words: Vec<&str> = words.split(',').map(str::trim).collect();
        let now = self.get(name).unwrap_or(now).to_owned();
        let mut list: Vec<&str> = now
            .split(',')
            .filter(|word| adds || !words.contains(word))
            .collect();
        if adds {
            list.extend(
                words
                    .iter()
                    .filter(|word| !now.split(',').any(|known| known == **word)),
            );
        }
        self.set(name, &list.join(","))
    }

    /// That what a file says is what [`Overrides::set`] takes.
    pub(crate) fn check(&self) -> Result<(), SettingError> {
        let mut again = Overrides::default();
        self.values
            .iter()
            .try_for_each(|(name, value)| again.set(name, value))
    }

    /// What the topic's logs are set to.
    pub(crate) fn partition(&self, defaults: PartitionSettings) -> PartitionSettings {
        let period = |name| {
            self.number(name)
                .map(|ms| u64::try_from(ms).ok().map(Duration::from_millis))
        };
        let bytes = |name| self.number(name).map(|bytes| u64::try_from(bytes).ok());
        PartitionSettings {
            segment_bytes: bytes(SEGMENT_BYTES)
                .flatten()
                .unwrap_or(defaults.segment_bytes),
            segment_age_max: period(SEGMENT_MS)
                .flatten()
                .unwrap_or(defaults.segment_age_max),
            retention: period(RETENTION_MS).unwrap_or(defaults.retention),
            retention_bytes: bytes(RETENTION_BYTES).unwrap_or(defaults.retention_bytes),
            stamp_arrival: self.get(TIMESTAMP_TYPE) == Some(LOG_APPEND_TIME),
        }
    }

    /// Largest batch that is taken, if the topic has its own mind about it.
    pub(crate) fn batch_bytes_max(&self) -> Option<usize> {
        self.number(MAX_MESSAGE_BYTES)
            .and_then(|bytes| usize::try_from(bytes).ok())
    }

    fn number(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        Some(value.parse().expect("only checked values are kept"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogConfig;

    fn with(name: &str, value: &str) -> Result<Overrides, SettingError> {
        let mut overrides = Overrides::default();
        overrides.set(name, value).map(|()| overrides)
    }

    #[test]
    fn what_is_set_reaches_the_logs_and_the_rest_stays_the_brokers() {
        let defaults = LogConfig::default().partition();
        assert_eq!(Overrides::default().partition(defaults), defaults);
        let settings = |name, value| with(name, value).unwrap().partition(defaults);
        let for_ever = settings(RETENTION_MS, "-1");
        assert_eq!(for_ever.retention, None);
        let hour = settings(RETENTION_MS, " 3600000 ");
        assert_eq!(hour.retention, Some(Duration::from_secs(3600)));
        assert_eq!(hour.segment_bytes, defaults.segment_bytes);
        assert_eq!(settings(RETENTION_BYTES, "10").retention_bytes, Some(10));
        assert_eq!(settings(SEGMENT_BYTES, "1048576").segment_bytes, 1 << 20);
        assert!(settings(TIMESTAMP_TYPE, LOG_APPEND_TIME).stamp_arrival);
        assert!(!settings(TIMESTAMP_TYPE, "CreateTime").stamp_arrival);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_what_can() {
        let refusals = [
            (CLEANUP_POLICY, "compact", "topics are not compacted here"),
            (CLEANUP_POLICY, "delete,compact", "only `delete` is allowed"),
            (MIN_INSYNC_REPLICAS, "2", "there is one node"),
            (RETENTION_MS, "-2", "-1 to 9223372036854775807"),
            (RETENTION_MS, "1h", "cannot be `1h`"),
            (SEGMENT_BYTES, "1", "4096 to 1073741824"),
            (MAX_MESSAGE_BYTES, "16777217", "0 to 16777216"),
            (TIMESTAMP_TYPE, "Now", "CreateTime, LogAppendTime"),
            ("retention.hours", "1", "there are cleanup.policy, "),
        ];
        for (name, value, words) in refusals {
            let error = with(name, value).unwrap_err().to_string();
            assert!(error.contains(words), "{name}={value}: {error}");
        }
        for (name, value) in [
            (CLEANUP_POLICY, "delete"),
            (MIN_INSYNC_REPLICAS, "1"),
            (COMPRESSION_TYPE, "producer"),
        ] {
            with(name, value).unwrap();
        }
    }

    #[test]
    fn only_lists_are_added_to() {
        let mut overrides = Overrides::default();
        let mut edit = |name: &str, words: &str, adds| {
            overrides
                .edit_list(name, "delete", words, adds)
                .map(|()| overrides.get(name).map(str::to_owned))
        };
        assert_eq!(
            edit(CLEANUP_POLICY, "delete", true),
            Ok(Some("delete".to_owned()))
        );
        assert!(matches!(
            edit(CLEANUP_POLICY, "compact", true),
            Err(SettingError::Value { .. })
        ));
        assert!(matches!(
            edit(CLEANUP_POLICY, "delete", false),
            Err(SettingError::Value { .. })
        ));
        assert_eq!(
            edit(RETENTION_MS, "1", true),
            Err(SettingError::NoList { name: RETENTION_MS })
        );
    }
}
