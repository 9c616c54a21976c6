//! Numbered schema changes, each applied once and recorded in the table `migrations`.

use std::path::Path;

use sqlx::{Row, SqliteConnection};

use crate::{Database, Error, Result};

/// One schema change: `sql` may hold several statements. Its number is its place in the list, so
/// published migrations are never edited, reordered or removed; changes are appended.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
}

/// Applies those of `migrations` that the database lacks, each in a transaction of its own.
pub(crate) async fn migrate(
    database: &Database,
    path: &Path,
    migrations: &[Migration],
) -> Result<()> {
    let mut write = database.begin().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
    )
    .execute(&mut *write)
    .await?;
    write.commit().await?;

    let mut write = database.begin().await?;
    let applied = applied(&mut write).await?;
    drop(write);
    for (index, found) in applied.iter().enumerate() {
        let known = migrations
            .get(index)
            .map_or("none", |migration| migration.name);
        if known != found {
            return Err(Error::Newer {
                path: path.to_owned(),
                number: index + 1,
                found: found.clone(),
                known: known.to_owned(),
            });
        }
    }
    for (index, migration) in migrations.iter().enumerate().skip(applied.len()) {
        apply(database, index + 1, migration)
            .await
            .map_err(|source| Error::Migration {
                name: migration.name,
                source: Box::new(source),
            })?;
        tracing::debug!(migration = migration.name, path = %path.display(), "migration applied");
    }
    Ok(())
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT name FROM migrations ORDER BY number")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn apply(database: &Database, number: usize, migration: &Migration) -> Result<()> {
    let mut write = database.begin().await?;
    sqlx::raw_sql(migration.sql).execute(&mut *write).await?;
    sqlx::query(
        "INSERT INTO migrations (number, name, applied_at) VALUES ($1, $2, CURRENT_TIMESTAMP)",
    )
    .bind(i64::try_from(number).expect("a program has few migrations"))
    .bind(migration.name)
    .execute(&mut *write)
    .await?;
    write.commit().await
}
