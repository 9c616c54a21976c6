//! What the unit tests of several modules need: rules from YAML, records, events.

use std::sync::Arc;

use logboom_event::{Context, Event, Format, Origin, Record, SourceId, TimestampFrom};

use crate::rules::{self, Rule, RuleSet};

pub(crate) const S: i64 = 1_000_000_000;

pub(crate) fn rule_set(yaml: &str) -> RuleSet {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    std::fs::write(&file, yaml).unwrap();
    rules::load(&[file]).unwrap()
}

pub(crate) fn one_rule(rule: &str) -> Arc<Rule> {
    Arc::clone(&rule_set(&format!("version: 1\nrules:\n- {rule}\n")).rules[0])
}

/// Line `index` of `source`, as an agent sends it.
pub(crate) fn record(source: u8, index: u64, arrival_ns: i64, line: &str) -> Record {
    let context = Context {
        host: format!("host{source}"),
        path: format!("/var/log/{source}.log"),
        service: None,
        format: Format::Auto,
        timezone: None,
    };
    Record {
        topic: "logs".into(),
        partition: i32::from(source) % 2,
        offset: index as i64,
        timestamp_ms: arrival_ns / 1_000_000,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: line.as_bytes().to_vec().into(),
        origin: Some(Origin {
            source: SourceId([source; 16]),
            prev: index * 100,
            offset: index * 100,
            end: index * 100 + 100,
            continues: false,
            true_len: None,
            context: Arc::new(context),
        }),
        headers: Vec::new(),
    }
}

/// The record's event, with a timestamp given here.
pub(crate) fn event(record: &Record, time: i64) -> Event {
    let mut event = Event::parse(record);
    event.timestamp_ns = time;
    event.timestamp_from = TimestampFrom::Line;
    event
}
