//! What Jaeger's page and Grafana write into an address, read.
//!
//! Parameters that nobody here knows are passed over: clients send some that only steer their own
//! display. Times are counts of microseconds (milliseconds for dependencies), lengths of time are written as Go does.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde_json::Value;

use super::answer::Failure;
use crate::limits::{
    JAEGER_DEPENDENCIES_LOOKBACK, JAEGER_LOOKBACK, JAEGER_TAGS_MAX, JAEGER_TRACES_DEFAULT,
    JAEGER_TRACES_MAX,
};
use crate::routes::params;
use crate::time;

const NS_PER_US: i64 = 1_000;
const NS_PER_MS: i64 = 1_000_000;

/// Names with their values, in order; a name may be there several times.
pub(in crate::routes) struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked, Failure> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(pairs)| Asked(pairs))
            .map_err(|rejection| Failure::bad(rejection.body_text()))
    }
}

/// What `/api/traces` asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    /// These, by their ids.
    Ids(Vec<String>),
    Search(Search),
}

/// Traces with one span that is all of this.
#[derive(Debug, PartialEq)]
pub(super) struct Search {
    pub(super) service: String,
    pub(super) operation: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) min_ns: Option<u64>,
    pub(super) max_ns: Option<u64>,
    pub(super) from_ns: i64,
    /// Excluded, where Jaeger's `end` is included.
    pub(super) to_ns: i64,
    pub(super) limit: usize,
}

impl Asked {
    /// The first value, unless it is empty.
    pub(super) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).find(|value| !value.is_empty())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(given, _)| given == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A value that must be there.
    pub(super) fn need<'a>(&'a self, name: &'a str) -> Result<&'a str, Failure> {
        self.get(name)
            .ok_or_else(|| Failure::bad(format!("parameter '{name}' is required")))
    }

    pub(super) fn wanted(&self, now_ns: i64) -> Result<Wanted, Failure> {
        let mut ids: Vec<String> = Vec::new();
        for given in self.all("traceID") {
            let id = params::trace_id(given)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.len() > JAEGER_TRACES_MAX {
            let count = ids.len();
            return Err(Failure::bad(format!(
                "{count} of 'traceID' are given; at most {JAEGER_TRACES_MAX} are answered"
            )));
        }
        if !ids.is_empty() {
            return Ok(Wanted::Ids(ids));
        }
        let service = self.need("service")?.to_owned();
        let (min_ns, max_ns) = (self.duration("minDuration")?, self.duration("maxDuration")?);
        if min_ns.zip(max_ns).is_some_and(|(min, max)| max < min) {
            return Err(Failure::bad(
                "'maxDuration' should be greater than 'minDuration'",
            ));
        }
        let (from_ns, to_ns) = self.range(now_ns)?;
        Ok(Wanted::Search(Search {
            service,
            operation: self.get("operation").map(str::to_owned),
            tags: self.tags()?,
            min_ns,
            max_ns,
            from_ns,
            to_ns,
            limit: self.limit()?,
        }))
    }

    /// The time that a dependency graph is of: `lookback` before `endTs`, in milliseconds.
    pub(super) fn graph_range(&self, now_ns: i64) -> Result<(i64, i64), Failure> {
        let to_ns = self.count("endTs", NS_PER_MS)?.unwrap_or(now_ns);
        let lookback = self.count("lookback", NS_PER_MS)?;
        let lookback = lookback.unwrap_or(nanos(JAEGER_DEPENDENCIES_LOOKBACK));
        if lookback <= 0 {
            return Err(unreadable(
                "lookback",
                "0",
                "a positive count of milliseconds",
            ));
        }
        Ok((to_ns.saturating_sub(lookback), to_ns))
    }

    /// `lookback` counts only without `start`; Jaeger's page sends both, or `custom`.
    fn range(&self, now_ns: i64) -> Result<(i64, i64), Failure> {
        let end = self.count("end", NS_PER_US)?;
        // A microsecond that is included is a thousand nanoseconds.
        let to_ns = end.map_or(now_ns, |end| end.saturating_add(NS_PER_US));
        let lookback = match self.get("lookback") {
            None | Some("custom") => nanos(JAEGER_LOOKBACK),
            Some(text) => time::length(text).ok_or_else(|| {
                unreadable("lookback", text, "a length of time such as `1h` or `2d`")
            })?,
        };
        let from_ns = match self.count("start", NS_PER_US)? {
            Some(start) => start,
            None => to_ns.saturating_sub(lookback),
        };
        match from_ns < to_ns {
            true => Ok((from_ns, to_ns)),
            false => Err(Failure::bad("'start' should be before 'end'")),
        }
    }

    /// A count of a unit of time, in nanoseconds.
    fn count(&self, name: &str, unit_ns: i64) -> Result<Option<i64>, Failure> {
        let unit = if unit_ns == NS_PER_US {
            "microseconds"
        } else {
            "milliseconds"
        };
        let read = |text: &str| match text.parse::<i64>() {
            Ok(count) => Ok(count.saturating_mul(unit_ns)),
            Err(_) => Err(unreadable(name, text, &format!("a count of {unit}"))),
        };
        self.get(name).map(read).transpose()
    }

    fn duration(&self, name: &str) -> Result<Option<u64>, Failure> {
        let expected = "a duration with units, such as `1.2s`, `100ms` or `500us`";
        self.get(name)
            .map(|text| go_duration(text).ok_or_else(|| unreadable(name, text, expected)))
            .transpose()
    }

    fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.get("limit") else {
            return Ok(JAEGER_TRACES_DEFAULT);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=JAEGER_TRACES_MAX).contains(limit))
            .ok_or_else(|| {
                let expected = format!("a number from 1 to {JAEGER_TRACES_MAX}");
                unreadable("limit", text, &expected)
            })
    }

    /// `tags` is an object of JSON, `tag` is `key:value`; either may be there several times, and `tags` may
    /// be written like `tag`.
    fn tags(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut tags = Vec::new();
        for text in self.all("tags").filter(|text| !text.trim().is_empty()) {
            match text.trim_start().starts_with('{') {
                true => tags.extend(object(text)?),
                false => tags.push(pair("tags", text)?),
            }
        }
        for text in self.all("tag").filter(|text| !text.trim().is_empty()) {
            tags.push(pair("tag", text)?);
        }
        if tags.len() > JAEGER_TAGS_MAX {
            let count = tags.len();
            return Err(Failure::bad(format!(
                "{count} tags are given; at most {JAEGER_TAGS_MAX} are searched for"
            )));
        }
        Ok(tags)
    }
}

