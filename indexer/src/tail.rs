//! Live tail: events on their way into the index, offered to whoever listens.
//!
//! Listeners never hold indexing up: a slow one misses events, and is told how many.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use logboom_event::{Event, EventId, Record};
use tokio::sync::broadcast;

use crate::{limits, metrics};

/// An event that was just indexed.
pub(crate) struct TailEvent {
    pub(crate) record: Record,
    pub(crate) event: Event,
    pub(crate) id: EventId,
    /// Given back when the last listener has passed it.
    held: Arc<AtomicUsize>,
}

impl Drop for TailEvent {
    fn drop(&mut self) {
        self.held
            .fetch_sub(self.record.value.len(), Ordering::Relaxed);
    }
}

/// What a listener hears.
#[derive(Clone)]
pub(crate) enum Offer {
    Event(Arc<TailEvent>),
    /// One event that did not fit into the memory for all listeners.
    TooMuch,
}

pub(crate) struct Tail {
    offers: broadcast::Sender<Offer>,
    held_bytes: Arc<AtomicUsize>,
}

impl Tail {
    pub(crate) fn new() -> Tail {
        Tail {
            offers: broadcast::Sender::new(limits::TAIL_EVENTS_MAX),
            held_bytes: Arc::default(),
        }
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener {
            offers: self.offers.subscribe(),
        }
    }

    pub(crate) fn offer(&self, record: &Record, event: &Event, id: EventId) {
        if self.offers.receiver_count() == 0 {
            return;
        }
        let bytes = record.value.len();
        let offer = if self.held_bytes.load(Ordering::Relaxed) + bytes > limits::TAIL_BYTES_MAX {
            Offer::TooMuch
        } else {
            self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
            let held = Arc::clone(&self.held_bytes);
            Offer::Event(Arc::new(TailEvent {
                record: record.clone(),
                event: event.clone(),
                id,
                held,
            }))
        };
        // The last listener may just have left.
        self.offers.send(offer).ok();
    }
}

pub(crate) struct Listener {
    offers: broadcast::Receiver<Offer>,
}

/// The next thing that a listener is told.
pub(crate) enum Heard {
    Event(Arc<TailEvent>),
    Dropped(u64),
}

impl Listener {
    /// `None` when the indexer stops.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        let heard = match self.offers.recv().await {
            Ok(Offer::Event(event)) => Heard::Event(event),
            Ok(Offer::TooMuch) => Heard::Dropped(1),
            Err(broadcast::error::RecvError::Lagged(missed)) => Heard::Dropped(missed),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        if let Heard::Dropped(missed) = &heard {
            ::metrics::counter!(metrics::TAIL_DROPPED).increment(*missed);
        }
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::{Machine, NOON_MS};

    fn offer(tail: &Tail, machine: &Machine, at: usize) {
        let record = &machine.log[0][at];
        let id = EventId {
            incarnation: 1,
            partition: 0,
            offset: at as i64,
            index: 0,
        };
        tail.offer(record, &Event::parse(record), id);
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_many_events_it_missed() {
        let mut machine = Machine::new(1);
        let tail = Tail::new();
        let mut listener = tail.listen();
        let sent = limits::TAIL_EVENTS_MAX + 10;
        (0..sent as u64).for_each(|number| machine.append(0, 1, number, NOON_MS));
        (0..sent).for_each(|at| offer(&tail, &machine, at));
        assert!(matches!(listener.next().await, Some(Heard::Dropped(10))));
        match listener.next().await {
            Some(Heard::Event(event)) => assert_eq!(event.id.offset, 10),
            _ => panic!("the first event that is still held"),
        }
    }

    #[tokio::test]
    async fn huge_events_are_bounded_by_their_bytes_and_given_back() {
        let mut machine = Machine::new(1);
        let tail = Tail::new();
        let mut listener = tail.listen();
        let held_max = limits::TAIL_BYTES_MAX >> 20;
        (0..=held_max).for_each(|_| machine.push(0, vec![b'x'; 1 << 20], None, NOON_MS));
        (0..=held_max).for_each(|at| offer(&tail, &machine, at));
        for _ in 0..held_max {
            assert!(matches!(listener.next().await, Some(Heard::Event(_))));
        }
        assert!(matches!(listener.next().await, Some(Heard::Dropped(1))));
        assert_eq!(tail.held_bytes.load(Ordering::Relaxed), 0);
    }
}
