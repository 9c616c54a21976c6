//! How events and tables look in a terminal.
//!
//! What a host or a sender wrote is shown with its control characters escaped: it must not move the cursor, and one event
//! is one line. `--json` has every byte as it is.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

/// One event as one line.
pub(super) fn line(hit: &Value) -> String {
    let text = |key: &str| hit[key].as_str().unwrap_or_default();
    let mut line = match hit["duration_ns"].as_u64() {
        Some(duration_ns) => format!(
            "{} {:5} {} {} {} trace_id:{} {}",
            text("timestamp"),
            // Of a span without a status nothing is known: no word for it.
            Some(text("status"))
                .filter(|status| *status != "unset")
                .unwrap_or_default(),
            text("service"),
            text("operation"),
            duration(duration_ns),
            text("trace_id"),
            text("status_message"),
        ),
        None => format!(
            "{} {:5} {} {}",
            text("timestamp"),
            text("level"),
            // What no agent tailed has no source.
            hit["source"].as_str().unwrap_or(text("service")),
            text("raw"),
        ),
    };
    line.truncate(line.trim_end().len());
    escaped(&line)
}

/// The answer of a query with pipes, a row a line below the names of the columns.
pub(super) fn table(table: &Value) -> String {
    let names = list(&table["columns"]);
    let mut drawn = Table::new();
    drawn.load_style(presets::NOTHING);
    drawn.set_header(names.iter().map(|name| Cell::new(escaped(&plain(name)))));
    for row in list(&table["rows"]) {
        let units = list(&table["units"])
            .iter()
            .chain(std::iter::repeat(&Value::Null));
        let cells = list(row)
            .iter()
            .zip(units)
            .map(|(value, unit)| cell(value, unit));
        drawn.add_row(cells);
    }
    let mut text = drawn.trim_fmt();
    text.push('\n');
    text
}

/// The rows of a table, each an object by the names of its columns.
pub(super) fn objects(table: &Value) -> impl Iterator<Item = Value> {
    let names = list(&table["columns"]);
    list(&table["rows"]).iter().map(move |row| {
        let values = names.iter().map(plain).zip(list(row).iter().cloned());
        Value::Object(values.collect())
    })
}

fn cell(value: &Value, unit: &Value) -> Cell {
    match value.as_u64() {
        Some(ns) if unit == "ns" => Cell::new(duration(ns)).set_alignment(CellAlignment::Right),
        _ if value.is_number() => Cell::new(value).set_alignment(CellAlignment::Right),
        _ if value.is_null() => Cell::new("–"),
        _ => Cell::new(escaped(&plain(value))),
    }
}

fn duration(ns: u64) -> String {
    format!("{:?}", Duration::from_nanos(ns))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\t' {
            let _written = write!(out, "{}", letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_that_cannot_move_the_cursor() {
        let hit = json!({"timestamp": "t", "level": "warn", "source": "/a", "raw": "\u{1b}[2Jgone\nnext\ttab 日志"});
        assert_eq!(line(&hit), "t warn  /a \\u{1b}[2Jgone\\nnext\ttab 日志");
        let received = json!({"timestamp": "t", "level": null, "source": null, "service": "cart", "raw": "hello"});
        assert_eq!(line(&received), "t       cart hello");
    }

    #[test]
    fn a_span_says_what_was_done_how_long_it_took_and_in_which_trace() {
        let mut span = json!({
            "timestamp": "t", "service": "cart", "operation": "GET /cart", "status": "error", "status_message": "boom",
            "duration_ns": 1_250_000_000_u64, "trace_id": "0a", "raw": "GET /cart\nboom",
        });
        assert_eq!(line(&span), "t error cart GET /cart 1.25s trace_id:0a boom");
        span["status"] = "unset".into();
        span["status_message"] = Value::Null;
        assert_eq!(line(&span), "t       cart GET /cart 1.25s trace_id:0a");
    }

    #[test]
    fn a_table_has_aligned_columns_and_lengths_of_time_in_words() {
        let answer = json!({
            "columns": ["operation", "count()", "p99(duration)"], "units": [null, null, "ns"],
            "rows": [["GET /cart", 10, 322_000_000], ["日志\n", 4000, null]],
        });
        let drawn = table(&answer);
        assert_eq!(
            drawn.lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                " operation  count()  p99(duration)",
                " GET /cart       10          322ms",
                " 日志\\n        4000  –",
            ]
        );
        let rows: Vec<Value> = objects(&answer).collect();
        assert_eq!(
            rows[0],
            json!({"operation": "GET /cart", "count()": 10, "p99(duration)": 322_000_000})
        );
    }
}
