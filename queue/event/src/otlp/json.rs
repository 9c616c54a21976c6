//! OTLP/JSON, both ways, by the schema's table.
//!
//! Reading writes protobuf while it goes, so memory is bounded by the body's size. The mapping is
//! proto3's with OTLP's exceptions: lowerCamelCase keys, ids in hex, enums as numbers, 64-bit integers as
//! strings or numbers; unknown keys are ignored and `null` is as good as absent.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    OtlpError,
    schema::{Field, Kind, Message},
    wire::{Fields, Wire, put_bytes, put_message, put_tag, put_varint},
};
use crate::{hex, limits::OTLP_DEPTH_MAX};

/// Proto3 takes either alphabet, padded or not.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

pub(super) fn to_protobuf(message: &'static Message, body: &[u8]) -> Result<Vec<u8>, OtlpError> {
    let mut out = Vec::with_capacity(body.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let seed = Reading {
        message,
        out: &mut out,
    };
    seed.deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| OtlpError::Json {
            reason: error.to_string(),
        })?;
    Ok(out)
}

/// Reads an object as a message's content.
struct Reading<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, the message `{}`", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(self.message))? {
            match key {
                Some(field) => map.next_value_seed(ReadingField {
                    field,
                    out: self.out,
                    element: false,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Looks a key up without keeping it.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(key))
    }
}

/// Reads the value of a field, or one element of a repeated one.
struct ReadingField<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    element: bool,
}

impl ReadingField<'_> {
    fn is_single(&self) -> bool {
        self.element || !self.field.repeated
    }

    fn bytes<E: Error>(self, bytes: Option<Vec<u8>>, what: &str) -> Result<(), E> {
        let name = self.field.name;
        let bytes = bytes.ok_or_else(|| E::custom(format_args!("`{name}` is not {what}")))?;
        put_bytes(self.out, self.field.number, &bytes);
        Ok(())
    }

    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        if !self.is_single() {
            return Err(self.unfit());
        }
        let number = self.field.number;
        let written = match self.field.kind {
            Kind::Int64 => i64::try_from(value).map(|value| value as u64),
            // Negative 32-bit numbers have 64 bits on the wire.
            Kind::Int32 | Kind::Enum => i32::try_from(value).map(|value| i64::from(value) as u64),
            Kind::Uint32 | Kind::Fixed32 => u32::try_from(value).map(u64::from),
            Kind::Fixed64 => u64::try_from(value),
            Kind::Double => return self.double(value as f64),
            Kind::Text | Kind::Id | Kind::Bytes | Kind::Bool | Kind::Message(_) => {
                return Err(self.unfit());
            }
        };
        let written = written.map_err(|_| {
            E::custom(format_args!(
                "`{}` is out of range: {value}",
                self.field.name
            ))
        })?;
        put_tag(self.out, number, self.field.kind.wire_type());
        match self.field.kind {
            Kind::Fixed64 => self.out.extend_from_slice(&written.to_le_bytes()),
            Kind::Fixed32 => self.out.extend_from_slice(&(written as u32).to_le_bytes()),
            _ => put_varint(self.out, written),
        }
        Ok(())
    }

    fn double<E: Error>(self, value: f64) -> Result<(), E> {
        if !self.is_single() || !matches!(self.field.kind, Kind::Double) {
            return Err(self.unfit());
        }
        put_tag(self.out, self.field.number, self.field.kind.wire_type());
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// The value's JSON type is not the field's.
    fn unfit<E: Error>(&self) -> E {
        let name = self.field.name;
        if !self.is_single() {
            return E::custom(format_args!("`{name}` must be an array"));
        }
        let wanted = match self.field.kind {
            Kind::Text => "a string",
            Kind::Id => "a string of hex digits",
            Kind::Bytes => "a string in base64",
            Kind::Bool => "true or false",
            Kind::Enum => "a number, not the name of one",
            Kind::Int64 | Kind::Int32 | Kind::Uint32 | Kind::Fixed64 | Kind::Fixed32 => {
                "an integer, as a number or in a string"
            }
            Kind::Double => "a number",
            Kind::Message(_) => "an object",
        };
        E::custom(format_args!("`{name}` must be {wanted}"))
    }
}

