//! The promises of `Database`, each on a real file.
#![allow(clippy::unwrap_used)]

use logboom_metastore::{Database, Error, Migration};
use sqlx::Row;
use tempfile::TempDir;

const FIRST: Migration = Migration {
    name: "notes",
    sql: "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL); CREATE INDEX notes_text ON notes (text);",
};
const SECOND: Migration = Migration {
    name: "colour",
    sql: "ALTER TABLE notes ADD COLUMN colour TEXT",
};
const BROKEN: Migration = Migration {
    name: "broken",
    sql: "CREATE TABLE half (id BIGINT); CREATE TABLE (",
};

async fn open(folder: &TempDir, migrations: &[Migration]) -> Result<Database, Error> {
    Database::open(folder.path().join("notes.db"), migrations).await
}

async fn insert(database: &Database, id: i64) -> Result<(), Error> {
    let mut write = database.begin().await?;
    sqlx::query("INSERT INTO notes (id, text) VALUES ($1, 'x')")
        .bind(id)
        .execute(&mut *write)
        .await?;
    write.commit().await
}

async fn count(database: &Database) -> i64 {
    sqlx::query("SELECT COUNT(*) FROM notes")
        .fetch_one(database.read_pool())
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn a_commit_is_seen_after_reopening_and_a_dropped_write_is_not() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    insert(&database, 1).await.unwrap();
    let mut write = database.begin().await.unwrap();
    sqlx::query("INSERT INTO notes (id, text) VALUES (2, 'x')")
        .execute(&mut *write)
        .await
        .unwrap();
    drop(write);
    insert(&database, 3).await.unwrap();
    database.close().await;
    assert_eq!(count(&open(&folder, &[FIRST]).await.unwrap()).await, 2);
}

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    insert(&database, 1).await.unwrap();
    database.close().await;
    for _ in 0..2 {
        let database = open(&folder, &[FIRST, SECOND]).await.unwrap();
        let row = sqlx::query("SELECT colour FROM notes")
            .fetch_one(database.read_pool())
            .await
            .unwrap();
        assert_eq!(row.get::<Option<String>, _>(0), None);
        database.close().await;
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_no_trace_and_names_itself() {
    let folder = TempDir::new().unwrap();
    let error = open(&folder, &[FIRST, BROKEN])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("migration `broken` failed") && error.contains("notes.db"),
        "{error}"
    );
    let database = open(&folder, &[FIRST, SECOND]).await.unwrap();
    assert!(
        sqlx::query("SELECT * FROM half")
            .fetch_optional(database.read_pool())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_older_program_refuses_a_newer_schema() {
    let folder = TempDir::new().unwrap();
    open(&folder, &[FIRST, SECOND]).await.unwrap().close().await;
    let error = open(&folder, &[FIRST]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Newer { number: 2, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("newer logboom"), "{error}");
}

#[tokio::test]
async fn a_commit_reaches_the_disk_and_the_journal_is_a_write_ahead_log() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    let mut write = database.begin().await.unwrap();
    let mode: String = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&mut *write)
        .await
        .unwrap()
        .get(0);
    let synchronous: i64 = sqlx::query("PRAGMA synchronous")
        .fetch_one(&mut *write)
        .await
        .unwrap()
        .get(0);
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_wait_their_turn_and_lose_no_update() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let database = database.clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                let mut write = database.begin().await?;
                let last: i64 = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM notes")
                    .fetch_one(&mut *write)
                    .await?
                    .get(0);
                sqlx::query("INSERT INTO notes VALUES ($1, 'x')")
                    .bind(last + 1)
                    .execute(&mut *write)
                    .await?;
                write.commit().await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap().unwrap();
    }
    assert_eq!(count(&database).await, 40);
}

#[tokio::test]
async fn a_second_handle_reads_while_the_owner_writes_and_cannot_write() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    let reader = Database::open_read_only(folder.path().join("notes.db"))
        .await
        .unwrap();
    let mut write = database.begin().await.unwrap();
    sqlx::query("INSERT INTO notes VALUES (1, 'x')")
        .execute(&mut *write)
        .await
        .unwrap();
    assert_eq!(count(&reader).await, 0);
    write.commit().await.unwrap();
    assert_eq!(count(&reader).await, 1);
    assert!(
        sqlx::query("DELETE FROM notes")
            .execute(reader.read_pool())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_missing_or_damaged_file_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let missing = Database::open_read_only(&path).await.unwrap_err();
    assert!(
        matches!(missing, Error::Missing { .. }) && missing.to_string().contains("first start")
    );
    std::fs::write(&path, [7; 8192]).unwrap();
    let damaged = Database::open(&path, &[FIRST]).await.unwrap_err();
    assert!(
        damaged.to_string().contains("damaged") && damaged.to_string().contains("notes.db"),
        "{damaged}"
    );
    assert!(!damaged.is_retriable());
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_passes_by_itself() {
    let folder = TempDir::new().unwrap();
    let database = open(&folder, &[FIRST]).await.unwrap();
    let fill = async |bytes_max: i64| {
        let mut write = database.begin().await?;
        // The same result code as a full disk gives, without needing a file system of one's own.
        let limit = format!("PRAGMA max_page_count = {}", bytes_max / 4096);
        sqlx::raw_sql(sqlx::AssertSqlSafe(limit))
            .execute(&mut *write)
            .await?;
        sqlx::query("INSERT INTO notes (id, text) VALUES (1, hex(zeroblob(100000)))")
            .execute(&mut *write)
            .await?;
        write.commit().await
    };
    for _ in 0..3 {
        let full = fill(65_536).await.unwrap_err();
        assert!(
            matches!(full, Error::DiskFull(_)) && full.is_retriable(),
            "{full:?}"
        );
    }
    fill(1 << 20).await.unwrap();
    assert_eq!(count(&database).await, 1);
}
