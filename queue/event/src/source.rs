//! The identity of a source: one tailed file on one host for as long as its content continues.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::IdError;

/// A random 128-bit id that the agent makes durable before the source's first record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub [u8; 16]);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceId({self})")
    }
}

impl FromStr for SourceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        crate::hex::decode(text.as_bytes())
            .map(SourceId)
            .ok_or_else(|| IdError::Source(text.chars().take(64).collect()))
    }
}

impl Serialize for SourceId {
    /// Hex where people read it, sixteen bytes in binary encodings.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for SourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(SourceId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_ids_survive_text_json_and_postcard() {
        let id = SourceId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(id.to_string().parse::<SourceId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<SourceId>(&json).unwrap(), id);
        let binary = postcard::to_allocvec(&id).unwrap();
        assert_eq!(binary, id.0);
        assert_eq!(postcard::from_bytes::<SourceId>(&binary).unwrap(), id);
    }

    #[test]
    fn anything_but_32_hex_digits_is_refused() {
        for text in [
            "",
            "00",
            "000102030405060708090a0b0c0d0ef",
            "+00102030405060708090a0b0c0d0eff",
        ] {
            assert!(text.parse::<SourceId>().is_err(), "{text}");
        }
    }
}
