//! What several routes read from an address in the same way: query text, times, counts, ids.
//!
//! Whatever cannot be read is refused by its name, with what it can be.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::limits::QUERY_BYTES_MAX;
use crate::time;

/// Query parameters whose misreading is answered in the API's own form.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Params(query.0))
            .map_err(|rejection| ApiError::Parameters(rejection.body_text()))
    }
}

/// The same for what stands in the address itself.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Names(path.0))
            .map_err(|rejection| ApiError::Parameters(rejection.body_text()))
    }
}

/// The query text; nothing means everything.
pub(super) fn query(q: Option<String>) -> Result<String, ApiError> {
    let q = q
        .filter(|q| !q.trim().is_empty())
        .unwrap_or_else(|| "*".to_owned());
    if q.len() > QUERY_BYTES_MAX {
        let message = format!(
            "the query has {} bytes; at most {QUERY_BYTES_MAX} are read",
            q.len()
        );
        return Err(ApiError::Query {
            message,
            from: QUERY_BYTES_MAX,
            to: q.len(),
        });
    }
    Ok(q)
}

/// The bounds `from` and `to` of a time range, read against one now.
pub(super) fn range(
    from: Option<&str>,
    to: Option<&str>,
    now_ns: i64,
) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let from_ns = point("from", from, now_ns)?;
    let to_ns = point("to", to, now_ns)?;
    if from_ns.zip(to_ns).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::EmptyRange);
    }
    Ok((from_ns, to_ns))
}

fn point(name: &'static str, text: Option<&str>, now_ns: i64) -> Result<Option<i64>, ApiError> {
    given(text)
        .map(|text| time::parse(text, now_ns).map_err(|source| ApiError::Time { name, source }))
        .transpose()
}

/// A parameter that is there and not blank.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

pub(super) fn at_most(name: &'static str, value: usize, maximum: usize) -> Result<usize, ApiError> {
    match value <= maximum {
        true => Ok(value),
        false => Err(ApiError::Parameter {
            name,
            value: value.to_string(),
            allowed: format!("at most {maximum}"),
        }),
    }
}

pub(super) fn flag(name: &'static str, text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(other) => Err(ApiError::Parameter {
            name,
            value: other.to_owned(),
            allowed: "`0` or `1`".to_owned(),
        }),
    }
}

/// A trace's id as the index writes it: 32 lower-case hex digits. Tools that count in numbers leave
/// leading zeros out.
pub(super) fn trace_id(text: &str) -> Result<String, ApiError> {
    id("trace id", text, 32)
}

/// The same for a span's id of 16 digits.
pub(super) fn span_id(text: &str) -> Result<String, ApiError> {
    id("span id", text, 16)
}

fn id(name: &'static str, text: &str, digits: usize) -> Result<String, ApiError> {
    let is_id = (1..=digits).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        // The protocol's mark of no id.
        && text.bytes().any(|byte| byte != b'0');
    match is_id {
        true => Ok(format!("{:0>digits$}", text.to_ascii_lowercase())),
        false => Err(ApiError::Parameter {
            name,
            value: text.to_owned(),
            allowed: format!("1 to {digits} hex digits that are not all zero"),
        }),
    }
}

pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_032_400_000_000_000;

    #[test]
    fn range_is_read_against_one_now() {
        assert_eq!(
            range(Some("15m"), Some("now"), NOW).unwrap(),
            (Some(NOW - 900_000_000_000), Some(NOW))
        );
        assert_eq!(range(Some(" "), None, NOW).unwrap(), (None, None));
        let said = |from, to| range(Some(from), Some(to), NOW).unwrap_err().to_string();
        assert!(said("soon", "now").contains("`from`: `soon` is not a time"));
        assert!(said("1h", "then").contains("`to`: `then` is not a time"));
        assert_eq!(said("1h", "2h"), "`from` is not before `to`");
    }

    #[test]
    fn ids_are_padded_and_lowered_and_nothing_else_is_one() {
        let short = trace_id("A1").unwrap();
        assert_eq!(short, "000000000000000000000000000000a1");
        assert_eq!(span_id("00000000000000Ff").unwrap(), "00000000000000ff");
        let long = "0".repeat(33);
        for wrong in ["", "0", "xyz", "12 ", "-1", "é1", long.as_str()] {
            let said = trace_id(wrong).unwrap_err().to_string();
            assert!(said.contains("1 to 32 hex digits"), "{said}");
        }
        assert!(span_id("12345678901234567").is_err());
    }
}
