//! A request of strangers: checked and indexed once, then cut up without decoding it.
//!
//! ```text
//! Export*ServiceRequest   1: Resource*
//!   Resource*             1: resource  3: schema url   2: Scope*
//!     Scope*              1: scope     3: schema url   2: item
//! ```
//! What is not an item, fields of the future included, is *shared* by the items below it. Protobuf merges
//! by concatenation, so the shared bytes of a level are simply all its other fields one after the other.

use std::ops::Range;

use bytes::Bytes;

use super::{
    OtlpError, Signal, check,
    id::{IdFault, id, id_fault},
    json,
    schema::Message,
    wire::{Fields, Wire, nested_len, put_header},
};
use crate::limits::{OTLP_ITEMS_MAX, OTLP_REQUEST_BYTES_MAX};

/// A well-formed export request.
///
/// Memory beyond the body: 24 bytes an item, and the shared bytes once more.
#[derive(Debug, Clone)]
pub struct Request {
    signal: Signal,
    body: Bytes,
    /// Shared bytes of every resource that has items.
    resources: Vec<Vec<u8>>,
    scopes: Vec<Scope>,
    items: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Scope {
    resource: usize,
    shared: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    scope: u32,
    from: usize,
    len: u32,
}

/// One log record or span of a request.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    request: &'a Request,
    place: Place,
}

impl Request {
    pub fn from_protobuf(signal: Signal, body: Bytes) -> Result<Request, OtlpError> {
        if body.len() > OTLP_REQUEST_BYTES_MAX {
            return Err(OtlpError::TooLarge { bytes: body.len() });
        }
        let mut request = Request {
            signal,
            body: Bytes::new(),
            resources: Vec::new(),
            scopes: Vec::new(),
            items: Vec::new(),
        };
        let mut fields = Fields::new(&body);
        while let Some(field) = fields.next_at() {
            let malformed = |error| OtlpError::Protobuf {
                message: signal.message().name,
                error,
            };
            if let (1, wire, at) = field.map_err(malformed)? {
                let content = check::bytes(1, wire).map_err(malformed)?;
                request.resource(content, at.end - content.len())?;
            }
        }
        request.body = body;
        Ok(request)
    }

    /// Reads OTLP/JSON. It is turned into protobuf while it is read; no tree of it is built.
    pub fn from_json(signal: Signal, body: &[u8]) -> Result<Request, OtlpError> {
        if body.len() > OTLP_REQUEST_BYTES_MAX {
            return Err(OtlpError::TooLarge { bytes: body.len() });
        }
        let protobuf = json::to_protobuf(signal.message(), body)?;
        Request::from_protobuf(signal, protobuf.into())
    }

    /// Reads what a record holds: protobuf, or JSON where others write that. They cannot be taken for each other: in
    /// protobuf `{` would be the tag of a group, and no request has one.
    ///
    /// `None` is for what is no request: what cannot be read, and what has something else to say than items. All that
    /// a sender says may be unknown to us, so it is answered otherwise; but what lies in the queue has nobody else to keep it.
    pub(crate) fn from_value(signal: Signal, value: Bytes) -> Option<Request> {
        let is_empty = value.is_empty();
        let request = match value.first() {
            Some(b'{') => Request::from_json(signal, &value),
            _ => Request::from_protobuf(signal, value),
        };
        request
            .ok()
            .filter(|request| is_empty || !request.is_empty())
    }

    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The request in protobuf.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn items(&self) -> impl ExactSizeIterator<Item = Item<'_>> {
        let places = self.items.iter();
        places.map(|&place| Item {
            request: self,
            place,
        })
    }

    pub(crate) fn item(&self, index: usize) -> Option<Item<'_>> {
        let place = *self.items.get(index)?;
        Some(Item {
            request: self,
            place,
        })
    }

    fn resource(&mut self, content: &[u8], base: usize) -> Result<(), OtlpError> {
        let message = self.signal.resource_message();
        let number = self.resources.len();
        let had = self.items.len();
        for (scope, at) in levels(message, content, base)? {
            self.scope(number, scope, at)?;
        }
        if self.items.len() > had {
            self.resources.push(shared(content));
        }
        Ok(())
    }

    fn scope(&mut self, resource: usize, content: &[u8], base: usize) -> Result<(), OtlpError> {
        let message = self.signal.scope_message();
        // At most one scope an item, and there are at most OTLP_ITEMS_MAX of those.
        let scope = self.scopes.len() as u32;
        let had = self.items.len();
        for (item, from) in levels(message, content, base)? {
            if self.items.len() == OTLP_ITEMS_MAX {
                return Err(OtlpError::TooManyItems);
            }
            self.items.push(Place {
                scope,
                from,
                len: item.len() as u32,
            });
        }
        if self.items.len() > had {
            self.scopes.push(Scope {
                resource,
                shared: shared(content),
            });
        }
        Ok(())
    }
}

impl<'a> Item<'a> {
    pub fn signal(&self) -> Signal {
        self.request.signal
    }

