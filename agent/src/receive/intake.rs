//! What the protocols share: from a whole body to the queue's acks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use logboom_event::otlp::Request;
use tokio::sync::Semaphore;

use super::Limits;
use super::gate::{Flight, Gate};
use super::payload::{Kind, Opened, Payload};
use super::refusal::Refusal;
use super::sort::{Sorted, Topics, sort};
use super::store::{Refused, Store, Unstored};
use crate::metrics;

/// Takes requests, whichever way they came.
pub(crate) struct Intake<S> {
    pub(crate) gate: Gate,
    pub(crate) limits: Limits,
    store: S,
    /// Known once the queue was reached.
    topics: OnceLock<Topics>,
    /// Unpacking and sorting costs processor and memory, so only as much goes on at once as there are cores.
    sorters: Arc<Semaphore>,
    /// Counts requests, to spread them over partitions.
    turn: AtomicU64,
}

/// What became of a request: every item is durable, or rejected for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) rejected: u64,
    /// Why; empty when nothing was rejected.
    pub(crate) message: String,
}

impl<S: Store> Intake<S> {
    pub(crate) fn new(gate: Gate, limits: Limits, store: S) -> Intake<S> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Intake {
            gate,
            limits,
            store,
            topics: OnceLock::new(),
            sorters: Arc::new(Semaphore::new(cores)),
            turn: AtomicU64::new(0),
        }
    }

    /// Requests are refused until this was called.
    pub(crate) fn open(&self, topics: Topics) {
        // Once: partitions that are added later are used after a restart.
        let _was_open = self.topics.set(topics);
    }

    /// Answers only when the queue has acked all of it.
    pub(crate) async fn take(&self, payload: Payload, flight: Flight) -> Result<Taken, Refusal> {
        let topics = self.topics.get().ok_or(Unstored::NotReached)?;
        let kind = payload.kind;
        ::metrics::counter!(metrics::OTLP_BYTES, "signal" => kind.as_str())
            .increment(payload.bytes.len() as u64);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (opened, flight) = self.prepare(payload, topics.clone(), turn, flight).await?;
        let Sorted {
            parcels,
            items,
            mut letters,
        } = match opened {
            Prepared::Sorted(sorted) => sorted,
            Prepared::Points(points) => return Ok(metrics_taken(points)),
        };

        let first = letters.parcels(&topics.rejected, turn);
        let first_letters = parcels.len();
        let all = [parcels, first].concat();
        let refused = self.store.store(&all).await?;
        let mut items = items as u64;
        if !refused.is_empty() {
            let mut later = letters.anew();
            for Refused { parcel, error } in refused {
                if parcel >= first_letters {
                    return Err(Unstored::Letter { error }.into());
                }
                items -= later.refused(all[parcel].value.clone(), &error);
            }
            let parcels = later.parcels(&topics.rejected, turn);
            if let Some(refused) = self.store.store(&parcels).await?.pop() {
                let error = refused.error;
                return Err(Unstored::Letter { error }.into());
            }
            letters.join(later);
        }
        drop(flight);

        ::metrics::counter!(metrics::OTLP_ITEMS, "signal" => kind.as_str()).increment(items);
        for (reason, count) in letters.by_label() {
            ::metrics::counter!(metrics::OTLP_REJECTED, "signal" => kind.as_str(), "reason" => reason)
                .increment(count);
        }
        Ok(Taken {
            rejected: letters.len(),
            message: match letters.is_empty() {
                true => String::new(),
                false => letters.message(&topics.rejected.name),
            },
        })
    }

    /// The part that costs processor time, on a thread of its own. It ends by itself when the sender is gone,
    /// and holds its room until then.
    async fn prepare(
        &self,
        payload: Payload,
        topics: Topics,
        turn: u64,
        mut flight: Flight,
    ) -> Result<(Prepared, Flight), Refusal> {
        let sorters = Arc::clone(&self.sorters);
        let permit = sorters.acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let bytes_max = self.limits.unpacked_bytes_max;
        let received = jiff::Timestamp::now().to_string();
        let work = move || {
            let _permit = permit;
            let opened = payload.open(bytes_max, |bytes| flight.grow(bytes))?;
            let request: Request = match opened {
                Opened::Points(points) => return Ok((Prepared::Points(points), flight)),
                Opened::Request(request) => request,
            };
            // What it came as is gone. Records beside the body that they are made of, then the records alone.
            flight.hold(request.body().len())?;
            let sorted = sort(&request, &topics, turn, &received, |bytes| {
                flight.grow(bytes)
            })?;
            drop(request);
            let values = sorted.parcels.iter().map(|parcel| parcel.value.len());
            flight.hold(values.sum::<usize>() + sorted.letters.bytes())?;
            Ok((Prepared::Sorted(sorted), flight))
        };
        let joined = tokio::task::spawn_blocking(work).await;
        joined.map_err(|_| Unstored::Thread)?
    }
}

enum Prepared {
    Sorted(Sorted),
    Points(u64),
}

/// OTLP's way to say that metrics need not be sent here.
fn metrics_taken(points: u64) -> Taken {
    ::metrics::counter!(metrics::OTLP_REJECTED, "signal" => Kind::Metrics.as_str(), "reason" => "metrics")
        .increment(points);
    Taken {
        rejected: points,
        message: "metrics are not kept here, only logs and traces: send metrics elsewhere"
            .to_owned(),
    }
}
