//! Time literals of `timestamp:` clauses. A literal stands for a span as wide as its last written
//! unit: `2026-01-31` is that whole day, `…T10:00:00Z` that second, so `<=` includes all of it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `[from, until)` in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

const SECOND: i64 = 1_000_000_000;

/// Reads RFC 3339 (`T` or a space between, no zone = UTC), a date, or an epoch number whose unit
/// follows from its size.
pub(crate) fn parse(text: &str) -> Option<Span> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return epoch(text);
    }
    if text.len() == 10 {
        let date: jiff::civil::Date = text.parse().ok()?;
        let from = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        return span(from, 86_400 * SECOND);
    }
    // Separators are fixed so that `2026-01-31T1` or a week date is an error, not a guess.
    let separator = *text.as_bytes().get(10)?;
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let time = text.get(11..)?;
    let zone_at = time.find(['Z', 'z', '+', '-']);
    let clock = &time[..zone_at.unwrap_or(time.len())];
    let width = match (clock.len(), clock.split_once('.')) {
        (5, None) => 60 * SECOND,
        (8, None) => SECOND,
        (_, Some((_, fraction))) => {
            let digits = u32::try_from(fraction.len())
                .ok()
                .filter(|n| (1..=9).contains(n))?;
            SECOND / 10_i64.pow(digits)
        }
        _ => return None,
    };
    let from = match zone_at {
        Some(_) => text.parse::<Timestamp>().ok()?,
        None => TimeZone::UTC
            .to_timestamp(text.parse::<DateTime>().ok()?)
            .ok()?,
    };
    span(from, width)
}

fn span(from: Timestamp, width_ns: i64) -> Option<Span> {
    let from = i64::try_from(from.as_nanosecond()).ok()?;
    Some(Span {
        from,
        until: from.checked_add(width_ns)?,
    })
}

fn epoch(digits: &str) -> Option<Span> {
    let width = match digits.len() {
        ..=11 => SECOND,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let from = digits.parse::<i64>().ok()?.checked_mul(width)?;
    Some(Span {
        from,
        until: from.checked_add(width)?,
    })
}

/// Nine digits always, so that the text reads back as the same nanosecond.
pub(crate) fn display(ns: i64) -> String {
    match Timestamp::from_nanosecond(ns.into()) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => ns.to_string(),
    }
}

/// Without the digits of a second that are zero.
pub(crate) fn shortest(ns: i64) -> String {
    match Timestamp::from_nanosecond(ns.into()) {
        Ok(time) => time.to_string(),
        Err(_) => ns.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_as_wide_as_its_last_unit() {
        let day = parse("2026-01-31").unwrap();
        assert_eq!(day.until - day.from, 86_400 * SECOND);
        let minute = parse("2026-01-31 10:00").unwrap();
        assert_eq!(minute.until - minute.from, 60 * SECOND);
        let milli = parse("2026-01-31T10:00:00.250+02:00").unwrap();
        assert_eq!(milli.until - milli.from, 1_000_000);
        assert_eq!(display(milli.from), "2026-01-31T08:00:00.250000000Z");
        assert_eq!(parse("1769846400"), parse("2026-01-31T08:00:00Z"));
        assert_eq!(parse("1769846400000").unwrap().from, 1_769_846_400 * SECOND);
    }

    #[test]
    fn displayed_times_read_back() {
        for ns in [0, -1, 1, i64::MAX - 1, i64::MIN, 1_769_846_400_123_456_789] {
            assert_eq!(
                parse(&display(ns)).map(|span| span.from),
                Some(ns),
                "{}",
                display(ns)
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now-1h",
            "yesterday",
            "2026-13-01",
            "2026-01-31T",
            "10:00:00",
            "2026-01-31T10",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
