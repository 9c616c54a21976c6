//! Logfmt: `key=value key="quoted value" flag`.
//!
//! Bare values are typed, quoted ones are text. As with JSON, the attributes are all pairs of the line.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Parsed,
    field::{self, Field, Filler},
    keep, text, typed,
};
use crate::{cursor::Cursor, event::Body, limits::ATTRIBUTE_NAME_BYTES_MAX, time::Clock};

/// One word of a line.
enum Word<'a> {
    Pair {
        key: &'a str,
        value: Cow<'a, [u8]>,
        quoted: bool,
        /// Where the value stands in the line, when it stands there as it is.
        range: Option<std::ops::Range<usize>>,
    },
    Flag,
}

/// Whether the line from `from` on is logfmt, and what it says. One pair is enough when it was asked for.
pub(super) fn parse(line: &[u8], from: usize, clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut pairs = 0;
    for word in words(line, from) {
        match word {
            Some(Word::Pair { .. }) => pairs += 1,
            Some(Word::Flag) => {}
            None => return false,
        }
    }
    if pairs == 0 {
        return false;
    }
    fill(line, from, clock, parsed);
    true
}

/// Whether a line that nobody called logfmt is: nothing but pairs, two at least, or pairs among which
/// one is called what log libraries call theirs.
pub(super) fn parse_unasked(line: &[u8], from: usize, clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut cursor = Cursor::new(line);
    cursor.skip(from);
    if key(&mut cursor).is_none() {
        return false;
    }
    let (mut pairs, mut flags, mut telling) = (0, 0, false);
    for word in words(line, from) {
        match word {
            Some(Word::Pair { key, .. }) => {
                pairs += 1;
                telling |= matches!(key, "level" | "lvl" | "msg" | "ts" | "time" | "severity");
            }
            Some(Word::Flag) => flags += 1,
            None => return false,
        }
    }
    if pairs < 2 || (flags > 0 && !telling) {
        return false;
    }
    fill(line, from, clock, parsed);
    true
}

fn fill(line: &[u8], from: usize, clock: &Clock, parsed: &mut Parsed) {
    let mut attributes = std::mem::take(&mut parsed.attributes);
    let mut filler = Filler::new(parsed, clock);
    for word in words(line, from).flatten() {
        let Word::Pair {
            key,
            value,
            quoted,
            range,
        } = word
        else {
            continue;
        };
        let value = if quoted {
            Value::String(text(&value))
        } else {
            typed(&value)
        };
        match (field::named(key), range) {
            (Some((Field::Body, rank)), Some(range)) => filler.offer_body(rank, Body::Raw(range)),
            (Some((field, rank)), _) => filler.offer(field, rank, &value),
            (None, _) => {}
        }
        keep(&mut attributes, key, value);
    }
    parsed.attributes = attributes;
}

/// The words of a line; `None` for one that no logfmt writer wrote, after which there are no more.
fn words(line: &[u8], from: usize) -> impl Iterator<Item = Option<Word<'_>>> {
    let mut cursor = Cursor::new(line);
    cursor.skip(from);
    let mut broken = false;
    std::iter::from_fn(move || {
        cursor.take_while(usize::MAX, |byte| byte.is_ascii_whitespace());
        if broken || cursor.is_end() {
            return None;
        }
        let word = word(&mut cursor, line);
        broken = word.is_none();
        Some(word)
    })
}

fn word<'a>(cursor: &mut Cursor<'a>, line: &'a [u8]) -> Option<Word<'a>> {
    let Some(key) = key(cursor) else {
        cursor.take_while(usize::MAX, |byte| !byte.is_ascii_whitespace());
        return Some(Word::Flag);
    };
    let from = cursor.at();
    if cursor.eat(b'"') {
        let (value, escaped) = quoted(cursor)?;
        let range = (!escaped).then(|| from + 1..cursor.at() - 1);
        return Some(Word::Pair {
            key,
            value,
            quoted: true,
            range,
        });
    }
    let value = cursor.take_while(usize::MAX, |byte| !byte.is_ascii_whitespace());
    let range = Some(from..cursor.at());
    debug_assert_eq!(line.get(from..cursor.at()), Some(value));
    Some(Word::Pair {
        key,
        value: Cow::Borrowed(value),
        quoted: false,
        range,
    })
}

