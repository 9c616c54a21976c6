//! Syslog: RFC 5424, RFC 3164 and what daemons write in their manner, with or without `<PRI>`.
//!
//! Host, program and process id come from the header. The severity of a syslog line is in its PRI and
//! nowhere else; files seldom have one, and then the event has no level.

use serde_json::{Map, Value};

use super::{Parsed, text, typed};
use crate::{
    cursor::Cursor,
    level::Level,
    limits::ATTRIBUTE_NAME_BYTES_MAX,
    time::{Clock, scan},
};

/// RFC 5424 allows 48 bytes; paths of programs are longer.
const PROGRAM_BYTES_MAX: usize = 128;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Whether the line is syslog, and what it says. A PRI is enough; without one it takes a time.
pub(super) fn parse(line: &[u8], clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut cursor = Cursor::new(line);
    let priority = priority(&mut cursor);
    if let Some(priority) = priority {
        parsed.level = Level::from_syslog(priority & 7);
        parsed.attribute("facility", FACILITIES[usize::from(priority >> 3)]);
    }
    if rfc5424(line, cursor, clock, parsed) {
        return true;
    }
    if let Some(instant) = scan::leading(&mut cursor, clock) {
        parsed.time_ns = Some(instant);
        header(line, cursor, parsed);
        return true;
    }
    parsed.body_from(line, cursor.at());
    priority.is_some()
}

/// `<0>` to `<191>`, without leading zeros.
fn priority(cursor: &mut Cursor<'_>) -> Option<u8> {
    let mut after = *cursor;
    if !after.eat(b'<') || (after.peek() == Some(b'0') && after.peek_at(1) != Some(b'>')) {
        return None;
    }
    let priority = after.number(3).filter(|&priority| priority <= 191)?;
    if !after.eat(b'>') {
        return None;
    }
    *cursor = after;
    u8::try_from(priority).ok()
}

/// `1 TIME HOST APP PROCID MSGID SD MESSAGE`, of which all but the version may be `-`. Leaves nothing behind
/// when the line is something else.
pub(super) fn rfc5424(line: &[u8], cursor: Cursor<'_>, clock: &Clock, parsed: &mut Parsed) -> bool {
    rfc5424_header(line, cursor, clock, parsed).is_some()
}

fn rfc5424_header(
    line: &[u8],
    mut cursor: Cursor<'_>,
    clock: &Clock,
    parsed: &mut Parsed,
) -> Option<()> {
    cursor.eat_all(b"1 ").then_some(())?;
    let instant = match cursor.eat_all(b"- ") {
        true => None,
        false => {
            let instant = scan::leading(&mut cursor, clock)?;
            cursor.eat(b' ').then_some(Some(instant))?
        }
    };
    let mut part = |max: usize| {
        let part = cursor.word(max)?;
        cursor.skip(1);
        Some((part != b"-").then_some(part))
    };
    let (host, app, process, message_id) =
        (part(255)?, part(PROGRAM_BYTES_MAX)?, part(128)?, part(32)?);
    let data = match cursor.eat(b'-') {
        true => Map::new(),
        false => structured_data(&mut cursor)?,
    };
    if !cursor.is_end() && !cursor.eat(b' ') {
        return None;
    }
    cursor.eat_all(b"\xEF\xBB\xBF");
    parsed.time_ns = instant;
    parsed.host = host.map(text);
    if let Some(app) = app {
        set_program(app, parsed);
    }
    if let Some(process) = process {
        parsed.attribute("pid", typed(process));
    }
    if let Some(message_id) = message_id {
        parsed.attribute("msgid", text(message_id));
    }
    for (id, parameters) in data {
        parsed.attribute(&id, parameters);
    }
    parsed.body_from(line, cursor.at());
    Some(())
}

/// `[id name="value" …]…`: an object for each id.
fn structured_data(cursor: &mut Cursor<'_>) -> Option<Map<String, Value>> {
    let is_name = |byte: u8| (33..127).contains(&byte) && !matches!(byte, b'=' | b']' | b'"');
    let mut data = Parsed::default();
    let mut found = false;
    while cursor.eat(b'[') {
        found = true;
        let id = text(cursor.take_while(ATTRIBUTE_NAME_BYTES_MAX, is_name));
        let mut parameters = Parsed::default();
        while cursor.blanks() > 0 {
            let name = cursor.take_while(ATTRIBUTE_NAME_BYTES_MAX, is_name);
            if name.is_empty() || !cursor.eat_all(b"=\"") {
                return None;
            }
            let mut value = Vec::new();
            loop {
                value.extend_from_slice(
                    cursor.take_while(usize::MAX, |byte| !matches!(byte, b'"' | b'\\')),
                );
                if cursor.eat(b'"') {
                    break;
                }
                cursor.eat(b'\\').then_some(())?;
                // Only these three are escapes; any other backslash stands for itself.
                if !matches!(cursor.peek()?, b'"' | b'\\' | b']') {
                    value.push(b'\\');
                }
                value.push(cursor.peek()?);
                cursor.skip(1);
            }
            parameters.attribute(&text(name), text(&value));
        }
        if !cursor.eat(b']') {
            return None;
        }
        data.attribute(&id, parameters.attributes);
    }
    found.then_some(data.attributes)
}

