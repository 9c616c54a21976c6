//! The values that make a group: read from an event by the fields of `group_by`.
//!
//! A line that lacks a field has the empty value there, like one whose field is empty, and all such
//! lines share a group; its labels name the field under `__missing__`.

use std::collections::BTreeMap;

use logboom_event::{Encoding, Event, Record, hex::encode as hex};
use logboom_query::{Cell, Field, SPANS};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{limits, rules::Rule, sources::SourceRef};

/// Identifies a group within its rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupKey {
    Values(Vec<String>),
    /// Stands for the groups that found no place.
    Overflow,
}

impl GroupKey {
    pub(crate) fn of(rule: &Rule, event: &Event) -> GroupKey {
        let values = match rule.index == SPANS {
            true => rule
                .group_fields
                .iter()
                .map(|field| of_span(event, field))
                .collect(),
            false => rule
                .group_by
                .iter()
                .map(|field| value(event, field))
                .collect(),
        };
        GroupKey::Values(values)
    }

    /// The stored form.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings are JSON")
    }

    pub(crate) fn from_text(text: &str) -> Result<GroupKey, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The labels of the alert: name, the rule's own, then the group's.
    pub(crate) fn labels(&self, rule: &Rule) -> BTreeMap<String, String> {
        let mut labels = rule.labels.clone();
        labels.insert("alertname".to_owned(), rule.name.clone());
        match self {
            GroupKey::Values(values) => {
                let mut missing = Vec::new();
                for (field, value) in rule.group_by.iter().zip(values) {
                    if value.is_empty() {
                        missing.push(field.as_str());
                    }
                    labels.insert(field.clone(), value.clone());
                }
                if !missing.is_empty() {
                    labels.insert("__missing__".to_owned(), missing.join(","));
                }
            }
            GroupKey::Overflow => {
                labels.insert("logboom_overflow".to_owned(), "true".to_owned());
            }
        }
        labels
    }
}

impl SourceRef {
    /// The record's source, or its partition when it has none.
    ///
    /// Requests over OTLP carry no id of their sender, but who it is stands in each item: service, host and
    /// instance. Were all of a partition one source, the clock of those that are up to date would end the
    /// alerts of one that is behind.
    pub(crate) fn of(record: &Record, event: &Event) -> SourceRef {
        let mut name = Vec::with_capacity(64);
        name.extend_from_slice(record.topic.as_bytes());
        name.push(0);
        name.extend_from_slice(&record.partition.to_le_bytes());
        if let Some(origin) = &record.origin {
            name.extend_from_slice(&origin.source.0);
        }
        if record.encoding != Encoding::Line {
            let instance = event
                .attributes
                .get("resource")
                .and_then(|resource| resource.get("service.instance.id"))
                .and_then(Value::as_str);
            for part in [event.service.as_deref(), event.host.as_deref(), instance] {
                name.push(0);
                name.extend_from_slice(part.unwrap_or_default().as_bytes());
            }
        }
        SourceRef(xxhash_rust::xxh3::xxh3_64(&name))
    }
}

fn value(event: &Event, field: &str) -> String {
    let text = match field {
        "level" => event.level.map(|level| level.as_str().to_owned()),
        "service" => event.service.clone(),
        "host" => event.host.clone(),
        "source" | "path" => event.path.clone(),
        "trace_id" => event.trace_id.map(|id| hex(&id)),
        "span_id" => event.span_id.map(|id| hex(&id)),
        other => {
            let path = other.strip_prefix("attributes.").unwrap_or(other);
            attribute(&event.attributes, path).and_then(plain)
        }
    };
    cut(text.unwrap_or_default())
}

/// The field of a span, as queries see it.
fn of_span(event: &Event, field: &Field) -> String {
    cut(match logboom_query::cell(field, event) {
        Cell::Missing | Cell::Nested => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.into_owned(),
        Cell::Time(ns) => crate::stamp::nanos(ns),
    })
}

fn cut(mut text: String) -> String {
    if text.len() > limits::GROUP_VALUE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(limits::GROUP_VALUE_BYTES_MAX));
    }
    text
}

/// Dotted and nested spellings are the same field: `a.b` is key `a.b`, or key `b` in object `a`.
fn attribute<'a>(attributes: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = attributes.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let inner = attributes.get(&path[..dot])?.as_object()?;
        attribute(inner, &path[dot + 1..])
    })
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_and_nested_attributes_are_one_field() {
        let Value::Object(map) =
            serde_json::json!({"a": {"b": {"c": 1}, "b.d": "x"}, "a.e": true, "n": null})
        else {
            unreachable!()
        };
        let read = |path: &str| attribute(&map, path).and_then(plain);
        assert_eq!(read("a.b.c").as_deref(), Some("1"));
        assert_eq!(read("a.b.d").as_deref(), Some("x"));
        assert_eq!(read("a.e").as_deref(), Some("true"));
        assert_eq!(read("n"), None);
        assert_eq!(read("a.x"), None);
    }

    #[test]
    fn keys_survive_storage() {
        for key in [
            GroupKey::Overflow,
            GroupKey::Values(vec![]),
            GroupKey::Values(vec!["\"\n日".to_owned(), String::new()]),
        ] {
            assert_eq!(GroupKey::from_text(&key.to_text()).unwrap(), key);
        }
    }
}
