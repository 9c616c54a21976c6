//! A quoted line or span: what an alert shows of the events that it is about.

use logboom_event::hex::encode as hex;
use logboom_query::STATUSES;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{evaluate::Item, limits, stamp};

/// A quoted line, or the text of a quoted span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) time: i64,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Its place in its record.
    pub(crate) index: u32,
    pub(crate) line: String,
    /// Its timestamp was in the future and was replaced by its arrival.
    pub(crate) clamped: bool,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span: Option<SampleSpan>,
}

/// What is shown of a span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SampleSpan {
    pub(crate) service: Option<String>,
    pub(crate) operation: String,
    pub(crate) duration_ns: u64,
    /// The protocol's code.
    pub(crate) status: u8,
    pub(crate) span_id: Option<[u8; 8]>,
}

impl Sample {
    /// Quotes an event; `time` is where it was put in time.
    pub(crate) fn of(item: Item<'_>, time: i64, clamped: bool) -> Sample {
        let Item {
            record,
            event,
            index,
        } = item;
        let raw = &event.raw[..event.raw.len().min(limits::SAMPLE_BYTES_MAX)];
        let span = event.span.as_ref().map(|span| SampleSpan {
            service: event.service.as_deref().map(name),
            operation: name(&event.body()),
            duration_ns: span.duration_ns,
            status: span.status.code(),
            span_id: event.span_id,
        });
        Sample {
            time,
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            index,
            line: String::from_utf8_lossy(raw).into_owned(),
            clamped,
            trace_id: event.trace_id,
            span,
        }
    }

    fn to_json(&self, external_url: &str) -> Value {
        let mut value = json!({
            "timestamp": stamp::nanos(self.time),
            "line": self.line,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
        });
        if self.index > 0 {
            value["index"] = self.index.into();
        }
        if self.clamped {
            value["ts_clamped"] = Value::Bool(true);
        }
        if let Some(span) = &self.span {
            value["service"] = span.service.as_deref().into();
            value["operation"] = span.operation.as_str().into();
            value["duration_ns"] = span.duration_ns.into();
            value["duration"] = duration(span.duration_ns).into();
            let status = STATUSES.get(usize::from(span.status));
            value["status"] = status.copied().unwrap_or(STATUSES[0]).into();
            value["span_id"] = span.span_id.map(|id| hex(&id)).into();
        }
        if let Some(trace) = self.trace_id.map(|id| hex(&id)) {
            if let Some(url) = page(external_url, &["traces", &trace]) {
                value["trace_url"] = url.to_string().into();
            }
            value["trace_id"] = trace.into();
        }
        value
    }
}

/// Quoted events as JSON; traces are linked to where people reach the page.
pub(crate) fn samples(samples: &[Sample], external_url: &str) -> Value {
    samples
        .iter()
        .map(|sample| sample.to_json(external_url))
        .collect()
}

/// The address of a view of the page; none when nobody said where it is.
pub(crate) fn page(external_url: &str, path: &[&str]) -> Option<url::Url> {
    let mut url = url::Url::parse(external_url).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url)
}

/// `1.234s`, `56.7ms`: three digits are enough to judge by.
fn duration(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| ns >= *unit) else {
        return format!("{ns}ns");
    };
    let text = format!("{}.{:03}", ns / unit, ns % unit * 1_000 / unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn name(text: &str) -> String {
    text[..text.floor_char_boundary(limits::SPAN_NAME_BYTES_MAX.min(text.len()))].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_people_say_them() {
        for (ns, shown) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_500, "1.5us"),
            (812_345_678, "812.345ms"),
            (2_000_000_000, "2s"),
            (61_030_000_000, "61.03s"),
        ] {
            assert_eq!(duration(ns), shown);
        }
    }

    #[test]
    fn pages_stand_below_the_path_that_people_reach() {
        let of = |external: &str| page(external, &["traces", "ab"]).map(String::from);
        assert_eq!(
            of("https://h/logs/").as_deref(),
            Some("https://h/logs/traces/ab")
        );
        assert_eq!(of("https://h").as_deref(), Some("https://h/traces/ab"));
        assert_eq!(of(""), None);
    }
}
