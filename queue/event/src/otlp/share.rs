//! A resource or scope made short enough to be repeated in every item's own request.
//!
//! Whole attributes go, the last ones first, but a service's and host's name stay longest. They are added to the
//! protocol's own count of dropped attributes, so the loss shows in the event.

use super::{
    attributes::key_and_value,
    item::messages,
    wire::{Fields, VARINT, Wire, put_message, put_tag, put_varint},
};

/// Which fields of a resource or scope hold its attributes and the count of those that were dropped.
#[derive(Debug, Clone, Copy)]
struct Layout {
    attributes: u32,
    dropped: u32,
}

const RESOURCE: Layout = Layout {
    attributes: 1,
    dropped: 2,
};
const SCOPE: Layout = Layout {
    attributes: 3,
    dropped: 4,
};

/// The shared bytes of a resource: at most `bytes_max`, and a few for the count of what was dropped.
pub(crate) fn cut_resource(shared: &[u8], bytes_max: usize) -> Vec<u8> {
    cut(shared, RESOURCE, bytes_max)
}

/// The same of a scope.
pub(crate) fn cut_scope(shared: &[u8], bytes_max: usize) -> Vec<u8> {
    cut(shared, SCOPE, bytes_max)
}

/// Cuts the message in field 1; a level's other fields, its schema's address, are kept when they fit.
fn cut(shared: &[u8], layout: Layout, bytes_max: usize) -> Vec<u8> {
    if shared.len() <= bytes_max {
        return shared.to_vec();
    }
    let mut left = bytes_max;
    let mut out = Vec::with_capacity(bytes_max);
    // Of several messages, which protobuf reads as one, one is made: were each kept, empty ones would take more
    // room than they had.
    let Ok(()) = put_message(&mut out, 1, |out| {
        cut_messages(shared, layout, &mut left, out);
        Ok::<(), std::convert::Infallible>(())
    });
    let mut fields = Fields::new(shared);
    while let Some(Ok((number, wire, at))) = fields.next_at() {
        let is_cut = number == 1 && matches!(wire, Wire::Bytes(_));
        if !is_cut && at.len() <= left {
            left -= at.len();
            out.extend_from_slice(shared.get(at).unwrap_or_default());
        }
    }
    out
}

fn cut_messages(shared: &[u8], layout: Layout, left: &mut usize, out: &mut Vec<u8>) {
    let mut dropped = 0u32;
    for first in [true, false] {
        for message in messages(shared) {
            let mut fields = Fields::new(message);
            while let Some(Ok((number, wire, at))) = fields.next_at() {
                match wire {
                    Wire::Varint(count) if number == layout.dropped => {
                        if first {
                            dropped = dropped.saturating_add(count as u32);
                        }
                        continue;
                    }
                    Wire::Bytes(entry) if number == layout.attributes => {
                        if is_name(entry) != first {
                            continue;
                        }
                        if at.len() > *left {
                            dropped = dropped.saturating_add(1);
                            continue;
                        }
                    }
                    _ if first || at.len() > *left => continue,
                    _ => {}
                }
                *left -= at.len();
                out.extend_from_slice(message.get(at).unwrap_or_default());
            }
        }
    }
    put_tag(out, layout.dropped, VARINT);
    put_varint(out, dropped.into());
}

fn is_name(key_value: &[u8]) -> bool {
    matches!(key_and_value(key_value).0, b"service.name" | b"host.name")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::otlp::{Signal, json};

    #[test]
    fn what_is_too_long_to_be_repeated_loses_attributes_and_says_how_many() {
        let attribute =
            |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
        let body = json!({"resourceSpans": [{
            "resource": {"droppedAttributesCount": 2, "attributes": [
                attribute("a", "x".repeat(100)),
                attribute("b", "y".repeat(5_000)),
                attribute("c", "z".repeat(800)),
                attribute("service.name", "shop".into()),
            ]},
            "scopeSpans": [{"scope": {"name": "lib", "attributes": [attribute("d", "x".repeat(500))]}, "spans": [{}]}],
        }]});
        let body = serde_json::to_vec(&body).unwrap();
        let request = crate::otlp::Request::from_json(Signal::Spans, &body).unwrap();
        let item = request.items().next().unwrap();
        let resource = cut_resource(item.resource(), 1_024);
        let scope = cut_scope(item.scope(), 1_024 - resource.len());
        assert!(resource.len() + scope.len() <= 1_024 + 20);
        let alone = crate::otlp::request::alone(&resource, &scope, item.bytes());
        let read = json::from_protobuf(Signal::Spans.message(), &alone, 10_000);
        let read = &read["resourceSpans"][0];
        let keys: Vec<_> = read["resource"]["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| &a["key"])
            .collect();
        assert_eq!(keys, ["service.name", "a", "c"]);
        assert_eq!(read["resource"]["droppedAttributesCount"], 3);
        assert_eq!(read["scopeSpans"][0]["scope"]["name"], "lib");
        assert_eq!(read["scopeSpans"][0]["scope"]["droppedAttributesCount"], 1);
        assert_eq!(cut_resource(item.resource(), 100_000), item.resource());
        assert_eq!(cut_scope(item.scope(), 100_000), item.scope());
    }

    #[test]
    fn many_empty_messages_do_not_grow_by_being_cut() {
        let empty = [0x0a, 0].repeat(30_000);
        for cut in [cut_resource, cut_scope] {
            let cut = cut(&empty, 1_024);
            assert!(cut.len() <= 1_024 + 20, "{}", cut.len());
        }
    }
}
