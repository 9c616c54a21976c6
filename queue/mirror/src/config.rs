//! What a mirror is told, by value.

use std::time::Duration;

use logboom_client::ClientConfig;

use crate::limits;
use crate::pattern::TopicPattern;

/// One direction between two clusters.
#[derive(Debug, Clone)]
pub struct Config {
    /// Told in logs and metrics.
    pub name: String,
    pub from: ClientConfig,
    pub to: ClientConfig,
    pub topics: TopicPattern,
    pub until: Until,
    /// How often topics and partitions that are new, or gone, are looked for, and lag is measured.
    pub refresh: Duration,
}

/// When a mirror is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Stopped,
    /// When everything is copied that the source held at the start.
    Drained,
}

impl Config {
    pub fn new(name: &str, from: ClientConfig, to: ClientConfig, topics: TopicPattern) -> Config {
        Config {
            name: name.to_owned(),
            from,
            to,
            topics,
            until: Until::Stopped,
            refresh: limits::REFRESH,
        }
    }
}