/// Reads ` HOST PROGRAM[PID]: MESSAGE` behind the time of an RFC 3164 line.
pub(super) fn header(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) {
    cursor.blanks();
    let mut after = cursor;
    match after.word(255) {
        // A line without a host begins with its program.
        Some(word) if !word.ends_with(b":") && !word.contains(&b'[') && after.peek().is_some() => {
            parsed.host = Some(text(word));
            after.blanks();
            program(line, after, parsed);
        }
        _ => program(line, cursor, parsed),
    }
}

/// The same behind a time that other lines have too: only when host and program are plainly there.
pub(super) fn header_if_plain(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) -> bool {
    if !cursor.eat(b' ') {
        return false;
    }
    let Some(host) = cursor.word(255) else {
        return false;
    };
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    cursor.skip(1);
    let mut ahead = cursor;
    // `… INFO name: message` has the form too.
    let is_level = Level::from_word(host).is_some();
    if is_level || !host.iter().all(is_host) || tag(&mut ahead).is_none() {
        return false;
    }
    parsed.host = Some(text(host));
    program(line, cursor, parsed);
    true
}

/// Reads `PROGRAM[PID]: MESSAGE`; without a program all of it is the message.
pub(super) fn program(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) {
    if let Some((name, pid)) = tag(&mut cursor) {
        set_program(name, parsed);
        if let Some(pid) = pid {
            parsed.attribute("pid", pid);
        }
    }
    parsed.body_from(line, cursor.at());
}

/// The service is the program without its directory and without the module that PAM puts in
/// parentheses; the attribute is the program as written.
fn set_program(name: &[u8], parsed: &mut Parsed) {
    let base = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    let base = base.split(|&byte| byte == b'(').next().unwrap_or(base);
    let service = if base.is_empty() { name } else { base };
    parsed.program = Some(text(service));
    parsed.attribute("program", text(name));
}

