//! All events of one record, each as the record that it alone would be.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    event::Event,
    limits::{OTLP_SHARED_BYTES_MAX, OTLP_SHARED_BYTES_MIN},
    otlp::{Item, Request, Resource, Scope, Signal, alone, cut_resource, cut_scope},
    record::Record,
};

/// What [`Event::all`] gives. An item is decoded when it is asked for, so a request of many costs no more memory
/// than what is done with them.
#[derive(Debug)]
pub struct Events {
    record: Record,
    /// `None` for a line, and for bytes that are no request.
    request: Option<Request>,
    /// What the last item shared with its neighbours.
    resource: Option<Level<Resource>>,
    scope: Option<Level<Scope>>,
    next: usize,
    len: usize,
}

/// A resource or scope: encoded as its items repeat it, and read. Each is made once, however its items are spread:
/// a request may have as many scopes as items, all below one large resource.
#[derive(Debug)]
struct Level<T> {
    index: usize,
    bytes: Vec<u8>,
    read: T,
}

impl Events {
    pub(crate) fn new(record: Record) -> Events {
        let request = Signal::of(record.encoding)
            .and_then(|signal| Request::from_value(signal, record.value.clone()));
        Events {
            record,
            len: request.as_ref().map_or(1, Request::len),
            request,
            resource: None,
            scope: None,
            next: 0,
        }
    }
}

impl Iterator for Events {
    type Item = (Record, Event);

    fn next(&mut self) -> Option<(Record, Event)> {
        if self.next == self.len {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let Some(request) = &self.request else {
            let record = self.record.clone();
            let event = match Signal::of(record.encoding) {
                Some(_) => Event::bare(&record),
                None => Event::parse(&record),
            };
            return Some((record, event));
        };
        let item = request.item(index)?;
        let resource = match self.resource.take() {
            Some(last) if last.index == item.resource_index() => last,
            _ => Level::resource(item, self.len),
        };
        let scope = match self.scope.take() {
            Some(last) if last.index == item.scope_index() => last,
            _ => Level::scope(item, self.len, &resource),
        };
        let value = Bytes::from(alone(&resource.bytes, &scope.bytes, item.bytes()));
        // The item is what a request of one ends with.
        let own = value.slice(value.len() - item.bytes().len()..);
        let record = self.alone(value);
        let event = scope
            .read
            .event(item.signal(), &resource.read, &record, &own);
        self.resource = Some(resource);
        self.scope = Some(scope);
        Some((record, event))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Events {}

impl Events {
    /// The record of one item. Key, headers and origin are the request's: nothing of an item is read from them, and
    /// repeated in each they would multiply.
    fn alone(&self, value: Bytes) -> Record {
        Record {
            topic: Arc::clone(&self.record.topic),
            partition: self.record.partition,
            offset: self.record.offset,
            timestamp_ms: self.record.timestamp_ms,
            encoding: self.record.encoding,
            key: None,
            value,
            origin: None,
            headers: Vec::new(),
        }
    }
}

impl Level<Resource> {
    /// Of an item that has `items - 1` neighbours in its request.
    fn resource(item: Item<'_>, items: usize) -> Level<Resource> {
        let bytes = cut_resource(item.resource(), shared_bytes_max(items));
        Level {
            index: item.resource_index(),
            read: Resource::read(&bytes),
            bytes,
        }
    }
}

impl Level<Scope> {
    /// Takes what the item's resource leaves.
    fn scope(item: Item<'_>, items: usize, resource: &Level<Resource>) -> Level<Scope> {
        let left = shared_bytes_max(items).saturating_sub(resource.bytes.len());
        let bytes = cut_scope(item.scope(), left);
        Level {
            index: item.scope_index(),
            read: Scope::read(&bytes, &resource.read),
            bytes,
        }
    }
}

/// Bytes of resource and scope that each of so many items may repeat.
fn shared_bytes_max(items: usize) -> usize {
    (OTLP_SHARED_BYTES_MAX / items.max(1)).max(OTLP_SHARED_BYTES_MIN)
}

/// The event of a request's first item, without making a record of it.
pub(crate) fn first(record: &Record, signal: Signal) -> Option<Event> {
    let request = Request::from_value(signal, record.value.clone())?;
    let item = request.item(0)?;
    let resource = Level::resource(item, request.len());
    let scope = Level::scope(item, request.len(), &resource);
    let own = request.body().slice_ref(item.bytes());
    Some(scope.read.event(signal, &resource.read, record, &own))
}
