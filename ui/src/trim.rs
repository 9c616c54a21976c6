//! Cuts the lines of an answer to what a page can draw, and says what it cut.
//!
//! One line may be 1 MiB; a page that gets 500 of those freezes. A cut row carries `raw_length`
//! (the whole line's bytes), so that the reader knows, and can ask for the row with `full=1`. A span's
//! events and links are cut by whole ones, and counted.

use serde_json::{Map, Value};

use crate::limits::{ATTRIBUTE_BYTES_SHOWN, EVENT_BYTES_SHOWN, LINE_BYTES_SHOWN};

/// Cuts one hit in place. Hits below the limits are not touched.
pub(crate) fn hit(hit: &mut Value) {
    let Some(hit) = hit.as_object_mut() else {
        return;
    };
    let raw_bytes = hit.get("raw").and_then(Value::as_str).map_or(0, str::len);
    for field in ["raw", "body", "operation", "status_message"] {
        if let Some(Value::String(text)) = hit.get_mut(field) {
            cut(text, LINE_BYTES_SHOWN);
        }
    }
    if raw_bytes > LINE_BYTES_SHOWN {
        hit.insert("raw_length".into(), raw_bytes.into());
        // It repeats the whole line; a reader that needs the bytes asks for the full row.
        hit.remove("raw_base64");
    }
    for (field, mark) in [("events", "events_cut"), ("links", "links_cut")] {
        let cut = hit.get_mut(field).map_or(0, trim_items);
        if cut > 0 {
            hit.insert(mark.into(), cut.into());
        }
    }
    let Some(Value::Object(attributes)) = hit.get_mut("attributes") else {
        return;
    };
    if trim_attributes(attributes) {
        hit.insert("attributes_cut".into(), true.into());
    }
}

/// Drops the attributes that do not fit the budget, in order; true when any went.
fn trim_attributes(attributes: &mut Map<String, Value>) -> bool {
    let mut left = ATTRIBUTE_BYTES_SHOWN;
    let before = attributes.len();
    attributes.retain(
        |name, value| match left.checked_sub(name.len() + size(value)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        },
    );
    attributes.len() < before
}

/// Keeps the first items that fit the budget together; says how many went.
fn trim_items(items: &mut Value) -> usize {
    let Value::Array(items) = items else {
        return 0;
    };
    let mut left = EVENT_BYTES_SHOWN;
    let fits = |item: &&Value| match left.checked_sub(size(item)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let kept = items.iter().take_while(fits).count();
    let cut = items.len() - kept;
    items.truncate(kept);
    cut
}

/// Bytes of text in a value, about what it takes as JSON, without building the JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + items.len(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + 4 + size(value))
            .sum(),
    }
}

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_hit_is_untouched() {
        let whole =
            json!({"raw": "a line", "body": "line", "raw_base64": "x", "attributes": {"a": 1}});
        let mut trimmed = whole.clone();
        hit(&mut trimmed);
        assert_eq!(trimmed, whole);
    }

    #[test]
    fn long_line_is_cut_on_a_character_and_says_its_length() {
        let line = "中".repeat(5_000);
        let mut trimmed = json!({"raw": line, "body": line, "raw_base64": "x"});
        hit(&mut trimmed);
        let raw = trimmed["raw"].as_str().unwrap();
        assert_eq!(raw.len(), 4_095, "4,096 is inside the 1,366th character");
        assert_eq!(trimmed["body"].as_str().unwrap().len(), 4_095);
        assert_eq!(trimmed["raw_length"], 15_000);
        assert!(trimmed.get("raw_base64").is_none());
    }

    #[test]
    fn attributes_beyond_the_budget_go_and_are_announced() {
        let mut trimmed = json!({"raw": "x", "attributes": {"small": 1, "huge": "y".repeat(20_000), "nested": {"deep": [1, 2]}}});
        hit(&mut trimmed);
        assert_eq!(
            trimmed["attributes"],
            json!({"small": 1, "nested": {"deep": [1, 2]}})
        );
        assert_eq!(trimmed["attributes_cut"], true);
    }

    #[test]
    fn events_of_a_span_beyond_the_budget_are_counted() {
        let event = |text: &str| json!({"name": "exception", "attributes": {"stack": text}});
        let long = "y".repeat(10_000);
        let mut trimmed = json!({
            "raw": "GET /", "operation": "GET /", "status_message": "z".repeat(5_000),
            "events": [event("short"), event(&long), event(&long), event("short")],
            "links": [{"trace_id": "a", "span_id": "b", "attributes": {}}],
        });
        hit(&mut trimmed);
        assert_eq!(trimmed["events"], json!([event("short"), event(&long)]));
        assert_eq!(trimmed["events_cut"], 2);
        assert_eq!(trimmed["links"].as_array().unwrap().len(), 1);
        assert!(trimmed.get("links_cut").is_none());
        assert_eq!(trimmed["status_message"].as_str().unwrap().len(), 4_096);
        assert_eq!(trimmed["operation"], "GET /");
    }
}
