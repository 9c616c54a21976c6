//! One partition as others see it, and the state behind it.
//!
//! Parts with a lock each, taken in this order and never held across an await:
//!
//! * `start`: nothing but the right to move the log's start and to delete files, or the whole directory. Held through
//!   all of that, syncs included, which can take a second: so the writer never asks for it.
//! * `tail`: what only a change of the log's end needs. Held through a group's write *and* sync, and by retention
//!   while it closes the open segment. Whoever holds it stops the writer, and with it all partitions.
//! * `state`: the durable log start and epochs. Held for moments only, and changed with `start` in hand.
//! * `view`: what may be read. Held for moments only.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak, mpsc,
};

use bytes::Bytes;
use logboom_disk::{Disk, DiskFile, Error as DiskError};
use tokio::sync::{Semaphore, oneshot, watch};

use super::batch::Header;
use super::commit::Pending;
use super::config::{LogConfig, PartitionSettings};
use super::error::{AppendError, one_line};
use super::index::{self, Index, Summary};
use super::marker::{self, Aborted, Outcome};
use super::open::OpenSegments;
use super::producers::{ActiveProducer, Producers};
use super::segment;
use super::state::PartitionState;
use super::writer::Message;
use crate::limits::BATCH_BYTES_MAX;

/// What all partitions of a disk share.
pub(super) struct Env {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) config: LogConfig,
    pub(super) open_segments: OpenSegments,
    /// Partitions that have acknowledged something since they were last synced, each once; only where a thread does that.
    pub(super) unsynced: Mutex<Vec<Weak<PartitionLog>>>,
    /// Milliseconds since 1970.
    pub(super) clock: Box<dyn Fn() -> i64 + Send + Sync>,
    /// Bytes that may wait for the writer.
    pub(super) pending: Arc<Semaphore>,
    pub(super) writer: mpsc::Sender<Message>,
}

impl Env {
    pub(super) fn unsynced(&self) -> MutexGuard<'_, Vec<Weak<PartitionLog>>> {
        self.unsynced
            .lock()
            .expect("nothing panics with the list in hand")
    }
}

/// An append that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    /// What the records' times were replaced by, if the partition stamps them. Of a duplicate it is when that came: the
    /// first one's is not kept apart.
    pub stamped_ms: Option<i64>,
    /// The batch had been stored before; `base_offset` is where.
    pub duplicate: bool,
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Whole batches as they are stored. The first may start before the offset asked for.
    pub bytes: Bytes,
    /// Set if there are none because the first batch, of so many bytes, is larger than what was asked for. Who asks
    /// again for that much gets it, so no batch can stop a reader for ever.
    pub too_large: Option<usize>,
    /// For readers of what is committed: whose batches in `bytes` are to be skipped, by first offset.
    pub aborted: Vec<Aborted>,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start: i64,
}

/// One partition of a topic. Shared by everybody who appends, reads, trims or watches.
pub struct PartitionLog {
    topic: Arc<str>,
    partition: i32,
    pub(super) env: Arc<Env>,
    /// The reason why there is nothing, for a partition that could not be opened.
    core: Result<Core, Arc<str>>,
}

pub(super) struct Core {
    pub(super) dir: PathBuf,
    start: Mutex<()>,
    pub(super) tail: Mutex<Tail>,
    pub(super) state: Mutex<PartitionState>,
    settings: RwLock<PartitionSettings>,
    view: RwLock<View>,
    watermark: watch::Sender<i64>,
    /// Set once and for ever (of this process): the partition takes no more writes.
    failure: OnceLock<Arc<str>>,
    /// Deleted, or the log is closed.
    closed: AtomicBool,
}

/// What the next group needs to be written.
#[derive(Debug)]
pub(super) struct Tail {
    /// How far space is reserved in the open segment.
    pub(super) allocated: u64,
    pub(super) producers: Producers,
    /// Position up to which the open segment's index was noted on disk.
    pub(super) noted: u64,
    /// Whether the files are as closing the log would leave them, so that partitions that nobody writes to cost a stop
    /// nothing.
    pub(super) is_settled: bool,
    /// Whether it is among [`Env::unsynced`].
    pub(super) is_unsynced: bool,
}

