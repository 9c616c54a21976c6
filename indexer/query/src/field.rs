//! The names that stand before a colon.

use std::fmt::{self, Display, Formatter};

use crate::ast::Signal;
use crate::span_field::SpanField;

/// What a clause looks at. Names that are not built in are attributes: `status` and
/// `attributes.status` are the same field, `attributes.level` is reachable beside `level`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// The whole line as it stood in the file.
    Raw,
    /// The message part that the parser found.
    Body,
    Level,
    Service,
    Host,
    /// Path of the file the line came from; written `source` or `path`.
    Path,
    TraceId,
    SpanId,
    Timestamp,
    /// The event's own id, as a hit shows it.
    Id,
    /// What only a span has; only in queries of spans.
    Span(SpanField),
    /// Dotted path of a structured value; nested and dotted spellings in the data are the same.
    Attribute(String),
}

/// Says that the rest of the name is an attribute's path, whatever it looks like.
pub(crate) const ATTRIBUTE_PREFIX: &str = "attributes.";
pub(crate) const EXISTS: &str = "_exists_";
pub(crate) const INDEX: &str = "index";

const BUILT_IN: [(&str, Field); 12] = [
    ("raw", Field::Raw),
    ("body", Field::Body),
    ("level", Field::Level),
    ("service", Field::Service),
    ("host", Field::Host),
    ("source", Field::Path),
    ("path", Field::Path),
    ("trace_id", Field::TraceId),
    ("span_id", Field::SpanId),
    ("timestamp", Field::Timestamp),
    ("@timestamp", Field::Timestamp),
    ("id", Field::Id),
];

impl Field {
    pub(crate) fn from_name(name: &str, signal: Signal) -> Field {
        if let Some(path) = name
            .strip_prefix(ATTRIBUTE_PREFIX)
            .filter(|path| !path.is_empty())
        {
            return Field::Attribute(path.to_owned());
        }
        if let Some((_, field)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return field.clone();
        }
        if let (Signal::Spans, Some(own)) = (signal, SpanField::from_name(name)) {
            return Field::Span(own);
        }
        Field::Attribute(name.to_owned())
    }

    /// As a clause of this signal has to spell it.
    pub(crate) fn in_clause(&self, signal: Signal) -> String {
        match self {
            Field::Attribute(path) if signal == Signal::Spans && is_span_s(path) => {
                format!("{ATTRIBUTE_PREFIX}{self}")
            }
            _ => self.to_string(),
        }
    }

    /// As a pipe has to spell it: no colon follows, so fewer names could be read as something else.
    pub(crate) fn in_pipe(&self, signal: Signal) -> String {
        match self {
            Field::Attribute(path) if !is_taken(path) => {
                let prefix = match signal {
                    Signal::Spans if is_span_s(path) => ATTRIBUTE_PREFIX,
                    Signal::Spans | Signal::Logs => "",
                };
                format!("{prefix}{}", Escaped(path))
            }
            _ => self.to_string(),
        }
    }

    /// Text fields are searched by words; all others compare the whole value.
    pub fn is_text(&self) -> bool {
        matches!(self, Field::Raw | Field::Body)
    }
}

/// As queries of logs spell it.
impl Display for Field {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Field::Attribute(path) => {
                if is_reserved(path) {
                    out.write_str(ATTRIBUTE_PREFIX)?;
                }
                Escaped(path).fmt(out)
            }
            Field::Span(own) => own.fmt(out),
            named => {
                let built_in = BUILT_IN.iter().find(|(_, field)| field == named);
                out.write_str(built_in.map_or("raw", |(name, _)| name))
            }
        }
    }
}

/// A name with its special characters escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if !is_name_char(c) {
                out.write_str("\\")?;
            }
            write!(out, "{c}")?;
        }
        Ok(())
    }
}

/// Would a bare spelling of this attribute's path be read as something else?
fn is_reserved(path: &str) -> bool {
    is_taken(path)
        || path == EXISTS
        || path == INDEX
        || (path.len() == 1 && path.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// As [`is_reserved`], where no colon follows.
fn is_taken(path: &str) -> bool {
    path.starts_with(ATTRIBUTE_PREFIX)
        || !path.starts_with(is_name_start)
        || BUILT_IN.iter().any(|(name, _)| *name == path)
}

/// Is it a span's own name, or refused as one?
fn is_span_s(path: &str) -> bool {
    SpanField::from_name(path).is_some() || matches!(path, "events" | "links")
}

pub(crate) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '@'
}

/// Kubernetes labels (`app.kubernetes.io/name`) and ECS names need no escaping.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '$')
}
