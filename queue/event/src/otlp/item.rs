//! One log record or span, with its resource and scope, as an event.
//!
//! Nothing here fails: a request was checked before, and what a hostile one hides below the depth that the
//! check looks into reads as absent.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Signal,
    attributes::{self, Bounds},
    id::id,
    wire::{Fields, Wire},
};
use crate::{
    event::{Body, Event, TimestampFrom},
    level::Level,
    limits::{
        ATTRIBUTES_MAX, OTLP_NESTED_ENTRIES_MAX, OTLP_SHARED_ATTRIBUTES_MAX, SPAN_EVENTS_MAX,
        SPAN_LINKS_MAX,
    },
    record::Record,
    span::{Span, SpanEvent, SpanKind, SpanLink, SpanStatus},
};

/// What the items below one resource have in common, read once for all of them.
#[derive(Debug)]
pub(crate) struct Resource {
    service: Option<String>,
    host: Option<String>,
    attributes: Map<String, Value>,
    /// Entries that are left for the attributes of a scope.
    entries_left: usize,
}

/// The same of a scope, which is always of one resource.
#[derive(Debug)]
pub(crate) struct Scope {
    fields: Map<String, Value>,
    /// Entries of an event's attributes that are not taken by resource and scope.
    entries_left: usize,
}

/// Attributes that we add by ourselves at the most: resource, scope, and the four of a log record or span.
const OWN_NAMES_MAX: usize = 6;

impl Resource {
    /// Reads the shared bytes of a resource.
    pub(crate) fn read(shared: &[u8]) -> Resource {
        let mut bounds = Bounds::new(OTLP_SHARED_ATTRIBUTES_MAX, 1);
        let mut resource = Resource {
            service: None,
            host: None,
            attributes: Map::new(),
            entries_left: 0,
        };
        for message in messages(shared) {
            let text = |name| attributes::text_of(message, 1, name);
            resource.service = resource.service.or_else(|| text("service.name"));
            resource.host = resource.host.or_else(|| text("host.name"));
            let mut dropped = 0;
            for field in fields(message) {
                match field {
                    (1, Wire::Bytes(entry)) => {
                        attributes::add(&mut resource.attributes, entry, &mut bounds);
                    }
                    (2, Wire::Varint(count)) => dropped = count as u32,
                    _ => {}
                }
            }
            note_dropped(
                &mut resource.attributes,
                "otel.dropped_attributes_count",
                dropped,
            );
        }
        resource.entries_left = bounds.entries_left;
        resource
    }
}

impl Scope {
    /// Reads the shared bytes of a scope of `resource`.
    pub(crate) fn read(shared: &[u8], resource: &Resource) -> Scope {
        let mut bounds = Bounds::new(resource.entries_left, 2);
        let mut read = Map::new();
        for message in messages(shared) {
            let mut own = Map::new();
            for field in fields(message) {
                match field {
                    (1, Wire::Bytes(name)) => note_text(&mut read, "name", name),
                    (2, Wire::Bytes(version)) => note_text(&mut read, "version", version),
                    (3, Wire::Bytes(entry)) => attributes::add(&mut own, entry, &mut bounds),
                    _ => {}
                }
            }
            if !own.is_empty() {
                read.insert("attributes".to_owned(), own.into());
            }
        }
        let taken = OTLP_SHARED_ATTRIBUTES_MAX - bounds.entries_left;
        Scope {
            fields: read,
            // The scope's name, version and attributes, and the resource's dropped count, are entries as well.
            entries_left: ATTRIBUTES_MAX - taken - OWN_NAMES_MAX - 4,
        }
    }

    /// The event of an item. `item` is a part of the record's value, whose memory the event shares.
    pub(crate) fn event(
        &self,
        signal: Signal,
        resource: &Resource,
        record: &Record,
        item: &Bytes,
    ) -> Event {
        let mut event = Event {
            service: resource.service.clone(),
            host: resource.host.clone(),
            parse_failed: false,
            ..Event::bare(record)
        };
        // Room for all of it at once: growing an ordered map means hashing all of it again.
        let own = fields(item)
            .filter(|(number, _)| *number == signal.attributes())
            .count();
        event.attributes = Map::with_capacity(own.min(self.entries_left) + OWN_NAMES_MAX);
        let mut bounds = Bounds::new(self.entries_left, 0);
        match signal {
            Signal::Logs => log(&mut event, item, &mut bounds),
            Signal::Spans => span(&mut event, item, &mut bounds),
        }
        for (name, object) in [("resource", &resource.attributes), ("scope", &self.fields)] {
            if !object.is_empty() {
                join(&mut event.attributes, name, Value::Object(object.clone()));
            }
        }
        event
    }
}

