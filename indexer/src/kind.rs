//! What an index holds: the few places where spans are not simply events go by this.

/// The shape of an index's events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    Logs,
    Spans,
}
