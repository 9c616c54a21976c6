//! What can go wrong with the broker as a whole. What goes wrong with one request becomes an error code in
//! its answer and never leaves `api`.

use std::path::PathBuf;

/// Why the broker could not be opened, or stopped serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data directory cannot be made, locked, read or written.
    #[error("queue data directory `{path}`: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the disk said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored file is not what this version wrote.
    #[error(
        "queue file `{path}` is damaged: {problem}; restore it from a backup, or move it away to start without it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A setting that cannot be honoured.
    #[error("queue setting `{key}`: {problem}")]
    Setting {
        /// Name of the field of `Config`.
        key: &'static str,
        /// Why not, and what is allowed.
        problem: String,
    },
    /// A certificate, key or CA that TLS cannot be made of.
    #[error("`{path}` cannot be used for TLS: {source}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The listener failed.
    #[error("queue listener failed: {0}")]
    Listen(#[source] std::io::Error),
    /// A task of the broker panicked: a defect, reported instead of hidden.
    #[error("queue task `{task}` panicked")]
    Panicked {
        /// Which task.
        task: &'static str,
    },
}
