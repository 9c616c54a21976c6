//! The shapes in which lines write times. Hand-written, because this runs on every line: one look at
//! the first bytes decides which shape can match, and no shape is tried twice.
//!
//! Not read, because nothing in the line decides what they mean: `01/02/2006` (day or month first), a time of
//! day alone, and zone abbreviations other than UTC and GMT (`CST` is five zones; such a time is
//! read as if it had none).

use super::{
    Clock, SECOND_NS, Written, epoch,
    part::{
        day_number, fraction, is_day, is_weekday, month_name, month_number, packed_time, with_time,
        zone,
    },
};
use crate::cursor::Cursor;

/// The instant that stands at the cursor, which then stands behind it.
pub(crate) fn leading(cursor: &mut Cursor<'_>, clock: &Clock) -> Option<i64> {
    let mut after = *cursor;
    let instant = match after.peek()? {
        b'0'..=b'9' => match after.digits_ahead() {
            4 => clock.instant(&year_first(&mut after)?)?,
            1 | 2 => clock.instant(&two_digits_first(&mut after)?)?,
            6 => clock.instant(&hdfs(&mut after)?)?,
            8 => clock.instant(&compact(&mut after)?)?,
            10 | 13 | 16 | 19 => epoch_here(&mut after)?,
            _ => return None,
        },
        b'A'..=b'Z' | b'a'..=b'z' => clock.instant(&name_first(&mut after)?)?,
        _ => return None,
    };
    *cursor = after;
    Some(instant)
}

/// The instant that a text is, and nothing else: the value of a field.
pub(crate) fn whole(text: &[u8], clock: &Clock) -> Option<i64> {
    let mut cursor = Cursor::new(text.trim_ascii());
    let bracketed = cursor.eat(b'[');
    let instant = leading(&mut cursor, clock)?;
    if bracketed && !cursor.eat(b']') {
        return None;
    }
    cursor.is_end().then_some(instant)
}