fn object(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let malformed = |problem: String| {
        Failure::bad(format!(
            "malformed 'tags' parameter, cannot unmarshal JSON: {problem}"
        ))
    };
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let tag = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Bool(_) | Value::Number(_) => Ok((key, value.to_string())),
        _ => Err(malformed(format!(
            "`{key}` is neither text, number nor truth value"
        ))),
    };
    fields.into_iter().map(tag).collect()
}

fn pair(name: &str, text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once(':').filter(|(key, _)| !key.is_empty());
    parts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| {
            Failure::bad(format!(
                "malformed '{name}' parameter, expecting key:value, received: {text}"
            ))
        })
}

/// Nanoseconds of a duration as Go writes it: `1h2m`, `1.5s`, `100us`.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ns = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit_ns;
        rest = tail;
    }
    // Beyond this a float skips nanoseconds, and no span lasts 104 days.
    let is_exact = !text.trim().is_empty() && total <= 9e15;
    is_exact.then_some(total.round() as u64)
}

fn nanos(length: std::time::Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}

fn unreadable(name: &str, text: &str, expected: &str) -> Failure {
    Failure::bad(format!(
        "unable to parse param '{name}': `{text}` is not {expected}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_032_400_000_000_000;

    fn form(pairs: &[(&str, &str)]) -> Asked {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Asked(pairs.iter().map(owned).collect())
    }

    fn search(pairs: &[(&str, &str)]) -> Result<Search, String> {
        match form(pairs).wanted(NOW) {
            Ok(Wanted::Search(search)) => Ok(search),
            Ok(Wanted::Ids(ids)) => panic!("{ids:?} were asked for"),
            Err(failure) => Err(failure.msg().to_owned()),
        }
    }

    #[test]
    fn a_whole_search_is_read() {
        let read = search(&[
            ("service", "cart"),
            ("operation", "GET /"),
            ("tags", r#"{"error":"true","http.status_code":500}"#),
            ("tag", "peer:10.0.0.1:80"),
            ("tags", "a:b"),
            ("start", "1764032000000000"),
            ("end", "1764032400000000"),
            ("minDuration", "1.5ms"),
            ("maxDuration", "1m1s"),
            ("limit", "20"),
            ("lookback", "1h"),
            ("prettyPrint", "true"),
        ]);
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = Search {
            service: "cart".into(),
            operation: Some("GET /".into()),
            tags: vec![
                tag("error", "true"),
                tag("http.status_code", "500"),
                tag("a", "b"),
                tag("peer", "10.0.0.1:80"),
            ],
            min_ns: Some(1_500_000),
            max_ns: Some(61_000_000_000),
            from_ns: 1_764_032_000_000_000_000,
            to_ns: 1_764_032_400_000_001_000,
            limit: 20,
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_not_given_is_as_in_jaeger() {
        let read = search(&[("service", "cart"), ("operation", ""), ("tags", "{}")]).unwrap();
        assert_eq!((read.operation, read.tags, read.limit), (None, vec![], 100));
        assert_eq!(
            (read.from_ns, read.to_ns),
            (NOW - 48 * 3_600_000_000_000, NOW)
        );
        let hour = search(&[("service", "cart"), ("lookback", "1h")]).unwrap();
        assert_eq!(hour.from_ns, NOW - 3_600_000_000_000);
        let custom = search(&[("service", "cart"), ("lookback", "custom")]).unwrap();
        assert_eq!(custom.from_ns, NOW - 48 * 3_600_000_000_000);
    }

    #[test]
    fn ids_win_over_a_search() {
        let wanted = form(&[("traceID", "A1"), ("traceID", "b2"), ("service", "x")]).wanted(NOW);
        let ids = vec![format!("{:0>32}", "a1"), format!("{:0>32}", "b2")];
        assert_eq!(wanted.unwrap(), Wanted::Ids(ids));
    }

    #[test]
    fn wrong_parameters_are_named() {
        let with = |name: &'static str, value: &'static str| {
            search(&[("service", "cart"), (name, value)]).unwrap_err()
        };
        for (name, value, said) in [
            (
                "start",
                "soon",
                "unable to parse param 'start': `soon` is not a count of microseconds",
            ),
            ("end", "1.5", "unable to parse param 'end'"),
            (
                "start",
                "1764032400000001",
                "'start' should be before 'end'",
            ),
            ("limit", "0", "'limit': `0` is not a number from 1 to 1500"),
            ("limit", "1501", "from 1 to 1500"),
            (
                "minDuration",
                "12",
                "unable to parse param 'minDuration': `12` is not a duration with units",
            ),
            ("maxDuration", "1y", "'maxDuration'"),
            ("lookback", "ever", "'lookback': `ever`"),
            (
                "tag",
                "error",
                "malformed 'tag' parameter, expecting key:value, received: error",
            ),
            (
                "tags",
                "{",
                "malformed 'tags' parameter, cannot unmarshal JSON",
            ),
            ("tags", r#"{"a":["b"]}"#, "`a` is neither"),
            ("traceID", "xyz", "`trace id` is `xyz`"),
        ] {
            let message = with(name, value);
            assert!(message.contains(said), "{message}");
        }
        assert_eq!(search(&[]).unwrap_err(), "parameter 'service' is required");
        let crossed = [
            ("service", "a"),
            ("minDuration", "2s"),
            ("maxDuration", "1s"),
        ];
        assert!(search(&crossed).unwrap_err().contains("greater than"));
        let many = vec![("tag", "a:b"); 51];
        let many = [vec![("service", "a")], many].concat();
        assert!(search(&many).unwrap_err().contains("at most 50"));
    }

    #[test]
    fn a_graph_is_of_a_day_unless_it_says() {
        let day = 86_400_000_000_000;
        assert_eq!(form(&[]).graph_range(NOW).unwrap(), (NOW - day, NOW));
        let given = [("endTs", "1764032400000"), ("lookback", "3600000")];
        let read = form(&given).graph_range(0).unwrap();
        assert_eq!(read, (NOW - 3_600_000_000_000, NOW));
        assert!(form(&[("endTs", "now")]).graph_range(0).is_err());
        assert!(form(&[("lookback", "0")]).graph_range(0).is_err());
    }

    #[test]
    fn durations_are_exact_to_the_nanosecond() {
        for (text, ns) in [
            ("0.3s", 300_000_000),
            ("1h2m", 3_720_000_000_000),
            ("7ns", 7),
            ("1.5µs", 1_500),
        ] {
            assert_eq!(go_duration(text), Some(ns), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1..2s", "1e3s", "1s x", "99999h"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
