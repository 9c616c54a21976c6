//! The values of an event's fields, and their texts. One enumeration serves the index, which
//! makes a term of each, and the oracle, which looks one field up.

use std::borrow::Cow;

use logboom_event::Event;
use logboom_event::hex::encode as hex;
use logboom_event::token::fold;
use serde_json::{Map, Value};

use crate::field::Field;
use crate::number::Number;
use crate::span_field::{self, SpanField};

/// Under which key the index holds a field's values; attributes cannot collide with the rest.
/// `None` for what is not indexed by value.
pub fn key(field: &Field) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match field {
        Field::Level => "level",
        Field::Service => "service",
        Field::Host => "host",
        Field::Path => "path",
        Field::TraceId => "trace_id",
        Field::SpanId => "span_id",
        Field::Span(own) => return Some(own.key()),
        Field::Attribute(path) => return Some(Cow::Owned(format!(".{path}"))),
        Field::Raw | Field::Body | Field::Timestamp | Field::Id => return None,
    }))
}

/// May the field's values stand further down than the field itself? Existence then looks at every
/// key that continues this one after a dot.
pub fn nests(field: &Field) -> bool {
    matches!(
        field,
        Field::Attribute(_) | Field::Span(SpanField::Event(_))
    )
}

/// Calls `found(key, folded text)` for every value of the event that a field can name.
pub fn visit(event: &Event, found: &mut impl FnMut(&str, &str)) {
    if let Some(level) = event.level {
        found("level", level.as_str());
    }
    let named = [
        ("service", &event.service),
        ("host", &event.host),
        ("path", &event.path),
    ];
    for (key, value) in named {
        if let Some(value) = value {
            found(key, &fold(value));
        }
    }
    if let Some(id) = &event.trace_id {
        found("trace_id", &hex(id));
    }
    if let Some(id) = &event.span_id {
        found("span_id", &hex(id));
    }
    let mut folded = |key: &str, value: &str| found(key, &fold(value));
    if let Some(span) = &event.span {
        span_field::visit(event, span, &mut folded);
    }
    let mut key = String::with_capacity(64);
    visit_object(&event.attributes, &mut key, &mut folded);
}

/// Texts are not folded; keys continue `key`.
pub(crate) fn visit_object(
    object: &Map<String, Value>,
    key: &mut String,
    found: &mut impl FnMut(&str, &str),
) {
    for (name, value) in object {
        let length = key.len();
        key.push('.');
        key.push_str(name);
        visit_value(value, key, found);
        key.truncate(length);
    }
}

fn visit_value(value: &Value, key: &mut String, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(object) => visit_object(object, key, found),
        Value::Array(items) => items.iter().for_each(|item| visit_value(item, key, found)),
        leaf => {
            if let Some(text) = leaf_text(leaf) {
                found(key, &text);
            }
        }
    }
}

/// Does any value at this dotted path pass? Steps through arrays; `{"a.b":1}` and `{"a":{"b":1}}`
/// both have `a.b`. With `below`, values further down count too: for existence.
pub(crate) fn any_at(
    object: &Map<String, Value>,
    path: &str,
    below: bool,
    test: &mut impl FnMut(&str) -> bool,
) -> bool {
    any_leaf_at(object, path, below, &mut |leaf| {
        leaf_text(leaf).is_some_and(|text| test(&text))
    })
}

/// As [`any_at`], of the scalars themselves; null is none.
pub(crate) fn any_leaf_at<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    below: bool,
    test: &mut impl FnMut(&'a Value) -> bool,
) -> bool {
    object
        .iter()
        .any(|(name, value)| match path.strip_prefix(name.as_str()) {
            Some("") => any_leaf(value, below, test),
            Some(rest) => rest
                .strip_prefix('.')
                .is_some_and(|rest| any_step(value, rest, below, test)),
            None => {
                let beyond = name
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('.'));
                below && beyond && any_leaf(value, true, test)
            }
        })
}

fn any_step<'a>(
    value: &'a Value,
    path: &str,
    below: bool,
    test: &mut impl FnMut(&'a Value) -> bool,
) -> bool {
    match value {
        Value::Object(object) => any_leaf_at(object, path, below, test),
        Value::Array(items) => items.iter().any(|item| any_step(item, path, below, test)),
        _ => false,
    }
}

fn any_leaf<'a>(value: &'a Value, below: bool, test: &mut impl FnMut(&'a Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_leaf(item, below, test)),
        Value::Object(object) => below && object.values().any(|value| any_leaf(value, below, test)),
        Value::Null => false,
        leaf => test(leaf),
    }
}

/// The text of a scalar; null is no value.
fn leaf_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => {
            Number::from_json(number).map(|number| Cow::Owned(number.to_string()))
        }
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    fn texts(json: &str, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        let _ = any_at(&object(json), path, false, &mut |text| {
            found.push(text.to_owned());
            false
        });
        found
    }

    #[test]
    fn dotted_and_nested_spellings_are_one_field() {
        assert_eq!(texts(r#"{"a":{"b":1},"a.b":2}"#, "a.b"), ["1", "2"]);
        assert_eq!(
            texts(r#"{"a.b":{"c":"x"},"a":{"b.c":"y"}}"#, "a.b.c"),
            ["x", "y"]
        );
    }

    #[test]
    fn arrays_are_stepped_through() {
        assert_eq!(
            texts(r#"{"a":[{"b":1},{"b":[true,null]},7]}"#, "a.b"),
            ["1", "true"]
        );
        assert_eq!(texts(r#"{"a":[1,[2.0]]}"#, "a"), ["1", "2"]);
    }

    #[test]
    fn existence_sees_what_is_below() {
        let exists = |json, path| any_at(&object(json), path, true, &mut |_| true);
        assert!(exists(r#"{"a":{"b":{"c":1}}}"#, "a"));
        assert!(exists(r#"{"a.b":1}"#, "a"));
        assert!(exists(r#"{"x":{"a.b":1}}"#, "x.a"));
        assert!(!exists(r#"{"ab":1}"#, "a"));
        assert!(!exists(r#"{"a":null}"#, "a"));
        assert!(!exists(r#"{"a":{"b":[]}}"#, "a"));
    }
}
