//! What a line is when nobody said: decided by its first bytes, so that a line tries few shapes.
//!
//! Nothing here fails. A line that looks like nothing is a message that arrived when it arrived.

use super::{
    Parsed,
    columns::{self, Layout},
    json, logfmt, logger, syslog, systems,
};
use crate::{
    cursor::Cursor,
    event::Body,
    limits::NAME_BYTES_MAX,
    time::{Clock, scan},
};

/// Reads any line.
pub(super) fn parse(line: &[u8], clock: &Clock, parsed: &mut Parsed) {
    let mut cursor = Cursor::new(line);
    cursor.eat_all(b"\xEF\xBB\xBF");
    cursor.blanks();
    let known = match cursor.peek() {
        Some(b'{') => json::parse(cursor.rest(), clock, parsed),
        Some(b'<') => cursor.at() == 0 && syslog::parse(line, clock, parsed),
        Some(b'[') => bracketed(line, cursor, clock, parsed),
        Some(b'0'..=b'9') => {
            timed(line, cursor, clock, parsed)
                || syslog::rfc5424(line, cursor, clock, parsed)
                || systems::hpc(line, parsed)
                || systems::supercomputer(line, clock, parsed)
                || access_log(line, cursor, clock, parsed)
                || prefixed(line, cursor, clock, parsed)
        }
        Some(_) => {
            timed(line, cursor, clock, parsed)
                || systems::klog(line, clock, parsed)
                || systems::supercomputer(line, clock, parsed)
                || logfmt::parse_unasked(line, cursor.at(), clock, parsed)
                || level_first(line, cursor, clock, parsed)
                || access_log(line, cursor, clock, parsed)
                || prefixed(line, cursor, clock, parsed)
        }
        None => false,
    };
    // A time and nothing behind it is the message itself.
    let empty = matches!(&parsed.body, Some(Body::Raw(range)) if range.is_empty());
    if !known || empty {
        parsed.body_from(line, 0);
    }
}

/// A time first.
fn timed(line: &[u8], mut cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    let start = cursor;
    let Some(instant) = scan::leading(&mut cursor, clock) else {
        return false;
    };
    parsed.time_ns = Some(instant);
    let head = start.rest();
    // Told apart by the shape of the time: a month's name is syslog's, `MM-DD` is Android's, and
    // nobody but HealthApp puts a bar directly behind it.
    let known = match cursor.peek() {
        Some(b'|') => systems::health_app(line, cursor, parsed),
        Some(b' ')
            if head[0].is_ascii_alphabetic() && head.get(3) == Some(&b' ') && !is_weekday(head) =>
        {
            syslog::header(line, cursor, parsed);
            true
        }
        Some(b' ') if head.get(2) == Some(&b'-') => systems::android(line, cursor, parsed),
        // rsyslog and syslog-ng write ISO times with an offset in numbers, where others write `Z`.
        Some(b' ') if head.get(10) == Some(&b'T') && has_offset(start, cursor) => {
            syslog::header_if_plain(line, cursor, parsed)
        }
        _ => false,
    };
    if !known {
        let layout = match (head.get(2), cursor.peek()) {
            (Some(b'/'), _) => Layout::Named,
            (_, Some(b',')) => Layout::Padded,
            _ => Layout::Usual,
        };
        after_time(line, cursor, layout, clock, parsed);
    }
    true
}

/// Pairs or columns behind a time.
fn after_time(line: &[u8], cursor: Cursor<'_>, layout: Layout, clock: &Clock, parsed: &mut Parsed) {
    let mut pairs = cursor;
    pairs.blanks();
    if !logfmt::parse_unasked(line, pairs.at(), clock, parsed) {
        columns::parse(line, cursor, layout, parsed);
    } else if parsed.body.is_none() {
        parsed.body_from(line, pairs.at());
    }
}

/// `+02:00` at the end of what was read.
fn has_offset(start: Cursor<'_>, end: Cursor<'_>) -> bool {
    let time = &start.rest()[..end.at() - start.at()];
    time.len()
        .checked_sub(6)
        .is_some_and(|at| matches!(time[at], b'+' | b'-'))
}