/// A key and its equals sign.
fn key<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let mut after = *cursor;
    let key = after.take_while(ATTRIBUTE_NAME_BYTES_MAX, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'/' | b':')
    });
    let starts = key
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@'));
    if !starts || !after.eat(b'=') {
        return None;
    }
    *cursor = after;
    std::str::from_utf8(key).ok()
}

/// The inside of a quoted value, and whether it differs from what stands in the line.
fn quoted<'a>(cursor: &mut Cursor<'a>) -> Option<(Cow<'a, [u8]>, bool)> {
    let plain = cursor.take_while(usize::MAX, |byte| !matches!(byte, b'"' | b'\\'));
    if cursor.eat(b'"') {
        return ends_word(cursor).then_some((Cow::Borrowed(plain), false));
    }
    let mut value = plain.to_vec();
    loop {
        value
            .extend_from_slice(cursor.take_while(usize::MAX, |byte| !matches!(byte, b'"' | b'\\')));
        if cursor.eat(b'"') {
            return ends_word(cursor).then_some((Cow::Owned(value), true));
        }
        cursor.eat(b'\\').then_some(())?;
        let escape = cursor.peek()?;
        cursor.skip(1);
        match escape {
            b'n' => value.push(b'\n'),
            b't' => value.push(b'\t'),
            b'r' => value.push(b'\r'),
            b'u' => {
                let digits = cursor.rest().get(..4)?;
                let [high, low] = crate::hex::decode(digits)?;
                cursor.skip(4);
                // Half of a surrogate pair has no character of its own.
                let c = char::from_u32(u32::from(high) << 8 | u32::from(low)).unwrap_or('\u{fffd}');
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => value.push(other),
        }
    }
}

fn ends_word(cursor: &Cursor<'_>) -> bool {
    cursor.peek().is_none_or(|byte| byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::level::Level;

    fn read(
        line: &str,
        parse: impl Fn(&[u8], usize, &Clock, &mut Parsed) -> bool,
    ) -> Option<Parsed> {
        let mut parsed = Parsed::default();
        parse(line.as_bytes(), 0, &Clock::new(0, None), &mut parsed).then_some(parsed)
    }

    #[test]
    fn pairs_are_typed_attributes_and_fill_the_fields() {
        let line = r#"ts=2023-11-14T22:13:20Z level=warn msg="disk full" free=0.5 n=7 ok=true id=007 q="7" e="a\"b\n\u00e9" flag"#;
        let parsed = read(line, super::parse).unwrap();
        assert_eq!(parsed.time_ns, Some(1_700_000_000_000_000_000));
        assert_eq!(parsed.level, Some(Level::Warn));
        let Some(Body::Raw(range)) = parsed.body else {
            panic!("the message stands in the line");
        };
        assert_eq!(&line[range], "disk full");
        let expected = json!({"ts": "2023-11-14T22:13:20Z", "level": "warn", "msg": "disk full", "free": 0.5,
            "n": 7, "ok": true, "id": "007", "q": "7", "e": "a\"b\né"});
        assert_eq!(Value::Object(parsed.attributes), expected);
    }

    #[test]
    fn a_line_without_pairs_or_with_an_open_quote_does_not_fit() {
        for line in [
            "",
            "just text",
            "=x",
            r#"a="b"#,
            r#"a="b"c"#,
            r#"a="\"#,
            r#"a="\u12""#,
        ] {
            assert!(read(line, super::parse).is_none(), "{line}");
        }
        assert!(read("text with a=1", super::parse).is_some());
    }

    #[test]
    fn unasked_only_lines_that_are_pairs_through_and_through() {
        for line in ["a=1 b=2", "level=info started", "msg=x k=v trailing words"] {
            let fits = read(line, parse_unasked).is_some();
            assert_eq!(fits, line != "level=info started", "{line}");
        }
        for line in ["a=1", "a=1 b=2 and more", "text a=1 b=2", "x == y"] {
            assert!(read(line, parse_unasked).is_none(), "{line}");
        }
    }
}
