//! From sealed hot segments to published splits.
//!
//! In this order, so that a crash anywhere is repaired by [`crate::recover`]:
//! 1. stage: a row for every split, before its first file;
//! 2. write: merge the segments into one directory, every file and the directory synced;
//! 3. commit: ONE transaction makes the rows published and moves the checkpoints and marks, each only
//!    if it still stands where this publish starts;
//! 4. swap: the catalog exchanges the hot segments for the split.
//!
//! A crash before 3 leaves the checkpoints where they were: the records are read again. A crash
//! after 3 finds them in the split. When the answer to 3 is lost, the rows are read back.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use logboom_metastore::Database;
use tantivy::{Searcher, indexer::merge_filtered_segments};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{
    build::{Part, Sealed},
    catalog::{Catalog, OpenSplit},
    directory::SplitDirectory,
    error::Error,
    hot::{Extent, Mould, split_settings},
    limits, metrics, tables,
    tables::SplitMeta,
};

/// Where a publish or a merge can be interrupted by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Staged,
    Written,
    /// The transaction is durable, but nobody was told.
    Committed,
    /// The transaction is durable, and its answer says that it failed.
    AnswerLost,
}

/// Tests interrupt by answering false.
pub(crate) type Passes = Arc<dyn Fn(Step) -> bool + Send + Sync>;

/// Writes splits. Cheap to clone; used by one publish and one merge at a time.
#[derive(Clone)]
pub(crate) struct Publisher {
    /// Whose splits it writes.
    pub(crate) index: Arc<str>,
    pub(crate) database: Database,
    pub(crate) epoch: i64,
    pub(crate) splits_dir: PathBuf,
    pub(crate) mould: Mould,
    pub(crate) catalog: Arc<Catalog>,
    /// Ends a write on a blocking thread early.
    pub(crate) abort: CancellationToken,
    pub(crate) passes: Passes,
}

impl Publisher {
    /// Publishes, trying again while that may help: the sealed segments stay searchable meanwhile.
    /// Gives up on `stop`; the records are then read again after the next start.
    pub(crate) async fn publish_until_done(
        &self,
        sealed: &Sealed,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let drafts: Vec<(Ulid, &Part)> = sealed
            .parts
            .iter()
            .map(|part| (Ulid::generate(), part))
            .collect();
        // Two phases: once a commit was tried, the files may be published and are not touched again.
        let mut pause = limits::RETRY_PAUSE_MIN;
        let splits = loop {
            match self.prepare(&drafts).await {
                Ok(splits) => break splits,
                Err(error) => self.wait_out(error, &mut pause, stop).await?,
            }
        };
        while let Err(error) = self.commit_once(sealed, &splits).await {
            self.wait_out(error, &mut pause, stop).await?;
        }
        self.passed(Step::Committed)?;
        self.catalog.publish(splits);
        let index = || Arc::clone(&self.index);
        ::metrics::counter!(metrics::PUBLISHES, "index" => index()).increment(1);
        ::metrics::histogram!(metrics::PUBLISH_SECONDS, "index" => index())
            .record(started.elapsed());
        Ok(())
    }

    /// Waits before another try, or gives the error back when another try cannot help.
    async fn wait_out(
        &self,
        error: Error,
        pause: &mut Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        if !error.is_retriable() {
            return Err(error);
        }
        ::metrics::counter!(metrics::PUBLISH_FAILURES, "index" => Arc::clone(&self.index))
            .increment(1);
        tracing::error!(
            index = &*self.index, %error, retry_in = ?pause,
            "cannot publish; nothing is lost: records stay searchable in memory and safe in the queue, and fetching \
             stops when memory is full. If the disk of `{}` is full, free some space",
            self.splits_dir.display()
        );
        if stop
            .run_until_cancelled(tokio::time::sleep(*pause))
            .await
            .is_none()
        {
            return Err(error);
        }
        *pause = (*pause * 2).min(limits::RETRY_PAUSE_MAX);
        Ok(())
    }

    async fn prepare(&self, drafts: &[(Ulid, &Part)]) -> Result<Vec<OpenSplit>, Error> {
        let ids: Vec<Ulid> = drafts.iter().map(|(id, _)| *id).collect();
        self.stage(&ids).await?;
        let mut splits = Vec::with_capacity(drafts.len());
        for (id, part) in drafts {
            let draft = Draft {
                id: *id,
                day: part.day,
                generation: 0,
                extent: part.extent.clone(),
            };
            splits.push(self.write(draft, part.segments.clone()).await?);
        }
        Ok(splits)
    }

    /// A row for every split, durable before its first file.
    pub(crate) async fn stage(&self, ids: &[Ulid]) -> Result<(), Error> {
        let mut write = tables::begin_as_owner(&self.database, self.epoch).await?;
        for id in ids {
            tables::stage(&mut write, *id, now_ms()).await?;
        }
        write.commit().await?;
        self.passed(Step::Staged)
    }

