//! What can go wrong with a database, sorted by what the caller should do about it.

use std::path::PathBuf;

/// A failed database call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened or created.
    #[error("cannot open the database `{path}`: {source}", path = path.display())]
    Open { path: PathBuf, source: Box<Error> },
    /// A read-only open of a file that its owner has not created yet.
    #[error("there is no database at `{path}` yet; its owner creates it at its first start", path = path.display())]
    Missing { path: PathBuf },
    /// The file's schema is younger than this program.
    #[error(
        "the database `{path}` was written by a newer logboom (its migration {number} is `{found}`, this one knows {known}); \
         run that version or a later one",
        path = path.display()
    )]
    Newer {
        path: PathBuf,
        number: usize,
        found: String,
        known: String,
    },
    /// One migration failed; those before it stay applied, it left no trace.
    #[error("migration `{name}` failed: {source}")]
    Migration {
        name: &'static str,
        source: Box<Error>,
    },
    /// Nothing was written; the same call works once there is space.
    #[error("the disk of the database is full; free some space and it goes on by itself")]
    DiskFull(#[source] sqlx::Error),
    /// Another writer held the lock for too long; the same call may work later.
    #[error("the database is locked by another program; close it (`sqlite3`, a backup?)")]
    Busy(#[source] sqlx::Error),
    /// The file is damaged. Nothing here repairs it.
    #[error(
        "the database file is damaged ({0}); restore it from a backup, or move it away to start anew"
    )]
    Corrupt(#[source] sqlx::Error),
    /// Everything else: I/O errors, constraint violations, bad SQL.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing the program or the file.
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::DiskFull(_) | Error::Busy(_) => true,
            Error::Open { source, .. } | Error::Migration { source, .. } => source.is_retriable(),
            Error::Missing { .. } | Error::Newer { .. } | Error::Corrupt(_) => false,
            Error::Database(source) => primary_code(source) == Some(IOERR),
        }
    }
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const NOT_A_DATABASE: u32 = 26;

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Error {
        match primary_code(&source) {
            Some(BUSY | LOCKED) => Error::Busy(source),
            Some(FULL) => Error::DiskFull(source),
            Some(CORRUPT | NOT_A_DATABASE) => Error::Corrupt(source),
            _ => match source {
                sqlx::Error::PoolTimedOut => Error::Busy(source),
                other => Error::Database(other),
            },
        }
    }
}

/// SQLite's primary result code: the low byte of the extended code that the driver hands out.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
