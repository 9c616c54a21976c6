//! Whether bytes are what the schema says, before anything is made of them.
//!
//! Allocates nothing and recurses over no more levels than [`OTLP_DEPTH_MAX`]. Whether text is UTF-8 is not asked:
//! it is read with U+FFFD.

use super::{
    OtlpError,
    schema::{self, Kind, Message},
    wire::{Fields, Wire, WireError},
};
use crate::limits::OTLP_DEPTH_MAX;

/// Checks a level of the request. A level inside it is left to the caller, who looks at each of them anyway.
pub(super) fn level(message: &'static Message, content: &[u8]) -> Result<(), OtlpError> {
    for field in Fields::new(content) {
        let malformed = |error| OtlpError::Protobuf {
            message: message.name,
            error,
        };
        let (number, wire) = field.map_err(malformed)?;
        let Some(known) = message.numbered(number) else {
            continue;
        };
        match known.kind {
            Kind::Message(_) if is_level(known) => {
                bytes(number, wire).map_err(malformed)?;
            }
            Kind::Message(inner) => {
                let content = bytes(number, wire).map_err(malformed)?;
                message_below(inner, content, OTLP_DEPTH_MAX)?;
            }
            kind if kind.wire_type() != wire.wire_type() => {
                return Err(malformed(WireError::FieldType(number)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a field leads further down to the items.
fn is_level(field: &schema::Field) -> bool {
    matches!(field.name, "scopeLogs" | "scopeSpans")
}

/// Checks that a message is well-formed as deep as anybody will look into it.
///
/// Below that depth bytes stay unread: a sender that nests deeper than we keep loses the depth, not
/// the record.
fn message_below(
    message: &'static Message,
    content: &[u8],
    depth_left: usize,
) -> Result<(), OtlpError> {
    for field in Fields::new(content) {
        let malformed = |error| OtlpError::Protobuf {
            message: message.name,
            error,
        };
        let (number, wire) = field.map_err(malformed)?;
        let Some(known) = message.numbered(number) else {
            continue;
        };
        if known.kind.wire_type() != wire.wire_type() {
            return Err(malformed(WireError::FieldType(number)));
        }
        if let (Kind::Message(inner), Wire::Bytes(content)) = (known.kind, wire)
            && depth_left > 0
        {
            message_below(inner, content, depth_left - 1)?;
        }
    }
    Ok(())
}

pub(super) fn bytes(number: u32, wire: Wire<'_>) -> Result<&[u8], WireError> {
    match wire {
        Wire::Bytes(content) => Ok(content),
        _ => Err(WireError::FieldType(number)),
    }
}
