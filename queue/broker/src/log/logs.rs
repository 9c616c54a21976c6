//! All partitions of one data directory, and the thread that writes them.
//!
//! ```text
//! <dir>/clean                 the last process closed everything: removed at start, written at the end of close
//! <dir>/<topic>-<partition>/  one partition: `partition.state`, `<base>.log`, `<base>.index`
//! <dir>/<number>.deleted/     one that was deleted, until its files are removed
//! ```

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use logboom_disk::{Disk, Error as DiskError, atomic_replace};
use tokio::sync::Semaphore;

use super::config::{Flush, LogConfig, PartitionSettings};
use super::error::{LogError, one_line};
use super::flusher;
use super::index;
use super::limits::{
    INDEX_INTERVAL_BYTES_MIN, OPEN_SEGMENTS_MAX, PENDING_BYTES_MAX, SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN, SYNC_THREADS,
};
use super::open::OpenSegments;
use super::partition::{Core, Env, PartitionLog, dir_name, is_left_over, parse_dir_name};
use super::recovery::{create_partition, open_partition};
use super::segment::DELETED_SUFFIX;
use super::side_by_side;
use super::sync_pool::SyncPool;
use super::writer::{self, Message};
use crate::limits::TOPIC_NAME_BYTES_MAX;

const CLEAN_MARK: &str = "clean";
const CLEAN_MARK_CONTENT: &[u8] = b"LBCLEAN1";

type ByName = BTreeMap<(Arc<str>, i32), Arc<PartitionLog>>;

/// The partitions of one data directory. Dropped without [`Logs::close`], it is as after a crash for the next start:
/// safe, only slower.
pub struct Logs {
    dir: PathBuf,
    env: Arc<Env>,
    partitions: RwLock<ByName>,
    /// Held while names come and go on disk.
    changing: Mutex<()>,
    /// `None` once closed.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Only where acknowledgements do not wait for a sync.
    flusher: Mutex<Option<Flusher>>,
}

/// The thread of [`flusher`].
struct Flusher {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Flusher {
    fn start(env: Arc<Env>, interval: Duration) -> Result<Flusher, LogError> {
        let (stop, stopped) = mpsc::channel();
        let pool = SyncPool::start(SYNC_THREADS).map_err(LogError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("log-flusher".to_owned())
            .spawn(move || flusher::run(&stopped, &pool, &env, interval))
            .map_err(LogError::Thread)?;
        Ok(Flusher { stop, thread })
    }

    fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("log flusher panicked");
        }
    }
}

