//! The indexer's rows: who owns the directory, how far the queue is indexed, which splits exist.
//!
//! A split's life: `staged` (the row exists before the first file) → `published` (searchable, and in
//! the same transaction the checkpoints moved over its records) → `marked` (replaced or
//! expired; files go after the grace) → no row. A file without a row, and a staged row after a
//! restart, are leftovers of a crash.

use std::sync::Arc;

use logboom_client::{Checkpoint, Marks};
use logboom_metastore::{Database, Migration, Write};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use ulid::Ulid;

use crate::error::{Error, Inconsistency};
use crate::kind::Kind;

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "splits",
        sql: include_str!("tables/001_splits.sql"),
    },
    Migration {
        name: "indexes",
        sql: include_str!("tables/002_indexes.sql"),
    },
];

/// What is known of a split without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitMeta {
    pub(crate) id: Ulid,
    /// Whose it is.
    pub(crate) index: Arc<str>,
    /// Number of the schema that it was written with.
    pub(crate) format: u32,
    /// Day of arrival (days since 1970, UTC) that the split is filed under.
    pub(crate) day: i64,
    pub(crate) docs: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) file_bytes: u64,
    /// How often its lines were merged.
    pub(crate) generation: u32,
    pub(crate) arrival_max_ms: i64,
    pub(crate) time_min_ns: i64,
    pub(crate) time_max_ns: i64,
}

/// How a publish moves one partition's checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// What the metastore must hold for the move to be right.
    pub(crate) from: Checkpoint,
    pub(crate) to: Checkpoint,
    pub(crate) marks: Vec<u8>,
}

/// Takes the directory over from earlier indexers: their publishes fail from now on.
pub(crate) async fn take_ownership(database: &Database) -> Result<i64, Error> {
    let mut write = database.begin().await?;
    sqlx::query("UPDATE owner SET epoch = epoch + 1")
        .execute(&mut *write)
        .await?;
    let epoch = sqlx::query("SELECT epoch FROM owner")
        .fetch_one(&mut *write)
        .await?
        .try_get(0)?;
    write.commit().await?;
    Ok(epoch)
}

