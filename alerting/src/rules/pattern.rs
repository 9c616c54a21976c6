//! A rule's `regex`: checked with messages that show where it is wrong, compiled to search bytes.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits;

/// Compiles a checked pattern. It searches the raw bytes of a line; `.` and classes are of Unicode.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(limits::PATTERN_COMPILED_BYTES_MAX)
        .build()
}

/// The parsed form, as [`compile`] reads it: bytes that are no UTF-8 may match.
pub(crate) fn parse(pattern: &str) -> Result<regex_syntax::hir::Hir, Box<regex_syntax::Error>> {
    regex_syntax::ParserBuilder::new()
        .utf8(false)
        .build()
        .parse(pattern)
        .map_err(Box::new)
}

/// What is wrong with a pattern.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("is empty; it would match every line".to_owned());
    }
    if pattern.len() > limits::PATTERN_BYTES_MAX {
        return Err(format!(
            "is {} bytes long; at most {} are allowed",
            pattern.len(),
            limits::PATTERN_BYTES_MAX
        ));
    }
    if let Err(error) = parse(pattern) {
        return Err(explain(pattern, &error));
    }
    match compile(pattern) {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(limit)) => Err(format!(
            "`{pattern}` grows over {limit} bytes when compiled; use smaller repetition counts, or (?-u) for classes of ASCII only"
        )),
        Err(other) => Err(format!("`{pattern}`: {other}")),
    }
}

fn explain(pattern: &str, error: &regex_syntax::Error) -> String {
    use regex_syntax::ast::ErrorKind;
    let (kind, offset) = match error {
        regex_syntax::Error::Parse(error) => {
            let kind = match error.kind() {
                ErrorKind::UnsupportedLookAround => {
                    "look-around is not supported, because it cannot be searched in linear time; match more of the line, or add a `query` with NOT".to_owned()
                }
                ErrorKind::UnsupportedBackreference => {
                    "back-references are not supported, because they cannot be searched in linear time; spell the alternatives out".to_owned()
                }
                other => other.to_string(),
            };
            (kind, error.span().start.offset)
        }
        regex_syntax::Error::Translate(error) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        other => (other.to_string(), 0),
    };
    let column = pattern
        .get(..offset)
        .map_or(0, |before| before.chars().count())
        + 1;
    let marker = pattern
        .get(offset..)
        .map_or("", |rest| rest.get(..rest.len().min(12)).unwrap_or(rest));
    format!("`{pattern}` is wrong at character {column} (`{marker}`): {kind}")
}
