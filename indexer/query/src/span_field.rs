//! The names that queries of spans have beside those of every event, and their values.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use logboom_event::hex::encode as hex;
use logboom_event::{Event, Span, SpanKind, SpanStatus};

use crate::field::Escaped;
use crate::value;

/// What only a span has. `attributes.duration` is the attribute where `duration` is taken, as with
/// every built-in name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SpanField {
    /// Its name; written `operation` or `name`.
    Operation,
    Kind,
    Status,
    StatusMessage,
    /// In nanoseconds; queries may use other units.
    Duration,
    ParentId,
    LinkTraceId,
    LinkSpanId,
    /// `events.name` and the attributes of the span's events, below `events.`.
    Event(String),
}

/// By status code.
pub const STATUSES: [&str; 3] = ["unset", "ok", "error"];

/// By the protocol's number less one.
pub const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];

const EVENTS: &str = "events.";

const NAMES: [(&str, SpanField); 9] = [
    ("operation", SpanField::Operation),
    ("name", SpanField::Operation),
    ("kind", SpanField::Kind),
    ("status", SpanField::Status),
    ("status_message", SpanField::StatusMessage),
    ("duration", SpanField::Duration),
    ("parent_id", SpanField::ParentId),
    ("links.trace_id", SpanField::LinkTraceId),
    ("links.span_id", SpanField::LinkSpanId),
];

impl SpanField {
    pub(crate) fn from_name(name: &str) -> Option<SpanField> {
        if let Some(path) = name.strip_prefix(EVENTS).filter(|path| !path.is_empty()) {
            return Some(SpanField::Event(path.to_owned()));
        }
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, field)| field.clone())
    }

    /// Under which key the index holds the values: the name itself, which no attribute's key is.
    pub(crate) fn key(&self) -> Cow<'static, str> {
        match self {
            SpanField::Event(path) => Cow::Owned(format!("{EVENTS}{path}")),
            named => {
                let known = NAMES.iter().find(|(_, field)| field == named);
                Cow::Borrowed(known.map_or("", |(name, _)| name))
            }
        }
    }

    /// All values there can be, where they are few.
    pub(crate) fn choices(&self) -> Option<&'static [&'static str]> {
        match self {
            SpanField::Kind => Some(&KINDS),
            SpanField::Status => Some(&STATUSES),
            _ => None,
        }
    }

    /// The first value that passes, as its text. `below`: an event's attribute further down counts too.
    pub(crate) fn any_value(
        &self,
        event: &Event,
        below: bool,
        test: &mut impl FnMut(&str) -> bool,
    ) -> bool {
        let Some(span) = event.span.as_deref() else {
            return false;
        };
        match self {
            SpanField::Operation => test(&event.body()),
            SpanField::Kind => test(kind_name(span.kind)),
            SpanField::Status => test(status_name(&span.status)),
            SpanField::StatusMessage => message(span).is_some_and(test),
            SpanField::Duration => test(&span.duration_ns.to_string()),
            SpanField::ParentId => span.parent_span_id.is_some_and(|id| test(&hex(&id))),
            SpanField::LinkTraceId => span.links.iter().any(|link| test(&hex(&link.trace_id))),
            SpanField::LinkSpanId => span.links.iter().any(|link| test(&hex(&link.span_id))),
            SpanField::Event(path) => span.events.iter().any(|event| {
                (path == "name" && test(&event.name))
                    || value::any_at(&event.attributes, path, below, test)
            }),
        }
    }
}

/// Calls `found(key, text)` for every value of the span's own fields; texts are not folded yet.
pub(crate) fn visit(event: &Event, span: &Span, found: &mut impl FnMut(&str, &str)) {
    found("operation", &event.body());
    found("kind", kind_name(span.kind));
    found("status", status_name(&span.status));
    if let Some(message) = message(span) {
        found("status_message", message);
    }
    found("duration", &span.duration_ns.to_string());
    if let Some(id) = &span.parent_span_id {
        found("parent_id", &hex(id));
    }
    for link in &span.links {
        found("links.trace_id", &hex(&link.trace_id));
        found("links.span_id", &hex(&link.span_id));
    }
    let mut key = String::new();
    for event in &span.events {
        found("events.name", &event.name);
        key.clear();
        // An attribute's path brings its own dot.
        key.push_str(EVENTS.trim_end_matches('.'));
        value::visit_object(&event.attributes, &mut key, found);
    }
}

/// Of [`KINDS`].
pub fn kind_name(kind: SpanKind) -> &'static str {
    KINDS[usize::from(kind.number()) - 1]
}

/// Of [`STATUSES`].
pub fn status_name(status: &SpanStatus) -> &'static str {
    STATUSES[usize::from(status.code())]
}

/// An empty one says nothing.
pub(crate) fn message(span: &Span) -> Option<&str> {
    match &span.status {
        SpanStatus::Error { message } if !message.is_empty() => Some(message),
        _ => None,
    }
}

impl Display for SpanField {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        Escaped(&self.key()).fmt(out)
    }
}
