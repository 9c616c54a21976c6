//! Fields by name: which keys of a JSON object, a logfmt line or a regex say what every event has.
//!
//! Names are compared as their letters and digits in lower case, so `trace_id`, `traceId` and `trace.id` are
//! one. Where several keys could fill a field, the better rank wins, and of equal ranks the first whose
//! value makes sense.

use serde_json::{Number, Value};

use super::Parsed;
use crate::{
    event::Body,
    hex,
    level::Level,
    time::{self, Clock, scan},
};

/// A field of the event that a key can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Level,
    /// OpenTelemetry's own numbers, which overlap with syslog's.
    SeverityNumber,
    Service,
    Host,
    Body,
    Trace,
    Span,
    /// Datadog writes ids in decimal.
    DatadogTrace,
    DatadogSpan,
}

type Rank = u8;

/// The field that a key fills, and how sure its name makes that.
pub(super) fn named(key: &str) -> Option<(Field, Rank)> {
    let mut name = [0; 20];
    let mut len = 0;
    // Google Cloud prefixes its names with a host.
    let key = key.rsplit('/').next().unwrap_or(key);
    for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
        *name.get_mut(len)? = byte.to_ascii_lowercase();
        len += 1;
    }
    Some(match &name[..len] {
        b"timestamp" | b"time" | b"ts" => (Field::Time, 0),
        b"datetime" | b"eventtime" | b"asctime" | b"timeunixnano" | b"timeiso8601" => {
            (Field::Time, 1)
        }
        b"date" | b"timelocal" | b"realtimetimestamp" => (Field::Time, 2),
        b"level" | b"severity" | b"severitytext" | b"loglevel" | b"levelname" | b"lvl" => {
            (Field::Level, 0)
        }
        b"severitynumber" => (Field::SeverityNumber, 1),
        b"priority" => (Field::Level, 2),
        b"servicename" | b"service" => (Field::Service, 0),
        b"ddservice" => (Field::Service, 1),
        b"app" | b"appname" | b"application" | b"syslogidentifier" => (Field::Service, 2),
        b"hostname" | b"host" => (Field::Host, 0),
        b"message" | b"msg" => (Field::Body, 0),
        b"body" | b"shortmessage" => (Field::Body, 1),
        b"log" | b"text" => (Field::Body, 2),
        b"event" => (Field::Body, 3),
        b"traceid" | b"trace" => (Field::Trace, 0),
        b"oteltraceid" | b"xb3traceid" => (Field::Trace, 1),
        b"ddtraceid" => (Field::DatadogTrace, 2),
        b"spanid" => (Field::Span, 0),
        b"otelspanid" | b"xb3spanid" => (Field::Span, 1),
        b"ddspanid" => (Field::DatadogSpan, 2),
        _ => return None,
    })
}

/// Objects whose keys name fields together with the object's own: `service: {name: …}`.
pub(super) fn is_namespace(key: &str) -> bool {
    matches!(
        key,
        "service" | "host" | "log" | "trace" | "span" | "dd" | "otel" | "resource"
    )
}

/// Fills fields of [`Parsed`], remembering by which rank of key each was filled.
pub(super) struct Filler<'a> {
    parsed: &'a mut Parsed,
    clock: &'a Clock,
    ranks: [Rank; 7],
}

const UNFILLED: Rank = Rank::MAX;
const BODY: usize = 6;

impl<'a> Filler<'a> {
    pub(super) fn new(parsed: &'a mut Parsed, clock: &'a Clock) -> Filler<'a> {
        Filler {
            parsed,
            clock,
            ranks: [UNFILLED; 7],
        }
    }

    pub(super) fn offer_body(&mut self, rank: Rank, body: Body) {
        if rank < self.ranks[BODY] {
            self.ranks[BODY] = rank;
            self.parsed.body = Some(body);
        }
    }

    /// Offers a value to a field; ignored when a better key was there, or when it makes no sense.
    pub(super) fn offer(&mut self, field: Field, rank: Rank, value: &Value) {
        let slot = match field {
            Field::Time => 0,
            Field::Level | Field::SeverityNumber => 1,
            Field::Service => 2,
            Field::Host => 3,
            Field::Trace | Field::DatadogTrace => 4,
            Field::Span | Field::DatadogSpan => 5,
            Field::Body => BODY,
        };
        if rank >= self.ranks[slot] {
            return;
        }
        let parsed = &mut *self.parsed;
        let filled = match field {
            Field::Time => fill(&mut parsed.time_ns, instant(value, self.clock)),
            Field::Level => fill(&mut parsed.level, level(value)),
            Field::SeverityNumber => fill(
                &mut parsed.level,
                integer(value).and_then(Level::from_number),
            ),
            Field::Service => fill(&mut parsed.service, word(value)),
            Field::Host => fill(&mut parsed.host, word(value)),
            Field::Body => {
                let text = value.as_str().map(|text| Body::Owned(text.to_owned()));
                fill(&mut parsed.body, text)
            }
            Field::Trace => fill(&mut parsed.trace_id, trace_id(value)),
            Field::Span => fill(&mut parsed.span_id, span_id(value)),
            Field::DatadogTrace => fill(&mut parsed.trace_id, datadog_trace_id(value)),
            Field::DatadogSpan => fill(&mut parsed.span_id, datadog_span_id(value)),
        };
        if filled {
            self.ranks[slot] = rank;
        }
    }
}

