//! The sink that is the queue.
//!
//! The tailer's thread hands runs to rdkafka's buffer; a task on the runtime waits for their acks and
//! passes them back. When the producer cannot go on it is replaced, and the tailer sends again what
//! was not acked.

use std::sync::mpsc::{Receiver, Sender};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use logboom_client::trace::{HEADER, Traceparent};
use logboom_client::{ClientConfig, Delivery, Error, Producer};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tracing::{Span, error, warn};

use crate::run::Wake;
use crate::sink::{Home, Outgoing, Report, Sink};
use crate::status::now_ms;
use crate::way;

/// Sends runs through a [`Producer`].
pub(crate) struct QueueSink {
    config: ClientConfig,
    topic: String,
    producer: Producer,
    runtime: Handle,
    /// Deliveries on their way to the task that waits for them.
    waiting: UnboundedSender<Waiting>,
    reports: Receiver<(Report, bool)>,
}

impl QueueSink {
    /// The returned future must be run for acks to come back; it ends when the sink is dropped and all
    /// deliveries are in. `wake` tells the tailer that there is a report.
    pub(crate) fn new(
        config: &ClientConfig,
        topic: &str,
        wake: Sender<Wake>,
    ) -> Result<(QueueSink, impl Future<Output = ()> + Send + use<>), Error> {
        let (waiting, deliveries) = tokio::sync::mpsc::unbounded_channel();
        let (report, reports) = std::sync::mpsc::channel();
        let sink = QueueSink {
            config: config.clone(),
            topic: topic.to_owned(),
            producer: Producer::new(config)?,
            runtime: Handle::current(),
            waiting,
            reports,
        };
        Ok((sink, wait_for_acks(deliveries, report, wake)))
    }
}

/// A run whose ack is waited for, and the span that ends with it.
struct Waiting {
    run: u64,
    delivery: Delivery,
    span: Span,
}

impl Sink for QueueSink {
    fn send(&mut self, run: u64, home: &Home, records: &[Outgoing<'_>], batch_span: &Span) {
        // Arrival is the wall clock's, also after that was set: only the tailer's own time never goes back.
        let arrival_ms = now_ms() as i64;
        let span = way::ship(batch_span, &self.topic, home.partition);
        let mut traceparent = Traceparent::of(&span).map(Traceparent::to_header);
        let (batch, delivery) = self.producer.batch();
        let sent = self.runtime.block_on(async {
            let mut numbers = Numbers::default();
            for record in records {
                let mut headers = numbers.headers(home, record);
                let traceparent = traceparent.take();
                headers.extend(traceparent.iter().map(|value| (HEADER, value.as_bytes())));
                let partition = Some(home.partition);
                batch
                    .send(
                        &self.topic,
                        partition,
                        None,
                        record.value,
                        arrival_ms,
                        &headers,
                    )
                    .await?;
            }
            Ok::<(), Error>(())
        });
        if let Err(error) = sent {
            // The delivery fails with the same error, and with it the run.
            warn!(%error, source = %home.id, path = home.context.path, "the producer did not take a record");
        }
        drop(batch);
        // The task ends only after this sender is gone.
        drop(self.waiting.send(Waiting {
            run,
            delivery,
            span,
        }));
    }

    fn reports(&mut self) -> Vec<Report> {
        let received: Vec<(Report, bool)> = self.reports.try_iter().collect();
        if received.iter().any(|(_, fatal)| *fatal) {
            match Producer::new(&self.config) {
                Ok(producer) => self.producer = producer,
                Err(error) => {
                    error!(%error, "cannot make a new producer; trying on with the old one")
                }
            }
        }
        received.into_iter().map(|(report, _)| report).collect()
    }
}

/// The headers that differ from record to record, written without allocating for each.
#[derive(Default)]
struct Numbers {
    prev: Decimal,
    offset: Decimal,
    end: Decimal,
    length: Decimal,
}

impl Numbers {
    fn headers<'a>(
        &'a mut self,
        home: &'a Home,
        record: &Outgoing<'_>,
    ) -> Vec<(&'a str, &'a [u8])> {
        self.prev.set(record.prev);
        self.offset.set(record.offset);
        self.end.set(record.end);
        let mut headers: Vec<(&str, &[u8])> = Vec::with_capacity(home.headers.len() + 5);
        headers.extend(
            home.headers
                .iter()
                .map(|(name, value)| (*name, value.as_slice())),
        );
        headers.push(("lb.prev", self.prev.text()));
        headers.push(("lb.off", self.offset.text()));
        headers.push(("lb.end", self.end.text()));
        match (record.true_len.is_some(), record.continues) {
            (true, true) => headers.push(("lb.flags", b"truncated,continues")),
            (true, false) => headers.push(("lb.flags", b"truncated")),
            (false, true) => headers.push(("lb.flags", b"continues")),
            (false, false) => {}
        }
        if let Some(true_len) = record.true_len {
            self.length.set(true_len);
            headers.push(("lb.len", self.length.text()));
        }
        headers
    }
}

/// A number as text in place.
#[derive(Default)]
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn set(&mut self, mut number: u64) {
        self.start = self.digits.len();
        loop {
            self.start -= 1;
            self.digits[self.start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

async fn wait_for_acks(
    mut deliveries: UnboundedReceiver<Waiting>,
    reports: Sender<(Report, bool)>,
    wake: Sender<Wake>,
) {
    let mut waiting = FuturesUnordered::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        tokio::select! {
            received = deliveries.recv(), if open => match received {
                Some(Waiting { run, delivery, span }) => {
                    waiting.push(async move { (run, delivery.await, span) });
                }
                None => open = false,
            },
            Some((run, result, span)) = waiting.next(), if !waiting.is_empty() => {
                let fatal = matches!(result, Err(Error::Fatal { .. }));
                if let Err(error) = &result {
                    error!(%error, "the queue did not take a run of lines; it is sent again");
                    span.record("otel.status_code", "error");
                }
                drop(span);
                let _tailer_ended = reports.send((Report { run, acked: result.is_ok() }, fatal));
                let _tailer_ended = wake.send(Wake::Acked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use logboom_client::{Context, Format, Origin, SourceId};

    use super::*;

    #[test]
    fn headers_are_those_of_the_origin() {
        let context = Context {
            host: "h".into(),
            path: "/p".into(),
            service: Some("s".into()),
            format: Format::Json,
            timezone: Some("UTC".into()),
        };
        let context = Arc::new(context);
        let home = Home::new(SourceId([3; 16]), 1, Arc::clone(&context));
        for (continues, true_len) in [
            (false, None),
            (true, None),
            (false, Some(u64::MAX)),
            (true, Some(0)),
        ] {
            let record = Outgoing {
                prev: 0,
                offset: 10,
                end: u64::MAX,
                value: b"",
                continues,
                true_len,
            };
            let mut numbers = Numbers::default();
            let mut ours: Vec<_> = numbers
                .headers(&home, &record)
                .into_iter()
                .map(|(name, value)| (name, value.to_vec()))
                .collect();
            let origin = Origin {
                source: home.id,
                prev: 0,
                offset: 10,
                end: u64::MAX,
                continues,
                true_len,
                context: Arc::clone(&context),
            };
            let mut theirs = origin.to_headers();
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);
        }
    }
}
