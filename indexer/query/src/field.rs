//! The names that stand before a colon.

use std::fmt::{self, Display, Formatter};

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
    pub(crate) fn from_name(name: &str) -> Field {
        if let Some(path) = name
            .strip_prefix(ATTRIBUTE_PREFIX)
            .filter(|path| !path.is_empty())
        {
            return Field::Attribute(path.to_owned());
        }
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        built_in.map_or_else(
            || Field::Attribute(name.to_owned()),
            |(_, field)| field.clone(),
        )
    }

    /// Text fields are searched by words; all others compare the whole value.
    pub fn is_text(&self) -> bool {
        matches!(self, Field::Raw | Field::Body)
    }
}

impl Display for Field {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Field::Attribute(path) = self else {
            let built_in = BUILT_IN.iter().find(|(_, field)| field == self);
            return out.write_str(built_in.map_or("raw", |(name, _)| name));
        };
        if is_reserved(path) {
            out.write_str(ATTRIBUTE_PREFIX)?;
        }
        for c in path.chars() {
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
    path.starts_with(ATTRIBUTE_PREFIX)
        || path == EXISTS
        || path == INDEX
        || !path.starts_with(is_name_start)
        || (path.len() == 1 && path.starts_with(|c: char| c.is_ascii_alphabetic()))
        || BUILT_IN.iter().any(|(name, _)| *name == path)
}

pub(crate) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '@'
}

/// Kubernetes labels (`app.kubernetes.io/name`) and ECS names need no escaping.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '$')
}