fn is_weekday(head: &[u8]) -> bool {
    // A weekday is followed by a month, a month by a day.
    head.get(4).is_some_and(u8::is_ascii_alphabetic)
}

/// `[TIME] …`, `[TIME LEVEL logger] …`, or a level in brackets.
fn bracketed(line: &[u8], cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut after = cursor;
    after.skip(1);
    let Some(instant) = scan::leading(&mut after, clock) else {
        return level_first(line, cursor, clock, parsed);
    };
    if after.eat(b']') {
        parsed.time_ns = Some(instant);
        after_time(line, after, Layout::Usual, clock, parsed);
        return true;
    }
    // env_logger: `[2026-01-01T00:00:00Z INFO  app::part] message`.
    after.blanks();
    let Some(level) = columns::level(&mut after) else {
        return false;
    };
    let inside = after.take_while(NAME_BYTES_MAX, |byte| byte != b']');
    if !after.eat(b']') {
        return false;
    }
    parsed.time_ns = Some(instant);
    parsed.level = Some(level);
    if !inside.trim_ascii().is_empty() {
        parsed.attribute("logger", super::text(inside.trim_ascii()));
    }
    parsed.body_from(line, after.at());
    true
}

/// `LEVEL TIME …`, or a level alone when it is in capitals or brackets: a line may begin with "Error".
fn level_first(line: &[u8], cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut after = cursor;
    let Some(level) = columns::level(&mut after) else {
        return false;
    };
    let mut time = after;
    time.eat(b':');
    time.blanks();
    let bracket = time.eat(b'[');
    if let Some(instant) = scan::leading(&mut time, clock)
        && bracket == time.eat(b']')
    {
        parsed.time_ns = Some(instant);
        after = time;
    } else {
        let word = &cursor.rest()[..after.at() - cursor.at()];
        if word.iter().any(u8::is_ascii_lowercase) && word[0] != b'[' {
            return false;
        }
    }
    parsed.level = Some(level);
    logger::after_level(line, after, Layout::Usual, parsed);
    true
}

/// Apache's and nginx's access logs: `10.0.0.7 - frank [10/Oct/2000:13:55:36 -0700] "GET / …`. All of
/// the line is the message.
fn access_log(line: &[u8], mut cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    for _ in 0..3 {
        if cursor.word(255).is_none() || !cursor.eat(b' ') {
            return false;
        }
    }
    if !cursor.eat(b'[') {
        return false;
    }
    let Some(instant) = scan::leading(&mut cursor, clock) else {
        return false;
    };
    if !cursor.eat(b']') {
        return false;
    }
    parsed.time_ns = Some(instant);
    parsed.body_from(line, 0);
    true
}

