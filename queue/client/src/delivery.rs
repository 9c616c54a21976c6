//! Acks: one counter per batch of records instead of one allocation per record.
//!
//! Records of one producer and partition are acked in the order they were sent (idempotence), so
//! who sends a run of them needs to hear once that all have arrived.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::Error;

/// Where the last record of a batch landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    pub partition: i32,
    pub offset: i64,
}

/// Resolves when the queue has acked, that is, synced, every record of the batch.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<Acked, Error>>);

impl Future for Delivery {
    type Output = Result<Acked, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|received| received.unwrap_or(Err(Error::Closed)))
    }
}

/// The shared state of a batch: librdkafka holds one reference per record in flight.
pub(crate) struct Ack {
    /// Records not yet reported, plus one while the batch is open for more.
    waiting: AtomicU64,
    /// Highest offset seen, with its partition packed beside it in `partition`.
    offset: AtomicI64,
    partition: AtomicI64,
    /// The first failure, and the way to tell.
    outcome: Mutex<Outcome>,
}

struct Outcome {
    failed: Option<Error>,
    done: Option<oneshot::Sender<Result<Acked, Error>>>,
}

impl Ack {
    /// A batch that is open: `close` must follow.
    pub(crate) fn open() -> (Ack, Delivery) {
        let (done, delivery) = oneshot::channel();
        let ack = Ack {
            waiting: AtomicU64::new(1),
            offset: AtomicI64::new(-1),
            partition: AtomicI64::new(-1),
            outcome: Mutex::new(Outcome {
                failed: None,
                done: Some(done),
            }),
        };
        (ack, Delivery(delivery))
    }

    pub(crate) fn expect_one(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acked(&self, partition: i32, offset: i64) {
        self.partition
            .store(i64::from(partition), Ordering::Relaxed);
        self.offset.fetch_max(offset, Ordering::Relaxed);
        self.one_less();
    }

    pub(crate) fn failed(&self, error: Error) {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failed
            .get_or_insert(error);
        self.one_less();
    }

    /// No more records will follow.
    pub(crate) fn close(&self) {
        self.one_less();
    }

    fn one_less(&self) {
        // AcqRel: the last one to leave sees what all others stored.
        if self.waiting.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match outcome.failed.take() {
            Some(error) => Err(error),
            None => Ok(Acked {
                partition: self.partition.load(Ordering::Relaxed) as i32,
                offset: self.offset.load(Ordering::Relaxed),
            }),
        };
        if let Some(done) = outcome.done.take() {
            // Nobody may be listening any more, which is theirs to decide.
            drop(done.send(result));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_batch_is_delivered_when_its_last_record_is() {
        let (ack, mut delivery) = Ack::open();
        ack.expect_one();
        ack.expect_one();
        ack.acked(3, 10);
        ack.close();
        assert!(delivery.0.try_recv().is_err());
        ack.acked(3, 11);
        assert_eq!(
            delivery.await.unwrap(),
            Acked {
                partition: 3,
                offset: 11
            }
        );
    }

    #[tokio::test]
    async fn one_failure_fails_the_batch_after_all_reports_are_in() {
        let (ack, mut delivery) = Ack::open();
        ack.expect_one();
        ack.expect_one();
        ack.failed(Error::Closed);
        ack.close();
        assert!(delivery.0.try_recv().is_err());
        ack.acked(0, 1);
        assert!(matches!(delivery.await, Err(Error::Closed)));
    }
}
