//! What can go wrong in the indexer, by what the caller should do about it.

use std::{io::ErrorKind, path::PathBuf};

/// A failed operation of the indexer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what} `{path}`: {source}", path = path.display())]
    Disk {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Config(#[from] crate::config::ConfigError),
    #[error("metastore: {0}")]
    Metastore(#[from] logboom_metastore::Error),
    #[error("{0}")]
    Queue(#[from] logboom_client::Error),
    #[error("cannot {what}: {source}")]
    Index {
        what: &'static str,
        source: tantivy::TantivyError,
    },
    /// The rows of the metastore contradict each other or the files: going on would lose or double
    /// records.
    #[error("the metastore is not consistent: {0}")]
    Inconsistent(#[from] Inconsistency),
    /// Another indexer has taken over this data directory; its progress counts, not ours.
    #[error("another indexer has taken over this data directory; only one may run on it")]
    Fenced,
    #[error("cannot serve searches: {0}")]
    Serve(#[source] std::io::Error),
    /// A task of ours panicked; the panic itself is in the log.
    #[error("a task of the indexer panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
    /// Only tests interrupt a publish.
    #[error("interrupted after {0:?}")]
    Interrupted(crate::publish::Step),
}

/// A contradiction that no crash of ours can leave behind.
#[derive(Debug, thiserror::Error)]
pub enum Inconsistency {
    #[error("`{topic}`/{partition} stands at offset {found:?}, this publish starts at {expected}")]
    Checkpoint {
        topic: String,
        partition: i32,
        expected: i64,
        found: Option<i64>,
    },
    #[error("the published split `{id}` is not on the disk; restore `{path}` from a backup", path = path.display())]
    SplitMissing { id: String, path: PathBuf },
    #[error(
        "the split `{id}` has format {found} of its kind of index, this program knows {known}: it was written by a newer logboom"
    )]
    SplitFormat { id: String, found: u32, known: u32 },
    #[error(
        "index `{name}` holds {found}, and is now configured for {configured}; give the new one another name"
    )]
    IndexKind {
        name: String,
        found: String,
        configured: &'static str,
    },
    #[error("splits to be replaced by a merge are not published any more")]
    MergeInputs,
    #[error("a row of table `{table}` cannot be read: {problem}")]
    Row {
        table: &'static str,
        problem: String,
    },
    #[error("the marks of `{topic}`/{partition} cannot be read: {source}")]
    Marks {
        topic: String,
        partition: i32,
        source: logboom_client::MarksError,
    },
}

impl Error {
    pub(crate) fn index(what: &'static str) -> impl Fn(tantivy::TantivyError) -> Error {
        move |source| Error::Index { what, source }
    }

    pub(crate) fn disk(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl Fn(std::io::Error) -> Error {
        move |source| Error::Disk {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether waiting may help before anything was served. A disk that fails otherwise than by being
    /// full is then more likely a wrong path, a missing permission or a damaged split.
    pub(crate) fn passes_at_start(&self) -> bool {
        match self {
            Error::Disk { source, .. } => {
                matches!(
                    source.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::Interrupted
                )
            }
            Error::Metastore(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Whether waiting may help: full disks and I/O errors pass, contradictions do not.
    pub(crate) fn is_retriable(&self) -> bool {
        match self {
            Error::Disk { .. } | Error::Index { .. } => true,
            Error::Metastore(error) => error.is_retriable(),
            Error::Queue(error) => error.is_retriable(),
            Error::Config(_)
            | Error::Inconsistent(_)
            | Error::Fenced
            | Error::Serve(_)
            | Error::Panicked(_)
            | Error::Interrupted(_) => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        Error::Metastore(error.into())
    }
}
