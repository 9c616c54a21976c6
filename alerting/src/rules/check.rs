//! From a rule file's text to rules, or to what is wrong with it.

use std::{path::Path, sync::Arc, time::Duration};

use serde_saphyr::{Location, Spanned};

use super::{
    INDEXES, Rule, RuleSet, pattern,
    raw::{RawFile, RawRule},
    threshold::Threshold,
};
use crate::{RuleError, limits};

/// Labels that alerting sets itself.
const OWN_LABELS: [&str; 3] = ["alertname", "__missing__", "logboom_overflow"];

/// Adds the rules of `text` to `set`, and its mistakes to `errors`.
pub(super) fn file(file: &Path, text: &str, set: &mut RuleSet, errors: &mut Vec<RuleError>) {
    let raw: RawFile = match serde_saphyr::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            errors.push(yaml_error(file, &error));
            return;
        }
    };
    let mut check = Check {
        file,
        key: String::new(),
        errors,
    };
    if raw.version.value != 1 {
        let message = format!(
            "`{}` is not known here; this logboom reads version `1`",
            raw.version.value
        );
        check.error("version", raw.version.defined, message);
    }
    for (index, receiver) in raw.receivers.iter().enumerate() {
        check.key = format!("receivers[{index}]");
        if receiver.value.name.is_empty() {
            check.error(
                "name",
                receiver.defined,
                "is empty; name the receiver".to_owned(),
            );
        }
        if let Some(problem) = receiver.value.webhook.problem() {
            check.error("webhook", receiver.defined, problem);
        }
        set.receivers.push(receiver.value.clone());
    }
    for (index, raw) in raw.rules.iter().enumerate() {
        check.key = format!("rules[{index}]");
        let before = check.errors.len();
        let rule = check.rule(&raw.value, raw.defined);
        if check.errors.len() == before {
            set.rules.push(Arc::new(rule));
        }
    }
}

pub(super) struct Check<'a> {
    file: &'a Path,
    /// The element being looked at, as `rules[3]`.
    key: String,
    errors: &'a mut Vec<RuleError>,
}

