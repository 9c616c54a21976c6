//! What ends alerting, and what is wrong with rules.

use std::{fmt, path::PathBuf};

/// A failure of the component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Rules(#[from] RuleErrors),
    #[error("receiver `{name}`: {problem}")]
    Receiver { name: String, problem: String },
    #[error("alerting's indexes: {0}")]
    Indexes(String),
    #[error("cannot make the folder `{path}`: {source}", path = path.display())]
    DataDir {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("alerting state: {0}")]
    Database(#[from] logboom_metastore::Error),
    #[error(
        "alerting state in `{table}` cannot be read: {reason}; move `alerting.db` away to start with empty windows"
    )]
    Damaged { table: &'static str, reason: String },
    #[error("alerting cannot read the queue: {0}")]
    Queue(#[from] logboom_client::Error),
    #[error("cannot make an HTTP client for webhooks: {0}")]
    Http(#[from] reqwest::Error),
    #[error("a task of alerting panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl Error {
    /// Whether the same call may work later without anybody changing the program or its files.
    pub(crate) fn is_retriable(&self) -> bool {
        use std::io::ErrorKind as K;
        match self {
            Error::Database(error) => error.is_retriable(),
            Error::DataDir { source, .. } => matches!(
                source.kind(),
                K::StorageFull | K::QuotaExceeded | K::Interrupted | K::ResourceBusy
            ),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Error {
        Error::Database(source.into())
    }
}

/// One mistake in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub file: PathBuf,
    /// Line and column, from 1, where the file's text could be read.
    pub position: Option<(u64, u64)>,
    /// The key it is about, as `rules[2].threshold.count`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All mistakes of a set of rule files, so that one run shows them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<RuleError>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}
