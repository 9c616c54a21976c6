//! Lines that the user described with a regex: named groups fill the fields of their names, and the
//! others become typed attributes.

use std::borrow::Cow;

use regex::bytes::{Captures, Match};
use serde_json::Value;

use super::{Parsed, field, text, typed};
use crate::{event::Body, format::NamedRegex, level::Level, time::Clock};

/// Whether the regex matches somewhere in the line, and what its groups say.
pub(super) fn parse(line: &[u8], regex: &NamedRegex, clock: &Clock, parsed: &mut Parsed) -> bool {
    if let Some(groups) = regex.regex().captures(line) {
        fill(regex, &groups, clock, parsed);
        return true;
    }
    // A pattern's `.` is a character, and a byte that is none must not make a line unreadable.
    let text = String::from_utf8_lossy(line);
    let Cow::Owned(text) = text else {
        return false;
    };
    let Some(groups) = regex.regex().captures(text.as_bytes()) else {
        return false;
    };
    fill(regex, &groups, clock, parsed);
    if let Some(Body::Raw(range)) = parsed.body.take() {
        parsed.body = Some(Body::Owned(super::text(&text.as_bytes()[range])));
    }
    true
}

fn fill(regex: &NamedRegex, groups: &Captures<'_>, clock: &Clock, parsed: &mut Parsed) {
    for (index, name) in regex.regex().capture_names().enumerate() {
        let (Some(name), Some(found)) = (name, groups.get(index)) else {
            continue;
        };
        let word = found.as_bytes();
        match name {
            "timestamp" => parsed.time_ns = field::instant(&string(&found), clock),
            "level" => {
                parsed.level = Level::from_word(word.trim_ascii());
                if parsed.level.is_none() && !word.is_empty() {
                    // An unknown word is kept where a search finds it.
                    parsed.attribute("level", typed(word));
                }
            }
            "service" => parsed.service = filled(word),
            "host" => parsed.host = filled(word),
            "body" => parsed.body = Some(Body::Raw(found.range())),
            "trace_id" => parsed.trace_id = field::trace_id(&string(&found)),
            "span_id" => parsed.span_id = field::span_id(&string(&found)),
            _ => parsed.attribute(name, typed(word)),
        }
    }
}

fn string(found: &Match<'_>) -> Value {
    Value::String(text(found.as_bytes()))
}

fn filled(word: &[u8]) -> Option<String> {
    (!word.is_empty()).then(|| text(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_groups_fill_fields_and_typed_attributes() {
        let regex = NamedRegex::new(
            r"^(?<timestamp>\S+) (?<level>\w+) (?<service>\w*)@(?<host>\w+) (?<trace_id>\w+) (?<ms>\S+) (?<ok>\w+) (?<absent>x)?(?<body>.*)$",
        )
        .unwrap();
        let line = b"2023-11-14T22:13:20Z CRIT shop@web1 000000000000000000000000000000ff 12.5 true all is \xff lost";
        let mut parsed = Parsed::default();
        assert!(parse(line, &regex, &Clock::new(0, None), &mut parsed));
        assert_eq!(parsed.time_ns, Some(1_700_000_000_000_000_000));
        assert_eq!(parsed.level, Some(Level::Fatal));
        assert_eq!(parsed.service.as_deref(), Some("shop"));
        assert_eq!(parsed.host.as_deref(), Some("web1"));
        assert_eq!(parsed.trace_id.unwrap()[15], 255);
        assert_eq!(
            Value::Object(parsed.attributes),
            json!({"ms": 12.5, "ok": true})
        );
        assert_eq!(
            parsed.body,
            Some(Body::Owned("all is \u{fffd} lost".into()))
        );
        assert!(!parse(
            b"no",
            &regex,
            &Clock::new(0, None),
            &mut Parsed::default()
        ));
    }

    #[test]
    fn the_body_group_is_a_range_of_the_line() {
        let regex = NamedRegex::new("^x (?<body>.*)$").unwrap();
        let mut parsed = Parsed::default();
        assert!(parse(b"x  y ", &regex, &Clock::new(0, None), &mut parsed));
        assert_eq!(parsed.body, Some(Body::Raw(2..5)));
    }
}
