//! OTLP's messages as a table: what checking, JSON and the wire have in common.
//!
//! Taken from opentelemetry-proto 1.x: the messages that logs and traces need. A field that the table does
//! not have is unknown: kept in protobuf, ignored in JSON, as the protocol asks.

use super::wire::{BYTES, FIXED32, FIXED64, VARINT};

/// A message's fields, by number.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// As JSON spells it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// How a field's value is written, in protobuf and in JSON.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Bytes of an id: hex in JSON.
    Id,
    /// Other bytes: base64 in JSON.
    Bytes,
    Bool,
    Int64,
    Int32,
    Uint32,
    /// A number in JSON too, says OTLP.
    Enum,
    Fixed64,
    Fixed32,
    Double,
    Message(&'static Message),
}

impl Message {
    pub(super) fn numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    pub(super) fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Kind {
    pub(super) fn wire_type(self) -> u8 {
        match self {
            Kind::Text | Kind::Id | Kind::Bytes | Kind::Message(_) => BYTES,
            Kind::Bool | Kind::Int64 | Kind::Int32 | Kind::Uint32 | Kind::Enum => VARINT,
            Kind::Fixed64 | Kind::Double => FIXED64,
            Kind::Fixed32 => FIXED32,
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
    }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: true,
    }
}

const fn attributes(number: u32) -> Field {
    many(number, "attributes", Kind::Message(&KEY_VALUE))
}

macro_rules! message {
    ($name:ident, $text:literal, [$($field:expr),* $(,)?]) => {
        pub(super) static $name: Message = Message { name: $text, fields: &[$($field),*] };
    };
}

message!(
    LOGS_REQUEST,
    "ExportLogsServiceRequest",
    [many(1, "resourceLogs", Kind::Message(&RESOURCE_LOGS))]
);
message!(
    RESOURCE_LOGS,
    "ResourceLogs",
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeLogs", Kind::Message(&SCOPE_LOGS)),
        one(3, "schemaUrl", Kind::Text),
    ]
);
message!(
    SCOPE_LOGS,
    "ScopeLogs",
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "logRecords", Kind::Message(&LOG_RECORD)),
        one(3, "schemaUrl", Kind::Text),
    ]
);
message!(
    SPANS_REQUEST,
    "ExportTraceServiceRequest",
    [many(1, "resourceSpans", Kind::Message(&RESOURCE_SPANS))]
);
message!(
    RESOURCE_SPANS,
    "ResourceSpans",
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeSpans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", Kind::Text),
    ]
);
message!(
    SCOPE_SPANS,
    "ScopeSpans",
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "spans", Kind::Message(&SPAN)),
        one(3, "schemaUrl", Kind::Text),
    ]
);
message!(
    RESOURCE,
    "Resource",
    [
        attributes(1),
        one(2, "droppedAttributesCount", Kind::Uint32),
        many(3, "entityRefs", Kind::Message(&ENTITY_REF)),
    ]
);
message!(
    ENTITY_REF,
    "EntityRef",
    [
        one(1, "schemaUrl", Kind::Text),
        one(2, "type", Kind::Text),
        many(3, "idKeys", Kind::Text),
        many(4, "descriptionKeys", Kind::Text),
    ]
);
message!(
    SCOPE,
    "InstrumentationScope",
    [
        one(1, "name", Kind::Text),
        one(2, "version", Kind::Text),
        attributes(3),
        one(4, "droppedAttributesCount", Kind::Uint32),
    ]
);
message!(
    LOG_RECORD,
    "LogRecord",
    [
        one(1, "timeUnixNano", Kind::Fixed64),
        one(2, "severityNumber", Kind::Enum),
        one(3, "severityText", Kind::Text),
        one(5, "body", Kind::Message(&ANY_VALUE)),
        attributes(6),
        one(7, "droppedAttributesCount", Kind::Uint32),
        one(8, "flags", Kind::Fixed32),
        one(9, "traceId", Kind::Id),
        one(10, "spanId", Kind::Id),
        one(11, "observedTimeUnixNano", Kind::Fixed64),
        one(12, "eventName", Kind::Text),
    ]
);
message!(
    SPAN,
    "Span",
    [
        one(1, "traceId", Kind::Id),
        one(2, "spanId", Kind::Id),
        one(3, "traceState", Kind::Text),
        one(4, "parentSpanId", Kind::Id),
        one(5, "name", Kind::Text),
        one(6, "kind", Kind::Enum),
        one(7, "startTimeUnixNano", Kind::Fixed64),
        one(8, "endTimeUnixNano", Kind::Fixed64),
        attributes(9),
        one(10, "droppedAttributesCount", Kind::Uint32),
        many(11, "events", Kind::Message(&SPAN_EVENT)),
        one(12, "droppedEventsCount", Kind::Uint32),
        many(13, "links", Kind::Message(&SPAN_LINK)),
        one(14, "droppedLinksCount", Kind::Uint32),
        one(15, "status", Kind::Message(&STATUS)),
        one(16, "flags", Kind::Fixed32),
    ]
);
message!(
    SPAN_EVENT,
    "Event",
    [
        one(1, "timeUnixNano", Kind::Fixed64),
        one(2, "name", Kind::Text),
        attributes(3),
        one(4, "droppedAttributesCount", Kind::Uint32),
    ]
);
message!(
    SPAN_LINK,
    "Link",
    [
        one(1, "traceId", Kind::Id),
        one(2, "spanId", Kind::Id),
        one(3, "traceState", Kind::Text),
        attributes(4),
        one(5, "droppedAttributesCount", Kind::Uint32),
        one(6, "flags", Kind::Fixed32),
    ]
);
message!(
    STATUS,
    "Status",
    [one(2, "message", Kind::Text), one(3, "code", Kind::Enum),]
);
message!(
    KEY_VALUE,
    "KeyValue",
    [
        one(1, "key", Kind::Text),
        one(2, "value", Kind::Message(&ANY_VALUE)),
        one(3, "keyStrindex", Kind::Int32),
    ]
);
message!(
    ANY_VALUE,
    "AnyValue",
    [
        one(1, "stringValue", Kind::Text),
        one(2, "boolValue", Kind::Bool),
        one(3, "intValue", Kind::Int64),
        one(4, "doubleValue", Kind::Double),
        one(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
        one(6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        one(7, "bytesValue", Kind::Bytes),
        one(8, "stringValueStrindex", Kind::Int32),
    ]
);
message!(
    ARRAY_VALUE,
    "ArrayValue",
    [many(1, "values", Kind::Message(&ANY_VALUE))]
);
message!(
    KEY_VALUE_LIST,
    "KeyValueList",
    [many(1, "values", Kind::Message(&KEY_VALUE))]
);
