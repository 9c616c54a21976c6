//! What most log libraries write between a line's time and its message: level, thread, logger, process id.
//!
//! The rule that keeps this honest: only a word in a level position is a level. A level
//! position is directly behind the time, or behind columns that are plainly not the message: numbers,
//! brackets, `name -`. Without a level there, nothing is taken for a column and all of it is the message.

use super::{Parsed, logger, text};
use crate::{cursor::Cursor, level::Level, limits::NAME_BYTES_MAX};

/// Columns looked through before the level. PostgreSQL and Spring have three.
const COLUMNS_MAX: usize = 4;

/// What the time before the columns tells about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Usual,
    /// Windows' servicing log: a comma behind the time, then columns padded with blanks.
    Padded,
    /// Spark: a logger and a colon always follow the level.
    Named,
}

/// What stood before the level, kept only if a level follows.
#[derive(Default)]
struct Before<'a> {
    pid: Option<u64>,
    thread_id: Option<u64>,
    thread: Option<&'a [u8]>,
    logger: Option<&'a [u8]>,
}

/// Reads the columns behind a time, and the message behind them.
pub(super) fn parse(line: &[u8], mut cursor: Cursor<'_>, layout: Layout, parsed: &mut Parsed) {
    separator(&mut cursor);
    let message = cursor.at();
    let mut before = Before::default();
    for _ in 0..=COLUMNS_MAX {
        if let Some(level) = level(&mut cursor) {
            parsed.level = Some(level);
            before.keep(parsed);
            logger::after_level(line, cursor, layout, parsed);
            return;
        }
        if !before.column(&mut cursor) {
            break;
        }
        separator(&mut cursor);
    }
    parsed.body_from(line, message);
}

/// A level in brackets, or a bare word with something behind it that ends a column.
pub(super) fn level(cursor: &mut Cursor<'_>) -> Option<Level> {
    let mut after = *cursor;
    let level = match after.peek()? {
        b'[' => enclosed(after.bracket(32)?)?,
        b'<' => {
            after.skip(1);
            let word = after.take_while(16, |byte| byte != b'>');
            after.eat(b'>').then(|| enclosed(word)).flatten()?
        }
        b'A'..=b'Z' | b'a'..=b'z' => {
            let word = after.take_while(14, |byte| byte.is_ascii_alphabetic());
            let ends = after.peek().is_none_or(|byte| {
                byte.is_ascii_whitespace() || matches!(byte, b':' | b',' | b'|')
            });
            if !ends {
                return None;
            }
            bare(word, after.peek())?
        }
        _ => return None,
    };
    *cursor = after;
    Some(level)
}

/// `error`, `I`, `core:error`: nothing else belongs in a bracket of its own.
fn enclosed(inside: &[u8]) -> Option<Level> {
    let word = inside.rsplit(|&byte| byte == b':').next()?.trim_ascii();
    match word {
        [letter] => letter_level(*letter),
        _ => Level::from_word(word),
    }
}

/// The letters of Android, klog and their like.
pub(super) fn letter_level(letter: u8) -> Option<Level> {
    Some(match letter {
        b'V' | b'T' => Level::Trace,
        b'D' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' | b'A' => Level::Fatal,
        _ => return None,
    })
}

/// In capitals every level word counts, otherwise only those that seldom begin a sentence: "Fine, then".
fn bare(word: &[u8], next: Option<u8>) -> Option<Level> {
    let level = Level::from_word(word)?;
    let capitals = word.iter().all(u8::is_ascii_uppercase);
    let column = matches!(next, Some(b':' | b'|'));
    let sure = match word.to_ascii_lowercase().as_slice() {
        b"trace" | b"debug" | b"info" | b"warn" | b"warning" | b"error" | b"err" | b"fatal"
        | b"critical" => true,
        b"log" => capitals && column,
        _ => capitals || column,
    };
    sure.then_some(level)
}

impl<'a> Before<'a> {
    /// Takes one column that is plainly not the message.
    fn column(&mut self, cursor: &mut Cursor<'a>) -> bool {
        let mut after = *cursor;
        match after.peek() {
            Some(b'0'..=b'9') => {
                let number = after.number(10);
                if number.is_none() || !ends_column(&after) {
                    return false;
                }
                match self.pid {
                    None => self.pid = number,
                    Some(_) => self.thread_id = self.thread_id.or(number),
                }
            }
            Some(b'[') => {
                let Some(inside) = after.bracket(NAME_BYTES_MAX) else {
                    return false;
                };
                match number(inside) {
                    Some(pid) => self.pid = self.pid.or(Some(pid)),
                    None => self.thread = self.thread.or(Some(inside.trim_ascii())),
                }
            }
            // Python: `2026-01-01 00:00:00,000 - name - INFO - message`. PostgreSQL: `user@database`.
            Some(_) => {
                let Some(word) = after.word(64) else {
                    return false;
                };
                if after.rest().starts_with(b" - ") {
                    self.logger = self.logger.or(Some(word));
                } else if !word.contains(&b'@') {
                    return false;
                }
            }
            None => return false,
        }
        *cursor = after;
        true
    }

