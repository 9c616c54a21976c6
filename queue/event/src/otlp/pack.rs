//! Items into requests that fit a record.

use bytes::Bytes;

use super::{
    request::Item,
    wire::{nested_len, put_bytes, put_message},
};

/// A request made of items of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// In protobuf.
    pub value: Bytes,
    /// How many items are in it.
    pub items: usize,
}

/// Puts items of one request, in their order, into requests of at most `bytes_max` bytes. Neighbours of the same
/// resource and scope share these. An item that is larger alone is the only one of a request that is
/// too large: whoever calls looks at its length.
///
/// Each request is made when it is asked for: shared bytes are repeated, so all of them may be far larger than what
/// they are made of, and the caller can stop.
pub fn pack<'a>(
    items: impl IntoIterator<Item = Item<'a>>,
    bytes_max: usize,
) -> impl Iterator<Item = Packed> {
    let mut items = items.into_iter().peekable();
    let mut together: Vec<Item<'a>> = Vec::new();
    std::iter::from_fn(move || {
        together.clear();
        let mut size = Size::default();
        while let Some(item) = items.peek() {
            let with_item = size.with(together.last(), item);
            if !together.is_empty() && with_item.total() > bytes_max {
                break;
            }
            size = with_item;
            together.extend(items.next());
        }
        (!together.is_empty()).then(|| request(&together, size.total()))
    })
}

/// Bytes of a request to which items are being added.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Resources that are complete.
    before: usize,
    /// The last resource: what its scopes share, and those that are complete.
    resource: usize,
    /// The last scope: what its items share, and the items.
    scope: usize,
}

impl Size {
    fn with(self, last: Option<&Item<'_>>, item: &Item<'_>) -> Size {
        let own = nested_len(item.bytes().len());
        match last {
            Some(last) if last.scope_index() == item.scope_index() => Size {
                scope: self.scope + own,
                ..self
            },
            Some(last) if last.resource_index() == item.resource_index() => Size {
                resource: self.resource + nested_len(self.scope),
                scope: item.scope().len() + own,
                ..self
            },
            last => Size {
                before: last.map_or(0, |_| self.total()),
                resource: item.resource().len(),
                scope: item.scope().len() + own,
            },
        }
    }

    fn total(self) -> usize {
        self.before + nested_len(self.resource + nested_len(self.scope))
    }
}

fn request(items: &[Item<'_>], bytes: usize) -> Packed {
    let mut value = Vec::with_capacity(bytes);
    for of_resource in items.chunk_by(|a, b| a.resource_index() == b.resource_index()) {
        message(&mut value, 1, |value| {
            value.extend_from_slice(of_resource[0].resource());
            for of_scope in of_resource.chunk_by(|a, b| a.scope_index() == b.scope_index()) {
                message(value, 2, |value| {
                    value.extend_from_slice(of_scope[0].scope());
                    for item in of_scope {
                        put_bytes(value, 2, item.bytes());
                    }
                });
            }
        });
    }
    debug_assert_eq!(value.len(), bytes, "what is counted is what is made");
    Packed {
        value: value.into(),
        items: items.len(),
    }
}

fn message(out: &mut Vec<u8>, number: u32, content: impl FnOnce(&mut Vec<u8>)) {
    let Ok(()) = put_message(out, number, |out| {
        content(out);
        Ok::<(), std::convert::Infallible>(())
    });
}
