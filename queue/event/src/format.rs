//! The formats that a line can be asked to have.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    error::FormatError,
    limits::{REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX},
};

/// How the lines of a source are to be read. Two formats are equal when their text is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Whatever the line looks like; never a parse failure.
    #[default]
    Auto,
    Json,
    Logfmt,
    /// RFC 3164 or RFC 5424, with or without `<PRI>`.
    Syslog,
    Regex(Arc<NamedRegex>),
}

/// A compiled regex with at least one named group.
#[derive(Debug, Clone)]
pub struct NamedRegex {
    regex: Regex,
}

impl NamedRegex {
    pub fn new(pattern: &str) -> Result<NamedRegex, FormatError> {
        if pattern.len() > REGEX_BYTES_MAX {
            return Err(FormatError::PatternTooLong(pattern.len()));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| FormatError::Pattern {
                pattern: pattern.to_owned(),
                reason: one_line(&error),
            })?;
        if regex.capture_names().flatten().next().is_none() {
            return Err(FormatError::NoNamedGroup(pattern.to_owned()));
        }
        Ok(NamedRegex { regex })
    }

    pub fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    pub(crate) fn regex(&self) -> &Regex {
        &self.regex
    }
}

/// The last line of a syntax error is its cause; the lines before draw a picture of it.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let cause = text.lines().last().unwrap_or_default().trim();
    cause.strip_prefix("error: ").unwrap_or(cause).to_owned()
}

impl PartialEq for NamedRegex {
    fn eq(&self, other: &NamedRegex) -> bool {
        self.pattern() == other.pattern()
    }
}

impl Eq for NamedRegex {}

impl Hash for NamedRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern().hash(state);
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Auto => f.write_str("auto"),
            Format::Json => f.write_str("json"),
            Format::Logfmt => f.write_str("logfmt"),
            Format::Syslog => f.write_str("syslog"),
            Format::Regex(regex) => write!(f, "regex:{}", regex.pattern()),
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Format, FormatError> {
        if let Some(pattern) = text.strip_prefix("regex:") {
            return Ok(Format::Regex(Arc::new(NamedRegex::new(pattern)?)));
        }
        match text {
            "auto" => Ok(Format::Auto),
            "json" => Ok(Format::Json),
            "logfmt" => Ok(Format::Logfmt),
            "syslog" => Ok(Format::Syslog),
            _ => Err(FormatError::Unknown(text.chars().take(64).collect())),
        }
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_survive_text() {
        for text in [
            "auto",
            "json",
            "logfmt",
            "syslog",
            r"regex:^(?<level>\w+) (?P<body>.*)$",
        ] {
            let format: Format = text.parse().unwrap();
            assert_eq!(format.to_string(), text);
            assert_eq!(format, text.parse().unwrap());
        }
        assert_ne!(
            "regex:(?<a>x)".parse::<Format>().unwrap(),
            "regex:(?<b>x)".parse().unwrap()
        );
    }

    #[test]
    fn an_unusable_format_says_what_is_wrong_in_one_line() {
        let message = |text: &str| text.parse::<Format>().unwrap_err().to_string();
        assert!(message("JSON").contains("unknown format `JSON`: use auto"));
        assert!(
            message("regex:(?<a>").contains("unclosed group"),
            "{}",
            message("regex:(?<a>")
        );
        assert!(message("regex:abc").contains("no named group"));
        assert!(message(r"regex:(?<a>\w{1000}){1000}").contains("size limit"));
        assert!(message(&format!("regex:{}", "a".repeat(9_000))).contains("9000 bytes"));
        assert!(!message("regex:(?<a>").contains('\n'));
    }
}
