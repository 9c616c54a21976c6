//! The store that is the queue.
//!
//! A producer of ours never gives a record up. A receiver must: its sender has heard that the request was not
//! taken and sends it again. So a producer with late records is retired, and its buffer thrown away once nobody
//! waits for it any more; what of it had arrived is there twice after the sender's retry.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use logboom_client::{ClientConfig, Error, Producer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::limits;
use super::sort::Parcel;
use super::store::{Refused, Store, Unstored};
use crate::status::now_ms;

pub(crate) struct Queue {
    config: ClientConfig,
    patience: Duration,
    current: Mutex<Current>,
    retired: mpsc::Sender<Producer>,
    /// When the last line about it was written: senders repeat, the log must not.
    complained: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Current {
    producer: Producer,
    /// Tells producers apart, so that each is retired once.
    number: u64,
}

impl Queue {
    /// The returned future must be run: it ends retired producers. It ends itself with `stop`.
    pub(crate) fn new(
        config: &ClientConfig,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<(Queue, impl Future<Output = ()> + Send + use<>), Error> {
        let (retired, leaving) = mpsc::channel(limits::RETIRED_MAX);
        let queue = Queue {
            config: config.clone(),
            patience,
            current: Mutex::new(Current {
                producer: Producer::new(config)?,
                number: 0,
            }),
            retired,
            complained: Mutex::new(None),
        };
        Ok((queue, see_off(leaving, patience, stop)))
    }

    fn current(&self) -> Current {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn complain(&self, error: Unstored) -> Unstored {
        let complained = self.complained.lock();
        let mut complained = complained.unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= limits::COMPLAINTS) {
            *complained = Some(Instant::now());
            warn!(%error, "the queue does not take requests of OTLP senders; they are told to send again");
        }
        error
    }

    /// Puts a new producer in the place of number `number`, unless somebody else did.
    fn retire(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != number {
            return;
        }
        // Without room the old one stays: the next that fails tries again.
        let Ok(place) = self.retired.try_reserve() else {
            return;
        };
        match Producer::new(&self.config) {
            Ok(producer) => {
                place.send(std::mem::replace(&mut current.producer, producer));
                current.number += 1;
            }
            Err(error) => error!(%error, "cannot make a new producer; trying on with the old one"),
        }
    }
}

impl Store for Queue {
    async fn store(&self, parcels: &[Parcel]) -> Result<Vec<Refused>, Unstored> {
        let Current { producer, number } = self.current();
        match tokio::time::timeout(self.patience, send(&producer, parcels)).await {
            Ok(Ok(refused)) => Ok(refused),
            Ok(Err(error)) => {
                // A producer survives a refusal: the next record may be taken.
                if !matches!(error, Error::Refused { .. }) {
                    self.retire(number);
                }
                Err(self.complain(error.into()))
            }
            Err(_) => {
                self.retire(number);
                let patience = self.patience;
                Err(self.complain(Unstored::Late { patience }))
            }
        }
    }
}

async fn send(producer: &Producer, parcels: &[Parcel]) -> Result<Vec<Refused>, Error> {
    // Arrival is the wall clock's.
    let arrival_ms = now_ms() as i64;
    let mut deliveries = Vec::with_capacity(parcels.len());
    for parcel in parcels {
        let sent = producer.send(
            &parcel.topic,
            Some(parcel.partition),
            None,
            &parcel.value,
            arrival_ms,
            &[],
        );
        deliveries.push(sent.await);
    }
    let mut refused = Vec::new();
    for (index, delivery) in deliveries.into_iter().enumerate() {
        let outcome = match delivery {
            Ok(delivery) => delivery.await.map(drop),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(error) if is_for_ever(&error) => refused.push(Refused {
                parcel: index,
                error: error.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// Whether the record can never be taken. One of the usual size is refused for reasons that somebody can put right,
/// and so is a larger one unless it is for its size.
fn is_for_ever(error: &Error) -> bool {
    matches!(error, Error::Refused { bytes, .. } if *bytes > limits::RECORD_BYTES)
        && error.is_too_large()
}

/// Drops producers when their last users have given up, on a thread that may block for it.
async fn see_off(
    mut leaving: mpsc::Receiver<Producer>,
    patience: Duration,
    stop: CancellationToken,
) {
    let mut last = None;
    loop {
        tokio::select! {
            producer = leaving.recv() => last = producer,
            () = stop.cancelled() => {}
        }
        let Some(producer) = last.take() else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(patience) => {}
            () = stop.cancelled() => {}
        }
        let dropped = tokio::task::spawn_blocking(move || drop(producer));
        if let Err(error) = dropped.await {
            warn!(%error, "a retired producer did not end well");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_producer_with_late_records_is_retired_once() {
        // Nobody listens there.
        let config = ClientConfig::new("127.0.0.1:1", "test");
        let stop = CancellationToken::new();
        let patience = Duration::from_millis(50);
        let (queue, leaving) = Queue::new(&config, patience, stop.clone()).unwrap();
        let leaving = tokio::spawn(leaving);
        let parcels = [Parcel {
            topic: "otlp_spans".into(),
            partition: 0,
            value: "a".into(),
        }];
        let (one, two) = tokio::join!(queue.store(&parcels), queue.store(&parcels));
        for outcome in [one, two] {
            assert!(matches!(outcome, Err(Unstored::Late { .. })), "{outcome:?}");
        }
        assert_eq!(queue.current().number, 1);
        stop.cancel();
        leaving.await.unwrap();
    }
}