    fn keep(self, parsed: &mut Parsed) {
        if let Some(pid) = self.pid {
            parsed.attribute("pid", pid);
        }
        if let Some(thread_id) = self.thread_id {
            parsed.attribute("thread_id", thread_id);
        }
        if let Some(thread) = self.thread {
            parsed.attribute("thread", text(thread));
        }
        if let Some(logger) = self.logger {
            parsed.attribute("logger", text(logger));
        }
    }
}

/// The number that some bytes start with, when nothing or a colon follows it.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(bytes);
    let number = cursor.number(10)?;
    (cursor.is_end() || cursor.peek() == Some(b':')).then_some(number)
}

fn ends_column(cursor: &Cursor<'_>) -> bool {
    cursor
        .peek()
        .is_none_or(|byte| byte.is_ascii_whitespace() || byte == b'|')
}

/// Blanks, with one of `, : | -` among them; whether there was one. A dash needs a blank on each side,
/// because `-1` is a message.
pub(super) fn separator(cursor: &mut Cursor<'_>) -> bool {
    cursor.blanks();
    let mark = cursor
        .peek()
        .is_some_and(|byte| matches!(byte, b',' | b':' | b'|' | b'-'));
    let ends = cursor
        .peek_at(1)
        .is_none_or(|byte| byte.is_ascii_whitespace());
    let found = mark && ends;
    if found {
        cursor.skip(1);
        cursor.blanks();
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Body;

    fn read(line: &str) -> (Option<Level>, String, Value) {
        let mut parsed = Parsed::default();
        let layout = match line.starts_with(',') {
            true => Layout::Padded,
            false => Layout::Usual,
        };
        parse(
            line.as_bytes(),
            Cursor::new(line.as_bytes()),
            layout,
            &mut parsed,
        );
        let Some(Body::Raw(range)) = parsed.body else {
            panic!("a message of columns stands in the line");
        };
        (
            parsed.level,
            line[range].to_owned(),
            Value::Object(parsed.attributes),
        )
    }

    #[test]
    fn the_columns_of_common_libraries_are_read() {
        let cases = [
            (
                " INFO  [main] a.b.C - up",
                Level::Info,
                "up",
                json!({"thread": "main", "logger": "a.b.C"}),
            ),
            (
                " [main] WARN  a.b.C - up",
                Level::Warn,
                "up",
                json!({"thread": "main", "logger": "a.b.C"}),
            ),
            (
                "  INFO 47 --- [shop] [  main] o.s.App   : up",
                Level::Info,
                "up",
                json!({"pid": 47, "thread": "main", "logger": "o.s.App"}),
            ),
            (
                " - root - ERROR - no way",
                Level::Error,
                "no way",
                json!({"logger": "root"}),
            ),
            (
                "  INFO shop::cart: added n=1",
                Level::Info,
                "added n=1",
                json!({"logger": "shop::cart"}),
            ),
            (
                " [error] 12#7: *1 open() failed",
                Level::Error,
                "12#7: *1 open() failed",
                json!({}),
            ),
            (
                " 0 [Warning] [MY-1] [Server] slow",
                Level::Warn,
                "[MY-1] [Server] slow",
                json!({"pid": 0}),
            ),
            (
                " [4711] LOG:  ready",
                Level::Info,
                "ready",
                json!({"pid": 4711}),
            ),
            (
                " [4711] me@db ERROR:  no relation",
                Level::Error,
                "no relation",
                json!({"pid": 4711}),
            ),
            (
                " | INFO     | app:main:12 - up",
                Level::Info,
                "app:main:12 - up",
                json!({}),
            ),
            (
                " [core:error] [pid 7:tid 8] [client ::1] no",
                Level::Error,
                "[client ::1] no",
                json!({"pid": 7}),
            ),
            (
                ", Info                  CBS    loaded",
                Level::Info,
                "loaded",
                json!({"logger": "CBS"}),
            ),
            (" ERROR: it broke", Level::Error, "it broke", json!({})),
            (
                " error opening it: no",
                Level::Error,
                "opening it: no",
                json!({}),
            ),
            (" INFO Done: 5 of 5", Level::Info, "Done: 5 of 5", json!({})),
            (
                " ERROR 5 files are gone",
                Level::Error,
                "5 files are gone",
                json!({}),
            ),
            (" WARN [x] said y", Level::Warn, "[x] said y", json!({})),
            (" INFO", Level::Info, "", json!({})),
        ];
        for (line, level, body, attributes) in cases {
            assert_eq!(
                read(line),
                (Some(level), body.to_owned(), attributes),
                "{line}"
            );
        }
    }

    #[test]
    fn a_level_word_elsewhere_is_part_of_the_message() {
        let lines = [
            "the ERROR is elsewhere",
            "Fine, then",
            "notice of meeting",
            "log rotated",
            "ERRORS: 5",
            "chrome.exe - host error : no",
            "5 ERRORs",
            "Informationally",
            "[main] started",
            "42 is it",
            "-1 ERROR",
            "error-prone",
            "panic at the disco",
            "[a [b] ERROR",
        ];
        for line in lines {
            let (level, body, attributes) = read(line);
            assert_eq!((level, body.as_str(), attributes), (None, line, json!({})));
        }
    }
}
