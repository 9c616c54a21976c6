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