/// `2006-01-02T15:04:05.999Z`, `2006-01-02 15:04:05,999`, `2006/01/02 15:04:05`,
/// `2006-01-02-15.04.05.999999`, `2006.01.02 15:04:05`
fn year_first(cursor: &mut Cursor<'_>) -> Option<Written> {
    let year = cursor.fixed(4)?;
    let separator = cursor
        .peek()
        .filter(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
    cursor.skip(1);
    let month = month_number(cursor)?;
    if !cursor.eat(separator) {
        return None;
    }
    let day = day_number(cursor)?;
    match cursor.peek()? {
        b'T' | b't' | b'-' | b':' | b'_' => cursor.skip(1),
        b' ' => {
            cursor.blanks();
        }
        _ => return None,
    }
    with_time(cursor, Some(year.into()), month, day)
}

/// `06/01/02 15:04:05` (Spark), `01-02 15:04:05.999` (Android), `01.02 15:04:05` (Proxifier),
/// `02/Jan/2006:15:04:05 -0700`, `02-Jan-2006 15:04:05`, `2 Jan 2006 15:04:05`
fn two_digits_first(cursor: &mut Cursor<'_>) -> Option<Written> {
    let first = u32::try_from(cursor.number(2)?).ok()?;
    let separator = cursor.peek()?;
    cursor.skip(1);
    if cursor.peek()?.is_ascii_alphabetic() {
        if !matches!(separator, b'/' | b'-' | b' ') {
            return None;
        }
        let month = month_name(cursor)?;
        if !cursor.eat(separator) {
            return None;
        }
        let year = cursor.fixed(4)?;
        if !(cursor.eat(b':') || cursor.blanks() > 0) {
            return None;
        }
        return with_time(
            cursor,
            Some(year.into()),
            month,
            Some(first).filter(is_day)?,
        );
    }
    match separator {
        b'/' => {
            let month = month_number(cursor)?;
            let day = cursor.eat(b'/').then(|| day_number(cursor)).flatten()?;
            cursor.eat(b' ').then_some(())?;
            with_time(cursor, Some(2000 + i64::from(first)), month, day)
        }
        b'-' | b'.' => {
            let month = Some(first).filter(|month| (1..=12).contains(month))?;
            let day = day_number(cursor)?;
            cursor.eat(b' ').then_some(())?;
            with_time(cursor, None, month, day)
        }
        _ => None,
    }
}

/// `060102 150405`: HDFS.
fn hdfs(cursor: &mut Cursor<'_>) -> Option<Written> {
    let year = cursor.fixed(2)?;
    let (month, day) = (month_number(cursor)?, day_number(cursor)?);
    cursor.eat(b' ').then_some(())?;
    let second_of_day = packed_time(cursor)?;
    cursor
        .peek()
        .is_none_or(|byte| byte == b' ')
        .then_some(())?;
    Some(Written {
        year: Some(2000 + i64::from(year)),
        month,
        day,
        second_of_day,
        nanos: 0,
        offset_seconds: None,
    })
}

/// `20060102-15:4:5:999` (HealthApp, which does not pad), `20060102T150405Z`, `20060102 15:04:05`
fn compact(cursor: &mut Cursor<'_>) -> Option<Written> {
    let year = cursor.fixed(4)?;
    let (month, day) = (month_number(cursor)?, day_number(cursor)?);
    let year = Some(i64::from(year));
    match cursor.peek()? {
        b'T' => {
            cursor.skip(1);
            let second_of_day = packed_time(cursor)?;
            let nanos = fraction(cursor);
            let offset_seconds = zone(cursor);
            Some(Written {
                year,
                month,
                day,
                second_of_day,
                nanos,
                offset_seconds,
            })
        }
        b'-' => {
            cursor.skip(1);
            let mut part = |max: u64| {
                let number = cursor.number(2).filter(|&number| number <= max)?;
                cursor.eat(b':').then_some(number)
            };
            let seconds = part(23)? * 3600 + part(59)? * 60 + part(60)?;
            let millis = cursor.number(3)?;
            Some(Written {
                year,
                month,
                day,
                second_of_day: u32::try_from(seconds).ok()?,
                nanos: u32::try_from(millis).ok()? * 1_000_000,
                offset_seconds: None,
            })
        }
        b' ' => {
            cursor.skip(1);
            with_time(cursor, year, month, day)
        }
        _ => None,
    }
}

/// `Jan  2 15:04:05`, `Jan 2 2006 15:04:05`, `Jan 2 15:04:05 2006`, and all of them after a day of
/// the week; `Mon, 02 Jan 2006 15:04:05 GMT`
fn name_first(cursor: &mut Cursor<'_>) -> Option<Written> {
    if is_weekday(cursor) {
        cursor.skip(3);
        let comma = cursor.eat(b',');
        if cursor.blanks() == 0 {
            return None;
        }
        if comma {
            return two_digits_first(cursor);
        }
    }
    let month = month_name(cursor)?;
    if cursor.blanks() == 0 {
        return None;
    }
    let day = u32::try_from(cursor.number(2)?).ok().filter(is_day)?;
    if !cursor.eat(b' ') {
        return None;
    }
    let year = match cursor.digits_ahead() {
        4 => {
            let year = cursor.fixed(4)?;
            cursor.eat(b' ').then_some(())?;
            Some(i64::from(year))
        }
        _ => None,
    };
    let mut written = with_time(cursor, year, month, day)?;
    if written.year.is_none() {
        let mut after = *cursor;
        let digits = after.eat(b' ') && after.digits_ahead() == 4;
        if let Some(year) = after.fixed(4).filter(|year| digits && (1970..=2261).contains(year))
            // A process id or a count can follow a syslog time; a year ends what encloses it.
            && after.peek().is_none_or(|byte| byte == b']')
        {
            written.year = Some(year.into());
            *cursor = after;
        }
    }
    Some(written)
}

/// `0102 15:04:05.999999` (klog) or `20060102 15:04:05.999999` (glog), behind the letter of their level.
pub(crate) fn glog(cursor: &mut Cursor<'_>, clock: &Clock) -> Option<i64> {
    let mut after = *cursor;
    let year = match after.digits_ahead() {
        4 => None,
        8 => Some(after.fixed(4)?.into()),
        _ => return None,
    };
    let (month, day) = (month_number(&mut after)?, day_number(&mut after)?);
    after.eat(b' ').then_some(())?;
    let instant = clock.instant(&with_time(&mut after, year, month, day)?)?;
    *cursor = after;
    Some(instant)
}

/// 10 digits of seconds, with a fraction or not; 13, 16 or 19 digits of smaller units.
fn epoch_here(cursor: &mut Cursor<'_>) -> Option<i64> {
    let digits = cursor.digits_ahead();
    let instant = epoch(i64::try_from(cursor.number(19)?).ok()?)?;
    let nanos = if digits == 10 { fraction(cursor) } else { 0 };
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b']' | b',' | b'|' | b':');
    if !cursor.peek().is_none_or(ends) || instant < 1_000_000_000 * SECOND_NS {
        return None;
    }
    instant.checked_add(i64::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        let arrival: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        Clock::new(i64::try_from(arrival.as_nanosecond()).unwrap(), None)
    }

    /// What the shape says, and what is left of the text.
    fn read(text: &str) -> Option<(String, String)> {
        let mut cursor = Cursor::new(text.as_bytes());
        let instant = leading(&mut cursor, &clock())?;
        let instant = jiff::Timestamp::from_nanosecond(instant.into()).unwrap();
        let rest = String::from_utf8(cursor.rest().to_vec()).unwrap();
        Some((instant.to_string(), rest))
    }

    #[test]
    fn every_shape_is_read_to_its_end() {
        let cases = [
            ("2006-01-02T15:04:05Z|", "2006-01-02T15:04:05Z", "|"),
            (
                "2006-01-02T15:04:05.123456789+02:30|",
                "2006-01-02T12:34:05.123456789Z",
                "|",
            ),
            (
                "2006-01-02 15:04:05,123 INFO",
                "2006-01-02T15:04:05.123Z",
                " INFO",
            ),
            (
                "2006-01-02 15:04:05.1 UTC [7]",
                "2006-01-02T15:04:05.1Z",
                " [7]",
            ),
            ("2006-01-02 15:04:05-05 x", "2006-01-02T20:04:05Z", " x"),
            ("2006-01-02 15:04:05 -0500 x", "2006-01-02T20:04:05Z", " x"),
            (
                "2006-01-02 15:04:05 -05 x",
                "2006-01-02T15:04:05Z",
                " -05 x",
            ),
            (
                "2006-01-02 15:04:05 - INFO",
                "2006-01-02T15:04:05Z",
                " - INFO",
            ),
            (
                "2006-01-02 15:04:05 Zebra",
                "2006-01-02T15:04:05Z",
                " Zebra",
            ),
            (
                "2006-01-02 15:04:05, Info",
                "2006-01-02T15:04:05Z",
                ", Info",
            ),
            ("2006-01-02 12:04:05 AM x", "2006-01-02T00:04:05Z", " x"),
            ("2006-01-02 03:04:05.5 PM x", "2006-01-02T15:04:05.5Z", " x"),
            ("2006-01-02 15:04:05 PM x", "2006-01-02T15:04:05Z", " PM x"),
            (
                "2006-01-02 03:04:05 AMD x",
                "2006-01-02T03:04:05Z",
                " AMD x",
            ),
            (
                "2006/01/02 15:04:05 [error]",
                "2006-01-02T15:04:05Z",
                " [error]",
            ),
            (
                "2005-06-03-15.42.50.675872 R",
                "2005-06-03T15:42:50.675872Z",
                " R",
            ),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", ""),
            ("17/06/09 20:10:40 INFO", "2017-06-09T20:10:40Z", " INFO"),
            (
                "03-17 16:13:38.811  1702",
                "2025-03-17T16:13:38.811Z",
                "  1702",
            ),
            ("10.30 16:49:06] x", "2025-10-30T16:49:06Z", "] x"),
            ("10/Oct/2000:13:55:36 +0200]", "2000-10-10T11:55:36Z", "]"),
            ("02-Jan-2006 15:04:05.5 x", "2006-01-02T15:04:05.5Z", " x"),
            ("2 Jan 2006 15:04:05.5 x", "2006-01-02T15:04:05.5Z", " x"),
            (
                "081109 203615 148 INFO",
                "2008-11-09T20:36:15Z",
                " 148 INFO",
            ),
            ("20171223-22:15:29:606|S", "2017-12-23T22:15:29.606Z", "|S"),
            ("20171224-1:2:5:7|S", "2017-12-24T01:02:05.007Z", "|S"),
            ("20060102T150405Z", "2006-01-02T15:04:05Z", ""),
            ("20060102 15:04:05 x", "2006-01-02T15:04:05Z", " x"),
            ("Jun 14 15:16:01 combo", "2025-06-14T15:16:01Z", " combo"),
            ("Jul  1 09:00:55 host", "2025-07-01T09:00:55Z", " host"),
            ("Jan 2 2006 15:04:05 x", "2006-01-02T15:04:05Z", " x"),
            ("Jun 14 15:16:01 2004 x", "2025-06-14T15:16:01Z", " 2004 x"),
            ("Sun Dec 04 04:47:44 2005]", "2005-12-04T04:47:44Z", "]"),
            (
                "Sun Dec 04 04:47:44.123456 2005]",
                "2005-12-04T04:47:44.123456Z",
                "]",
            ),
            ("Mon, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05Z", ""),
            ("1700000000 x", "2023-11-14T22:13:20Z", " x"),
            ("1700000000.25 x", "2023-11-14T22:13:20.25Z", " x"),
            ("1700000000123 x", "2023-11-14T22:13:20.123Z", " x"),
            ("1700000000123456 x", "2023-11-14T22:13:20.123456Z", " x"),
            ("1700000000123456789", "2023-11-14T22:13:20.123456789Z", ""),
        ];
        for (text, instant, rest) in cases {
            let expected = Some((instant.to_owned(), rest.to_owned()));
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        let cases = [
            "",
            "2006",
            "2006-01",
            "2006-01-02",
            "2006-13-02 15:04:05",
            "2006-02-30 15:04:05",
            "2006-01-02 24:04:05",
            "2006-01-02 15:60:05",
            "2006-01-02 15:04:61",
            "2006-01/02 15:04:05",
            "2006-01-02 15:04:055",
            "10.0.0.7 15:04:05",
            "01/02/2006 15:04:05",
            "15:04:05 x",
            "1000000000x",
            "0000000001 x",
            "Juni 14 15:16:01",
            "Jun 32 15:16:01",
            "Sunday Dec 04 04:47:44",
            "081309 203615 148",
            "1970-01-01T00:00:00Z",
            "2300-01-01T00:00:00Z",
            "20171223-24:15:29:606",
            "99999999999999999999",
        ];
        for text in cases {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_is_a_time_only_as_a_whole() {
        assert!(whole(b" 2006-01-02T15:04:05Z ", &clock()).is_some());
        assert!(whole(b"[10/Oct/2000:13:55:36 +0200]", &clock()).is_some());
        assert!(whole(b"2006-01-02T15:04:05Z x", &clock()).is_none());
        assert!(whole(b"[2006-01-02T15:04:05Z", &clock()).is_none());
    }
}