/// Remembers an index, or finds that one of this name holds something else.
pub(crate) async fn know_index(
    database: &Database,
    epoch: i64,
    name: &str,
    kind: Kind,
    now_ms: i64,
) -> Result<(), Error> {
    let mut write = begin_as_owner(database, epoch).await?;
    sqlx::query("INSERT INTO indexes (name, kind, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(kind.name())
        .bind(now_ms)
        .execute(&mut *write)
        .await?;
    let found: String = sqlx::query("SELECT kind FROM indexes WHERE name = $1")
        .bind(name)
        .fetch_one(&mut *write)
        .await?
        .try_get(0)?;
    if found != kind.name() {
        return Err(Inconsistency::IndexKind {
            name: name.to_owned(),
            found,
            configured: kind.name(),
        }
        .into());
    }
    Ok(write.commit().await?)
}

/// A write transaction that fails when the directory was taken over.
pub(crate) async fn begin_as_owner(database: &Database, epoch: i64) -> Result<Write, Error> {
    let mut write = database.begin().await?;
    let current: i64 = sqlx::query("SELECT epoch FROM owner")
        .fetch_one(&mut *write)
        .await?
        .try_get(0)?;
    if current != epoch {
        return Err(Error::Fenced);
    }
    Ok(write)
}

pub(crate) async fn checkpoint(
    database: &Database,
    topic: &str,
    partition: i32,
) -> Result<Option<(Checkpoint, Marks)>, Error> {
    let row = sqlx::query(
        "SELECT incarnation, next_offset, last_crc, marks FROM checkpoints WHERE topic = $1 AND partition = $2",
    )
    .bind(topic)
    .bind(partition)
    .fetch_optional(database.read_pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let marks =
        Marks::from_bytes(row.try_get("marks")?).map_err(|source| Inconsistency::Marks {
            topic: topic.to_owned(),
            partition,
            source,
        })?;
    let checkpoint = Checkpoint {
        incarnation: row.try_get("incarnation")?,
        next_offset: row.try_get("next_offset")?,
        last_crc: row.try_get("last_crc")?,
    };
    Ok(Some((checkpoint, marks)))
}

/// The incarnations that topics have reached in one partition number.
pub(crate) async fn incarnations(
    database: &Database,
    partition: i32,
) -> Result<Vec<(String, u32)>, Error> {
    sqlx::query("SELECT topic, incarnation FROM checkpoints WHERE partition = $1")
        .bind(partition)
        .fetch_all(database.read_pool())
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Records where a partition starts (first contact) or goes on (a new incarnation).
pub(crate) async fn establish(
    database: &Database,
    epoch: i64,
    topic: &str,
    partition: i32,
    checkpoint: Checkpoint,
    marks: &Marks,
) -> Result<(), Error> {
    let mut write = begin_as_owner(database, epoch).await?;
    sqlx::query(
        "INSERT INTO checkpoints (topic, partition, incarnation, next_offset, last_crc, marks) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (topic, partition) DO UPDATE SET incarnation = $3, next_offset = $4, last_crc = $5, marks = $6",
    )
    .bind(topic)
    .bind(partition)
    .bind(checkpoint.incarnation)
    .bind(checkpoint.next_offset)
    .bind(checkpoint.last_crc)
    .bind(marks.to_bytes())
    .execute(&mut *write)
    .await?;
    Ok(write.commit().await?)
}

/// Moves a checkpoint, if it is where this move starts.
pub(crate) async fn advance(
    connection: &mut SqliteConnection,
    progress: &Progress,
) -> Result<(), Error> {
    let Progress {
        topic,
        partition,
        from,
        to,
        marks,
    } = progress;
    let moved = sqlx::query(
        "UPDATE checkpoints SET incarnation = $1, next_offset = $2, last_crc = $3, marks = $4
         WHERE topic = $5 AND partition = $6 AND incarnation = $7 AND next_offset = $8",
    )
    .bind(to.incarnation)
    .bind(to.next_offset)
    .bind(to.last_crc)
    .bind(marks.as_slice())
    .bind(topic)
    .bind(partition)
    .bind(from.incarnation)
    .bind(from.next_offset)
    .execute(&mut *connection)
    .await?;
    if moved.rows_affected() == 1 {
        return Ok(());
    }
    let found =
        sqlx::query("SELECT next_offset FROM checkpoints WHERE topic = $1 AND partition = $2")
            .bind(topic)
            .bind(partition)
            .fetch_optional(connection)
            .await?
            .map(|row| row.try_get(0))
            .transpose()?;
    Err(Inconsistency::Checkpoint {
        topic: topic.clone(),
        partition: *partition,
        expected: from.next_offset,
        found,
    }
    .into())
}

/// Whether a checkpoint stands where this move ends.
pub(crate) async fn has_advanced(database: &Database, progress: &Progress) -> Result<bool, Error> {
    let stored = checkpoint(database, &progress.topic, progress.partition).await?;
    Ok(stored.is_some_and(|(checkpoint, _)| checkpoint == progress.to))
}

pub(crate) async fn stage(
    connection: &mut SqliteConnection,
    id: Ulid,
    created_ms: i64,
) -> Result<(), Error> {
    // The same split is staged again when a failed publish is retried.
    sqlx::query("INSERT INTO splits (id, state, created_ms) VALUES ($1, 'staged', $2) ON CONFLICT (id) DO NOTHING")
        .bind(id.to_string())
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn publish(
    connection: &mut SqliteConnection,
    meta: &SplitMeta,
) -> Result<(), Error> {
    let published = sqlx::query(
        "UPDATE splits SET state = 'published', day = $1, docs = $2, raw_bytes = $3, file_bytes = $4, generation = $5,
           arrival_max_ms = $6, time_min_ns = $7, time_max_ns = $8, index_name = $9, format = $10
         WHERE id = $11 AND state = 'staged'",
    )
    .bind(meta.day)
    .bind(stored(meta.docs))
    .bind(stored(meta.raw_bytes))
    .bind(stored(meta.file_bytes))
    .bind(meta.generation)
    .bind(meta.arrival_max_ms)
    .bind(meta.time_min_ns)
    .bind(meta.time_max_ns)
    .bind(&*meta.index)
    .bind(meta.format)
    .bind(meta.id.to_string())
    .execute(connection)
    .await?;
    assert_eq!(
        published.rows_affected(),
        1,
        "a split is staged before it is published"
    );
    Ok(())
}

pub(crate) async fn is_published(database: &Database, id: Ulid) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM splits WHERE id = $1 AND state = 'published'")
        .bind(id.to_string())
        .fetch_optional(database.read_pool())
        .await?;
    Ok(row.is_some())
}

/// Marks published splits for deletion and says how many of them were published.
pub(crate) async fn mark(
    connection: &mut SqliteConnection,
    ids: &[Ulid],
    now_ms: i64,
) -> Result<u64, Error> {
    let mut marked = 0;
    for id in ids {
        marked += sqlx::query("UPDATE splits SET state = 'marked', marked_ms = $1 WHERE id = $2 AND state = 'published'")
            .bind(now_ms)
            .bind(id.to_string())
            .execute(&mut *connection)
            .await?
            .rows_affected();
    }
    Ok(marked)
}

/// Splits in a state that were put into it before `before_ms` (all of them: `i64::MAX`).
pub(crate) async fn leftovers(
    database: &Database,
    state: &'static str,
    before_ms: i64,
) -> Result<Vec<Ulid>, Error> {
    sqlx::query("SELECT id FROM splits WHERE state = $1 AND COALESCE(marked_ms, created_ms) < $2 ORDER BY id")
        .bind(state)
        .bind(before_ms)
        .fetch_all(database.read_pool())
        .await?
        .iter()
        .map(id)
        .collect()
}

pub(crate) async fn forget(database: &Database, ids: &[Ulid]) -> Result<(), Error> {
    let mut write = database.begin().await?;
    for id in ids {
        sqlx::query("DELETE FROM splits WHERE id = $1 AND state <> 'published'")
            .bind(id.to_string())
            .execute(&mut *write)
            .await?;
    }
    Ok(write.commit().await?)
}

pub(crate) async fn published(database: &Database) -> Result<Vec<SplitMeta>, Error> {
    sqlx::query("SELECT * FROM splits WHERE state = 'published' ORDER BY id")
        .fetch_all(database.read_pool())
        .await?
        .iter()
        .map(|row| {
            Ok(SplitMeta {
                id: id(row)?,
                index: Arc::from(row.try_get::<&str, _>("index_name")?),
                format: row.try_get("format")?,
                day: row.try_get("day")?,
                docs: count(row, "docs")?,
                raw_bytes: count(row, "raw_bytes")?,
                file_bytes: count(row, "file_bytes")?,
                generation: row.try_get("generation")?,
                arrival_max_ms: row.try_get("arrival_max_ms")?,
                time_min_ns: row.try_get("time_min_ns")?,
                time_max_ns: row.try_get("time_max_ns")?,
            })
        })
        .collect()
}

fn id(row: &SqliteRow) -> Result<Ulid, Error> {
    let text: &str = row.try_get("id")?;
    let unreadable = |_| Inconsistency::Row {
        table: "splits",
        problem: format!("id `{text}`"),
    };
    Ok(Ulid::from_string(text).map_err(unreadable)?)
}

fn count(row: &SqliteRow, column: &'static str) -> Result<u64, Error> {
    let value: i64 = row.try_get(column)?;
    let negative = |_| Inconsistency::Row {
        table: "splits",
        problem: format!("{column} is {value}"),
    };
    Ok(u64::try_from(value).map_err(negative)?)
}

fn stored(count: u64) -> i64 {
    i64::try_from(count).expect("no split holds 2^63 of anything")
}
