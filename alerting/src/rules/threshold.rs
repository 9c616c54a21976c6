//! The `threshold` of a rule: so many events, or a quantile of a field of theirs.

use logboom_query::{Field, GroupKey, Pipe, SPANS};
use serde_saphyr::{Location, Spanned};

use super::{check::Check, quantile, quantile::QuantileThreshold, raw::RawThreshold};
use crate::limits;

/// A checked threshold; of one with mistakes, what could be read.
pub(super) struct Threshold {
    pub(super) count: u32,
    pub(super) within_ns: i64,
    pub(super) quantile: Option<QuantileThreshold>,
    pub(super) group_by: Vec<String>,
    pub(super) group_fields: Vec<Field>,
}

impl Threshold {
    /// Fires on each event.
    pub(super) fn each(within_ns: i64) -> Threshold {
        Threshold {
            count: 1,
            within_ns,
            quantile: None,
            group_by: Vec::new(),
            group_fields: Vec::new(),
        }
    }
}

impl Check<'_> {
    pub(super) fn threshold(&mut self, raw: &RawThreshold, at: Location, index: &str) -> Threshold {
        let quantile = match &raw.quantile {
            Some(quantile) => self.quantile(raw, quantile, index),
            None => {
                self.only_counts(raw, at);
                None
            }
        };
        let (key, count) = match &raw.quantile {
            Some(_) => ("threshold.count_min", raw.count_min.as_ref()),
            None => ("threshold.count", raw.count.as_ref()),
        };
        let count = count.map_or(1, |count| self.count(key, count));
        let within = self.duration("threshold.within", &raw.within);
        if within == Some(0) {
            self.error(
                "threshold.within",
                raw.within.defined,
                "is zero; a window has a length, as `1m`".to_owned(),
            );
        }
        let group_fields = self.group_by(&raw.group_by, at, index);
        Threshold {
            count,
            within_ns: within.unwrap_or(1),
            quantile,
            group_by: raw
                .group_by
                .iter()
                .map(|field| field.value.clone())
                .collect(),
            group_fields,
        }
    }

    fn count(&mut self, key: &str, raw: &Spanned<i64>) -> u32 {
        let count = u32::try_from(raw.value)
            .ok()
            .filter(|count| (1..=limits::COUNT_MAX).contains(count));
        count.unwrap_or_else(|| {
            let message = format!(
                "`{}` is out of range; allowed are 1 to {}",
                raw.value,
                limits::COUNT_MAX
            );
            self.error(key, raw.defined, message);
            1
        })
    }

    /// A threshold on a count has none of a quantile's keys.
    fn only_counts(&mut self, raw: &RawThreshold, at: Location) {
        if raw.count.is_none() {
            self.error(
                "threshold",
                at,
                "has neither `count` nor `quantile`; give `count: 10`, or `quantile: p99` with `field` and `above`"
                    .to_owned(),
            );
        }
        let stray = [
            ("field", raw.field.as_ref().map(|raw| raw.defined)),
            ("above", raw.above.as_ref().map(|raw| raw.defined)),
            ("count_min", raw.count_min.as_ref().map(|raw| raw.defined)),
        ];
        for (key, at) in stray {
            if let Some(at) = at {
                self.error(
                    &format!("threshold.{key}"),
                    at,
                    "belongs to a threshold on a quantile; add `quantile: p99`, or leave it out"
                        .to_owned(),
                );
            }
        }
    }

    fn quantile(
        &mut self,
        raw: &RawThreshold,
        quantile: &Spanned<String>,
        index: &str,
    ) -> Option<QuantileThreshold> {
        if let Some(count) = &raw.count {
            self.error(
                "threshold.count",
                count.defined,
                "stands beside `quantile`; to ask for a least number of values write `count_min`"
                    .to_owned(),
            );
        }
        let per_million = match quantile::quantile(&quantile.value) {
            Ok(per_million) => Some(per_million),
            Err(message) => {
                self.error("threshold.quantile", quantile.defined, message);
                None
            }
        };
        for (key, given) in [("field", &raw.field), ("above", &raw.above)] {
            if given.is_none() {
                let example = match key {
                    "field" => "field: duration",
                    _ => "above: 500ms",
                };
                self.error(
                    &format!("threshold.{key}"),
                    quantile.defined,
                    format!(
                        "is missing; a quantile is of a field and above a limit: add `{example}`"
                    ),
                );
            }
        }
        let (field, above) = (raw.field.as_ref()?, raw.above.as_ref()?);
        let read = match quantile::field(&field.value, index) {
            Ok(read) => read,
            Err(message) => {
                self.error("threshold.field", field.defined, message);
                return None;
            }
        };
        match quantile::limit(&above.value, &read) {
            Ok(limit) => Some(QuantileThreshold {
                quantile: quantile.value.clone(),
                field: field.value.clone(),
                above: above.value.clone(),
                per_million: per_million?,
                test: Some((read, limit)),
            }),
            Err(message) => {
                self.error("threshold.above", above.defined, message);
                None
            }
        }
    }

    fn group_by(&mut self, fields: &[Spanned<String>], at: Location, index: &str) -> Vec<Field> {
        const KEY: &str = "threshold.group_by";
        if fields.len() > limits::GROUP_BY_MAX {
            let message = format!(
                "has {} fields; at most {} are allowed",
                fields.len(),
                limits::GROUP_BY_MAX
            );
            self.error(KEY, at, message);
        }
        let mut read = Vec::new();
        for (place, field) in fields.iter().enumerate() {
            let name = &field.value;
            if name.is_empty() {
                self.error(KEY, field.defined, "has an empty field name".to_owned());
            }
            if fields[..place].iter().any(|other| other.value == *name) {
                self.error(KEY, field.defined, format!("names `{name}` twice"));
            }
            if index == SPANS && !name.is_empty() {
                match span_field(name) {
                    Ok(field) => read.push(field),
                    Err(message) => self.error(KEY, field.defined, message),
                }
            }
        }
        read
    }
}

/// A field of spans, as queries of them spell it.
fn span_field(name: &str) -> Result<Field, String> {
    let wrong = |reason: &str| {
        format!(
            "`{name}` {reason}; allowed are `service`, `operation`, `kind`, `status`, `host`, `trace_id` and attributes"
        )
    };
    // A span has none; the error of queries points to a column of theirs.
    if name == "level" {
        return Err("spans have no `level`; group by `status`".to_owned());
    }
    if name.contains(['(', ')', ',', '|']) {
        return Err(wrong("is no name of a field"));
    }
    let asked = format!("* | stats count() by {name}");
    let query = logboom_query::parse_in(&asked, Some(SPANS));
    let field = query.ok().and_then(|query| match query.pipes.as_slice() {
        [Pipe::Stats(stats)] => match stats.by.as_slice() {
            [only] => match &only.key {
                GroupKey::Field(field) => Some(field.clone()),
                GroupKey::Bin { .. } => None,
            },
            _ => None,
        },
        _ => None,
    });
    field.ok_or_else(|| wrong("is no name of a field that spans can be grouped by"))
}
