//! Looking through an indexer's directory without changing it: the database, and every published split.

use std::path::{Path, PathBuf};

use logboom_metastore::Database;
use tantivy::{Index, directory::MmapDirectory};

use crate::{
    error::Error,
    tables::{self, SplitMeta},
};

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    pub splits: usize,
    pub docs: u64,
    /// Files or folders that are not as they were written, and why.
    pub damages: Vec<(PathBuf, String)>,
}

/// Checks the database's own integrity, and of each published split that it opens, that the checksum of every file
/// holds, and that it has as many documents as the database says. Beside a running indexer a split may be merged away
/// meanwhile: it is left out if it is not published any more.
pub async fn verify(data_dir: &Path) -> Result<Verified, Error> {
    let path = data_dir.join("metastore.db");
    let mut found = Verified::default();
    let database = Database::open_read_only(&path).await?;
    let problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(database.read_pool())
        .await?;
    let problems = problems.into_iter().filter(|line| line != "ok");
    found
        .damages
        .extend(problems.map(|problem| (path.clone(), problem)));
    if !found.damages.is_empty() {
        // Its rows can't be trusted.
        return Ok(found);
    }
    let splits_dir = data_dir.join("splits");
    for split in tables::published(&database).await? {
        let (id, docs, dir) = (split.id, split.docs, splits_dir.clone());
        let damages = tokio::task::spawn_blocking(move || examine(&dir, &split)).await?;
        if !damages.is_empty() {
            let published = tables::published(&database).await?;
            if !published.iter().any(|split| split.id == id) {
                continue;
            }
        }
        found.splits += 1;
        found.docs += docs;
        found.damages.extend(damages);
    }
    database.close().await;
    Ok(found)
}

fn examine(splits_dir: &Path, split: &SplitMeta) -> Vec<(PathBuf, String)> {
    let path = splits_dir.join(split.id.to_string());
    let directory = match MmapDirectory::open(&path) {
        Ok(directory) => directory,
        Err(error) => return vec![(path, format!("cannot be opened: {error}"))],
    };
    let index = match Index::open(directory) {
        Ok(index) => index,
        Err(error) => return vec![(path, format!("cannot be opened: {error}"))],
    };
    let checked = index.validate_checksum().and_then(|files| {
        let docs = index.searchable_segment_metas()?;
        Ok((
            files,
            docs.iter()
                .map(|segment| u64::from(segment.num_docs()))
                .sum::<u64>(),
        ))
    });
    match checked {
        Err(error) => vec![(path, format!("cannot be read: {error}"))],
        Ok((files, _)) if !files.is_empty() => files
            .into_iter()
            .map(|file| (path.join(file), "its checksum does not hold".to_owned()))
            .collect(),
        Ok((_, docs)) if docs != split.docs => {
            let reason = format!("it has {docs} documents, the database says {}", split.docs);
            vec![(path, reason)]
        }
        Ok(_) => Vec::new(),
    }
}