/// Everything that may be read: what is synced, or, where acknowledgements do not wait for that, written.
#[derive(Debug)]
pub(super) struct View {
    /// Oldest first, each ending where the next one starts, the last where the open one does.
    pub(super) closed: Vec<Arc<ClosedSegment>>,
    pub(super) open: OpenSegment,
    pub(super) log_start: i64,
    /// Where the oldest open transaction began.
    pub(super) first_open: Option<i64>,
}

#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) index: Index,
}

#[derive(Debug)]
pub(super) struct ClosedSegment {
    pub(super) dir: PathBuf,
    pub(super) summary: Summary,
}

impl View {
    pub(super) fn end(&self) -> i64 {
        self.open.index.summary.end_offset
    }

    /// Up to here it is decided what is committed. Records that are deleted leave their transaction open.
    pub(super) fn stable_end(&self) -> i64 {
        self.first_open
            .map_or(self.end(), |first| first.max(self.log_start))
    }
}

impl Core {
    pub(super) fn new(
        dir: PathBuf,
        settings: PartitionSettings,
        tail: Tail,
        state: PartitionState,
        view: View,
    ) -> Core {
        let watermark = watch::Sender::new(view.end());
        Core {
            dir,
            start: Mutex::new(()),
            tail: Mutex::new(tail),
            state: Mutex::new(state),
            settings: RwLock::new(settings),
            view: RwLock::new(view),
            watermark,
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn start(&self) -> MutexGuard<'_, ()> {
        self.start
            .lock()
            .expect("nothing panics with the start in hand; if it did, nothing may be built on it")
    }

    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail
            .lock()
            .expect("nothing panics with the tail in hand; if it did, nothing may be built on it")
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PartitionState> {
        self.state
            .lock()
            .expect("nothing panics with the state in hand")
    }

    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view
            .read()
            .expect("nothing panics with the view in hand")
    }

