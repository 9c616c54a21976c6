//! Recovery at start: what a crash left behind is removed, what was published is opened.
//!
//! Afterwards the rows and the folders in `splits/` agree, and every published split is open. The
//! records that were only in memory are read again from the queue: the checkpoints never passed them.
//!
//! The folder is shared by all indexes, so this is done once for all of them. Splits of an index that is not
//! configured any more stay as they are.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use logboom_metastore::Database;
use tantivy::Index;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{
    catalog::OpenSplit,
    directory::SplitDirectory,
    error::{Error, Inconsistency},
    hot::Mould,
    tables::{self, SplitMeta},
};

/// The indexes to open, by name.
pub(crate) type Moulds = BTreeMap<Arc<str>, Mould>;

/// The published splits of each index.
pub(crate) type Splits = BTreeMap<Arc<str>, Vec<OpenSplit>>;

/// Opens all published splits of the configured indexes after removing leftovers.
pub(crate) async fn recover(
    database: &Database,
    splits_dir: &Path,
    moulds: &Moulds,
) -> Result<Splits, Error> {
    let published = tables::published(database).await?;
    // No search runs yet, so nothing holds a replaced split: the grace is over.
    let mut leftovers = tables::leftovers(database, "staged", i64::MAX).await?;
    leftovers.extend(tables::leftovers(database, "marked", i64::MAX).await?);
    let known: HashSet<Ulid> = published.iter().map(|split| split.id).collect();
    let (splits_dir, moulds) = (splits_dir.to_owned(), moulds.clone());
    let splits = tokio::task::spawn_blocking(move || {
        remove_unknown(&splits_dir, &known)?;
        open_all(&splits_dir, published, &moulds)
    })
    .await??;
    // Rows last: a crash in between finds the row again and its files gone.
    if !leftovers.is_empty() {
        tables::forget(database, &leftovers).await?;
    }
    Ok(splits)
}

/// Removes every folder that is not a published split. Other files are nobody's business.
fn remove_unknown(splits_dir: &Path, known: &HashSet<Ulid>) -> Result<(), Error> {
    std::fs::create_dir_all(splits_dir).map_err(Error::disk("create", splits_dir))?;
    for entry in std::fs::read_dir(splits_dir).map_err(Error::disk("list", splits_dir))? {
        let entry = entry.map_err(Error::disk("list", splits_dir))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| Ulid::from_string(name).ok()) else {
            continue;
        };
        if !known.contains(&id) {
            tracing::info!(split = %id, "removing the files of a split that was never published or is replaced");
            remove(splits_dir, id)?;
        }
    }
    Ok(())
}

/// Removes a split's files; that they are gone already is fine.
pub(crate) fn remove(splits_dir: &Path, id: Ulid) -> Result<(), Error> {
    let path = splits_dir.join(id.to_string());
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::disk("remove", &path)(error))
        }
        _ => Ok(()),
    }
}

fn open_all(
    splits_dir: &Path,
    published: Vec<SplitMeta>,
    moulds: &Moulds,
) -> Result<Splits, Error> {
    let mut splits = Splits::new();
    let mut closed: BTreeMap<Arc<str>, (usize, u64)> = BTreeMap::new();
    for meta in published {
        match moulds.get(&meta.index) {
            Some(mould) => {
                let index = Arc::clone(&meta.index);
                let split = open(splits_dir, meta, mould)?;
                splits.entry(index).or_default().push(split);
            }
            None => {
                let (count, bytes) = closed.entry(meta.index).or_default();
                *count += 1;
                *bytes += meta.file_bytes;
            }
        }
    }
    for (index, (splits, bytes)) in closed {
        tracing::warn!(
            index = &*index,
            splits,
            bytes,
            "an index on the disk is not configured: its splits are kept, and neither searched nor deleted"
        );
    }
    Ok(splits)
}

fn open(splits_dir: &Path, meta: SplitMeta, mould: &Mould) -> Result<OpenSplit, Error> {
    let known = mould.kind.format();
    if meta.format != known {
        return Err(Inconsistency::SplitFormat {
            id: meta.id.to_string(),
            found: meta.format,
            known,
        }
        .into());
    }
    let path = splits_dir.join(meta.id.to_string());
    if !path.is_dir() {
        return Err(Inconsistency::SplitMissing {
            id: meta.id.to_string(),
            path,
        }
        .into());
    }
    let directory = SplitDirectory::open(&path, CancellationToken::new())
        .map_err(|error| Error::index("open a split")(error.into()))?;
    let index = Index::open(directory).map_err(Error::index("open a split"))?;
    Ok(OpenSplit::new(meta, mould.searcher(index)?))
}
