//! Protobuf's wire format: fields out of bytes that strangers sent, and fields into a buffer.
//!
//! Reading allocates nothing and goes nowhere outside the slice that it was given. Groups, which proto3
//! does not have, count as malformed.

use std::ops::Range;

/// What is wrong with bytes that are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("it ends inside a field")]
    Truncated,
    #[error("a number is longer than 64 bits")]
    Varint,
    #[error("a field has the number 0 or one beyond 536870911")]
    FieldNumber,
    #[error("field {0} has a wire type that OTLP does not use")]
    WireType(u32),
    #[error("field {0} is not of the type that OTLP gives it")]
    FieldType(u32),
}

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const FIXED32: u8 = 5;

impl Wire<'_> {
    pub(super) fn wire_type(&self) -> u8 {
        match self {
            Wire::Varint(_) => VARINT,
            Wire::Fixed64(_) => FIXED64,
            Wire::Bytes(_) => BYTES,
            Wire::Fixed32(_) => FIXED32,
        }
    }
}

/// A field's number, its value, and where in the message it stands.
pub(super) type Placed<'a> = (u32, Wire<'a>, Range<usize>);

/// The fields of a message, in the order in which they were written.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Fields<'a> {
        Fields {
            bytes: message,
            at: 0,
        }
    }

    /// The next field and where it stands, its tag included.
    pub(super) fn next_at(&mut self) -> Option<Result<Placed<'a>, WireError>> {
        let from = self.at;
        let field = self.next()?;
        Some(field.map(|(number, wire)| (number, wire, from..self.at)))
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), WireError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or(WireError::FieldNumber)?;
        let wire = match (tag & 7) as u8 {
            VARINT => Wire::Varint(self.varint()?),
            FIXED64 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            BYTES => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Wire::Bytes(self.take(len)?)
            }
            FIXED32 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::WireType(number)),
        };
        Ok((number, wire))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).ok_or(WireError::Truncated)?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| WireError::Truncated)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(WireError::Truncated)?;
            self.at += 1;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }
}

/// Ends after the first error: what follows a broken field cannot be told apart.
impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

pub(super) fn varint_len(value: u64) -> usize {
    // 7 bits a byte, at least one byte.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// What stands before `len` bytes of a field.
pub(super) fn put_header(out: &mut Vec<u8>, number: u32, len: usize) {
    put_tag(out, number, BYTES);
    put_varint(out, len as u64);
}

/// Bytes of a field of `len` bytes, header included. Numbers up to 15 only, whose tag is one byte.
pub(super) fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Writes a message field whose length is known only when it is written.
///
/// The content is written first and moved behind its length: a move of bytes just written is cheaper than
/// a buffer of its own, and nothing has to be measured beforehand.
pub(super) fn put_message<E>(
    out: &mut Vec<u8>,
    number: u32,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_tag(out, number, BYTES);
    let from = out.len();
    content(out)?;
    let end = out.len();
    put_varint(out, (end - from) as u64);
    let header = out.len() - end;
    if let Some(written) = out.get_mut(from..) {
        written.rotate_right(header);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_the_length_that_is_said_of_them() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                assert_eq!(Fields::new(&out).varint(), Ok(value));
            }
        }
    }

    #[test]
    fn broken_fields_end_the_message_with_a_reason() {
        let reason = |bytes: &[u8]| Fields::new(bytes).find_map(Result::err);
        assert_eq!(reason(&[0x0a, 0x05, 1]), Some(WireError::Truncated));
        assert_eq!(reason(&[0x0a]), Some(WireError::Truncated));
        let huge = [
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ];
        assert_eq!(reason(&huge), Some(WireError::Truncated));
        assert_eq!(reason(&[0x08; 1]), Some(WireError::Truncated));
        assert_eq!(reason(&[0xff; 11]), Some(WireError::Varint));
        assert_eq!(reason(&[0x00]), Some(WireError::FieldNumber));
        assert_eq!(reason(&[0x0b]), Some(WireError::WireType(1)));
        assert_eq!(reason(&[0x09, 1, 2, 3]), Some(WireError::Truncated));
        assert_eq!(Fields::new(&[0x0b, 0, 0]).count(), 1);
    }

    #[test]
    fn a_message_written_before_its_length_reads_back() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut out = vec![9, 9];
            let content = vec![7; len];
            put_message(&mut out, 3, |out| {
                out.extend_from_slice(&content);
                Ok::<_, WireError>(())
            })
            .unwrap();
            let fields: Vec<_> = Fields::new(&out[2..]).collect();
            assert_eq!(fields, [Ok((3, Wire::Bytes(&content)))]);
            assert_eq!(out.len() - 2, nested_len(len));
        }
    }
}
