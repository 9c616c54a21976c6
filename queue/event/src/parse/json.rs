//! JSON objects, one a line.
//!
//! The attributes are the object as it was written, typed and nested, including the keys that also fill a
//! field: whoever sees `"severity":"ERROR"` in a line searches for `severity:ERROR`. Reading is bounded
//! while it happens: what exceeds the bounds is skipped, not built and thrown away.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    Parsed,
    field::{self, Filler},
};
use crate::{
    limits::{ATTRIBUTE_DEPTH_MAX, ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX},
    time::Clock,
};

/// Whether the line is a JSON object, and what it says.
pub(super) fn parse(line: &[u8], clock: &Clock, parsed: &mut Parsed) -> bool {
    if line.trim_ascii_start().first() != Some(&b'{') {
        return false;
    }
    let Some(object) = object(line) else {
        return false;
    };
    let mut filler = Filler::new(parsed, clock);
    for (key, value) in &object {
        match value {
            Value::Object(inner) if field::is_namespace(key) => {
                for (inner_key, value) in inner {
                    let named = field::named(&format!("{key}.{inner_key}"));
                    // A resource's attributes have full names of their own.
                    if let Some((field, rank)) = named.or_else(|| field::named(inner_key)) {
                        filler.offer(field, rank, value);
                    }
                }
            }
            Value::Object(_) | Value::Array(_) | Value::Null => {}
            _ => {
                if let Some((field, rank)) = field::named(key) {
                    filler.offer(field, rank, value);
                }
            }
        }
    }
    parsed.attributes = object;
    true
}

fn object(line: &[u8]) -> Option<Map<String, Value>> {
    let entries_left = Cell::new(ATTRIBUTES_MAX);
    let seed = Bounded {
        entries_left: &entries_left,
        depth_left: ATTRIBUTE_DEPTH_MAX,
    };
    let lossy;
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(_) => {
            lossy = String::from_utf8_lossy(line);
            &lossy
        }
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Builds a value while entries and depth are left; `None` is one that was skipped.
#[derive(Clone, Copy)]
struct Bounded<'a> {
    entries_left: &'a Cell<usize>,
    depth_left: usize,
}

