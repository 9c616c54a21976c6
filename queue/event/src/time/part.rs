//! The parts that the shapes of times share: time of day, fraction, zone, month, day.

use super::Written;
use crate::cursor::Cursor;

/// The rest of a time after its date: `15:04:05` or `15.04.05`, fraction and zone if they are there.
pub(super) fn with_time(
    cursor: &mut Cursor<'_>,
    year: Option<i64>,
    month: u32,
    day: u32,
) -> Option<Written> {
    let hour = cursor.fixed(2).filter(|&hour| hour < 24)?;
    let separator = cursor.peek().filter(|byte| matches!(byte, b':' | b'.'))?;
    cursor.skip(1);
    let minute = cursor.fixed(2).filter(|&minute| minute < 60)?;
    if !cursor.eat(separator) {
        return None;
    }
    let second = cursor.fixed(2).filter(|&second| second <= 60)?;
    if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction(cursor);
    let hour = half_day(cursor, hour);
    let offset_seconds = zone(cursor);
    Some(Written {
        year,
        month,
        day,
        second_of_day: hour * 3600 + minute * 60 + second,
        nanos,
        offset_seconds,
    })
}

/// The hour of the day, when ` AM` or ` PM` says which of two it is.
fn half_day(cursor: &mut Cursor<'_>, hour: u32) -> u32 {
    let mut after = *cursor;
    after.eat(b' ');
    let half = after.take_while(3, |byte| byte.is_ascii_alphanumeric());
    let noon = match half {
        b"AM" | b"am" => 0,
        b"PM" | b"pm" => 12,
        _ => return hour,
    };
    if !(1..=12).contains(&hour) {
        return hour;
    }
    *cursor = after;
    hour % 12 + noon
}

/// `150405`
pub(super) fn packed_time(cursor: &mut Cursor<'_>) -> Option<u32> {
    let hour = cursor.fixed(2).filter(|&hour| hour < 24)?;
    let minute = cursor.fixed(2).filter(|&minute| minute < 60)?;
    let second = cursor.fixed(2).filter(|&second| second <= 60)?;
    let ends = cursor.peek().is_none_or(|byte| !byte.is_ascii_digit());
    ends.then_some(hour * 3600 + minute * 60 + second)
}

/// `.999` or `,999`; digits beyond nanoseconds are dropped. 0 when there is none.
pub(super) fn fraction(cursor: &mut Cursor<'_>) -> u32 {
    let digit_follows = cursor.peek_at(1).is_some_and(|byte| byte.is_ascii_digit());
    if !matches!(cursor.peek(), Some(b'.' | b',')) || !digit_follows {
        return 0;
    }
    cursor.skip(1);
    let digits = cursor.take_while(64, |byte| byte.is_ascii_digit());
    let mut nanos = 0;
    for place in 0..9 {
        nanos = nanos * 10 + digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    }
    nanos
}

/// `Z`, `+02:00`, `+0200`, `+02`, ` +0200`, ` UTC`, ` GMT`: seconds east of Greenwich.
pub(super) fn zone(cursor: &mut Cursor<'_>) -> Option<i32> {
    let mut after = *cursor;
    let blank = after.eat(b' ');
    let sign = match after.peek()? {
        b'Z' | b'z' => {
            after.skip(1);
            0
        }
        b'U' | b'G' if after.eat_all(b"UTC") || after.eat_all(b"GMT") => 0,
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if sign == 0 {
        // `Zebra` is not a zone.
        if after
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        *cursor = after;
        return Some(0);
    }
    after.skip(1);
    let hours = after.fixed(2).filter(|&hours| hours < 24)?;
    let colon = after.eat(b':');
    let minutes = match after.fixed(2) {
        Some(minutes) => minutes,
        // After a blank, `-05` is as likely the start of the message.
        None if colon || blank => return None,
        None => 0,
    };
    if minutes >= 60
        || after
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    *cursor = after;
    Some(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?)
}

pub(super) fn month_number(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.fixed(2).filter(|month| (1..=12).contains(month))
}

pub(super) fn day_number(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.fixed(2).filter(is_day)
}

pub(super) fn is_day(day: &u32) -> bool {
    (1..=31).contains(day)
}

/// The English abbreviation of a month, as the C library writes it.
pub(super) fn month_name(cursor: &mut Cursor<'_>) -> Option<u32> {
    let month = match cursor.rest().get(..3)? {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    cursor.skip(3);
    Some(month)
}

pub(super) fn is_weekday(cursor: &Cursor<'_>) -> bool {
    let days = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    cursor
        .rest()
        .get(..3)
        .is_some_and(|name| days.iter().any(|day| *day == name))
}
