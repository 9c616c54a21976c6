//! From a request to records: sorted by partition, cut to size, with what can never be taken set aside.
//!
//! A function of its arguments, without I/O.

use std::sync::Arc;

use bytes::Bytes;
use logboom_event::otlp::{Item, Request, Signal, pack};
use xxhash_rust::xxh3::xxh3_64;

use super::letters::{Fault, Letters};
use super::limits;
use super::refusal::Refusal;

/// Where records go, with the partitions that the queue really has.
#[derive(Debug, Clone)]
pub struct Topics {
    pub logs: Topic,
    pub spans: Topic,
    pub rejected: Topic,
}

#[derive(Debug, Clone)]
pub struct Topic {
    pub name: Arc<str>,
    pub partitions: u32,
}

/// A record to be.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub topic: Arc<str>,
    pub partition: i32,
    pub value: Bytes,
}

/// All that a request became.
#[derive(Debug)]
pub struct Sorted {
    pub parcels: Vec<Parcel>,
    /// Items in them.
    pub items: usize,
    pub letters: Letters,
}

impl Topics {
    pub(crate) fn of(&self, signal: Signal) -> &Topic {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Spans => &self.spans,
        }
    }
}

impl Topic {
    /// Partition of something that hashes or counts to `number`.
    pub(crate) fn partition(&self, number: u64) -> i32 {
        (number % u64::from(self.partitions.max(1))) as i32
    }
}

/// Spans go to the partition of their trace, so that a trace is in one. The logs of a request stay
/// together, in the partition that `turn` gives: what belongs together packs well. `received` is for dead letters.
/// `grow` is told of the bytes of each record that is not a part of the request; it may refuse.
pub fn sort(
    request: &Request,
    topics: &Topics,
    turn: u64,
    received: &str,
    mut grow: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Sorted, Refusal> {
    let signal = request.signal();
    let topic = topics.of(signal);
    let mut letters = Letters::new(signal, received);
    let mut places: Vec<Vec<Item<'_>>> = vec![Vec::new(); topic.partitions.max(1) as usize];
    for item in request.items() {
        let number = match place(&item, turn) {
            Ok(number) => number,
            Err(fault) => {
                letters.add(&item, fault);
                continue;
            }
        };
        places[topic.partition(number) as usize].push(item);
    }

    let whole = request.body();
    let mut parcels = Vec::new();
    let mut bytes = 0;
    for (partition, items) in places.iter().enumerate() {
        let parcel = |value| Parcel {
            topic: Arc::clone(&topic.name),
            partition: partition as i32,
            value,
        };
        if items.len() == request.len() && whole.len() <= limits::RECORD_BYTES {
            parcels.extend((!items.is_empty()).then(|| parcel(whole.clone())));
            continue;
        }
        for packed in pack(items.iter().copied(), limits::RECORD_BYTES) {
            bytes += packed.value.len();
            if bytes > limits::SORTED_BYTES_MAX {
                return Err(Refusal::TooLarge {
                    what: "request, with its resources repeated for each partition,",
                    max: limits::SORTED_BYTES_MAX,
                });
            }
            grow(packed.value.len())?;
            parcels.push(parcel(packed.value));
        }
    }
    Ok(Sorted {
        parcels,
        items: places.iter().map(Vec::len).sum(),
        letters,
    })
}

/// The number that decides on an item's partition, or why it can never be taken.
fn place(item: &Item<'_>, turn: u64) -> Result<u64, Fault> {
    let shared = item.shared_len();
    if shared > limits::SHARED_BYTES_MAX {
        return Err(Fault::SharedTooLarge { bytes: shared });
    }
    let bytes = item.alone_len();
    if bytes > limits::ITEM_BYTES_MAX {
        return Err(Fault::TooLarge { bytes });
    }
    match item.signal() {
        Signal::Logs => Ok(turn),
        Signal::Spans => match item.id_fault() {
            Some(fault) => Err(fault.into()),
            None => Ok(xxh3_64(&item.trace_id().unwrap_or_default())),
        },
    }
}
