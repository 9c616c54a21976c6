//! The agent's part of a batch's way, as spans: `batch`, and in it `frame` (lines are cut, the source is made durable) and
//! `ship` (handed over, until the queue's ack). What comes after hangs on `ship`; see [`logboom_client::trace`].

use std::time::Duration;

use logboom_client::trace::TARGET;
use tracing::{Span, field::Empty, info_span};

use crate::sink::Home;

/// Which batches are traced: at most one in a while.
pub(crate) struct Pace {
    every_ms: u64,
    next_ms: u64,
}

/// The spans of a batch that is being framed; of one that is not traced, they do nothing.
pub(crate) struct Framing {
    pub(crate) batch: Span,
    /// Ended by dropping it.
    pub(crate) frame: Span,
}

impl Pace {
    pub(crate) fn new(every: Duration) -> Pace {
        Pace {
            every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
            next_ms: 0,
        }
    }

    pub(crate) fn begin(&mut self, home: &Home, now_ms: u64) -> Framing {
        if now_ms < self.next_ms {
            return Framing::untraced();
        }
        self.next_ms = now_ms.saturating_add(self.every_ms);
        let batch = info_span!(
            target: TARGET, parent: None, "batch",
            log.file.path = home.context.path, logboom.source = %home.id,
            logboom.lines = Empty, logboom.bytes = Empty,
        );
        let frame = info_span!(target: TARGET, parent: &batch, "frame");
        Framing { batch, frame }
    }
}

impl Framing {
    pub(crate) fn untraced() -> Framing {
        Framing {
            batch: Span::none(),
            frame: Span::none(),
        }
    }
}

/// Open until the queue has acked the batch.
pub(crate) fn ship(batch: &Span, topic: &str, partition: i32) -> Span {
    if batch.is_none() {
        return Span::none();
    }
    info_span!(
        target: TARGET, parent: batch, "ship", otel.kind = "producer", otel.status_code = Empty,
        messaging.system = "kafka", messaging.destination.name = topic,
        messaging.destination.partition.id = partition,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use logboom_client::{Context, SourceId};

    use super::*;

    #[test]
    fn one_batch_in_a_while_is_traced_also_when_the_clock_stands_still() {
        let context = Context::new("h", "/p");
        let home = Home::new(SourceId([1; 16]), 0, Arc::new(context));
        let subscriber = tracing_subscriber::registry();
        tracing::subscriber::with_default(subscriber, || {
            let mut pace = Pace::new(Duration::from_secs(1));
            let times = [5_000, 5_000, 5_999, 6_000, 6_001, 20_000, 20_001];
            let traced = times.map(|now_ms| !pace.begin(&home, now_ms).batch.is_none());
            assert_eq!(traced, [true, false, false, true, false, true, false]);
        });
    }
}
