//! What can be wrong with text that should name a format, a level, an id or an origin.
//!
//! Lines never appear here: a line that does not fit its format is an event all the same.

/// A format's text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("unknown format `{0}`: use auto, json, logfmt, syslog or regex:<pattern>")]
    Unknown(String),
    #[error("the pattern of a regex format has {0} bytes, at most {max} are allowed", max = crate::limits::REGEX_BYTES_MAX)]
    PatternTooLong(usize),
    #[error("the regex format `{pattern}` does not compile: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error(
        "the regex format `{0}` has no named group: name what it finds, like (?<level>\\w+) or (?<body>.*)"
    )]
    NoNamedGroup(String),
}

/// A word that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown level `{0}`: use trace, debug, info, warn, error or fatal")]
pub struct LevelError(pub String);

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("`{0}` is not a source id: 32 hex digits are")]
    Source(String),
    #[error("`{0}` is not an event id: incarnation-partition-offset-index is")]
    Event(String),
}

/// `lb.*` headers that contradict themselves; the caller counts the record and keeps it as a foreign one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("the record has `lb.src` but no `{0}`")]
    Missing(&'static str),
    #[error("the header `{0}` has {1} bytes, at most {max} are allowed", max = crate::limits::HEADER_BYTES_MAX)]
    TooLong(&'static str, usize),
    #[error("the header `{0}` is not what an agent writes")]
    Malformed(&'static str),
    #[error("the record covers [{prev}, {end}) but starts at {offset}")]
    Range { prev: u64, offset: u64, end: u64 },
}
