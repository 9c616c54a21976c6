//! The wall clock, and times as text: RFC 3339 with a `Z`.

use jiff::Timestamp;

/// The wall clock, in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).expect("the clock is before 2262")
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(ns))
        .expect("jiff's range holds all nanoseconds of 64 bits")
        .to_string()
}

/// Milliseconds since 1970; ones that no calendar has are shown at its end.
pub(crate) fn millis(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}