/// `sshd[24200]:`, `kernel:`, `Microsoft Word[14463]:`, `com.apple.xpc.launchd[1] (…)`.
fn tag<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Option<u64>)> {
    let mut after = *cursor;
    let name = after.take_while(PROGRAM_BYTES_MAX, |byte| {
        !matches!(byte, b'[' | b':') && !byte.is_ascii_control()
    });
    let words = name.split(|&byte| byte == b' ').count();
    if name.is_empty() || name.ends_with(b" ") || name.starts_with(b" ") {
        return None;
    }
    if after.eat(b'[') {
        let pid = after.number(10)?;
        after.eat(b']').then_some(())?;
        let colon = after.eat(b':');
        let ends = after.peek().is_none_or(|byte| byte == b' ');
        // A name of several words is one only if a colon says so.
        if !ends || words > 4 || (words > 1 && !colon) {
            return None;
        }
        *cursor = after;
        return Some((name, Some(pid)));
    }
    after.eat(b':').then_some(())?;
    if after.peek().is_some_and(|byte| byte != b' ') {
        return None;
    }
    let mut parts = name.split(|&byte| byte == b' ');
    let first = parts.next()?;
    match (parts.next(), parts.next()) {
        (None, _) => *cursor = after,
        // `syslogd 1.4.1: restart.`: the version is part of the message.
        (Some(version), None) if version.first().is_some_and(u8::is_ascii_digit) => {
            cursor.skip(first.len());
        }
        _ => return None,
    }
    Some((first, None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Body;

    fn read(line: &str) -> Option<(Parsed, String)> {
        let arrival_ns = 1_767_225_600_000_000_000;
        let mut parsed = Parsed::default();
        if !parse(line.as_bytes(), &Clock::new(arrival_ns, None), &mut parsed) {
            return None;
        }
        let body = match parsed.body.clone().unwrap() {
            Body::Raw(range) => line[range].to_owned(),
            Body::Owned(text) => text,
        };
        Some((parsed, body))
    }

    #[test]
    fn rfc_5424_lines_are_read_in_full() {
        let line = r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 47 ID47 [exampleSDID@32473 iut="3" eventSource="App\]\"\x"][b@1] An event"#;
        let (parsed, body) = read(line).unwrap();
        assert_eq!(parsed.time_ns, Some(1_065_910_455_003_000_000));
        assert_eq!(parsed.level, Some(Level::Info));
        assert_eq!(parsed.host.as_deref(), Some("mymachine.example.com"));
        assert_eq!(parsed.program.as_deref(), Some("evntslog"));
        assert_eq!(body, "An event");
        let expected = json!({"facility": "local4", "program": "evntslog", "pid": 47, "msgid": "ID47",
            "exampleSDID@32473": {"iut": "3", "eventSource": "App]\"\\x"}, "b@1": {}});
        assert_eq!(Value::Object(parsed.attributes), expected);

        let (parsed, body) = read("<34>1 - - - - - -").unwrap();
        assert_eq!(
            (parsed.time_ns, parsed.host, body.as_str()),
            (None, None, "")
        );
        let (parsed, body) = read("1 2003-10-11T22:14:15Z h app - - - \u{feff}bare").unwrap();
        assert_eq!((parsed.level, body.as_str()), (None, "bare"));
    }

    #[test]
    fn rfc_3164_lines_name_host_program_and_pid() {
        type Expected<'a> = (
            &'a str,
            Option<&'a str>,
            Option<&'a str>,
            Option<u64>,
            &'a str,
        );
        let cases: [Expected<'_>; 9] = [
            (
                "Jun 14 15:16:01 combo sshd(pam_unix)[19]: failed",
                Some("combo"),
                Some("sshd"),
                Some(19),
                "failed",
            ),
            (
                "Jun 14 15:16:01 combo kernel: up",
                Some("combo"),
                Some("kernel"),
                None,
                "up",
            ),
            (
                "Jun 14 15:16:01 combo syslogd 1.4.1: restart.",
                Some("combo"),
                Some("syslogd"),
                None,
                "1.4.1: restart.",
            ),
            (
                "Jul  1 09:00:55 mac Microsoft Word[7]: hm",
                Some("mac"),
                Some("Microsoft Word"),
                Some(7),
                "hm",
            ),
            (
                "Jul  1 09:00:55 mac com.apple.x[1] (a.b[2]): c",
                Some("mac"),
                Some("com.apple.x"),
                Some(1),
                "(a.b[2]): c",
            ),
            (
                "Jul  1 09:00:55 mac --- last message repeated 1 time ---",
                Some("mac"),
                None,
                None,
                "--- last message repeated 1 time ---",
            ),
            (
                "Jul  1 09:00:55 kernel: up",
                None,
                Some("kernel"),
                None,
                "up",
            ),
            (
                "2026-01-01T00:00:00.000001+00:00 h /usr/sbin/cron[5]: x",
                Some("h"),
                Some("cron"),
                Some(5),
                "x",
            ),
            (
                "Jul  1 09:00:55 fe80::1 a: b",
                Some("fe80::1"),
                Some("a"),
                None,
                "b",
            ),
        ];
        for (line, host, program, pid, message) in cases {
            let (parsed, body) = read(line).unwrap();
            let found_pid = parsed.attributes.get("pid").and_then(Value::as_u64);
            let found = (
                parsed.host.as_deref(),
                parsed.program.as_deref(),
                found_pid,
                body.as_str(),
            );
            assert_eq!(found, (host, program, pid, message), "{line}");
            assert!(parsed.time_ns.is_some() && parsed.level.is_none(), "{line}");
        }
    }

    #[test]
    fn the_priority_gives_the_level_even_without_a_time() {
        let (parsed, body) = read("<11>something broke").unwrap();
        assert_eq!(
            (parsed.level, body.as_str()),
            (Some(Level::Error), "something broke")
        );
        let (parsed, _) = read("<0>Jun 14 15:16:01 h k: x").unwrap();
        assert_eq!(parsed.level, Some(Level::Fatal));
        assert_eq!(parsed.attributes["facility"], "kern");
    }

    #[test]
    fn what_has_neither_priority_nor_time_is_not_syslog() {
        for line in [
            "",
            "text",
            "<192>x",
            "<01>x",
            "<>x",
            "<1x",
            "1 - - - -",
            "[x] y",
        ] {
            assert!(read(line).is_none(), "{line}");
        }
    }
}