    /// Commits, unless an earlier try did although its answer said otherwise.
    async fn commit_once(&self, sealed: &Sealed, splits: &[OpenSplit]) -> Result<(), Error> {
        if self.is_committed(sealed, splits).await? {
            return Ok(());
        }
        match self.commit(sealed, splits).await {
            Err(error) if self.is_committed(sealed, splits).await? => {
                tracing::warn!(%error, "the metastore's answer to a publish was lost; it did publish");
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn commit(&self, sealed: &Sealed, splits: &[OpenSplit]) -> Result<(), Error> {
        let mut write = tables::begin_as_owner(&self.database, self.epoch).await?;
        for progress in &sealed.progress {
            tables::advance(&mut write, progress).await?;
        }
        for split in splits {
            tables::publish(&mut write, &split.meta).await?;
        }
        write.commit().await?;
        self.passed(Step::AnswerLost)
    }

    /// All or nothing, so one row tells: a split's, or, when all records were duplicates, a checkpoint's.
    async fn is_committed(&self, sealed: &Sealed, splits: &[OpenSplit]) -> Result<bool, Error> {
        match (splits.first(), sealed.progress.first()) {
            (Some(split), _) => tables::is_published(&self.database, split.id).await,
            (None, Some(progress)) => tables::has_advanced(&self.database, progress).await,
            (None, None) => Ok(true),
        }
    }

    /// Merges segments into one split on the disk and opens it.
    pub(crate) async fn write(
        &self,
        draft: Draft,
        inputs: Vec<Searcher>,
    ) -> Result<OpenSplit, Error> {
        let publisher = self.clone();
        let split =
            tokio::task::spawn_blocking(move || publisher.write_blocking(draft, &inputs)).await??;
        self.passed(Step::Written)?;
        Ok(split)
    }

    fn write_blocking(&self, draft: Draft, inputs: &[Searcher]) -> Result<OpenSplit, Error> {
        let path = self.splits_dir.join(draft.id.to_string());
        // Left by the try before this one; nothing of it was committed.
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(Error::disk("clear", &path))?;
        }
        std::fs::create_dir(&path).map_err(Error::disk("create", &path))?;
        let directory = SplitDirectory::open(&path, self.abort.clone())
            .map_err(|error| Error::index("open a split")(error.into()))?;
        let mut segments = Vec::new();
        for searcher in inputs {
            segments.extend(
                searcher
                    .index()
                    .searchable_segments()
                    .map_err(Error::index("list segments"))?,
            );
        }
        let everything = segments.iter().map(|_| None).collect();
        let index = merge_filtered_segments(&segments, split_settings(), everything, directory)
            .map_err(Error::index("write a split"))?;
        for folder in [&path, &self.splits_dir] {
            std::fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(Error::disk("sync", folder))?;
        }
        let meta = draft.meta(self, bytes_of(&path)?);
        let split = OpenSplit::new(meta, self.mould.searcher(index)?);
        assert_eq!(
            split.searcher.num_docs(),
            split.docs,
            "a split holds every record that it was built of"
        );
        Ok(split)
    }

    pub(crate) fn passed(&self, step: Step) -> Result<(), Error> {
        if (self.passes)(step) {
            Ok(())
        } else {
            Err(Error::Interrupted(step))
        }
    }
}

/// A split that is being written.
pub(crate) struct Draft {
    pub(crate) id: Ulid,
    pub(crate) day: i64,
    pub(crate) generation: u32,
    pub(crate) extent: Extent,
}

impl Draft {
    fn meta(self, publisher: &Publisher, file_bytes: u64) -> SplitMeta {
        let Extent {
            docs,
            raw_bytes,
            arrival_max_ms,
            time_min_ns,
            time_max_ns,
        } = self.extent;
        SplitMeta {
            id: self.id,
            index: Arc::clone(&publisher.index),
            format: publisher.mould.kind.format(),
            day: self.day,
            docs,
            raw_bytes,
            file_bytes,
            generation: self.generation,
            // A producer's clock that runs ahead must not keep a split for ever.
            arrival_max_ms: arrival_max_ms.min(now_ms()),
            time_min_ns,
            time_max_ns,
        }
    }
}

impl OpenSplit {
    pub(crate) fn new(meta: SplitMeta, searcher: Searcher) -> OpenSplit {
        OpenSplit {
            id: meta.id,
            searcher,
            time_range: meta.time_min_ns..=meta.time_max_ns,
            docs: meta.docs,
            meta,
        }
    }
}

fn bytes_of(folder: &std::path::Path) -> Result<u64, Error> {
    let sizes = std::fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.metadata()?.len()))
            .sum::<std::io::Result<u64>>()
    });
    sizes.map_err(Error::disk("measure", folder))
}

pub(crate) fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
