//! The stable identity of an event, and with it the total order of all events.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::IdError;

/// Where the queue keeps the event. Field order is the order of events whose times are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// Counts the times a partition was found replaced under its consumer.
    pub incarnation: u32,
    pub partition: i32,
    pub offset: i64,
    /// Position among the events of one record; 0 for a log line.
    pub index: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}-{}",
            self.incarnation, self.partition, self.offset, self.index
        )
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse(text).ok_or_else(|| IdError::Event(text.chars().take(64).collect()))
    }
}

/// Only the spelling that `Display` writes: an id is compared as text by clients.
fn parse(text: &str) -> Option<EventId> {
    let mut parts = text.split('-');
    let id = EventId {
        incarnation: parts.next()?.parse().ok()?,
        partition: parts.next()?.parse().ok()?,
        offset: parts.next()?.parse().ok()?,
        index: parts.next()?.parse().ok()?,
    };
    (parts.next().is_none() && id.to_string() == text).then_some(id)
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_survive_text_and_json() {
        let id = EventId {
            incarnation: 2,
            partition: 3,
            offset: i64::MAX,
            index: 4,
        };
        assert_eq!(id.to_string(), "2-3-9223372036854775807-4");
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<EventId>(&json).unwrap(), id);
    }

    #[test]
    fn a_second_spelling_of_an_id_is_refused() {
        for text in [
            "",
            "1-2-3",
            "1-2-3-4-5",
            "01-2-3-4",
            "+1-2-3-4",
            "1-2--3-4",
            "1-2-3-x",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
