//! One value in a table, and the value that an event has for a field.
//!
//! Filters ask whether any value of a field passes. A table needs one value an event, or counts
//! and sums would not add up: it is the field's first.

use std::borrow::Cow;
use std::cmp::Ordering;

use logboom_event::Event;
use logboom_event::hex::encode as hex;
use serde_json::Value;

use crate::field::Field;
use crate::number::Number;
use crate::span_field::{self, SpanField};
use crate::time;
use crate::value::any_leaf_at;

#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Missing,
    /// There, but with no value of its own: an object with values below it.
    Nested,
    Bool(bool),
    Number(Number),
    /// As it is in the event, not folded.
    Text(Cow<'a, str>),
    /// Nanoseconds since the epoch.
    Time(i64),
}

/// What the event has for the field.
pub fn cell<'a>(field: &Field, event: &'a Event) -> Cell<'a> {
    match field {
        Field::Raw => Cell::Text(event.raw_text()),
        Field::Body => Cell::Text(event.body()),
        Field::Level => event.level.map(|level| level.as_str()).into(),
        Field::Service => event.service.as_deref().into(),
        Field::Host => event.host.as_deref().into(),
        Field::Path => event.path.as_deref().into(),
        Field::TraceId => Cell::id(event.trace_id.as_ref().map(|id| &id[..])),
        Field::SpanId => Cell::id(event.span_id.as_ref().map(|id| &id[..])),
        Field::Timestamp => Cell::Time(event.timestamp_ns),
        // Only an indexed event has one; the parser refuses it in pipes.
        Field::Id => Cell::Missing,
        Field::Span(own) => of_span(own, event),
        Field::Attribute(path) => {
            let mut found = Cell::Missing;
            let _ = any_leaf_at(&event.attributes, path, false, &mut |leaf| {
                found = Cell::of_json(leaf);
                true
            });
            let nested = || any_leaf_at(&event.attributes, path, true, &mut |_| true);
            if found == Cell::Missing && nested() {
                return Cell::Nested;
            }
            found
        }
    }
}

fn of_span<'a>(own: &SpanField, event: &'a Event) -> Cell<'a> {
    let Some(span) = event.span.as_deref() else {
        return Cell::Missing;
    };
    match own {
        SpanField::Operation => Cell::Text(event.body()),
        SpanField::Kind => Some(span_field::kind_name(span.kind)).into(),
        SpanField::Status => Some(span_field::status_name(&span.status)).into(),
        SpanField::StatusMessage => span_field::message(span).into(),
        SpanField::Duration => span.duration_ns.into(),
        SpanField::ParentId => Cell::id(span.parent_span_id.as_ref().map(|id| &id[..])),
        SpanField::LinkTraceId => Cell::id(span.links.first().map(|link| &link.trace_id[..])),
        SpanField::LinkSpanId => Cell::id(span.links.first().map(|link| &link.span_id[..])),
        SpanField::Event(path) => {
            let mut found = Cell::Missing;
            let _ = span.events.iter().any(|event| {
                if path == "name" {
                    found = Some(event.name.as_str()).into();
                    return true;
                }
                any_leaf_at(&event.attributes, path, false, &mut |leaf| {
                    found = Cell::of_json(leaf);
                    true
                })
            });
            let nested = |event: &logboom_event::SpanEvent| {
                any_leaf_at(&event.attributes, path, true, &mut |_| true)
            };
            if found == Cell::Missing && span.events.iter().any(nested) {
                return Cell::Nested;
            }
            found
        }
    }
}

impl<'a> Cell<'a> {
    /// A string that is a number's own text is that number, as filters have it.
    fn of_json(value: &'a Value) -> Cell<'a> {
        match value {
            Value::Bool(value) => Cell::Bool(*value),
            Value::Number(number) => Number::from_json(number).map_or(Cell::Missing, Cell::Number),
            Value::String(text) => {
                let number = Number::parse(text).filter(|number| number.to_string() == *text);
                number.map_or(Cell::Text(Cow::Borrowed(text)), Cell::Number)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Cell::Missing,
        }
    }

    fn id(bytes: Option<&[u8]>) -> Cell<'static> {
        bytes.map_or(Cell::Missing, |bytes| Cell::Text(Cow::Owned(hex(bytes))))
    }

    pub(super) fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Missing => Cell::Missing,
            Cell::Nested => Cell::Nested,
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Number(number) => Cell::Number(number),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Time(ns) => Cell::Time(ns),
        }
    }

    /// Different cells have different bytes, also one after the other.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            // A group of objects is the group of what has no value.
            Cell::Missing | Cell::Nested => bytes.push(0),
            Cell::Bool(value) => bytes.extend([1, u8::from(*value)]),
            Cell::Number(Number::Int(int)) => {
                bytes.push(2);
                bytes.extend(int.to_le_bytes());
            }
            Cell::Number(Number::Float(float)) => {
                bytes.push(3);
                bytes.extend(float.to_bits().to_le_bytes());
            }
            Cell::Text(text) => {
                bytes.push(4);
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            Cell::Time(ns) => {
                bytes.push(5);
                bytes.extend(ns.to_le_bytes());
            }
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Cell::Missing | Cell::Nested)
    }

    /// Total: false, true, numbers, times, texts, and last what is missing.
    pub(super) fn order(&self, other: &Cell<'_>) -> Ordering {
        match (self, other) {
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Number(a), Cell::Number(b)) => a.order(*b),
            (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Bool(_) => 0,
            Cell::Number(_) => 1,
            Cell::Time(_) => 2,
            Cell::Text(_) => 3,
            Cell::Missing | Cell::Nested => 4,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Cell::Missing | Cell::Nested => Value::Null,
            Cell::Bool(value) => Value::Bool(*value),
            Cell::Number(number) => number.to_json(),
            Cell::Text(text) => Value::String(text.to_string()),
            Cell::Time(ns) => Value::String(time::shortest(*ns)),
        }
    }
}

impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Cell::Number(Number::Int(value.into()))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Cell::Missing, |text| Cell::Text(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}
