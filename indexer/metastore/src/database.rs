//! The handle: a pool of readers and one writing connection on one SQLite file.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Error, Migration, Result, limits, migration};

/// An open database. Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Database {
    readers: SqlitePool,
    /// Absent when opened read-only.
    writer: Option<SqlitePool>,
}

impl Database {
    /// Opens or creates the file and brings its schema up to date. The folder must exist.
    pub async fn open(path: impl AsRef<Path>, migrations: &[Migration]) -> Result<Database> {
        let path = path.as_ref();
        let at_path = |source: Error| match source {
            newer @ Error::Newer { .. } => newer,
            source => Error::Open {
                path: path.to_owned(),
                source: Box::new(source),
            },
        };
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        // The writer first: it creates the file and its write-ahead log, which readers need to find.
        let writer = writer_pool()
            .connect_with(options.clone())
            .await
            .map_err(|error| at_path(error.into()))?;
        let readers = pool(limits::READ_CONNECTIONS_MAX).connect_lazy_with(options.read_only(true));
        let database = Database {
            readers,
            writer: Some(writer),
        };
        migration::migrate(&database, path, migrations)
            .await
            .map_err(at_path)?;
        Ok(database)
    }

    /// Opens a file that another part (maybe another process) owns. Reads see its last commit.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<Database> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(Error::Missing {
                path: path.to_owned(),
            });
        }
        let readers = pool(limits::READ_CONNECTIONS_MAX)
            .connect_with(options(path).read_only(true))
            .await
            .map_err(|error| Error::Open {
                path: path.to_owned(),
                source: Box::new(error.into()),
            })?;
        Ok(Database {
            readers,
            writer: None,
        })
    }

    /// Connections for reading. A statement, or a transaction begun on one, sees one snapshot.
    pub fn read_pool(&self) -> &SqlitePool {
        &self.readers
    }

    /// Takes the write lock. Dropping the result without a commit rolls back.
    ///
    /// # Panics
    /// When the database was opened read-only: that is a mistake in the program.
    pub async fn begin(&self) -> Result<Write> {
        let writer = self
            .writer
            .as_ref()
            .expect("a read-only database is not written to");
        Ok(Write {
            transaction: writer.begin_with("BEGIN IMMEDIATE").await?,
        })
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// A write transaction; use it as the connection: `query.execute(&mut *write)`.
#[derive(Debug)]
pub struct Write {
    transaction: Transaction<'static, Sqlite>,
}

impl Write {
    /// Makes everything durable. On an error the outcome is unknown (the disk may have taken it
    /// and the answer been lost): read back a row of one's own before trying again.
    pub async fn commit(self) -> Result<()> {
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(limits::BUSY_TIMEOUT)
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(limits::ACQUIRE_TIMEOUT)
}

/// One connection, replaced when it is stuck: SQLite ends a transaction by itself when the disk is
/// full, the driver's rollback then fails, and its count of open transactions never returns to 0.
fn writer_pool() -> SqlitePoolOptions {
    pool(1).before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
}
