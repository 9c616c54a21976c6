//! What stands between a level and the message: process id, thread and logger, each taken only where its
//! end is marked. A name that merely could be one stays in the message.

use super::{
    Parsed,
    columns::{Layout, number, separator},
    text,
};
use crate::{cursor::Cursor, limits::NAME_BYTES_MAX};

/// Reads those columns, and the message behind them.
pub(super) fn after_level(
    line: &[u8],
    mut cursor: Cursor<'_>,
    layout: Layout,
    parsed: &mut Parsed,
) {
    separator(&mut cursor);
    let mut after = cursor;
    // Spring Boot: `INFO 4711 --- [shop] [main] o.s.b.App : message`.
    let mut pid = after.number(10);
    pid = pid.filter(|_| after.blanks() > 0 && after.eat_all(b"---") && after.blanks() > 0);
    if pid.is_none() {
        after = cursor;
    }
    let mut thread = None;
    for _ in 0..3 {
        let Some(inside) = after.bracket(NAME_BYTES_MAX) else {
            break;
        };
        after.blanks();
        // Apache: `[pid 4711:tid 140]`.
        if let Some(number) = inside.strip_prefix(b"pid ").and_then(number) {
            parsed.attribute("pid", number);
            cursor = after;
        } else {
            thread = Some(inside.trim_ascii());
        }
    }
    let known = pid.is_some() || thread.is_some() || layout == Layout::Named;
    let logger = logger(&mut after, layout == Layout::Padded, known);
    if logger.is_none() && !(thread.is_some() && separator(&mut after)) {
        parsed.body_from(line, cursor.at());
        return;
    }
    if let Some(pid) = pid {
        parsed.attribute("pid", pid);
    }
    if let Some(thread) = thread {
        keep_thread(thread, parsed);
    }
    if let Some(logger) = logger {
        parsed.attribute("logger", text(logger));
        request_id(&mut after, parsed);
    }
    parsed.body_from(line, after.at());
}

/// A name that says by its form or by what follows that it is a logger: `a.b.C:`, `a::b:`,
/// `a.b.C - `, `a.b.C : `, `a.b.C [`. `known` is whether a logger is
/// expected whatever its form.
fn logger<'a>(cursor: &mut Cursor<'a>, padded: bool, known: bool) -> Option<&'a [u8]> {
    let mut after = *cursor;
    let word = after.word(NAME_BYTES_MAX)?;
    let (name, colon) = match word.strip_suffix(b":") {
        Some(name) => (name, true),
        None => (word, false),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$:/-".contains(byte);
    if !name.first()?.is_ascii_alphabetic() || !name.iter().all(is_name) {
        return None;
    }
    let qualified =
        name.contains(&b'.') || name.contains(&b'$') || name.windows(2).any(|pair| pair == b"::");
    let mut marked = after;
    let found = if colon {
        marked.blanks();
        qualified || known
    } else if padded && after.rest().starts_with(b"  ") {
        true
    } else if separator(&mut marked) {
        qualified || known
    } else {
        qualified && after.rest().starts_with(b" [")
    };
    if !found {
        return None;
    }
    marked.blanks();
    *cursor = marked;
    Some(name)
}

/// OpenStack: `[req-… user project - - -]`, or `[-]` outside of a request.
fn request_id(cursor: &mut Cursor<'_>, parsed: &mut Parsed) {
    let mut after = *cursor;
    let Some(inside) = after.bracket(256) else {
        return;
    };
    if inside.starts_with(b"req-") {
        let id = inside.split(|&byte| byte == b' ').next().unwrap_or(inside);
        parsed.attribute("request_id", text(id));
    } else if inside != b"-" {
        return;
    }
    *cursor = after;
}

/// ZooKeeper's brackets hold `thread:Class@line`.
fn keep_thread(inside: &[u8], parsed: &mut Parsed) {
    let located = inside
        .iter()
        .rposition(|&byte| byte == b'@')
        .and_then(|at| {
            let line_number = number(&inside[at + 1..])?;
            let colon = inside[..at].iter().rposition(|&byte| byte == b':')?;
            Some((&inside[..colon], &inside[colon + 1..at], line_number))
        });
    match located {
        Some((thread, logger, line_number)) => {
            parsed.attribute("thread", text(thread));
            parsed.attribute("logger", text(logger));
            parsed.attribute("line", line_number);
        }
        None => parsed.attribute("thread", text(inside)),
    }
}
