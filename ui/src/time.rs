//! Points in time as people write them in a URL or on a command line.
//!
//! Accepted: RFC 3339, a date or a local time without a zone (read as UTC), an epoch number whose
//! unit follows from its size, and times relative to now: `now`, `now-1h`, `15m`, `2h ago`, `1h30m`.
//! A bare span lies in the past, because nobody searches logs of the future.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// The text is not a time; says what would be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimeError {
    #[error(
        "`{0}` is not a time; write e.g. `15m`, `now-1h`, `2h ago`, `2026-11-24T09:30:00Z` or an epoch number"
    )]
    Unreadable(String),
    #[error("`{0}` is outside the years 1677 to 2262 that nanoseconds can say")]
    OutOfRange(String),
}

/// Reads a time as nanoseconds since the epoch; `now_ns` is what relative times count from.
pub fn parse(text: &str, now_ns: i64) -> Result<i64, TimeError> {
    let text = text.trim();
    let nanos = epoch(text)
        .or_else(|| relative(text, i128::from(now_ns)))
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond))
        .or_else(|| civil_utc(text))
        .ok_or_else(|| TimeError::Unreadable(text.to_owned()))?;
    i64::try_from(nanos).map_err(|_| TimeError::OutOfRange(text.to_owned()))
}

/// Reads a length of time such as `30s` or `1h30m` as nanoseconds; nothing for other text, and for none.
pub(crate) fn length(text: &str) -> Option<i64> {
    let nanos = span(&text.to_ascii_lowercase())?;
    i64::try_from(nanos).ok().filter(|nanos| *nanos > 0)
}

/// Seconds until 5138, milliseconds until 5138, and so on: the sizes do not overlap for any date
/// between 1973 and 5138, which is why tools agree on this reading.
fn epoch(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 20
        || fraction.len() > 9
        || !is_digits(whole)
        || !is_digits(fraction)
    {
        return None;
    }
    let number: i128 = whole.parse().ok()?;
    let unit = match number {
        0..100_000_000_000 => NANOS_PER_SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let fraction_nanos = match fraction {
        "" => 0,
        _ => format!("{fraction:0<9}").parse::<i128>().ok()? * unit / NANOS_PER_SECOND,
    };
    let nanos = number * unit + fraction_nanos;
    Some(if negative { -nanos } else { nanos })
}

fn relative(text: &str, now_ns: i128) -> Option<i128> {
    let lower = text.to_ascii_lowercase();
    if lower == "now" {
        return Some(now_ns);
    }
    if let Some(rest) = lower.strip_prefix("now") {
        let rest = rest.trim_start();
        return match rest.split_at_checked(1)? {
            ("-", length) => Some(now_ns - span(length)?),
            ("+", length) => Some(now_ns + span(length)?),
            _ => None,
        };
    }
    let length = lower
        .strip_suffix("ago")
        .or_else(|| lower.strip_prefix('-'))
        .unwrap_or(&lower);
    Some(now_ns - span(length)?)
}

/// A length of time such as `90s`, `1h30m` or `2 hours`.
fn span(text: &str) -> Option<i128> {
    let mut rest = text.trim();
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        // Eight digits of weeks stay far inside i128 and already outside of what i64 can say.
        if digits == 0 || digits > 12 {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        total += number.parse::<i128>().ok()? * unit_nanos(unit)?;
        rest = tail.trim_start();
    }
    Some(total)
}

fn unit_nanos(unit: &str) -> Option<i128> {
    let seconds = match unit {
        "ms" => return Some(1_000_000),
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    Some(seconds * NANOS_PER_SECOND)
}

fn civil_utc(text: &str) -> Option<i128> {
    // A number glued to something else (`20x`) must not be read as a date by a lenient parser.
    if text.len() < 10 || !text.is_ascii() || text.as_bytes()[4] != b'-' {
        return None;
    }
    let civil: DateTime = text.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_032_400_000_000_000; // 2025-11-25T01:00:00Z

    fn seconds_ago(seconds: i64) -> i64 {
        NOW - seconds * 1_000_000_000
    }

    #[test]
    fn relative_times_count_back_from_now() {
        for (text, seconds) in [
            ("now", 0),
            ("now-1h", 3_600),
            ("now - 1h", 3_600),
            ("NOW-1H", 3_600),
            ("now+5m", -300),
            ("15m", 900),
            ("-15m", 900),
            ("2h ago", 7_200),
            ("2 hours ago", 7_200),
            ("1h30m", 5_400),
            ("1d", 86_400),
            ("1w", 604_800),
        ] {
            assert_eq!(parse(text, NOW), Ok(seconds_ago(seconds)), "{text}");
        }
        assert_eq!(parse("250ms", NOW), Ok(NOW - 250_000_000));
    }

    #[test]
    fn lengths_have_a_unit_and_are_longer_than_nothing() {
        assert_eq!(length("1m30s"), Some(90_000_000_000));
        assert_eq!(length("250ms"), Some(250_000_000));
        for text in ["", "30", "0s", "-5m", "soon", "99999999w"] {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn epoch_unit_follows_from_the_size() {
        let expected = 1_764_032_400_000_000_000;
        for text in [
            "1764032400",
            "1764032400000",
            "1764032400000000",
            "1764032400000000000",
        ] {
            assert_eq!(parse(text, NOW), Ok(expected), "{text}");
        }
        assert_eq!(parse("1764032400.25", NOW), Ok(expected + 250_000_000));
        assert_eq!(parse("1764032400000.5", NOW), Ok(expected + 500_000));
        assert_eq!(parse("0", NOW), Ok(0));
        assert_eq!(parse("-1", NOW), Ok(-1_000_000_000));
    }

    #[test]
    fn absolute_times_keep_nanoseconds_and_offsets() {
        let expected = 1_764_032_400_000_000_000;
        for text in [
            "2025-11-25T01:00:00Z",
            "2025-11-25T09:00:00+08:00",
            "2025-11-25 01:00:00",
            "2025-11-25T01:00",
        ] {
            assert_eq!(parse(text, NOW), Ok(expected), "{text}");
        }
        assert_eq!(
            parse("2025-11-25T01:00:00.000000001Z", NOW),
            Ok(expected + 1)
        );
        assert_eq!(parse("2025-11-25", NOW), Ok(expected - 3_600_000_000_000));
    }

    #[test]
    fn unreadable_text_is_named() {
        for text in [
            "",
            "soon",
            "now-",
            "now-x",
            "m15",
            "1y",
            "2025-13-01",
            "15m later",
            "1e9",
            "99999999999999999999999",
        ] {
            assert_eq!(parse(text, NOW), Err(TimeError::Unreadable(text.into())));
        }
        assert_eq!(
            parse("99999999w", NOW),
            Err(TimeError::OutOfRange("99999999w".into()))
        );
        assert_eq!(
            parse("9999-12-30", NOW),
            Err(TimeError::OutOfRange("9999-12-30".into()))
        );
    }

    #[test]
    fn hostile_text_never_panics() {
        for text in [
            "时间",
            "now-时",
            "-",
            "--1",
            ".",
            "1.",
            "now",
            "n",
            "ago",
            " ago",
            "é15m",
            "\u{0}",
            "2025-11-2五T00",
        ] {
            let _outcome = parse(text, NOW);
        }
    }
}
