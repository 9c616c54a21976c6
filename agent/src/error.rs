//! What ends the agent. Trouble with single files does not: it is logged, counted and shown.

/// An error of the agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pattern that is none.
    #[error("bad pattern `{pattern}` in `tails`: {source}")]
    Pattern {
        pattern: String,
        source: globset::Error,
    },

    /// Relative patterns would mean something else after a change of directory.
    #[error("pattern `{pattern}` in `tails` does not start with `/`: write the whole path")]
    RelativePattern { pattern: String },

    /// State cannot be kept, so nothing can be shipped exactly once.
    #[error("cannot keep the agent's state: {0}")]
    State(#[from] logboom_disk::Error),

    /// State of a newer program, or damaged beyond its checksums.
    #[error(
        "cannot read the agent's state in `{dir}`: {source}; an older program does not read newer state"
    )]
    Decode {
        dir: String,
        source: postcard::Error,
    },

    /// The queue's client could not be made.
    #[error(transparent)]
    Queue(#[from] logboom_client::Error),

    /// A thread of ours panicked or was refused.
    #[error("the agent's {what} thread ended: {reason}")]
    Thread { what: &'static str, reason: String },
}
