//! All events of one record, each as the record that it alone would be.

use bytes::Bytes;

use crate::{
    event::Event,
    limits::{OTLP_SHARED_BYTES_MAX, OTLP_SHARED_BYTES_MIN},
    otlp::{Item, Request, Shared, Signal, alone, cut},
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
    level: Option<Level>,
    next: usize,
    len: usize,
}

/// A scope with its resource: encoded as its items repeat it, and read.
#[derive(Debug)]
struct Level {
    scope_index: usize,
    resource: Vec<u8>,
    scope: Vec<u8>,
    shared: Shared,
}

impl Events {
    pub(crate) fn new(record: Record) -> Events {
        let request = Signal::of(record.encoding)
            .and_then(|signal| Request::from_value(signal, record.value.clone()).ok());
        Events {
            record,
            len: request.as_ref().map_or(1, Request::len),
            request,
            level: None,
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
        let level = match self.level.take() {
            Some(level) if level.scope_index == item.scope_index() => level,
            _ => Level::of(item, self.len),
        };
        let value = Bytes::from(alone(&level.resource, &level.scope, item.bytes()));
        // The item is what a request of one ends with.
        let own = value.slice(value.len() - item.bytes().len()..);
        let record = Record {
            value,
            ..self.record.clone()
        };
        let event = level.shared.event(item.signal(), &record, &own);
        self.level = Some(level);
        Some((record, event))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Events {}

impl Level {
    /// Of an item that has `items - 1` neighbours in its request.
    fn of(item: Item<'_>, items: usize) -> Level {
        let bytes_max = (OTLP_SHARED_BYTES_MAX / items.max(1)).max(OTLP_SHARED_BYTES_MIN);
        let (resource, scope) = cut(item.resource(), item.scope(), bytes_max);
        Level {
            scope_index: item.scope_index(),
            shared: Shared::read(&resource, &scope),
            resource,
            scope,
        }
    }
}

/// The event of a request's first item, without making a record of it.
pub(crate) fn first(record: &Record, signal: Signal) -> Option<Event> {
    let request = Request::from_value(signal, record.value.clone()).ok()?;
    let item = request.item(0)?;
    let level = Level::of(item, request.len());
    let own = request.body().slice_ref(item.bytes());
    Some(level.shared.event(signal, record, &own))
}
