//! Where a page ended: the place of its last hit in the total order. Whatever is indexed meanwhile
//! lies before or after that place and moves no other page.

use logboom_event::EventId;
use serde::{Deserialize, Serialize};

/// Sort key of all events; unique, because ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) time_ns: i64,
    pub(crate) id: EventId,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
}

impl Order {
    /// Does `a` stand on an earlier page than `b`?
    pub(crate) fn is_before(self, a: Place, b: Place) -> bool {
        match self {
            Order::Newest => a > b,
            Order::Oldest => a < b,
        }
    }

    pub(crate) fn compare(self, a: &Place, b: &Place) -> std::cmp::Ordering {
        match self {
            Order::Newest => b.cmp(a),
            Order::Oldest => a.cmp(b),
        }
    }
}

/// Opaque to clients; names its order, so that it cannot be continued in the other one.
pub(crate) fn encode(order: Order, place: Place) -> String {
    let letter = match order {
        Order::Newest => 'n',
        Order::Oldest => 'o',
    };
    format!("{letter}{:x}.{}", place.time_ns.cast_unsigned(), place.id)
}

pub(crate) fn decode(order: Order, text: &str) -> Option<Place> {
    let body = text.strip_prefix(match order {
        Order::Newest => 'n',
        Order::Oldest => 'o',
    })?;
    let (time, id) = body.split_once('.')?;
    let place = Place {
        time_ns: u64::from_str_radix(time, 16).ok()?.cast_signed(),
        id: id.parse().ok()?,
    };
    (encode(order, place) == text).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_in_their_own_order_only() {
        for time_ns in [0, -1, i64::MIN, i64::MAX, 1_769_846_400_123_456_789] {
            let place = Place {
                time_ns,
                id: EventId {
                    incarnation: 1,
                    partition: 2,
                    offset: 3,
                    index: 4,
                },
            };
            let text = encode(Order::Newest, place);
            assert_eq!(decode(Order::Newest, &text), Some(place));
            assert_eq!(decode(Order::Oldest, &text), None);
        }
        for text in [
            "",
            "n",
            "n.",
            "n1",
            "nzz.1-2-3-4",
            "n+1.1-2-3-4",
            "n1.1-2-3",
        ] {
            assert_eq!(decode(Order::Newest, text), None, "{text}");
        }
    }
}