    /// The item's own message.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        let range = self.place.from..self.place.from + self.place.len as usize;
        self.request.body.get(range).unwrap_or_default()
    }

    /// What all items of the same resource have in common, encoded: the same for all items of one
    /// sender, so a hash of it names the sender.
    pub fn resource(&self) -> &'a [u8] {
        let resource = self.request.scopes.get(self.place.scope as usize);
        let resource = resource.and_then(|scope| self.request.resources.get(scope.resource));
        resource.map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn scope(&self) -> &'a [u8] {
        let scope = self.request.scopes.get(self.place.scope as usize);
        scope
            .map(|scope| scope.shared.as_slice())
            .unwrap_or_default()
    }

    /// Which scope of its request the item is of; consecutive items mostly share one.
    pub(crate) fn scope_index(&self) -> usize {
        self.place.scope as usize
    }

    /// Which resource of its request the item is of; all items of a scope share one.
    pub(crate) fn resource_index(&self) -> usize {
        let scope = self.request.scopes.get(self.place.scope as usize);
        scope.map_or(0, |scope| scope.resource)
    }

    /// The trace that the item belongs to. `None` when it says none, or one that is no id.
    pub fn trace_id(&self) -> Option<[u8; 16]> {
        id(self.ids().0)
    }

    /// The span that the item is, or that a log was written in. `None` as for the trace.
    pub fn span_id(&self) -> Option<[u8; 8]> {
        id(self.ids().1)
    }

    /// What is wrong with the item's ids, for its sender to know. A log need not have any.
    pub fn id_fault(&self) -> Option<IdFault> {
        let (trace, span) = self.ids();
        let optional = self.signal() == Signal::Logs;
        id_fault::<16>("trace_id", trace, optional)
            .or_else(|| id_fault::<8>("span_id", span, optional))
    }

    /// The bytes that stand for trace and span id; of a field that comes twice the last ones.
    fn ids(&self) -> (&'a [u8], &'a [u8]) {
        let (trace, span) = match self.signal() {
            Signal::Logs => (9, 10),
            Signal::Spans => (1, 2),
        };
        let mut ids: (&[u8], &[u8]) = (&[], &[]);
        for (number, wire) in Fields::new(self.bytes()).map_while(Result::ok) {
            match wire {
                Wire::Bytes(id) if number == trace => ids.0 = id,
                Wire::Bytes(id) if number == span => ids.1 = id,
                _ => {}
            }
        }
        ids
    }

    /// Bytes of the resource and scope that the item shares: what every request it is put into has to repeat.
    pub fn shared_len(&self) -> usize {
        self.resource().len() + self.scope().len()
    }

    /// Length of what [`Item::alone`] gives.
    pub fn alone_len(&self) -> usize {
        let scope = self.scope().len() + nested_len(self.bytes().len());
        nested_len(self.resource().len() + nested_len(scope))
    }

    /// The request of this item alone: with its resource and scope, in protobuf.
    pub fn alone(&self) -> Bytes {
        alone(self.resource(), self.scope(), self.bytes()).into()
    }

    /// The request of this item alone in OTLP/JSON, for people to read. Beyond about `bytes_max` bytes of text
    /// nothing more is added, and the last string is cut.
    pub fn to_json(&self, bytes_max: usize) -> serde_json::Value {
        json::from_protobuf(self.signal().message(), &self.alone(), bytes_max)
    }
}

pub(crate) fn alone(resource: &[u8], scope: &[u8], item: &[u8]) -> Vec<u8> {
    let scope_len = scope.len() + nested_len(item.len());
    let resource_len = resource.len() + nested_len(scope_len);
    let mut out = Vec::with_capacity(nested_len(resource_len));
    put_header(&mut out, 1, resource_len);
    out.extend_from_slice(resource);
    put_header(&mut out, 2, scope_len);
    out.extend_from_slice(scope);
    put_header(&mut out, 2, item.len());
    out.extend_from_slice(item);
    out
}

/// Checks a level and gives what is in its fields 2, each with its place in the body.
fn levels<'a>(
    message: &'static Message,
    content: &'a [u8],
    base: usize,
) -> Result<impl Iterator<Item = (&'a [u8], usize)>, OtlpError> {
    check::level(message, content)?;
    let mut fields = Fields::new(content);
    Ok(std::iter::from_fn(move || {
        loop {
            match fields.next_at()? {
                Ok((2, Wire::Bytes(inner), at)) => {
                    return Some((inner, base + at.end - inner.len()));
                }
                _ => continue,
            }
        }
    }))
}

/// All fields that are not numbered 2.
fn shared(content: &[u8]) -> Vec<u8> {
    let mut shared = Vec::new();
    let mut fields = Fields::new(content);
    let mut run: Range<usize> = 0..0;
    while let Some(Ok((number, _, at))) = fields.next_at() {
        if number == 2 {
            shared.extend_from_slice(content.get(run).unwrap_or_default());
            run = at.end..at.end;
        } else {
            run.end = at.end;
        }
    }
    shared.extend_from_slice(content.get(run).unwrap_or_default());
    shared
}
