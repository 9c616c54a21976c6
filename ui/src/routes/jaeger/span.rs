//! A span in Jaeger's JSON, made as Jaeger itself makes it out of OpenTelemetry's.
//!
//! What OpenTelemetry has fields for and Jaeger has not becomes tags: kind, status, scope, trace state.
//! Jaeger counts microseconds; what a span has beyond is cut off.

use jiff::Timestamp;
use logboom_indexer::search::{Hit, HitEvent, HitLink};
use serde::Serialize;
use serde_json::{Map, Value};

/// What Jaeger calls the service of a resource that does not name one.
pub(super) const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";

/// Beyond this a browser's numbers skip some; Jaeger then writes text.
const BROWSER_INTEGER_MAX: i64 = (1 << 53) - 1;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    pub(super) span_id: String,
    operation_name: String,
    references: Vec<Reference>,
    /// Microseconds since 1970.
    start_time: i64,
    /// Microseconds.
    duration: u64,
    tags: Vec<Tag>,
    logs: Vec<Log>,
    #[serde(rename = "processID")]
    pub(super) process_id: String,
    warnings: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Tag {
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    value: Value,
}

#[derive(Debug, Serialize)]
struct Log {
    /// Microseconds since 1970.
    timestamp: i64,
    fields: Vec<Tag>,
}

/// Who a span is of: spans of one service on one host share it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    service_name: String,
    tags: Vec<Tag>,
}

/// A span's process before it is one, to tell whether it is known already.
pub(super) struct Origin {
    service: String,
    resource: Map<String, Value>,
}

impl Origin {
    /// Equal for equal origins alone.
    pub(super) fn key(&self) -> String {
        let resource = serde_json::to_string(&self.resource).unwrap_or_default();
        format!("{}\n{resource}", self.service)
    }

    pub(super) fn process(self) -> Process {
        let Origin { service, resource } = self;
        let tags = resource
            .into_iter()
            .filter(|(key, _)| key != "service.name");
        Process {
            service_name: service,
            tags: tags.map(|(key, value)| Tag::new(key, value)).collect(),
        }
    }
}

impl Span {
    /// The span, still without its process, and who it is of.
    pub(super) fn of(hit: Hit) -> (Span, Origin) {
        let mut attributes = hit.attributes;
        let resource = shared(&mut attributes, "resource");
        let scope = shared(&mut attributes, "scope");
        let trace_id = short(hit.trace_id.as_deref().unwrap_or_default());
        let mut references: Vec<Reference> = hit
            .parent_id
            .into_iter()
            .map(|span_id| Reference {
                ref_type: "CHILD_OF",
                trace_id: trace_id.clone(),
                span_id,
            })
            .collect();
        let links = hit.links.unwrap_or_default();
        add_links(&mut references, links);

        let mut tags = Vec::with_capacity(attributes.len() + 7);
        for (key, part) in [
            ("otel.scope.name", "name"),
            ("otel.scope.version", "version"),
        ] {
            tags.extend(
                scope
                    .get(part)
                    .map(|value| Tag::new(key.into(), value.clone())),
            );
        }
        tags.extend(
            attributes
                .into_iter()
                .map(|(key, value)| Tag::new(key, value)),
        );
        tags.extend(hit.kind.map(|kind| Tag::text("span.kind", kind)));
        match hit.status.as_deref() {
            Some("error") => {
                tags.push(Tag::text("otel.status_code", "ERROR".into()));
                tags.push(Tag::new("error".into(), true.into()));
            }
            Some("ok") => tags.push(Tag::text("otel.status_code", "OK".into())),
            _ => {}
        }
        let message = hit.status_message.filter(|message| !message.is_empty());
        tags.extend(message.map(|message| Tag::text("otel.status_description", message)));
        let state = hit.trace_state.filter(|state| !state.is_empty());
        tags.extend(state.map(|state| Tag::text("w3c.tracestate", state)));

        let span = Span {
            trace_id,
            span_id: hit.span_id.unwrap_or_default(),
            operation_name: hit.operation.unwrap_or(hit.body),
            references,
            start_time: micros(&hit.timestamp),
            duration: hit.duration_ns.unwrap_or(0) / 1_000,
            tags,
            logs: hit
                .events
                .unwrap_or_default()
                .into_iter()
                .map(log)
                .collect(),
            process_id: String::new(),
            warnings: None,
        };
        let service = hit.service.filter(|service| !service.is_empty());
        let origin = Origin {
            service: service.unwrap_or_else(|| NO_SERVICE_NAME.to_owned()),
            resource,
        };
        (span, origin)
    }

    /// About the bytes that it takes as JSON, a little more rather than less.
    pub(super) fn bytes(&self) -> usize {
        const FRAME: usize = 320;
        let logs = self.logs.iter().map(|log| 40 + tags_bytes(&log.fields));
        FRAME
            + self.operation_name.len()
            + self.references.len() * 120
            + tags_bytes(&self.tags)
            + logs.sum::<usize>()
    }
}

impl Process {
    pub(super) fn bytes(&self) -> usize {
        64 + self.service_name.len() + tags_bytes(&self.tags)
    }
}

impl Tag {
    fn new(key: String, value: Value) -> Tag {
        let (kind, value) = typed(value);
        Tag { key, kind, value }
    }

