//! A notification: its id, and its body in Alertmanager's webhook format, version 4.
//!
//! Text from logs and rules only ever becomes a JSON string; nothing in it is interpreted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    episode::Change,
    evaluate::Transition,
    group_key::GroupKey,
    rules::{Rule, show},
    sample::{page, samples},
    stamp,
};

impl Change {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Change::Pending => "pending",
            Change::Firing => "firing",
            Change::Resolved => "resolved",
            Change::Cancelled => "cancelled",
            Change::Lengthened => "lengthened",
        }
    }

    /// Whether receivers are told.
    pub(crate) fn is_told(self) -> bool {
        matches!(self, Change::Firing | Change::Resolved)
    }
}

impl Transition {
    /// Names the episode: the same whenever the same lines are evaluated again.
    pub(crate) fn episode_id(&self) -> String {
        digest(
            &[
                &self.rule.name,
                &self.key.to_text(),
                &self.episode.start.to_string(),
            ],
            12,
        )
    }

    /// `webhook-id`: names the transition of the episode.
    pub(crate) fn notification_id(&self) -> String {
        format!(
            "msg_{}",
            digest(&[&self.episode_id(), &self.change.as_str().to_owned()], 15)
        )
    }

    /// When the episode was over; none while it lasts.
    pub(crate) fn ends_at(&self) -> Option<i64> {
        (!self.episode.is_open()).then(|| self.episode.end(self.rule.hold_ns))
    }

    /// Annotations, with the rule's description unless it says one itself.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = self.rule.annotations.clone();
        if !self.rule.description.is_empty() {
            annotations
                .entry("description".to_owned())
                .or_insert_with(|| self.rule.description.clone());
        }
        if self.key == GroupKey::Overflow {
            let text = format!(
                "rule `{}` has more than {} groups; its `group_by` names a field with too many values, and groups were dropped",
                self.rule.name,
                crate::limits::GROUPS_MAX
            );
            annotations.insert("summary".to_owned(), text);
        }
        annotations
    }

    /// The body for one receiver.
    pub(crate) fn body(&self, receiver: &str, external_url: &str) -> Value {
        let labels = self.key.labels(&self.rule);
        let annotations = self.annotations();
        let status = self.change.as_str();
        let ends_at = self
            .ends_at()
            .map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), stamp::nanos);
        json!({
            "version": "4",
            "groupKey": group_key(&labels),
            "truncatedAlerts": 0,
            "status": status,
            "receiver": receiver,
            "groupLabels": labels,
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": external_url,
            "alerts": [{
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": stamp::nanos(self.episode.start),
                "endsAt": ends_at,
                "generatorURL": self.generator_url(external_url),
                "fingerprint": fingerprint(&labels),
            }],
            "logboom": {
                "notification": self.notification_id(),
                "episode": self.episode_id(),
                "rule": self.rule.name,
                "condition": self.rule.condition,
                "index": self.rule.index,
                "window": self.window(),
                "lines": self.episode.lines,
                "lastLineAt": stamp::nanos(self.episode.last_line),
                "samples": samples(&self.episode.samples, external_url),
            },
        })
    }

    /// What the rule looks for in a window, and where it is a quantile, what was found there last.
    fn window(&self) -> Value {
        let within = show(self.rule.within_ns);
        let Some(quantile) = &self.rule.quantile else {
            return json!({"count": self.rule.count, "within": within});
        };
        let mut window = json!({
            "quantile": quantile.quantile,
            "field": quantile.field,
            "above": quantile.above,
            "countMin": self.rule.count,
            "within": within,
        });
        if let Some(tally) = &self.episode.tally {
            window["values"] = tally.values.into();
            window["valuesAbove"] = tally.above.into();
        }
        window
    }

    /// The search that shows the episode's lines, or the traces of its spans.
    fn generator_url(&self, external_url: &str) -> String {
        let found = match self.rule.index == logboom_query::SPANS {
            true => page(external_url, &["traces"]),
            false => url::Url::parse(external_url).ok(),
        };
        let Some(mut url) = found else {
            return String::new();
        };
        // A span counts at its end and is found by its start.
        let spans = self.episode.samples.iter().flat_map(|sample| &sample.span);
        let longest = spans.map(|span| span.duration_ns).max().unwrap_or(0);
        let from = self.episode.start.saturating_sub(self.rule.within_ns);
        let from = from.saturating_sub_unsigned(longest);
        let to = self.episode.last_line.saturating_add(self.rule.within_ns);
        url.query_pairs_mut()
            .append_pair("q", &search(&self.rule))
            .append_pair("from", &stamp::nanos(from))
            .append_pair("to", &stamp::nanos(to));
        url.into()
    }
}

fn search(rule: &Rule) -> String {
    let query = rule.query_text.as_ref().map(|query| format!("({query})"));
    let regex = rule
        .regex
        .as_ref()
        .map(|regex| format!("/{}/", regex.replace('/', "\\/")));
    let above = rule
        .quantile
        .as_ref()
        .map(|quantile| format!("{}:>{}", quantile.field, quantile.above));
    let parts: Vec<String> = [query, regex, above].into_iter().flatten().collect();
    match (parts.as_slice(), &rule.query_text) {
        ([_], Some(query)) => query.clone(),
        _ => parts.join(" AND "),
    }
}

/// 16 hex digits that name an alert by its labels.
pub(crate) fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let parts: Vec<&String> = labels
        .iter()
        .flat_map(|(name, value)| [name, value])
        .collect();
    digest(&parts, 8)
}

/// As Alertmanager writes it: the route (there is one, `{}`), then the group's labels.
fn group_key(labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

/// Hex of the first bytes of a hash over parts that cannot run into each other.
fn digest(parts: &[&String], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()[..bytes]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
