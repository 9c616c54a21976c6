//! The indexer's part of the ways of batches, as spans: `index` from when a batch is consumed until searches see it, and
//! `publish` while the split with it is written and committed. Agents say which batches are traced; see
//! [`logboom_client::trace`].

use logboom_client::{
    limits::TRACED_BATCHES_MAX,
    trace::{TARGET, Traceparent},
};
use logboom_event::Record;
use tracing::{Span, field::Empty, info_span};

/// The traced batches of what is hot.
#[derive(Default)]
pub(crate) struct Ways {
    /// Consumed since the last refresh.
    unrefreshed: Vec<(Traceparent, Span)>,
    /// Searchable, and in no split yet.
    hot: Vec<Traceparent>,
}

impl Ways {
    /// Takes the agents' headers off the records, which are then stored as if they had never had one.
    pub(crate) fn begin(&mut self, records: &mut [Record], index: &str) {
        for record in records {
            let Some(parent) = Traceparent::take(record) else {
                continue;
            };
            if self.unrefreshed.len() + self.hot.len() >= TRACED_BATCHES_MAX {
                continue;
            }
            let span = info_span!(
                target: TARGET, parent: None, "index", otel.kind = "consumer", logboom.index = index,
                messaging.system = "kafka", messaging.destination.name = &*record.topic,
                messaging.destination.partition.id = record.partition,
                messaging.kafka.offset = record.offset,
            );
            if parent.adopt(&span) {
                self.unrefreshed.push((parent, span));
            }
        }
    }

    /// Everything consumed so far is searchable.
    pub(crate) fn refreshed(&mut self) {
        let searchable = self.unrefreshed.drain(..);
        self.hot.extend(searchable.map(|(parent, _ended)| parent));
    }

    /// What is hot is being published: a span for each batch in it.
    pub(crate) fn sealed(&mut self, index: &str) -> Publishing {
        let spans = self.hot.drain(..).filter_map(|parent| {
            let span = info_span!(
                target: TARGET, parent: None, "publish",
                logboom.index = index, otel.status_code = Empty,
            );
            parent.adopt(&span).then_some(span)
        });
        Publishing(spans.collect())
    }
}

/// The spans of a publish, which end with it.
pub(crate) struct Publishing(Vec<Span>);

impl Publishing {
    pub(crate) fn ended<T, E>(self, outcome: &Result<T, E>) {
        if outcome.is_err() {
            for span in self.0 {
                span.record("otel.status_code", "error");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::{Machine, NOON_MS};

    #[test]
    fn what_is_stored_has_no_header_though_nobody_exports_spans() {
        let mut machine = Machine::new(1);
        machine.append(0, 1, 0, NOON_MS);
        let plain = machine.log[0].clone();
        let mut traced = plain.clone();
        traced[0].headers.push((
            "traceparent".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        ));
        let mut ways = Ways::default();
        ways.begin(&mut traced, "logs");
        assert_eq!(traced, plain);
        ways.refreshed();
        assert!(ways.sealed("logs").0.is_empty());
    }
}
