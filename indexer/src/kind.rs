//! What an index holds: the few places where spans are not simply events go by this.

use logboom_query::Signal;

/// The shape of an index's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    Logs,
    Spans,
}

impl Kind {
    /// As the metastore has it. Never changes: a stored name is compared with it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Logs => "logs",
            Kind::Spans => "spans",
        }
    }

    /// Number of the schema; goes up when that changes. Splits carry it.
    pub(crate) fn format(self) -> u32 {
        match self {
            Kind::Logs | Kind::Spans => 1,
        }
    }

    /// What queries of such an index are of.
    pub(crate) fn signal(self) -> Signal {
        match self {
            Kind::Logs => Signal::Logs,
            Kind::Spans => Signal::Spans,
        }
    }
}
