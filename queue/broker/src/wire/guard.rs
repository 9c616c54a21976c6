//! Walks a request body before the codec sees it.
//!
//! The codec reserves memory for as many elements as a length on the wire claims: four bytes abort the whole
//! process. The guard proves, without allocating, that (1) every string and blob lies within the body, (2) no
//! array claims more elements than bytes remain, (3) all arrays and tagged fields together stay within a budget
//! of elements. A body that passes costs the codec at most its own size plus the budget times a small structure.
//! It does not judge meaning: null where none is allowed, or text that is not UTF-8, is the codec's to refuse.

use super::shape::{Field, Kind, Shape};
use crate::limits::REQUEST_ELEMENTS_MAX;

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuardError {
    #[error("a field ends after the request does")]
    Truncated,
    #[error("a length is negative or not a number")]
    BadLength,
    #[error("an array claims `{claimed}` elements where `{remaining}` bytes remain")]
    ArrayTooLong { claimed: usize, remaining: usize },
    #[error("more than `{REQUEST_ELEMENTS_MAX}` elements in one request")]
    TooManyElements,
    #[error("a tagged field is not of the size that it claims")]
    TagSize,
}

/// Checks `body`, the request without its header, and returns how many bytes of it the shape covers.
pub(crate) fn check(shape: &Shape, version: i16, body: &[u8]) -> Result<usize, GuardError> {
    let mut walk = Walk {
        rest: body,
        version,
        flexible: version >= shape.flexible,
        elements_left: REQUEST_ELEMENTS_MAX,
    };
    walk.fields(shape.fields)?;
    walk.tags(shape.tags)?;
    Ok(body.len() - walk.rest.len())
}

/// Checks the part of a request header that follows the correlation id and returns its length.
pub(crate) fn check_header_tail(flexible: bool, bytes: &[u8]) -> Result<usize, GuardError> {
    let mut walk = Walk {
        rest: bytes,
        version: 0,
        flexible: false,
        elements_left: REQUEST_ELEMENTS_MAX,
    };
    // The client id keeps its old form even in flexible headers.
    walk.text()?;
    walk.flexible = flexible;
    walk.tags(&[])?;
    Ok(bytes.len() - walk.rest.len())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl<'a> Walk<'a> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), GuardError> {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.value(&field.kind)?;
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: &Kind) -> Result<(), GuardError> {
        match kind {
            Kind::Fixed(size) => self.skip(*size),
            Kind::Text => self.text(),
            Kind::Blob => {
                let length = if self.flexible {
                    self.compact_length()?
                } else {
                    self.int32_length()?
                };
                self.skip(length.unwrap_or(0))
            }
            Kind::Structs(fields) => {
                for _ in 0..self.array_length()? {
                    self.fields(fields)?;
                    self.tags(&[])?;
                }
                Ok(())
            }
            Kind::Values(kind) => {
                for _ in 0..self.array_length()? {
                    self.value(kind)?;
                }
                Ok(())
            }
        }
    }

    fn text(&mut self) -> Result<(), GuardError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            self.int16_length()?
        };
        self.skip(length.unwrap_or(0))
    }

    fn tags(&mut self, known: &[(u32, Kind)]) -> Result<(), GuardError> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.varint()? as usize;
        self.spend(count)?;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let before = self.rest.len();
            match known.iter().find(|(number, _)| *number == tag) {
                Some((_, kind)) => self.value(kind)?,
                None => self.skip(size)?,
            }
            if before - self.rest.len() != size {
                return Err(GuardError::TagSize);
            }
        }
        Ok(())
    }

    fn array_length(&mut self) -> Result<usize, GuardError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            self.int32_length()?
        };
        let count = length.unwrap_or(0);
        // An element takes a byte at least.
        if count > self.rest.len() {
            return Err(GuardError::ArrayTooLong {
                claimed: count,
                remaining: self.rest.len(),
            });
        }
        self.spend(count)?;
        Ok(count)
    }

    fn spend(&mut self, count: usize) -> Result<(), GuardError> {
        self.elements_left = self
            .elements_left
            .checked_sub(count)
            .ok_or(GuardError::TooManyElements)?;
        Ok(())
    }

    /// `None` is null; other negative lengths are errors.
    fn int16_length(&mut self) -> Result<Option<usize>, GuardError> {
        signed_length(i64::from(i16::from_be_bytes(self.take()?)))
    }

    fn int32_length(&mut self) -> Result<Option<usize>, GuardError> {
        signed_length(i64::from(i32::from_be_bytes(self.take()?)))
    }

    fn compact_length(&mut self) -> Result<Option<usize>, GuardError> {
        Ok((self.varint()? as usize).checked_sub(1))
    }

    /// Strict where the codec is lenient, so that both read the same number: five bytes at most, and the fifth
    /// holds the top four bits only.
    fn varint(&mut self) -> Result<u32, GuardError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            if shift == 28 && byte > 0x0f {
                return Err(GuardError::BadLength);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(GuardError::BadLength)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GuardError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(GuardError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn skip(&mut self, count: usize) -> Result<(), GuardError> {
        self.rest = self.rest.get(count..).ok_or(GuardError::Truncated)?;
        Ok(())
    }
}

fn signed_length(length: i64) -> Result<Option<usize>, GuardError> {
    match length {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| GuardError::BadLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shape;
    use kafka_protocol::messages::ApiKey;

    fn check_api(key: ApiKey, version: i16, body: &[u8]) -> Result<usize, GuardError> {
        check(shape::of(key as i16).unwrap(), version, body)
    }

    #[test]
    fn a_metadata_request_of_four_bytes_cannot_ask_for_two_billion_topics() {
        assert_eq!(
            check_api(ApiKey::Metadata, 1, &[0x7f, 0xff, 0xff, 0xff]),
            Err(GuardError::ArrayTooLong {
                claimed: 0x7fff_ffff,
                remaining: 0
            })
        );
    }

    #[test]
    fn a_compact_metadata_request_of_five_bytes_cannot_either() {
        assert_eq!(
            check_api(ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            Err(GuardError::ArrayTooLong {
                claimed: u32::MAX as usize - 1,
                remaining: 0
            })
        );
    }

    #[test]
    fn elements_are_bounded_even_when_the_bytes_are_there() {
        let count = REQUEST_ELEMENTS_MAX + 1;
        let mut body = (count as i32).to_be_bytes().to_vec();
        body.resize(4 + 2 * count, 0);
        assert_eq!(
            check_api(ApiKey::Metadata, 1, &body),
            Err(GuardError::TooManyElements)
        );
    }

    #[test]
    fn a_known_tag_must_be_of_its_declared_size() {
        // Fetch v12, no topics; tag 0 claims 1 byte and holds the two-byte string "a".
        let mut body = vec![0; 25];
        body.extend([1, 1, 1, 1, 0, 1, 2, b'a']);
        assert_eq!(
            check_api(ApiKey::Fetch, 12, &body),
            Err(GuardError::TagSize)
        );
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        assert_eq!(
            check_api(ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(GuardError::BadLength)
        );
    }

    #[test]
    fn every_prefix_of_a_valid_request_is_refused() {
        let mut body = 1i32.to_be_bytes().to_vec();
        body.extend([0, 3, b'a', b'b', b'c']);
        assert_eq!(check_api(ApiKey::Metadata, 1, &body), Ok(body.len()));
        for length in 0..body.len() {
            assert!(
                check_api(ApiKey::Metadata, 1, &body[..length]).is_err(),
                "prefix of {length}"
            );
        }
    }
}