/// One word before the time: a file's name (OpenStack), a container's, a program's.
fn prefixed(line: &[u8], mut cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    if cursor.word(255).is_none() || cursor.blanks() == 0 {
        return false;
    }
    if cursor.eat(b'|') {
        cursor.blanks();
    }
    // Only a full date: shorter shapes occur in the middle of sentences.
    if cursor.digits_ahead() != 4 {
        return false;
    }
    let Some(instant) = scan::leading(&mut cursor, clock) else {
        return false;
    };
    parsed.time_ns = Some(instant);
    after_time(line, cursor, Layout::Usual, clock, parsed);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    /// Time, level, host, program and body of a line, blank where there is none.
    fn read(line: &str) -> [String; 5] {
        let mut parsed = Parsed::default();
        let arrival_ns = 1_767_225_600_000_000_000;
        parse(line.as_bytes(), &Clock::new(arrival_ns, None), &mut parsed);
        let time = parsed
            .time_ns
            .map(|ns| jiff::Timestamp::from_nanosecond(ns.into()).unwrap());
        let body = match parsed.body {
            Some(Body::Raw(range)) => line[range].to_owned(),
            Some(Body::Owned(text)) => text,
            None => line.to_owned(),
        };
        [
            time.map(|time| time.to_string()).unwrap_or_default(),
            parsed.level.map_or("", Level::as_str).to_owned(),
            parsed.host.unwrap_or_default(),
            parsed.program.unwrap_or_default(),
            body,
        ]
    }

    #[test]
    fn lines_of_everyday_programs_are_known() {
        let day = "2006-01-02T15:04:05Z";
        let cases = [
            (
                "2006-01-02T15:04:05+00:00 db1 sshd[7]: Accepted",
                day,
                "",
                "db1",
                "sshd",
                "Accepted",
            ),
            (
                "2006-01-02T15:04:05+00:00 INFO it: works",
                day,
                "info",
                "",
                "",
                "it: works",
            ),
            (
                "2006-01-02T15:04:05Z Connection failed: x",
                day,
                "",
                "",
                "",
                "Connection failed: x",
            ),
            (
                "[2006-01-02T15:04:05Z WARN  app::db] slow",
                day,
                "warn",
                "",
                "",
                "slow",
            ),
            (
                "[2006-01-02 15:04:05] prod.ERROR: x",
                day,
                "",
                "",
                "",
                "prod.ERROR: x",
            ),
            (
                "INFO 2006-01-02 15:04:05,000 up",
                "2006-01-02T15:04:05Z",
                "info",
                "",
                "",
                "up",
            ),
            ("ERROR: it broke", "", "error", "", "", "it broke"),
            ("[WARNING] deprecated", "", "warn", "", "", "deprecated"),
            ("Error: it broke", "", "", "", "", "Error: it broke"),
            ("Error opening it", "", "", "", "", "Error opening it"),
            (
                "I0102 15:04:05.500000   12 f.go:7] hm",
                "2025-01-02T15:04:05.5Z",
                "info",
                "",
                "",
                "hm",
            ),
            (
                "E20060102 15:04:05.000000 12 f.cc:7] hm",
                day,
                "error",
                "",
                "",
                "hm",
            ),
            (
                "10.0.0.7 - frank [02/Jan/2006:15:04:05 +0000] \"GET /\"",
                day,
                "",
                "",
                "",
                "10.0.0.7 - frank [02/Jan/2006:15:04:05 +0000] \"GET /\"",
            ),
            ("web-1  | 2006-01-02 15:04:05 up", day, "", "", "", "up"),
            (
                "update-alternatives 2006-01-02 15:04:05: run",
                day,
                "",
                "",
                "",
                "run",
            ),
            (
                "Start-Date: 2006-01-02  15:04:05",
                day,
                "",
                "",
                "",
                "Start-Date: 2006-01-02  15:04:05",
            ),
            (
                "ts=2006-01-02T15:04:05Z level=warn msg=slow",
                day,
                "warn",
                "",
                "",
                "slow",
            ),
            (
                "2006-01-02T15:04:05Z level=warn n=1",
                day,
                "warn",
                "",
                "",
                "level=warn n=1",
            ),
            (
                "<11>1 2006-01-02T15:04:05Z h app - - - hm",
                day,
                "error",
                "h",
                "app",
                "hm",
            ),
            (
                "{\"time\":\"2006-01-02T15:04:05Z\",\"msg\":\"hm\"}",
                day,
                "",
                "",
                "",
                "hm",
            ),
            ("{not json", "", "", "", "", "{not json"),
            ("\u{feff}2006-01-02 15:04:05 up", day, "", "", "", "up"),
            (
                "    at com.example.Main(Main.java:7)",
                "",
                "",
                "",
                "",
                "at com.example.Main(Main.java:7)",
            ),
            (
                "KERNDTLB 1136214245 2006.01.02 n1 2006-01-02-07.04.05.1 n1 RAS KERNEL FATAL tlb",
                day,
                "fatal",
                "n1",
                "",
                "tlb",
            ),
            ("", "", "", "", "", ""),
        ];
        for (line, time, level, host, program, body) in cases {
            assert_eq!(read(line), [time, level, host, program, body], "{line}");
        }
    }
}