fn log(event: &mut Event, item: &Bytes, bounds: &mut Bounds) {
    let (mut time, mut observed) = (None, None);
    let (mut severity, mut severity_text): (i32, &[u8]) = (0, &[]);
    let mut body: &[u8] = &[];
    let attributes = &mut event.attributes;
    for field in fields(item) {
        match field {
            (1, Wire::Fixed64(nanos)) => time = instant(nanos),
            (11, Wire::Fixed64(nanos)) => observed = instant(nanos),
            (2, Wire::Varint(number)) => severity = number as i32,
            (3, Wire::Bytes(text)) => severity_text = text,
            (5, Wire::Bytes(any)) => body = any,
            (6, Wire::Bytes(entry)) => attributes::add(attributes, entry, bounds),
            (7, Wire::Varint(count)) => {
                note_dropped(attributes, "otel.dropped_attributes_count", count as u32);
            }
            (9, Wire::Bytes(bytes)) => event.trace_id = id(bytes),
            (10, Wire::Bytes(bytes)) => event.span_id = id(bytes),
            (12, Wire::Bytes(name)) => note_text(attributes, "event_name", name),
            _ => {}
        }
    }
    set_time(event, time.or(observed));
    let numbered = Level::from_number(severity.into());
    event.level = numbered.or_else(|| Level::from_word(severity_text));
    // What the level says already is not said again: most logs cost no attribute here.
    let level = event.level;
    if !level.is_some_and(|level| severity_text.eq_ignore_ascii_case(level.as_str().as_bytes())) {
        note_text(&mut event.attributes, "severity_text", severity_text);
    }
    if severity != 0 && level.is_none_or(|level| i32::from(level.number()) != severity) {
        let name = "severity_number".to_owned();
        event.attributes.entry(name).or_insert(severity.into());
    }
    let path = event.attributes.get("log.file.path");
    event.path = path.and_then(Value::as_str).map(str::to_owned);
    event.raw = match attributes::string(body).or_else(|| attributes::bytes(body)) {
        Some(text) => item.slice_ref(text),
        None => json_text(body),
    };
    event.body = Body::Raw(0..event.raw.len());
}

/// A structured body as its JSON; nothing for none.
fn json_text(body: &[u8]) -> Bytes {
    let mut bounds = Bounds::new(OTLP_NESTED_ENTRIES_MAX, 0);
    match attributes::value(body, &mut bounds) {
        None | Some(Value::Null) => Bytes::new(),
        Some(value) => value.to_string().into(),
    }
}

fn span(event: &mut Event, item: &Bytes, bounds: &mut Bounds) {
    let mut span = Span {
        parent_span_id: None,
        trace_state: None,
        kind: SpanKind::Internal,
        duration_ns: 0,
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
    };
    let (mut start, mut end) = (None, None);
    let (mut name, mut message): (&[u8], &[u8]) = (&[], &[]);
    let attributes = &mut event.attributes;
    for field in fields(item) {
        match field {
            (1, Wire::Bytes(bytes)) => event.trace_id = id(bytes),
            (2, Wire::Bytes(bytes)) => event.span_id = id(bytes),
            (3, Wire::Bytes(text)) => span.trace_state = non_empty(text),
            (4, Wire::Bytes(bytes)) => span.parent_span_id = id(bytes),
            (5, Wire::Bytes(text)) => name = text,
            (6, Wire::Varint(number)) => span.kind = SpanKind::from_number(number as i32),
            (7, Wire::Fixed64(nanos)) => start = instant(nanos),
            (8, Wire::Fixed64(nanos)) => end = instant(nanos),
            (9, Wire::Bytes(entry)) => attributes::add(attributes, entry, bounds),
            (10, Wire::Varint(count)) => {
                note_dropped(attributes, "otel.dropped_attributes_count", count as u32);
            }
            (12, Wire::Varint(count)) => {
                note_dropped(attributes, "otel.dropped_events_count", count as u32);
            }
            (14, Wire::Varint(count)) => {
                note_dropped(attributes, "otel.dropped_links_count", count as u32);
            }
            (15, Wire::Bytes(bytes)) => (span.status, message) = status(bytes),
            _ => {}
        }
    }
    set_time(event, start);
    if let (Some(start), Some(end)) = (start, end) {
        span.duration_ns = Span::duration(start, end);
    }
    parts(&mut span, item, event.timestamp_ns);
    event.raw = searched(item, name, message, &span.events);
    event.body = Body::Raw(0..name.len());
    event.span = Some(Box::new(span));
}

