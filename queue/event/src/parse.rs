//! From the bytes of a line to what they say.
//!
//! Each format is a function from the line to [`Parsed`]. It answers whether the line fits the format;
//! one that does not may leave nothing behind. `auto` fits every line. What a line does not say, the record's
//! arrival and origin do: that is [`crate::Event::parse`]'s part.

mod auto;
mod columns;
mod field;
mod json;
mod logfmt;
mod logger;
mod named;
mod syslog;
mod systems;

use serde_json::{Map, Value};

use crate::{
    event::Body,
    format::Format,
    level::Level,
    limits::{ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX},
    time::Clock,
};

/// What a line says.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) time_ns: Option<i64>,
    pub(crate) level: Option<Level>,
    /// Named by a field that says "service"; outranks the agent's setting.
    pub(crate) service: Option<String>,
    /// The program of a syslog line: the service unless the agent's setting names one.
    pub(crate) program: Option<String>,
    pub(crate) host: Option<String>,
    /// The whole line when `None`.
    pub(crate) body: Option<Body>,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span_id: Option<[u8; 8]>,
}

impl Parsed {
    fn attribute(&mut self, name: &str, value: impl Into<Value>) {
        keep(&mut self.attributes, name, value.into());
    }

    /// The message is what is left of the line.
    fn body_from(&mut self, line: &[u8], from: usize) {
        let rest = line.get(from..).unwrap_or_default();
        let start = line.len() - rest.trim_ascii_start().len();
        self.body = Some(Body::Raw(start..start + rest.trim_ascii().len()));
    }
}

/// Reads a line in its format. `None` when it does not fit, which `auto` never says.
pub(crate) fn parse(line: &[u8], format: &Format, clock: &Clock) -> Option<Parsed> {
    let mut parsed = Parsed::default();
    let fits = match format {
        Format::Auto => {
            auto::parse(line, clock, &mut parsed);
            true
        }
        Format::Json => json::parse(line, clock, &mut parsed),
        Format::Logfmt => logfmt::parse(line, 0, clock, &mut parsed),
        Format::Syslog => syslog::parse(line, clock, &mut parsed),
        Format::Regex(regex) => named::parse(line, regex, clock, &mut parsed),
    };
    fits.then_some(parsed)
}

/// Keeps an attribute unless the line has too many already; the first of a name counts.
fn keep(attributes: &mut Map<String, Value>, name: &str, value: Value) {
    let fits = attributes.len() < ATTRIBUTES_MAX && name.len() <= ATTRIBUTE_NAME_BYTES_MAX;
    if fits && !attributes.contains_key(name) {
        attributes.insert(name.to_owned(), value);
    }
}

/// Text for a field of the event or an attribute.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A bare word's value: a JSON number or boolean when it is exactly one, else text.
///
/// `007`, `1e5` and integers beyond 64 bits stay text: they are ids and hashes more often than
/// numbers, and text loses nothing.
fn typed(word: &[u8]) -> Value {
    match word {
        b"true" => return Value::Bool(true),
        b"false" => return Value::Bool(false),
        _ => {}
    }
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let plain = digits.len() <= 24
        && digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && digits.first().is_some_and(u8::is_ascii_digit)
        && digits.last().is_some_and(u8::is_ascii_digit)
        && (digits[0] != b'0' || digits.len() == 1 || digits[1] == b'.');
    if let (true, Ok(word)) = (plain, std::str::from_utf8(word)) {
        if let Ok(number) = word.parse::<i64>() {
            return number.into();
        }
        if let Ok(number) = word.parse::<u64>() {
            return number.into();
        }
        if digits.contains(&b'.')
            && let Ok(number) = word.parse::<f64>()
        {
            return number.into();
        }
    }
    Value::String(text(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bare_words_are_numbers_only_when_nothing_is_lost() {
        let cases = [
            ("42", json!(42)),
            ("-42", json!(-42)),
            ("0", json!(0)),
            ("0.5", json!(0.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("true", json!(true)),
            ("false", json!(false)),
            ("18446744073709551616", json!("18446744073709551616")),
            ("007", json!("007")),
            ("1e5", json!("1e5")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.7", json!("10.0.0.7")),
            ("1.", json!("1.")),
            (".5", json!(".5")),
            ("-", json!("-")),
            ("", json!("")),
            ("NaN", json!("NaN")),
            ("True", json!("True")),
            ("+1", json!("+1")),
        ];
        for (word, value) in cases {
            assert_eq!(typed(word.as_bytes()), value, "{word}");
        }
    }
}
