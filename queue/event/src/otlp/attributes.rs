//! OTLP's attributes as JSON values, typed and bounded while they are read.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, map::Entry};

use super::{
    json,
    wire::{Fields, Wire},
};
use crate::limits::{ATTRIBUTE_DEPTH_MAX, ATTRIBUTE_NAME_BYTES_MAX};

/// What may still be kept: entries in all, and levels below the place that is being read.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) entries_left: usize,
    depth_left: usize,
}

impl Bounds {
    /// For attributes that lie `depth` levels below an event's own.
    pub(super) fn new(entries: usize, depth: usize) -> Bounds {
        Bounds {
            entries_left: entries,
            // The object that the attributes are in is a level itself.
            depth_left: ATTRIBUTE_DEPTH_MAX - 1 - depth,
        }
    }

    fn take_entry(&mut self) -> bool {
        let left = self.entries_left.checked_sub(1);
        self.entries_left = left.unwrap_or(0);
        left.is_some()
    }
}

/// Adds a `KeyValue` unless the bounds are reached. The first of a name counts.
pub(super) fn add(attributes: &mut Map<String, Value>, key_value: &[u8], bounds: &mut Bounds) {
    let (key, any) = key_and_value(key_value);
    let key = String::from_utf8_lossy(key);
    if key.len() > ATTRIBUTE_NAME_BYTES_MAX || bounds.entries_left == 0 {
        return;
    }
    if let Entry::Vacant(place) = attributes.entry(key)
        && bounds.take_entry()
        && let Some(value) = value(any, bounds)
    {
        place.insert(value);
    }
}

/// The text of the first attribute of that name among the attributes in a message's field `number`.
pub(super) fn text_of(message: &[u8], number: u32, name: &str) -> Option<String> {
    let entries = Fields::new(message).map_while(Result::ok);
    let mut texts = entries.filter_map(|(field, wire)| match wire {
        Wire::Bytes(entry) if field == number => {
            let (key, any) = key_and_value(entry);
            (key == name.as_bytes()).then_some(any)
        }
        _ => None,
    });
    let text = string(texts.next()?)?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

pub(super) fn key_and_value(key_value: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut any): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(key_value).map_while(Result::ok) {
        match field {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => any = bytes,
            _ => {}
        }
    }
    (key, any)
}

/// The bytes of an `AnyValue` that is text.
pub(super) fn string(any: &[u8]) -> Option<&[u8]> {
    match chosen(any) {
        Some((1, Wire::Bytes(text))) => Some(text),
        _ => None,
    }
}

/// The bytes of an `AnyValue` that is bytes.
pub(super) fn bytes(any: &[u8]) -> Option<&[u8]> {
    match chosen(any) {
        Some((7, Wire::Bytes(bytes))) => Some(bytes),
        _ => None,
    }
}

/// Of a oneof's fields the last one counts.
fn chosen(any: &[u8]) -> Option<(u32, Wire<'_>)> {
    Fields::new(any).map_while(Result::ok).last()
}

/// An `AnyValue`; `None` when it lies too deep. An empty one is null.
pub(super) fn value(any: &[u8], bounds: &mut Bounds) -> Option<Value> {
    Some(match chosen(any) {
        Some((1, Wire::Bytes(text))) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Some((2, Wire::Varint(truth))) => Value::Bool(truth != 0),
        Some((3, Wire::Varint(number))) => Value::from(number as i64),
        Some((4, Wire::Fixed64(bits))) => json::double(f64::from_bits(bits)),
        Some((5, Wire::Bytes(array))) => Value::Array(nested(bounds, |bounds| {
            let mut values = Vec::new();
            for any in repeated(array) {
                if !bounds.take_entry() {
                    break;
                }
                values.extend(value(any, bounds));
            }
            values
        })?),
        Some((6, Wire::Bytes(list))) => Value::Object(nested(bounds, |bounds| {
            let mut object = Map::new();
            for key_value in repeated(list) {
                if bounds.entries_left == 0 {
                    break;
                }
                add(&mut object, key_value, bounds);
            }
            object
        })?),
        Some((7, Wire::Bytes(bytes))) => Value::String(BASE64_STANDARD.encode(bytes)),
        _ => Value::Null,
    })
}

fn nested<T>(bounds: &mut Bounds, read: impl FnOnce(&mut Bounds) -> T) -> Option<T> {
    bounds.depth_left = bounds.depth_left.checked_sub(1)?;
    let read = read(bounds);
    bounds.depth_left += 1;
    Some(read)
}

fn repeated(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let fields = Fields::new(message).map_while(Result::ok);
    fields.filter_map(|field| match field {
        (1, Wire::Bytes(element)) => Some(element),
        _ => None,
    })
}