/// A span's events and links. Read after the rest: an event without a time has the span's.
fn parts(span: &mut Span, item: &Bytes, start_ns: i64) {
    let mut bounds = Bounds::new(OTLP_NESTED_ENTRIES_MAX, 1);
    for field in fields(item) {
        match field {
            (11, Wire::Bytes(message)) if span.events.len() < SPAN_EVENTS_MAX => {
                span.events.push(span_event(message, start_ns, &mut bounds));
            }
            (13, Wire::Bytes(message)) if span.links.len() < SPAN_LINKS_MAX => {
                span.links.push(span_link(message, &mut bounds));
            }
            _ => {}
        }
    }
}

fn span_event(message: &[u8], start_ns: i64, bounds: &mut Bounds) -> SpanEvent {
    let mut event = SpanEvent {
        time_ns: start_ns,
        name: String::new(),
        attributes: Map::new(),
    };
    for field in fields(message) {
        match field {
            (1, Wire::Fixed64(nanos)) => event.time_ns = instant(nanos).unwrap_or(start_ns),
            (2, Wire::Bytes(name)) => event.name = String::from_utf8_lossy(name).into_owned(),
            (3, Wire::Bytes(entry)) => attributes::add(&mut event.attributes, entry, bounds),
            _ => {}
        }
    }
    event
}

fn span_link(message: &[u8], bounds: &mut Bounds) -> SpanLink {
    let mut link = SpanLink {
        trace_id: [0; 16],
        span_id: [0; 8],
        attributes: Map::new(),
    };
    for field in fields(message) {
        match field {
            (1, Wire::Bytes(bytes)) => link.trace_id = id(bytes).unwrap_or_default(),
            (2, Wire::Bytes(bytes)) => link.span_id = id(bytes).unwrap_or_default(),
            (4, Wire::Bytes(entry)) => attributes::add(&mut link.attributes, entry, bounds),
            _ => {}
        }
    }
    link
}

fn status(message: &[u8]) -> (SpanStatus, &[u8]) {
    let (mut code, mut text): (i32, &[u8]) = (0, &[]);
    for field in fields(message) {
        match field {
            (2, Wire::Bytes(bytes)) => text = bytes,
            (3, Wire::Varint(number)) => code = number as i32,
            _ => {}
        }
    }
    (
        SpanStatus::from_code(code, &String::from_utf8_lossy(text)),
        text,
    )
}

/// The text that a bare word searches: the name, then a line for the status and one for each exception.
fn searched(item: &Bytes, name: &[u8], message: &[u8], events: &[SpanEvent]) -> Bytes {
    let mut text = Vec::new();
    if !message.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(message);
    }
    for event in events {
        let attribute = |name| event.attributes.get(name).and_then(Value::as_str);
        let said = [attribute("exception.type"), attribute("exception.message")];
        for (part, said) in said.into_iter().flatten().enumerate() {
            text.extend_from_slice(if part == 0 { b"\n" } else { b": " });
            text.extend_from_slice(said.as_bytes());
        }
    }
    if text.is_empty() {
        // Of most spans: no copy.
        return item.slice_ref(name);
    }
    text.splice(0..0, name.iter().copied());
    text.into()
}

fn set_time(event: &mut Event, time: Option<i64>) {
    if let Some(time) = time {
        event.timestamp_ns = time;
        event.timestamp_from = TimestampFrom::Line;
    }
}

/// A protocol's time; 0 says unknown, and one beyond the year 2262 is not one.
fn instant(nanos: u64) -> Option<i64> {
    i64::try_from(nanos).ok().filter(|&nanos| nanos != 0)
}

/// Adds a value that the item also may have an attribute of the same name for: then both, ours first.
fn join(attributes: &mut Map<String, Value>, name: &str, ours: Value) {
    let value = match attributes.remove(name) {
        Some(theirs) => Value::Array(vec![ours, theirs]),
        None => ours,
    };
    attributes.insert(name.to_owned(), value);
}

fn note_text(attributes: &mut Map<String, Value>, name: &str, text: &[u8]) {
    if let Some(text) = non_empty(text) {
        attributes.entry(name).or_insert(text.into());
    }
}

fn note_dropped(attributes: &mut Map<String, Value>, name: &str, count: u32) {
    if count > 0 {
        attributes.entry(name).or_insert(count.into());
    }
}

fn non_empty(text: &[u8]) -> Option<String> {
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// The messages in the fields 1 of a level: its resource or scope.
pub(super) fn messages(shared: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields(shared).filter_map(|field| match field {
        (1, Wire::Bytes(message)) => Some(message),
        _ => None,
    })
}

fn fields(message: &[u8]) -> impl Iterator<Item = (u32, Wire<'_>)> {
    Fields::new(message).map_while(Result::ok)
}