impl Logs {
    /// Opens all partitions in `dir` (whose parent must exist) and recovers them. One that is damaged does not stop the others:
    /// it is there and refuses everything, see [`PartitionLog::failure`]. Blocking.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<Logs, LogError> {
        let clock = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as i64)
        };
        Logs::open_with_clock(disk, dir, config, clock)
    }

    /// As [`Logs::open`], with another clock (milliseconds since 1970).
    pub fn open_with_clock(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Logs, LogError> {
        check_config(&config)?;
        disk.create_dir(dir)?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent)?;
        }
        let clean = take_clean_mark(disk.as_ref(), dir)?;
        let (sender, inbox) = mpsc::channel();
        let group_wait = config.group_wait;
        let env = Arc::new(Env {
            disk,
            config,
            open_segments: OpenSegments::new(OPEN_SEGMENTS_MAX),
            unsynced: Mutex::default(),
            clock: Box::new(clock),
            pending: Arc::new(Semaphore::new(PENDING_BYTES_MAX)),
            writer: sender,
        });
        let partitions = open_partitions(&env, dir, clean)?;
        let pool = SyncPool::start(SYNC_THREADS).map_err(LogError::Thread)?;
        let writer = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer::run(&inbox, &pool, group_wait))
            .map_err(LogError::Thread)?;
        let flusher = match env.config.flush {
            Flush::Interval(interval) => Some(Flusher::start(env.clone(), interval)?),
            Flush::Always | Flush::Group | Flush::Os => None,
        };
        Ok(Logs {
            dir: dir.to_path_buf(),
            env,
            partitions: RwLock::new(partitions),
            changing: Mutex::new(()),
            writer: Mutex::new(Some(writer)),
            flusher: Mutex::new(flusher),
        })
    }

    /// A new, empty partition that survives a crash. Blocking.
    pub fn create(&self, topic: &str, partition: i32) -> Result<Arc<PartitionLog>, LogError> {
        let created = self.create_all(topic, &[partition])?;
        Ok(created.into_iter().next().expect("one was asked for"))
    }

    /// New, empty partitions of `topic` that survive a crash. After an error some may be there. Blocking.
    pub fn create_all(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Vec<Arc<PartitionLog>>, LogError> {
        check_topic(topic)?;
        let _changing = self.changing();
        if self.writer().is_none() {
            return Err(LogError::Closed);
        }
        let known = |number: &&i32| self.get(topic, **number).is_some();
        if let Some(number) = partitions.iter().find(known) {
            let name = dir_name(topic, *number);
            return Err(LogError::Exists { name });
        }
        let cores = side_by_side::each(self.env.config.threads, partitions, |number| {
            create_partition(&self.env, &self.dir.join(dir_name(topic, *number)))
        });
        let mut created = Vec::with_capacity(partitions.len());
        let mut outcome = Ok(());
        for (number, core) in partitions.iter().zip(cores) {
            match core {
                Ok(core) => {
                    let log = PartitionLog::new(topic, *number, self.env.clone(), Ok(core));
                    created.push(Arc::new(log));
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let mut all = self.partitions_mut();
        for log in &created {
            all.insert((topic.into(), log.partition()), log.clone());
        }
        outcome.map(|()| created)
    }

    /// What a partition is set to that nobody has configured.
    pub fn default_settings(&self) -> PartitionSettings {
        self.env.config.partition()
    }

    pub fn get(&self, topic: &str, partition: i32) -> Option<Arc<PartitionLog>> {
        self.partitions()
            .get(&(Arc::from(topic), partition))
            .cloned()
    }

    /// All partitions, by topic and number, those that refuse service included.
    pub fn list(&self) -> Vec<Arc<PartitionLog>> {
        self.partitions().values().cloned().collect()
    }

    /// Deletes all partitions of `topic` and returns how many there were. Appends that are under way are refused.
    ///
    /// After `Ok` a crash does not bring them back. After an error some may be left: they take and give nothing any
    /// more, keep their names, and go with the next call that succeeds. Blocking.
    pub fn delete_topic(&self, topic: &str) -> Result<usize, LogError> {
        check_topic(topic)?;
        let _changing = self.changing();
        let logs: Vec<_> = self
            .list()
            .into_iter()
            .filter(|log| &**log.topic() == topic)
            .collect();
        if logs.is_empty() {
            return Ok(0);
        }
        for log in &logs {
            if let Ok(core) = log.core() {
                core.close();
            }
        }
        let disk = self.env.disk.as_ref();
        let mut tombs = Vec::with_capacity(logs.len());
        let mut outcome = Ok(());
        for (log, tomb) in logs.iter().zip(self.free_tombs()?) {
            match self.bury(log, &tomb) {
                Ok(()) => tombs.push(tomb),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        disk.sync_dir(&self.dir)?;
        for tomb in tombs {
            if let Err(error) = remove_tree(disk, &tomb) {
                tracing::warn!(topic, path = %tomb.display(), error = %one_line(&error), "files of a deleted partition stay until the next start");
            }
        }
        outcome?;
        Ok(logs.len())
    }

    /// Gives a closed partition's directory the name of something deleted.
    fn bury(&self, log: &PartitionLog, tomb: &Path) -> Result<(), DiskError> {
        let dir = self.dir.join(dir_name(log.topic(), log.partition()));
        // With start and tail in hand neither a deletion nor a group of this partition is under way.
        let held = log.core().ok().map(|core| (core.start(), core.tail()));
        self.env.disk.rename(&dir, tomb)?;
        drop(held);
        // A new topic of this name has other segments at the same paths.
        if let Ok(core) = log.core() {
            for closed in &core.view().closed {
                self.env.open_segments.forget(closed);
            }
        }
        self.partitions_mut()
            .remove(&(log.topic().clone(), log.partition()));
        Ok(())
    }

    /// Names for what is deleted, short however long the topic's is, and free: a tomb that could not be removed may
    /// have one.
    fn free_tombs(&self) -> Result<impl Iterator<Item = PathBuf>, DiskError> {
        let entries = self.env.disk.list(&self.dir)?;
        let taken: HashSet<String> = entries.into_iter().map(|entry| entry.name).collect();
        Ok((0_u64..)
            .map(|number| format!("{number}{DELETED_SUFFIX}"))
            .filter(move |name| !taken.contains(name))
            .map(|name| self.dir.join(name)))
    }

    /// Commits what was accepted, closes every partition, and marks the directory as cleanly closed if all went well.
    /// Everything is refused from then on. Blocking.
    pub fn close(&self) -> Result<(), LogError> {
        let _changing = self.changing();
        if !self.stop_writer() {
            return Ok(());
        }
        let closed = side_by_side::each(self.env.config.threads, &self.list(), |log| {
            let Ok(core) = log.core() else {
                return Err(LogError::Failed {
                    reason: log.failure().unwrap_or_default(),
                });
            };
            core.close();
            if let Some(reason) = log.failure() {
                return Err(LogError::Failed { reason });
            }
            settle(&self.env, core).map_err(|error| {
                tracing::error!(partition = ?log, error = %one_line(&error), "partition did not close");
                error.into()
            })
        });
        closed.into_iter().collect::<Result<(), LogError>>()?;
        atomic_replace(
            self.env.disk.as_ref(),
            &self.dir.join(CLEAN_MARK),
            CLEAN_MARK_CONTENT,
        )?;
        Ok(())
    }

    /// One round of the flusher, which tests do without its thread.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        let pool = SyncPool::start(1).unwrap();
        flusher::flush(&self.env, &pool);
    }

    /// `false` if it had been stopped before.
    fn stop_writer(&self) -> bool {
        self.env.pending.close();
        let Some(thread) = self.writer().take() else {
            return false;
        };
        // It ends by itself if it can't be told to: that takes a panic, which join reports.
        let _ended_already = self.env.writer.send(Message::Stop);
        if thread.join().is_err() {
            tracing::error!("log writer panicked");
        }
        let flusher = self
            .flusher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(flusher) = flusher {
            flusher.stop();
        }
        true
    }

    fn partitions(&self) -> std::sync::RwLockReadGuard<'_, ByName> {
        self.partitions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn partitions_mut(&self) -> std::sync::RwLockWriteGuard<'_, ByName> {
        self.partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.stop_writer();
    }
}

/// Everything the next start would have to find out, and the reserved space given back.
fn settle(env: &Env, core: &Core) -> Result<(), DiskError> {
    let _start = core.start();
    let mut tail = core.tail();
    if tail.is_settled {
        return Ok(());
    }
    let (file, index, log_start) = {
        let view = core.view();
        (
            view.open.file.clone(),
            view.open.index.clone(),
            view.log_start,
        )
    };
    file.set_len(index.summary.end_position)?;
    file.sync_data()?;
    tail.producers.prune(log_start, (env.clock)());
    index::store_durably(env.disk.as_ref(), &core.dir, &index, &tail.producers)
}

fn take_clean_mark(disk: &dyn Disk, dir: &Path) -> Result<bool, LogError> {
    let clean = match disk.remove(&dir.join(CLEAN_MARK)) {
        Ok(()) => true,
        Err(DiskError::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    // Before anything is written: a crash from now on is not a clean end.
    disk.sync_dir(dir)?;
    Ok(clean)
}

fn open_partitions(env: &Arc<Env>, dir: &Path, clean: bool) -> Result<ByName, LogError> {
    let mut found = Vec::new();
    for entry in env.disk.list(dir)? {
        let path = dir.join(&entry.name);
        if is_left_over(&entry.name) {
            // It comes back in no form: all that it costs is space.
            if let Err(error) = remove_tree(env.disk.as_ref(), &path) {
                tracing::warn!(path = %path.display(), error = %one_line(&error), "left-over files cannot be removed");
            }
            continue;
        }
        if let Some((topic, partition)) = parse_dir_name(&entry.name).filter(|_| entry.is_dir) {
            found.push((topic.to_owned(), partition, path));
        }
    }
    let opened = side_by_side::each(env.config.threads, &found, |(topic, partition, path)| {
        let core = open_partition(env, path, clean).map_err(|error| {
            let reason = one_line(&error);
            metrics::counter!(super::metrics::PARTITION_FAILURES).increment(1);
            tracing::error!(topic, partition, error = %reason, "partition is refused");
            reason
        });
        let log = PartitionLog::new(topic, *partition, env.clone(), core);
        ((Arc::from(topic.as_str()), *partition), Arc::new(log))
    });
    Ok(opened.into_iter().collect())
}

/// Removes a file, or a directory with its files, if it is there.
fn remove_tree(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let entries = match disk.list(path) {
        Ok(entries) => entries,
        Err(DiskError::NotFound { .. }) => return Ok(()),
        Err(_) => return disk.remove(path),
    };
    for entry in entries {
        disk.remove(&path.join(entry.name))?;
    }
    disk.remove_dir(path)
}

fn check_topic(topic: &str) -> Result<(), LogError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=TOPIC_NAME_BYTES_MAX).contains(&topic.len())
        && topic.bytes().all(is_allowed)
        && topic != "."
        && topic != "..";
    if good {
        Ok(())
    } else {
        Err(LogError::TopicName {
            name: topic.to_owned(),
        })
    }
}

fn check_config(config: &LogConfig) -> Result<(), LogError> {
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&config.segment_bytes) {
        return Err(LogError::Config {
            key: "segment_bytes",
            value: config.segment_bytes,
            allowed: "4 KiB to 1 GiB",
        });
    }
    if config.index_interval_bytes < INDEX_INTERVAL_BYTES_MIN {
        return Err(LogError::Config {
            key: "index_interval_bytes",
            value: config.index_interval_bytes,
            allowed: "4 KiB or more",
        });
    }
    Ok(())
}
