//! Layouts that one system has and others do not: Android, HealthApp, the supercomputers' logs, klog.
//!
//! Each function tries one layout and leaves nothing behind when the line has another.

use super::{Parsed, columns, syslog, text};
use crate::{
    cursor::Cursor,
    time::{Clock, SECOND_NS, scan},
};

/// Longest column of these layouts.
const COLUMN_BYTES_MAX: usize = 64;

/// Android, behind the time: `  1702  2395 D WindowManager: message`.
pub(super) fn android(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) -> bool {
    let mut number = || {
        let blanks = cursor.blanks();
        cursor.number(10).filter(|_| blanks > 0)
    };
    let (Some(pid), Some(thread_id)) = (number(), number()) else {
        return false;
    };
    let level = match (cursor.blanks(), cursor.peek(), cursor.peek_at(1)) {
        (1.., Some(letter), Some(b' ')) => columns::letter_level(letter),
        _ => None,
    };
    let Some(level) = level else {
        return false;
    };
    cursor.skip(2);
    let tag = cursor.take_while(COLUMN_BYTES_MAX, |byte| byte != b':');
    if !cursor.eat(b':') {
        return false;
    }
    parsed.level = Some(level);
    parsed.attribute("pid", pid);
    parsed.attribute("thread_id", thread_id);
    parsed.attribute("logger", text(tag.trim_ascii()));
    parsed.body_from(line, cursor.at());
    true
}

/// HealthApp, behind the time: `|Step_LSC|30002312|message`.
pub(super) fn health_app(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) -> bool {
    if !cursor.eat(b'|') {
        return false;
    }
    let component = cursor.take_while(COLUMN_BYTES_MAX, |byte| byte != b'|');
    if !cursor.eat(b'|') {
        return false;
    }
    let Some(pid) = cursor.number(10) else {
        return false;
    };
    if !cursor.eat(b'|') {
        return false;
    }
    parsed.attribute("logger", text(component));
    parsed.attribute("pid", pid);
    parsed.body_from(line, cursor.at());
    true
}

/// BGL and Thunderbird: `- 1117838570 2005.06.03 NODE …`, where the dash may be an alert's name.
///
/// The epoch is the collector's and wins over the local time that follows: that has no zone, and often
/// no year.
pub(super) fn supercomputer(line: &[u8], clock: &Clock, parsed: &mut Parsed) -> bool {
    let mut cursor = Cursor::new(line);
    let Some(alert) = cursor.word(COLUMN_BYTES_MAX) else {
        return false;
    };
    let Some(instant) = epoch_column(&mut cursor) else {
        return false;
    };
    let dotted_date = cursor.eat(b' ')
        && cursor.fixed(4).is_some()
        && cursor.eat(b'.')
        && cursor.fixed(2).is_some()
        && cursor.eat(b'.')
        && cursor.fixed(2).is_some()
        && cursor.eat(b' ');
    let node = cursor.word(COLUMN_BYTES_MAX);
    let (true, Some(node)) = (dotted_date && cursor.eat(b' '), node) else {
        return false;
    };
    parsed.time_ns = Some(instant);
    parsed.host = Some(text(node));
    if alert != b"-" {
        parsed.attribute("alert", text(alert));
    }
    let local_is_iso = cursor.digits_ahead() == 4;
    let mut after = cursor;
    if scan::leading(&mut after, clock).is_none() {
        parsed.body_from(line, cursor.at());
    } else if local_is_iso {
        blue_gene(line, after, parsed);
    } else {
        after.blanks();
        // The node again, before the program.
        let mut behind_node = after;
        if behind_node.word(255).is_some() && behind_node.blanks() > 0 {
            after = behind_node;
        }
        syslog::program(line, after, parsed);
    }
    true
}

/// BGL, behind its local time: ` NODE RAS KERNEL INFO message`.
fn blue_gene(line: &[u8], mut cursor: Cursor<'_>, parsed: &mut Parsed) {
    let message = cursor.at();
    let mut column = || {
        cursor.blanks();
        cursor.word(COLUMN_BYTES_MAX)
    };
    if let (Some(_node), Some(kind), Some(component)) = (column(), column(), column()) {
        cursor.blanks();
        if let Some(level) = columns::level(&mut cursor) {
            parsed.level = Some(level);
            parsed.attribute("type", text(kind));
            parsed.attribute("component", text(component));
            parsed.body_from(line, cursor.at());
            return;
        }
    }
    parsed.body_from(line, message);
}

/// HPC: `134681 node-246 unix.hw state_change.unavailable 1077804742 1 message`.
pub(super) fn hpc(line: &[u8], parsed: &mut Parsed) -> bool {
    let mut cursor = Cursor::new(line);
    let Some(id) = cursor.number(10) else {
        return false;
    };
    let mut column = || {
        cursor
            .eat(b' ')
            .then(|| cursor.word(COLUMN_BYTES_MAX))
            .flatten()
    };
    let (Some(node), Some(component), Some(state)) = (column(), column(), column()) else {
        return false;
    };
    let Some(instant) = epoch_column(&mut cursor) else {
        return false;
    };
    let flag = cursor
        .eat(b' ')
        .then(|| cursor.word(COLUMN_BYTES_MAX))
        .flatten();
    let Some(flag) = flag.and_then(|flag| super::typed(flag).as_i64()) else {
        return false;
    };
    parsed.time_ns = Some(instant);
    parsed.host = Some(text(node));
    parsed.attribute("id", id);
    parsed.attribute("component", text(component));
    parsed.attribute("state", text(state));
    parsed.attribute("flag", flag);
    parsed.body_from(line, cursor.at());
    true
}

/// A blank and ten digits of seconds, and nothing more in the column. The old systems' logs begin
/// before the billionth second, in nine digits.
fn epoch_column(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut after = *cursor;
    after.eat(b' ').then_some(())?;
    let seconds = after.number(10).filter(|&seconds| seconds >= 100_000_000)?;
    (after.peek() == Some(b' ')).then_some(())?;
    *cursor = after;
    i64::try_from(seconds).ok()?.checked_mul(SECOND_NS)
}

/// klog and glog: `I0102 15:04:05.678901   12345 file.go:12] message`, glog's with the year before the month.
pub(super) fn klog(line: &[u8], clock: &Clock, parsed: &mut Parsed) -> bool {
    klog_header(line, clock, parsed).is_some()
}

fn klog_header(line: &[u8], clock: &Clock, parsed: &mut Parsed) -> Option<()> {
    let mut cursor = Cursor::new(line);
    let letter = cursor.peek().filter(|letter| b"IWEF".contains(letter))?;
    cursor.skip(1);
    let instant = scan::glog(&mut cursor, clock)?;
    (cursor.blanks() > 0).then_some(())?;
    let thread_id = cursor.number(10)?;
    cursor.eat(b' ').then_some(())?;
    let caller = cursor.take_while(COLUMN_BYTES_MAX * 2, |byte| byte != b']' && byte != b' ');
    cursor.eat(b']').then_some(())?;
    parsed.time_ns = Some(instant);
    parsed.level = columns::letter_level(letter);
    parsed.attribute("thread_id", thread_id);
    parsed.attribute("caller", text(caller));
    parsed.body_from(line, cursor.at());
    Some(())
}