    fn text(key: &str, value: String) -> Tag {
        Tag {
            key: key.to_owned(),
            kind: "string",
            value: Value::String(value),
        }
    }
}

/// Jaeger's name of a value's type. It knows no lists and objects; they are their JSON's text.
fn typed(value: Value) -> (&'static str, Value) {
    match &value {
        Value::String(_) => ("string", value),
        Value::Bool(_) => ("bool", value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if integer.abs_diff(0) > BROWSER_INTEGER_MAX.unsigned_abs() => {
                ("int64", Value::String(integer.to_string()))
            }
            Some(_) => ("int64", value),
            None => ("float64", value),
        },
        Value::Null => ("string", Value::String(String::new())),
        Value::Array(_) | Value::Object(_) => ("string", Value::String(value.to_string())),
    }
}

fn tags_bytes(tags: &[Tag]) -> usize {
    let value = |value: &Value| value.as_str().map_or(24, str::len);
    tags.iter()
        .map(|tag| 48 + tag.key.len() + value(&tag.value))
        .sum()
}

/// Takes the resource or scope out of an event's attributes. Where an attribute of the span has the same
/// name, the event holds both, the shared one first.
fn shared(attributes: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match attributes.get_mut(name) {
        Some(Value::Object(object)) => {
            let object = std::mem::take(object);
            attributes.shift_remove(name);
            object
        }
        Some(Value::Array(both)) if both.first().is_some_and(Value::is_object) => {
            let Value::Object(object) = both.remove(0) else {
                return Map::new();
            };
            if both.len() == 1 {
                let own = both.remove(0);
                attributes.insert(name.to_owned(), own);
            }
            object
        }
        _ => Map::new(),
    }
}

/// A link to the parent does not name it twice, it says what the parent is.
fn add_links(references: &mut Vec<Reference>, links: Vec<HitLink>) {
    for link in links {
        let trace_id = short(&link.trace_id);
        let asked = link.attributes.get("opentracing.ref_type");
        let ref_type = match asked.and_then(Value::as_str) {
            Some("child_of") => "CHILD_OF",
            _ => "FOLLOWS_FROM",
        };
        let known = references
            .first_mut()
            .filter(|first| first.trace_id == trace_id && first.span_id == link.span_id);
        match known {
            Some(first) => first.ref_type = ref_type,
            None => references.push(Reference {
                ref_type,
                trace_id,
                span_id: link.span_id,
            }),
        }
    }
}

fn log(event: HitEvent) -> Log {
    let named = !event.name.is_empty() && !event.attributes.contains_key("event");
    let name = named.then(|| Tag::text("event", event.name));
    let attributes = event.attributes.into_iter();
    let attributes = attributes.map(|(key, value)| Tag::new(key, value));
    Log {
        timestamp: micros(&event.timestamp),
        fields: name.into_iter().chain(attributes).collect(),
    }
}

/// As Jaeger writes a trace's id: 16 digits when the upper half is zero.
pub(super) fn short(id: &str) -> String {
    let upper = id.len().saturating_sub(16);
    match id.get(..upper) {
        Some(zeros) if zeros.bytes().all(|byte| byte == b'0') => id[upper..].to_owned(),
        _ => id.to_owned(),
    }
}

fn micros(rfc3339: &str) -> i64 {
    let time: Result<Timestamp, _> = rfc3339.parse();
    time.map_or(0, Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_jaegers_types() {
        for (value, kind, shown) in [
            (json!("x"), "string", json!("x")),
            (json!(true), "bool", json!(true)),
            (json!(-7), "int64", json!(-7)),
            (
                json!(9_007_199_254_740_991_i64),
                "int64",
                json!(9_007_199_254_740_991_i64),
            ),
            (
                json!(9_007_199_254_740_992_i64),
                "int64",
                json!("9007199254740992"),
            ),
            (json!(i64::MIN), "int64", json!("-9223372036854775808")),
            (json!(1.5), "float64", json!(1.5)),
            (json!([1, "a"]), "string", json!("[1,\"a\"]")),
            (json!({"b": null}), "string", json!("{\"b\":null}")),
            (Value::Null, "string", json!("")),
        ] {
            assert_eq!(typed(value.clone()), (kind, shown), "{value}");
        }
    }

    #[test]
    fn resource_is_told_from_an_attribute_of_that_name() {
        let ours = json!({"a": 1});
        for (attribute, left) in [
            (json!([ours, "own"]), Some(json!("own"))),
            (json!([ours, {"own": 1}]), Some(json!({"own": 1}))),
            (ours.clone(), None),
        ] {
            let mut attributes = Map::from_iter([("resource".to_owned(), attribute)]);
            let taken = shared(&mut attributes, "resource");
            assert_eq!(Value::Object(taken), ours);
            assert_eq!(attributes.remove("resource"), left);
        }
        let mut attributes = Map::from_iter([("resource".to_owned(), json!("own"))]);
        assert!(shared(&mut attributes, "resource").is_empty());
        assert_eq!(attributes["resource"], "own");
    }

    #[test]
    fn upper_half_of_zeros_is_left_out() {
        let low = "00000000000000a1";
        assert_eq!(short(&format!("{}{low}", "0".repeat(16))), low);
        let whole = format!("1{}", "0".repeat(31));
        assert_eq!(short(&whole), whole);
        assert_eq!(short(""), "");
    }
}
