//! The store that is the queue.
//!
//! A producer of ours never gives a record up. A receiver must: its sender has heard that the request was not
//! taken and sends it again. So a producer with late records is retired, and its buffer thrown away once nobody
//! waits for it any more; what of it had arrived is there twice after the sender's retry.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
        };
        Ok((queue, see_off(leaving, patience, stop)))
    }

    fn current(&self) -> Current {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
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
                warn!(%error, "the queue did not take a request; its sender is told to send it again");
                self.retire(number);
                Err(error.into())
            }
            Err(_) => {
                self.retire(number);
                Err(Unstored::Late {
                    patience: self.patience,
                })
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
            // A record of the usual size is refused for reasons that somebody can put right.
            Err(error @ Error::Refused { bytes, .. }) if bytes > limits::RECORD_BYTES => {
                refused.push(Refused {
                    parcel: index,
                    error: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
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