impl<'de> DeserializeSeed<'de> for ReadingField<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadingField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for `{}`", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if !self.is_single() || !matches!(self.field.kind, Kind::Bool) {
            return Err(self.unfit());
        }
        put_tag(self.out, self.field.number, self.field.kind.wire_type());
        self.out.push(value.into());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(value),
            // `1e3` is an integer; what is beyond 64 bits is out of range whatever it is cut to.
            _ if value.fract() == 0.0 => self.integer(value as i128),
            _ => Err(self.unfit()),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !self.is_single() {
            return Err(self.unfit());
        }
        match self.field.kind {
            Kind::Text => {
                put_bytes(self.out, self.field.number, text.as_bytes());
                Ok(())
            }
            Kind::Id => self.bytes(hex::decode_any(text.as_bytes()), "in hex"),
            Kind::Bytes => {
                let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
                self.bytes(bytes.ok(), "in base64")
            }
            Kind::Double => match text {
                "NaN" => self.double(f64::NAN),
                "Infinity" => self.double(f64::INFINITY),
                "-Infinity" => self.double(f64::NEG_INFINITY),
                _ => match text.parse() {
                    Ok(value) => self.double(value),
                    Err(_) => Err(self.unfit()),
                },
            },
            Kind::Int64 | Kind::Int32 | Kind::Uint32 | Kind::Fixed64 | Kind::Fixed32 => {
                match text.parse::<i128>() {
                    Ok(value) => self.integer(value),
                    Err(_) => Err(self.unfit()),
                }
            }
            Kind::Bool | Kind::Enum | Kind::Message(_) => Err(self.unfit()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.is_single() {
            return Err(self.unfit());
        }
        while let Some(()) = seq.next_element_seed(ReadingField {
            field: self.field,
            out: self.out,
            element: true,
        })? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(self.unfit());
        };
        if !self.is_single() {
            return Err(self.unfit());
        }
        put_message(self.out, self.field.number, |out| {
            Reading { message, out }.visit_map(map)
        })
    }
}

/// A message as JSON, of about `bytes_max` bytes at most. What is malformed or too deep is left out.
pub(super) fn from_protobuf(message: &'static Message, bytes: &[u8], bytes_max: usize) -> Value {
    let mut left = bytes_max;
    Value::Object(object(message, bytes, OTLP_DEPTH_MAX, &mut left))
}

/// Quotes, colon, comma and brackets around one value.
const PUNCTUATION_BYTES: usize = 6;

fn object(
    message: &'static Message,
    bytes: &[u8],
    depth_left: usize,
    left: &mut usize,
) -> Map<String, Value> {
    let mut object = Map::new();
    if let [values] = message.fields
        && values.name == "values"
    {
        // Readers in common use insist on it, empty or not.
        object.insert(values.name.to_owned(), Value::Array(Vec::new()));
    }
    for (number, wire) in Fields::new(bytes).map_while(Result::ok) {
        let Some(field) = message.numbered(number) else {
            continue;
        };
        if *left == 0 {
            break;
        }
        *left = left.saturating_sub(field.name.len() + PUNCTUATION_BYTES);
        let Some(value) = value(field.kind, wire, depth_left, left) else {
            continue;
        };
        if !field.repeated {
            object.insert(field.name.to_owned(), value);
        } else if let Some(Value::Array(values)) = object.get_mut(field.name) {
            values.push(value);
        } else {
            object.insert(field.name.to_owned(), Value::Array(vec![value]));
        }
    }
    object
}

fn value(kind: Kind, wire: Wire<'_>, depth_left: usize, left: &mut usize) -> Option<Value> {
    let value = match (kind, wire) {
        (Kind::Message(message), Wire::Bytes(bytes)) => {
            let depth_left = depth_left.checked_sub(1)?;
            return Some(object(message, bytes, depth_left, left).into());
        }
        (Kind::Text, Wire::Bytes(bytes)) => {
            let bytes = bytes.get(..*left).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into()
        }
        (Kind::Id, Wire::Bytes(bytes)) => {
            let bytes = bytes.get(..*left / 2).unwrap_or(bytes);
            hex::encode(bytes).into()
        }
        (Kind::Bytes, Wire::Bytes(bytes)) => {
            // Three bytes are four characters.
            let bytes = bytes.get(..*left / 4 * 3).unwrap_or(bytes);
            BASE64_STANDARD.encode(bytes).into()
        }
        (Kind::Bool, Wire::Varint(value)) => Value::Bool(value != 0),
        (Kind::Int64, Wire::Varint(value)) => (value as i64).to_string().into(),
        (Kind::Int32 | Kind::Enum, Wire::Varint(value)) => (value as i32).into(),
        (Kind::Uint32, Wire::Varint(value)) => (value as u32).into(),
        (Kind::Fixed64, Wire::Fixed64(value)) => value.to_string().into(),
        (Kind::Fixed32, Wire::Fixed32(value)) => value.into(),
        (Kind::Double, Wire::Fixed64(bits)) => double(f64::from_bits(bits)),
        _ => return None,
    };
    let text = value.as_str().map_or(8, str::len);
    *left = left.saturating_sub(text);
    Some(value)
}

/// A number, or the word that proto3's JSON has for what JSON has no number for.
pub(super) fn double(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