impl Check<'_> {
    pub(super) fn error(&mut self, key: &str, at: Location, message: String) {
        let key = if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        };
        self.errors.push(RuleError {
            file: self.file.to_owned(),
            position: position(at),
            key,
            message,
        });
    }

    fn rule(&mut self, raw: &RawRule, at: Location) -> Rule {
        if raw.name.value.trim().is_empty() {
            self.error(
                "name",
                raw.name.defined,
                "is empty; name the rule".to_owned(),
            );
        }
        let index = self.index(raw);
        let query = raw
            .query
            .as_ref()
            .and_then(|query| self.query(query, &index));
        if let Some(regex) = &raw.regex
            && let Err(message) = pattern::check(&regex.value)
        {
            self.error("regex", regex.defined, message);
        }
        if raw.regex.is_none() && raw.threshold.is_none() {
            let message = if raw.query.is_some() {
                "has a `query` but neither `regex` nor `threshold`; to fire on every match add `threshold: {count: 1, within: 1m}`"
            } else {
                "has neither `regex` nor `threshold`; give a `regex`, or a `query` with a `threshold`"
            };
            self.error("regex", at, message.to_owned());
        } else if raw.regex.is_none() && raw.query.is_none() {
            let message = "counts nothing; give a `query` or a `regex` (`query: '*'` counts all)";
            self.error("threshold", at, message.to_owned());
        }
        let Threshold {
            count,
            within_ns,
            quantile,
            group_by,
            group_fields,
        } = match &raw.threshold {
            Some(threshold) => self.threshold(&threshold.value, threshold.defined, &index),
            None => Threshold::each(nanos(limits::WITHIN_DEFAULT)),
        };
        for label in raw
            .labels
            .keys()
            .chain(&group_by)
            .filter(|label| OWN_LABELS.contains(&label.as_str()))
        {
            self.error(
                "labels",
                at,
                format!("`{label}` is set by logboom; choose another name"),
            );
        }
        for label in group_by
            .iter()
            .filter(|label| raw.labels.contains_key(*label))
        {
            self.error(
                "labels",
                at,
                format!("`{label}` is also in `group_by`; it cannot have two values"),
            );
        }
        let for_ns = self
            .optional_duration("for", raw.for_.as_ref())
            .unwrap_or(0);
        let hold_ns = self
            .optional_duration("keep_firing_for", raw.keep_firing_for.as_ref())
            .unwrap_or(within_ns);
        let mut rule = Rule {
            name: raw.name.value.clone(),
            description: raw.description.clone(),
            index,
            query_text: raw.query.as_ref().map(|query| query.value.clone()),
            query,
            regex: raw.regex.as_ref().map(|regex| regex.value.clone()),
            count,
            within_ns,
            quantile,
            group_by,
            group_fields,
            for_ns,
            hold_ns,
            labels: raw.labels.clone(),
            annotations: raw.annotations.clone(),
            receivers: raw.receivers.clone(),
            file: self.file.to_owned(),
            line: raw.name.defined.line(),
            condition: String::new(),
        };
        rule.condition = rule.condition_of();
        rule
    }

    fn index(&mut self, raw: &RawRule) -> String {
        let Some(index) = &raw.index else {
            return INDEXES[0].to_owned();
        };
        if !INDEXES.contains(&index.value.as_str()) {
            let message = format!(
                "there is no index `{}` that rules can look at{}",
                index.value,
                hint(&index.value, &INDEXES)
            );
            self.error("index", index.defined, message);
            return INDEXES[0].to_owned();
        }
        index.value.clone()
    }

    fn query(&mut self, query: &Spanned<String>, index: &str) -> Option<Arc<logboom_query::Query>> {
        // A rule is evaluated event by event: pipes have no place in it.
        let parsed = logboom_query::parse_in(&query.value, Some(index));
        let filter = parsed.and_then(|query| query.filter_only().map(|()| query));
        let message = match filter {
            Ok(filter) => match &filter.index {
                Some(other) if other != index => format!(
                    "looks at the index `{other}` and its rule at `{index}`; leave `index:{other}` out, and give the rule the key `index: {other}` if that is meant"
                ),
                _ => return Some(Arc::new(filter)),
            },
            Err(error) => error.to_string(),
        };
        self.error("query", query.defined, message);
        None
    }

    fn optional_duration(&mut self, key: &str, raw: Option<&Spanned<String>>) -> Option<i64> {
        raw.and_then(|raw| self.duration(key, raw))
    }

    pub(super) fn duration(&mut self, key: &str, raw: &Spanned<String>) -> Option<i64> {
        match humantime::parse_duration(&raw.value) {
            Ok(duration) if duration <= limits::WITHIN_MAX => Some(nanos(duration)),
            Ok(_) => {
                let message = format!(
                    "`{}` is too long; at most {} are allowed",
                    raw.value,
                    super::show(nanos(limits::WITHIN_MAX))
                );
                self.error(key, raw.defined, message);
                None
            }
            Err(_) => {
                self.error(
                    key,
                    raw.defined,
                    format!(
                        "`{}` is no duration; write it like `60s`, `5m` or `1h 30m`",
                        raw.value
                    ),
                );
                None
            }
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("durations here are at most days")
}

fn position(at: Location) -> Option<(u64, u64)> {
    (at.line() > 0).then(|| (at.line(), at.column()))
}

fn yaml_error(file: &Path, error: &serde_saphyr::Error) -> RuleError {
    let error = error.without_snippet();
    let (key, message) = match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => (
            field.clone(),
            format!("is not a known key{}", hint(field, expected)),
        ),
        serde_saphyr::Error::SerdeMissingField { field, .. } => {
            ((*field).to_owned(), "is missing".to_owned())
        }
        other => (String::new(), plain(&other.to_string())),
    };
    RuleError {
        file: file.to_owned(),
        position: error.location().and_then(position),
        key,
        message,
    }
}

/// The first line of a parser's message without the position, which we show ourselves.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    let mut letters = line.chars();
    match letters.next() {
        // "Invalid …" → "invalid …", but "YAML …" stays.
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => line.to_owned(),
    }
}

/// "; did you mean `count`?", or all there is when nothing is near.
pub(super) fn hint<S: AsRef<str>>(found: &str, known: &[S]) -> String {
    let near = known
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&found.to_lowercase(), name.as_ref()),
                name.as_ref(),
            )
        })
        .min()
        .filter(|(distance, name)| *distance <= (name.len() / 2).max(2));
    let all = known
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    match near {
        Some((_, name)) => format!("; did you mean `{name}`? allowed are {all}"),
        None => format!("; allowed are {all}"),
    }
}