    pub(super) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view
            .write()
            .expect("nothing panics with the view in hand")
    }

    pub(super) fn settings(&self) -> PartitionSettings {
        *self
            .settings
            .read()
            .expect("nothing panics with the settings in hand")
    }

    /// Whether the partition takes writes.
    pub(super) fn check(&self) -> Result<(), AppendError> {
        if let Some(reason) = self.failure.get() {
            return Err(AppendError::Storage {
                reason: reason.clone(),
            });
        }
        if self.is_closed() {
            Err(AppendError::Closed)
        } else {
            Ok(())
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on every append is refused; what is synced can be read.
    pub(super) fn fail(&self, error: &DiskError) -> Arc<str> {
        let reason = one_line(error);
        metrics::counter!(super::metrics::PARTITION_FAILURES).increment(1);
        tracing::error!(dir = %self.dir.display(), error = %reason, "partition is out of service until a restart");
        self.failure.get_or_init(|| reason).clone()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn publish_watermark(&self) {
        let end = self.view().end();
        self.watermark
            .send_if_modified(|seen| std::mem::replace(seen, end) != end);
    }

    /// Makes durable what of the open segment was acknowledged unsynced, before something else that relies on it is.
    pub(super) fn settle_open(&self, env: &Env) -> Result<(), AppendError> {
        if env.config.flush.comes_first() {
            return Ok(());
        }
        // After a failed sync another one would succeed and mean nothing.
        self.check()?;
        let file = self.view().open.file.clone();
        file.sync_data().map_err(|error| AppendError::Storage {
            reason: self.fail(&error),
        })
    }

    /// Closes the open segment and opens the next one. After an error that is [`DiskError::Full`] the open one goes on
    /// as it was; after any other the caller fails the partition.
    pub(super) fn roll(&self, env: &Env, tail: &mut Tail) -> Result<(), DiskError> {
        let (file, index) = {
            let view = self.view();
            (view.open.file.clone(), view.open.index.clone())
        };
        let (base, end_position) = (index.summary.end_offset, index.summary.end_position);
        assert!(
            !index.summary.is_empty(),
            "a segment without records has the name of the next one"
        );
        tail.is_settled = false;
        // What is acknowledged unsynced is from here on; the cut has to be as well, since the index will say how long it is.
        file.set_len(end_position)?;
        tail.allocated = end_position;
        file.sync_data()?;
        tail.producers.prune(self.view().log_start, (env.clock)());
        index::store_durably(env.disk.as_ref(), &self.dir, &index, &tail.producers)?;
        tail.noted = end_position;
        let (next, allocated) = segment::create(
            env.disk.as_ref(),
            &self.dir,
            base,
            self.settings().segment_bytes,
            (env.clock)(),
        )?;
        tail.allocated = allocated;
        tail.noted = segment::DATA_FROM;
        // If it stays, the next start removes it.
        let _of_no_use_any_more = env
            .disk
            .remove(&index::note_path(&self.dir, index.summary.base));
        let mut view = self.view_mut();
        view.closed.push(Arc::new(ClosedSegment {
            dir: self.dir.clone(),
            summary: index.summary,
        }));
        view.open = OpenSegment {
            file: next,
            index: Index::empty(base),
        };
        Ok(())
    }
}

impl PartitionLog {
    pub(super) fn new(
        topic: &str,
        partition: i32,
        env: Arc<Env>,
        core: Result<Core, Arc<str>>,
    ) -> PartitionLog {
        PartitionLog {
            topic: topic.into(),
            partition,
            env,
            core,
        }
    }

    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Replaces the settings. The log keeps them for as long as it is open: to bring them again after a restart is its
    /// owner's work. A partition that could not be opened has no use for any.
    pub fn configure(&self, settings: PartitionSettings) {
        if let Ok(core) = &self.core {
            *core
                .settings
                .write()
                .expect("nothing panics with the settings in hand") = settings;
        }
    }

    /// Stores `batch`, exactly one that [`Header::parse_and_verify`] let through, at the end of the log. Resolves
    /// when it is synced, or when it certainly will not be stored. Waits while too much is pending already.
    ///
    /// Dropping the future does not take the append back.
    pub async fn append(self: &Arc<Self>, batch: Bytes) -> Result<Appended, AppendError> {
        if Header::parse(&batch).is_some_and(|header| header.is_control()) {
            return Err(super::batch::BatchError::Control.into());
        }
        self.commit(batch).await
    }

    /// Ends the open transaction of this producer with a marker: the marker's offset, or `None` if nothing is open, as
    /// after a marker that is on disk already. An epoch newer than the producer's fences it.
    ///
    /// Dropping the future does not take the marker back.
    pub async fn end_transaction(
        self: &Arc<Self>,
        producer_id: i64,
        epoch: i16,
        outcome: Outcome,
    ) -> Result<Option<i64>, AppendError> {
        let marker = marker::build(producer_id, epoch, outcome, (self.env.clock)());
        let appended = self.commit(marker).await?;
        Ok((!appended.duplicate).then_some(appended.base_offset))
    }

    async fn commit(self: &Arc<Self>, batch: Bytes) -> Result<Appended, AppendError> {
        self.core_or(|reason| AppendError::Storage { reason })?
            .check()?;
        let bytes = batch.len();
        if bytes > BATCH_BYTES_MAX {
            return Err(AppendError::TooLarge {
                bytes,
                bytes_max: BATCH_BYTES_MAX,
            });
        }
        let permits = u32::try_from(bytes).expect("a batch is below 4 GiB");
        let permit = self
            .env
            .pending
            .clone()
            .acquire_many_owned(permits)
            .await
            .map_err(|_closed| AppendError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            log: self.clone(),
            batch,
            reply,
            permit: Some(permit),
        };
        self.env
            .writer
            .send(Message::Append(pending))
            .map_err(|_ended| AppendError::Closed)?;
        answer.await.map_err(|_ended| AppendError::Closed)?
    }

    /// Whether the partition could not be opened: its offsets are not known, and must not be told as an empty log's.
    pub fn is_refused(&self) -> bool {
        self.core.is_err()
    }

    /// Offset after the last synced record: where the next one will be.
    pub fn high_watermark(&self) -> i64 {
        self.core.as_ref().map_or(0, |core| core.view().end())
    }

    /// Offset before which every transaction has ended: the high watermark, unless one is open.
    pub fn last_stable_offset(&self) -> i64 {
        self.core
            .as_ref()
            .map_or(0, |core| core.view().stable_end())
    }

    /// The producers that are remembered, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        self.core
            .as_ref()
            .map_or_else(|_| Vec::new(), |core| core.tail().producers.active())
    }

    pub fn log_start(&self) -> i64 {
        self.core.as_ref().map_or(0, |core| core.view().log_start)
    }

    /// Changes whenever the high watermark does. Of a partition that [`PartitionLog::is_refused`] it is closed.
    pub fn watch(&self) -> watch::Receiver<i64> {
        match &self.core {
            Ok(core) => core.watermark.subscribe(),
            Err(_) => watch::Sender::new(0).subscribe(),
        }
    }

    /// Of the stored batches.
    pub fn size_bytes(&self) -> u64 {
        let Ok(core) = &self.core else { return 0 };
        let view = core.view();
        view.closed
            .iter()
            .map(|segment| segment.summary.data_bytes())
            .sum::<u64>()
            + view.open.index.summary.data_bytes()
    }

    /// Goes up at each start that follows a crash.
    pub fn leader_epoch(&self) -> i32 {
        self.core.as_ref().map_or(0, |core| core.state().epoch())
    }

    /// The largest known epoch that is not above `epoch`, and the offset where it ended. `None` if `epoch` is newer
    /// than all.
    pub fn epoch_end(&self, epoch: i32) -> Option<(i32, i64)> {
        let core = self.core.as_ref().ok()?;
        let end = core.view().end();
        core.state().epoch_end(epoch, end)
    }

    /// Why the partition takes no writes, if so.
    pub fn failure(&self) -> Option<Arc<str>> {
        match &self.core {
            Ok(core) => core.failure.get().cloned(),
            Err(reason) => Some(reason.clone()),
        }
    }

    pub(super) fn core(&self) -> Result<&Core, &Arc<str>> {
        self.core.as_ref()
    }

    pub(super) fn core_or<E>(&self, error: impl FnOnce(Arc<str>) -> E) -> Result<&Core, E> {
        self.core.as_ref().map_err(|reason| error(reason.clone()))
    }

    /// The header of a batch that was verified by the caller, who is trusted on its checksum only.
    pub(super) fn header_of(batch: &[u8]) -> Result<Header, AppendError> {
        let invalid = super::batch::BatchError::Length { bytes: batch.len() };
        let header = Header::parse(batch)
            .filter(|header| header.total_bytes == batch.len() && header.magic == 2)
            .ok_or(invalid)?;
        header.verify_fields()?;
        Ok(header)
    }
}

impl std::fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartitionLog({}-{})", self.topic, self.partition)
    }
}

/// The directory of a partition below the log's.
pub(super) fn dir_name(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The reverse of [`dir_name`]; topics may have dashes, partitions don't.
pub(super) fn parse_dir_name(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let number = partition.parse().ok().filter(|number| *number >= 0)?;
    (!topic.is_empty() && dir_name(topic, number) == name).then_some((topic, number))
}

/// Whether `path` is in the way because something was being deleted or created when the power failed.
pub(super) fn is_left_over(name: &str) -> bool {
    name.ends_with(segment::DELETED_SUFFIX) || name.ends_with(logboom_disk::TEMP_SUFFIX)
}

/// Removes a file that may be gone already.
pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