fn fill<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let filled = value.is_some();
    if filled {
        *slot = value;
    }
    filled
}

fn word(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.len() <= 19 => text.parse().ok(),
        _ => None,
    }
}

/// The instant that a value means: an epoch number, or text in any shape of [`scan`].
pub(super) fn instant(value: &Value, clock: &Clock) -> Option<i64> {
    match value {
        Value::Number(number) => epoch_number(number),
        Value::String(text) => {
            let digits = text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
            match digits
                .then(|| text.parse().ok().and_then(time::epoch))
                .flatten()
            {
                Some(instant) => Some(instant),
                None => scan::whole(text.as_bytes(), clock),
            }
        }
        _ => None,
    }
}

fn epoch_number(number: &Number) -> Option<i64> {
    if let Some(number) = number.as_i64() {
        return time::epoch(number);
    }
    let number = number.as_f64()?;
    let whole = number.trunc();
    // `as` saturates, and a saturated number is no plausible time.
    let instant = time::epoch(whole as i64)?;
    let unit_ns = if whole < 1e10 {
        1e9
    } else if whole < 1e13 {
        1e6
    } else {
        return Some(instant);
    };
    // 53 bits hold seconds of today to a quarter of a microsecond; more digits would be noise.
    let micros = ((number - whole) * unit_ns / 1e3).round();
    instant.checked_add(micros as i64 * 1_000)
}

/// A word, or a number as Bunyan and Pino (10 to 60) or syslog (0 to 7) give it.
fn level(value: &Value) -> Option<Level> {
    if let Some(level) = value
        .as_str()
        .and_then(|word| Level::from_word(word.trim().as_bytes()))
    {
        return Some(level);
    }
    match integer(value)? {
        number @ 0..=7 => Level::from_syslog(number as u8),
        10..20 => Some(Level::Trace),
        20..30 => Some(Level::Debug),
        30..40 => Some(Level::Info),
        40..50 => Some(Level::Warn),
        50..60 => Some(Level::Error),
        60 => Some(Level::Fatal),
        _ => None,
    }
}

/// 32 hex digits, or 16 of an older tracer; all zeros mean that there is no trace.
pub(super) fn trace_id(value: &Value) -> Option<[u8; 16]> {
    let text = value.as_str()?.as_bytes();
    // Google Cloud: `projects/<name>/traces/<id>`.
    let text = text.rsplit(|&byte| byte == b'/').next().unwrap_or(text);
    let id = match hex::decode(text) {
        Some(id) => id,
        None => widen(hex::decode(text)?),
    };
    Some(id).filter(|id| *id != [0; 16])
}

/// 16 hex digits.
pub(super) fn span_id(value: &Value) -> Option<[u8; 8]> {
    hex::decode(value.as_str()?.as_bytes()).filter(|id| *id != [0; 8])
}

fn datadog_trace_id(value: &Value) -> Option<[u8; 16]> {
    match value.as_str().filter(|text| text.len() == 32) {
        Some(_) => trace_id(value),
        None => datadog_span_id(value).map(widen),
    }
}

fn datadog_span_id(value: &Value) -> Option<[u8; 8]> {
    let id = match value {
        Value::Number(number) => number.as_u64()?,
        // 16 digits are hex only when one of them is not decimal: decimal is what Datadog's tracers write.
        Value::String(text) => match text.parse::<u64>() {
            Ok(id) => id,
            Err(_) => return span_id(value),
        },
        _ => return None,
    };
    Some(id.to_be_bytes()).filter(|id| *id != [0; 8])
}

fn widen(half: [u8; 8]) -> [u8; 16] {
    u128::from(u64::from_be_bytes(half)).to_be_bytes()
}
