//! Alerting's part of the ways of batches, as spans: `evaluate`, until a step with a batch in it is over and what came of it
//! is committed, if somebody is to be told. Agents say which batches are traced; see [`logboom_client::trace`].

use logboom_client::{
    limits::TRACED_BATCHES_MAX,
    trace::{TARGET, Traceparent},
};
use logboom_event::Record;
use tracing::{Span, info_span};

/// Ended by dropping them.
pub(crate) fn evaluate(records: &mut [Record]) -> Vec<Span> {
    let traced = records.iter_mut().filter_map(|record| {
        let parent = Traceparent::take(record)?;
        let span = info_span!(
            target: TARGET, parent: None, "evaluate", otel.kind = "consumer",
            messaging.system = "kafka", messaging.destination.name = &*record.topic,
            messaging.destination.partition.id = record.partition,
            messaging.kafka.offset = record.offset,
        );
        parent.adopt(&span).then_some(span)
    });
    traced.take(TRACED_BATCHES_MAX).collect()
}