impl<'a> Bounded<'a> {
    /// The seed of an entry inside, or `None` when there is no room for one.
    fn entry(&self) -> Option<Bounded<'a>> {
        let left = self.entries_left.get().checked_sub(1)?;
        self.entries_left.set(left);
        Some(Bounded {
            entries_left: self.entries_left,
            depth_left: self.depth_left - 1,
        })
    }

    /// An entry that was made room for did not come.
    fn no_entry(&self) {
        self.entries_left.set(self.entries_left.get() + 1);
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Option<Value>, E> {
        Ok(Some(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(Some(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<Value>, A::Error> {
        if self.depth_left == 0 {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let mut values = Vec::new();
        while let Some(entry) = self.entry() {
            match seq.next_element_seed(entry)? {
                Some(value) => values.extend(value),
                None => {
                    self.no_entry();
                    return Ok(Some(Value::Array(values)));
                }
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        if self.depth_left == 0 {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        }
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match (key.len() <= ATTRIBUTE_NAME_BYTES_MAX)
                .then(|| self.entry())
                .flatten()
            {
                Some(entry) => {
                    if let Some(value) = map.next_value_seed(entry)? {
                        object.insert(key, value);
                    }
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Body, level::Level};

    fn read(line: &str) -> Option<Parsed> {
        let mut parsed = Parsed::default();
        parse(line.as_bytes(), &Clock::new(0, None), &mut parsed).then_some(parsed)
    }

    #[test]
    fn keys_in_common_use_fill_the_fields() {
        let parsed = read(
            r#"{"ts":1700000000.25,"lvl":"WARNING","message":"a \"b\"","event":"x","service":{"name":"shop"},
               "hostname":"web-1","trace_id":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","user":{"id":42}}"#,
        )
        .unwrap();
        assert_eq!(parsed.time_ns, Some(1_700_000_000_250_000_000));
        assert_eq!(parsed.level, Some(Level::Warn));
        assert_eq!(parsed.body, Some(Body::Owned("a \"b\"".into())));
        assert_eq!(parsed.service.as_deref(), Some("shop"));
        assert_eq!(parsed.host.as_deref(), Some("web-1"));
        assert_eq!(parsed.trace_id.unwrap()[..2], [0x0a, 0xf7]);
        assert_eq!(parsed.span_id.unwrap()[..2], [0xb7, 0xad]);
        assert_eq!(parsed.attributes["user"]["id"], 42);
        assert_eq!(parsed.attributes["lvl"], "WARNING");
    }

    #[test]
    fn the_levels_of_common_libraries_are_known() {
        let cases = [
            (r#"{"level":30}"#, Some(Level::Info)),
            (r#"{"level":50}"#, Some(Level::Error)),
            (r#"{"level":3}"#, Some(Level::Error)),
            (r#"{"PRIORITY":"6"}"#, Some(Level::Info)),
            (r#"{"severityNumber":17}"#, Some(Level::Error)),
            (r#"{"log.level":"error"}"#, Some(Level::Error)),
            (r#"{"log":{"level":"debug"}}"#, Some(Level::Debug)),
            (r#"{"priority":2,"level":"info"}"#, Some(Level::Info)),
            (r#"{"level":"high"}"#, None),
            (r#"{"level":99}"#, None),
        ];
        for (line, level) in cases {
            assert_eq!(read(line).unwrap().level, level, "{line}");
        }
    }

    #[test]
    fn trace_ids_are_hex_and_datadogs_are_decimal() {
        let trace = |line: &str| read(line).unwrap().trace_id.map(u128::from_be_bytes);
        let span = |line: &str| read(line).unwrap().span_id.map(u64::from_be_bytes);
        assert_eq!(trace(r#"{"traceId":"00000000000000ff"}"#), Some(255));
        assert_eq!(
            trace(r#"{"trace":{"id":"000000000000000000000000000000ff"}}"#),
            Some(255)
        );
        assert_eq!(
            trace(r#"{"dd.trace_id":"1234567890123456"}"#),
            Some(1_234_567_890_123_456)
        );
        assert_eq!(span(r#"{"dd":{"span_id":"7"}}"#), Some(7));
        assert_eq!(
            trace(
                r#"{"logging.googleapis.com/trace":"projects/p/traces/000000000000000000000000000000ff"}"#
            ),
            Some(255)
        );
        assert_eq!(
            trace(r#"{"traceId":"00000000000000000000000000000000"}"#),
            None
        );
        assert_eq!(trace(r#"{"traceId":"0af7"}"#), None);
    }

    #[test]
    fn only_whole_objects_fit() {
        for line in [
            "",
            "[1]",
            "1",
            r#"{"a":1"#,
            r#"{"a":1} x"#,
            "{a:1}",
            r#"{"a":1}{"b":2}"#,
        ] {
            assert!(read(line).is_none(), "{line}");
        }
        assert!(read(" {} ").is_some());
    }

    #[test]
    fn what_exceeds_the_bounds_is_skipped_and_the_rest_is_kept() {
        let keys: Vec<String> = (0..5_000)
            .map(|key| format!(r#""k{key}":[{key}]"#))
            .collect();
        let attributes = read(&format!("{{{}}}", keys.join(","))).unwrap().attributes;
        assert_eq!(attributes.len(), ATTRIBUTES_MAX / 2);
        assert_eq!(attributes["k499"][0], 499);

        let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        let mut value = Value::Object(read(&deep).unwrap().attributes);
        let mut depth = 0;
        while let Some(inner) = value.get_mut("a").map(Value::take) {
            value = inner;
            depth += 1;
        }
        assert_eq!(depth, ATTRIBUTE_DEPTH_MAX - 1);
        // Skipping takes no stack, so that even this is an object.
        let bottomless = format!("{}1{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
        assert_eq!(read(&bottomless).unwrap().attributes.len(), 1);

        let long = format!(
            r#"{{"{}":1,"b":2}}"#,
            "a".repeat(ATTRIBUTE_NAME_BYTES_MAX + 1)
        );
        assert_eq!(
            read(&long).unwrap().attributes,
            *serde_json::json!({"b": 2}).as_object().unwrap()
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_cost_only_themselves() {
        let mut parsed = Parsed::default();
        assert!(parse(
            b"{\"msg\":\"caf\xe9\"}",
            &Clock::new(0, None),
            &mut parsed
        ));
        assert_eq!(parsed.body, Some(Body::Owned("caf\u{fffd}".into())));
    }
}
