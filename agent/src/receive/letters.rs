//! Dead letters: what can never be taken, with the reason, for people to find.
//!
//! One JSON object a record of the topic `_logboom_rejected`:
//! `{"reason": …, "signal": "logs"|"traces", "received": RFC 3339, "record": {the item alone, in OTLP/JSON}}`,
//! the record cut to a bound. What a request has beyond [`limits::REJECTED_ITEMS_MAX`] of them is told as a number in
//! one more letter without a record.

use std::collections::BTreeMap;

use bytes::Bytes;
use logboom_event::otlp::{IdFault, Item, Request, Signal};
use serde_json::{Value, json};

use super::limits;
use super::sort::{Parcel, Topic};

/// Why an item can never be taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Id(#[from] IdFault),
    #[error("it has {bytes} bytes, more than the {max} of a record", max = limits::ITEM_BYTES_MAX)]
    TooLarge { bytes: usize },
    #[error("its resource and scope have {bytes} bytes, more than {max}", max = limits::SHARED_BYTES_MAX)]
    SharedTooLarge { bytes: usize },
    #[error("the queue refused it: {error}")]
    Refused { error: String },
}

/// The rejected items of one request.
#[derive(Debug)]
pub struct Letters {
    signal: Signal,
    received: String,
    /// How often each kind of reason, with one that was given.
    reasons: BTreeMap<&'static str, (u64, String)>,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    source_bytes: usize,
}

impl Fault {
    /// For the metric's label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Fault::Id(_) => "id",
            Fault::TooLarge { .. } => "too_large",
            Fault::SharedTooLarge { .. } => "shared_too_large",
            Fault::Refused { .. } => "refused",
        }
    }
}

impl Letters {
    pub(crate) fn new(signal: Signal, received: &str) -> Letters {
        Letters {
            signal,
            received: received.to_owned(),
            reasons: BTreeMap::new(),
            kept: Vec::new(),
            kept_bytes: 0,
            source_bytes: 0,
        }
    }

    pub(crate) fn add(&mut self, item: &Item<'_>, fault: Fault) {
        let reason = fault.to_string();
        self.source_bytes += item.alone_len();
        if self.kept.len() < limits::REJECTED_ITEMS_MAX
            && self.kept_bytes < limits::LETTERS_BYTES_MAX
            && self.source_bytes <= limits::REJECTED_SOURCE_BYTES_MAX
        {
            let letter = self.letter(&reason, "record", item.to_json(limits::REJECTED_BYTES_MAX));
            self.kept_bytes += letter.len();
            self.kept.push(letter);
        }
        let counted = self.reasons.entry(fault.label()).or_insert((0, reason));
        counted.0 += 1;
    }

    fn letter(&self, reason: &str, name: &str, content: Value) -> Bytes {
        let letter = json!({
            "reason": reason,
            "signal": self.signal.as_str(),
            "received": self.received,
            name: content,
        });
        letter.to_string().into()
    }

    /// All items of a record that the queue will never take.
    pub(crate) fn refused(&mut self, value: Bytes, error: &str) -> u64 {
        let request = Request::from_protobuf(self.signal, value);
        let request = request.expect("what was made of a well-formed request is one");
        for item in request.items() {
            let error = error.to_owned();
            self.add(&item, Fault::Refused { error });
        }
        request.len() as u64
    }

    /// None yet, of the same request.
    pub(crate) fn anew(&self) -> Letters {
        Letters::new(self.signal, &self.received)
    }

    /// Counts those of `later` too; they are kept already.
    pub(crate) fn join(&mut self, later: Letters) {
        for (label, (count, reason)) in later.reasons {
            self.reasons.entry(label).or_insert((0, reason)).0 += count;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Items rejected.
    pub fn len(&self) -> u64 {
        self.reasons.values().map(|(count, _)| count).sum()
    }

    /// How many for which label.
    pub(crate) fn by_label(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.reasons
            .iter()
            .map(|(label, (count, _))| (*label, *count))
    }

    /// What the sender is told.
    pub(crate) fn message(&self, topic: &str) -> String {
        let reasons = self.reasons.values();
        let reasons: Vec<String> = reasons
            .map(|(count, reason)| format!("{count} × {reason}"))
            .collect();
        format!(
            "never to be taken: {}; see topic `{topic}`",
            reasons.join("; ")
        )
    }

    /// Bytes of the letters so far.
    pub(crate) fn bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The records that keep them.
    pub(crate) fn parcels(&self, topic: &Topic, turn: u64) -> Vec<Parcel> {
        let mut letters = self.kept.clone();
        let untold = self.len() - letters.len() as u64;
        if untold > 0 {
            let reasons: BTreeMap<_, _> = self.by_label().collect();
            let reason = format!("{untold} more of one request are not kept");
            letters.push(self.letter(&reason, "rejected", json!(reasons)));
        }
        let parcels = letters.into_iter().map(|value| Parcel {
            topic: topic.name.clone(),
            partition: topic.partition(turn),
            value,
        });
        parcels.collect()
    }
}
