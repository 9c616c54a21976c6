//! Which topics there are: durable, bounded, and always in step with the partitions' logs.
//!
//! The file `topics` is the truth. A topic is created logs first, file second, seen third, and deleted file first, logs
//! second: logs that the file does not name are what a crash or a failure left behind. They are removed at the next
//! start, and before a topic of their name is created, so that none gets the records of another.
//!
//! A write of the file that fails may have replaced it or not, and a crash would decide. So before anything builds on
//! it, a log's removal above all, the file is written again. A change runs to its end on a blocking thread even if the
//! request that asked for it is gone.

pub(crate) mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kafka_protocol::ResponseError;
use logboom_disk::{Disk, DiskSpace};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::error::Error;
use crate::limits::{PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, TOPIC_NAME_BYTES_MAX, TOPICS_MAX};
use crate::log::{Logs, PartitionLog};
use crate::stored;
use settings::{Overrides, SettingError};

const KIND: &str = "topics";

/// A topic; replaced as a whole when partitions are added or settings changed.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Arc<PartitionLog>>,
    /// What is not the broker's setting.
    pub(crate) overrides: Overrides,
}

impl Topic {
    pub(crate) fn partition(&self, number: i32) -> Option<&Arc<PartitionLog>> {
        self.partitions.get(usize::try_from(number).ok()?)
    }
}

/// The partitions that the file in `dir` names; `None` if there is no file.
pub(crate) fn examine(disk: &dyn Disk, dir: &Path) -> Result<Option<Vec<(String, i32)>>, Error> {
    let path = dir.join(KIND);
    let Some(stored) = stored::read::<Vec<StoredTopic>>(disk, &path, KIND)? else {
        return Ok(None);
    };
    let mut named = Vec::new();
    for topic in stored {
        topic.check(&path)?;
        named.extend((0..topic.partitions as i32).map(|number| (topic.name.clone(), number)));
    }
    Ok(Some(named))
}

/// Why a topic could not be changed; [`TopicError::code`] is what the client is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error(
        "topic name `{name}` is not allowed: 1 to {TOPIC_NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -, not `.` or `..`"
    )]
    Name { name: String },
    #[error("topic `{name}` exists already")]
    Exists { name: String },
    #[error("topic `{name}` does not exist")]
    Unknown { name: String },
    #[error(
        "`{asked}` partitions asked for, 1 to {PARTITIONS_PER_TOPIC_MAX} are allowed, more than before where some exist"
    )]
    Partitions { asked: i64 },
    #[error("the broker holds at most {TOPICS_MAX} topics and {PARTITIONS_MAX} partitions")]
    TooMany,
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("storage failed: {0}")]
    Storage(String),
    #[error(
        "topic is deleted, but its logs cannot be removed, and until then none of its name be created: {0}"
    )]
    LogsRemain(String),
}

impl TopicError {
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            TopicError::Name { .. } => ResponseError::InvalidTopicException,
            TopicError::Exists { .. } => ResponseError::TopicAlreadyExists,
            TopicError::Unknown { .. } => ResponseError::UnknownTopicOrPartition,
            TopicError::Partitions { .. } => ResponseError::InvalidPartitions,
            TopicError::TooMany => ResponseError::PolicyViolation,
            TopicError::Setting(_) => ResponseError::InvalidConfig,
            TopicError::Storage(_) | TopicError::LogsRemain(_) => ResponseError::KafkaStorageError,
        }
    }
}

/// The set of topics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Topics {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    logs: Arc<Logs>,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    /// Held while a change is made: changes come one after the other.
    changing: Mutex<()>,
    /// Whether the file may hold something else than the map.
    uncertain: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct StoredTopic {
    name: String,
    id: Uuid,
    partitions: u32,
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    settings: Overrides,
}

impl StoredTopic {
    fn check(&self, path: &Path) -> Result<(), Error> {
        self.settings.check().map_err(|error| Error::Damaged {
            path: path.to_path_buf(),
            problem: format!("topic `{}`: {error}", self.name),
        })
    }
}

impl Topics {
    /// Reads the file and brings the logs into step with it. Blocking.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, logs: Arc<Logs>) -> Result<Topics, Error> {
        let path = dir.join(KIND);
        let inner = Inner {
            disk,
            path,
            logs,
            topics: RwLock::default(),
            changing: Mutex::default(),
            uncertain: AtomicBool::new(false),
        };
        match stored::read::<Vec<StoredTopic>>(&*inner.disk, &inner.path, KIND)? {
            Some(stored) => inner.restore(stored)?,
            None => inner.adopt()?,
        }
        Ok(Topics {
            inner: Arc::new(inner),
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.inner.read().get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.inner
            .read()
            .values()
            .find(|topic| topic.id == id)
            .cloned()
    }

    /// All topics, ordered by name.
    pub(crate) fn list(&self) -> Vec<Arc<Topic>> {
        self.inner.read().values().cloned().collect()
    }

    /// Creates a topic with the broker's settings; durable when it returns.
    pub(crate) async fn create(
        &self,
        name: &str,
        partitions: u32,
    ) -> Result<Arc<Topic>, TopicError> {
        self.create_with(name, partitions, Overrides::default())
            .await
    }

    /// Creates a topic with some settings of its own; durable when it returns.
    pub(crate) async fn create_with(
        &self,
        name: &str,
        partitions: u32,
        overrides: Overrides,
    ) -> Result<Arc<Topic>, TopicError> {
        let name = name.to_owned();
        self.change(move |inner| inner.create(&name, partitions, overrides))
            .await
    }

    /// Changes the settings of a topic by `edit`, all or nothing; durable when it returns, and only then in effect.
    pub(crate) async fn alter(
        &self,
        name: &str,
        check_only: bool,
        edit: impl FnOnce(&mut Overrides) -> Result<(), SettingError> + Send + 'static,
    ) -> Result<(), TopicError> {
        let name = name.to_owned();
        self.change(move |inner| inner.alter(&name, check_only, edit))
            .await
    }

    /// How much room the disk of the logs has. Blocking.
    pub(crate) fn disk_space(&self) -> Result<DiskSpace, logboom_disk::Error> {
        let dir = self.inner.path.parent().unwrap_or(&self.inner.path);
        self.inner.disk.space(dir)
    }

    /// What [`Topics::create`] would say, without doing it.
    pub(crate) fn check_create(&self, name: &str, partitions: u32) -> Result<(), TopicError> {
        self.inner.check_create(name, partitions)
    }

    /// Brings a topic to `total` partitions; durable when it returns.
    pub(crate) async fn grow(
        &self,
        name: &str,
        total: i64,
        check_only: bool,
    ) -> Result<(), TopicError> {
        let name = name.to_owned();
        self.change(move |inner| inner.grow(&name, total, check_only))
            .await
    }

    /// Deletes a topic with all its records.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), TopicError> {
        let name = name.to_owned();
        self.change(move |inner| inner.delete(&name)).await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Inner) -> Result<T, TopicError> + Send + 'static,
    ) -> Result<T, TopicError> {
        let inner = self.inner.clone();
        let changed = tokio::task::spawn_blocking(move || {
            // A change that panicked has not touched the map yet: the next one starts from a sound state.
            let _one_at_a_time = inner
                .changing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            inner.settle()?;
            let outcome = change(&inner);
            if let Err(error) = inner.settle() {
                error!(%error, "topics are not what their file may say; no topic is changed until it can be written");
            }
            outcome
        });
        match changed.await {
            Ok(outcome) => outcome,
            Err(error) => Err(TopicError::Storage(error.to_string())),
        }
    }
}

impl Inner {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Arc<str>, Arc<Topic>>> {
        self.topics
            .read()
            .expect("the map's lock is held for single map calls only")
    }

    fn put(&self, topic: Arc<Topic>) {
        let mut topics = self
            .topics
            .write()
            .expect("the map's lock is held for single map calls only");
        topics.insert(topic.name.clone(), topic);
    }

    fn restore(&self, stored: Vec<StoredTopic>) -> Result<(), Error> {
        for topic in &stored {
            let mut partitions = Vec::new();
            for number in 0..topic.partitions as i32 {
                let log = self
                    .logs
                    .get(&topic.name, number)
                    .ok_or_else(|| Error::Damaged {
                        path: self.path.clone(),
                        problem: format!(
                            "it names partition `{number}` of topic `{}`, whose log is not there",
                            topic.name
                        ),
                    })?;
                partitions.push(log);
            }
            topic.check(&self.path)?;
            let topic = Topic {
                name: topic.name.as_str().into(),
                id: topic.id,
                partitions,
                overrides: topic.settings.clone(),
            };
            self.configure(&topic);
            self.put(Arc::new(topic));
        }
        self.remove_leftovers(&stored)
    }

    /// Logs that a crash left behind while their topic was being created or deleted.
    fn remove_leftovers(&self, stored: &[StoredTopic]) -> Result<(), Error> {
        let unnamed = |topic: &str| !stored.iter().any(|known| known.name == topic);
        let mut leftovers: Vec<String> = self
            .logs
            .list()
            .into_iter()
            .map(|log| log.topic().to_string())
            .filter(|topic| unnamed(topic))
            .collect();
        leftovers.sort_unstable();
        leftovers.dedup();
        if leftovers.is_empty() {
            return Ok(());
        }
        // What was read may not be durable yet; an older file would name logs that are gone.
        let topics = self.read().clone();
        self.store(&topics).map_err(|source| Error::DataDir {
            path: self.path.clone(),
            source: Box::new(source),
        })?;
        for topic in leftovers {
            info!(
                topic,
                "removing the logs of a topic that was being created or deleted when the broker died"
            );
            if let Err(error) = self.logs.delete_topic(&topic) {
                warn!(topic, %error, "left-over logs cannot be removed");
            }
        }
        Ok(())
    }

    /// Without the file, every log that is there counts: better too many topics than lost records.
    fn adopt(&self) -> Result<(), Error> {
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        for log in self.logs.list() {
            let count = counts.entry(log.topic().to_string()).or_default();
            *count = (*count).max(log.partition() + 1);
        }
        if !counts.is_empty() {
            error!(path = %self.path.display(), topics = counts.len(), "file is missing: taking over every log found");
        }
        for (name, count) in counts {
            let mut partitions = Vec::new();
            for number in 0..count {
                let log = self
                    .open_log(&name, number)
                    .map_err(|source| Error::DataDir {
                        path: self.path.clone(),
                        source: Box::new(source),
                    })?;
                partitions.push(log);
            }
            self.put(Arc::new(Topic {
                name: name.as_str().into(),
                id: Uuid::new_v4(),
                partitions,
                overrides: Overrides::default(),
            }));
        }
        let adopted = self.read().clone();
        self.store(&adopted).map_err(|source| Error::DataDir {
            path: self.path.clone(),
            source: Box::new(source),
        })
    }

    /// The logs of partitions 0 to `count`, those that are not there created.
    fn open_logs(&self, topic: &str, count: i32) -> Result<Vec<Arc<PartitionLog>>, TopicError> {
        let is_missing = |number: &i32| self.logs.get(topic, *number).is_none();
        let missing: Vec<i32> = (0..count).filter(is_missing).collect();
        self.logs
            .create_all(topic, &missing)
            .map_err(|error| TopicError::Storage(error.to_string()))?;
        (0..count)
            .map(|number| self.open_log(topic, number))
            .collect()
    }

    fn open_log(&self, topic: &str, partition: i32) -> Result<Arc<PartitionLog>, TopicError> {
        if let Some(log) = self.logs.get(topic, partition) {
            return Ok(log);
        }
        self.logs
            .create(topic, partition)
            .map_err(|error| TopicError::Storage(error.to_string()))
    }

    fn configure(&self, topic: &Topic) {
        let settings = topic.overrides.partition(self.logs.default_settings());
        for log in &topic.partitions {
            log.configure(settings);
        }
    }

    /// The file first, the map second: what can be seen is never taken back by a crash.
    fn store_and_put(&self, topic: Arc<Topic>) -> Result<(), TopicError> {
        let mut candidate = self.read().clone();
        candidate.insert(topic.name.clone(), topic.clone());
        self.store(&candidate)?;
        self.configure(&topic);
        self.put(topic);
        Ok(())
    }

    fn store(&self, topics: &BTreeMap<Arc<str>, Arc<Topic>>) -> Result<(), TopicError> {
        let stored: Vec<StoredTopic> = topics
            .values()
            .map(|topic| StoredTopic {
                name: topic.name.to_string(),
                id: topic.id,
                partitions: topic.partitions.len() as u32,
                settings: topic.overrides.clone(),
            })
            .collect();
        self.uncertain.store(true, Ordering::Relaxed);
        stored::write(&*self.disk, &self.path, KIND, &stored)
            .map_err(|error| TopicError::Storage(error.to_string()))?;
        self.uncertain.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Brings the file into step with the map after a write that failed.
    fn settle(&self) -> Result<(), TopicError> {
        if !self.uncertain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let topics = self.read().clone();
        self.store(&topics)
    }

    fn check_create(&self, name: &str, partitions: u32) -> Result<(), TopicError> {
        check_name(name)?;
        if partitions == 0 || partitions > PARTITIONS_PER_TOPIC_MAX {
            return Err(TopicError::Partitions {
                asked: i64::from(partitions),
            });
        }
        let topics = self.read();
        if topics.contains_key(name) {
            return Err(TopicError::Exists {
                name: name.to_owned(),
            });
        }
        let held: usize = topics.values().map(|topic| topic.partitions.len()).sum();
        if topics.len() >= TOPICS_MAX || held + partitions as usize > PARTITIONS_MAX {
            return Err(TopicError::TooMany);
        }
        Ok(())
    }

    fn create(
        &self,
        name: &str,
        partitions: u32,
        overrides: Overrides,
    ) -> Result<Arc<Topic>, TopicError> {
        self.check_create(name, partitions)?;
        let removed = self
            .logs
            .delete_topic(name)
            .map_err(|error| TopicError::LogsRemain(error.to_string()))?;
        if removed > 0 {
            warn!(
                topic = name,
                logs = removed,
                "removed what an earlier topic of this name had left"
            );
        }
        let logs = self.open_logs(name, partitions as i32)?;
        let topic = Arc::new(Topic {
            name: name.into(),
            id: Uuid::new_v4(),
            partitions: logs,
            overrides,
        });
        self.store_and_put(topic.clone())?;
        info!(topic = name, partitions, "topic created");
        Ok(topic)
    }

    fn grow(&self, name: &str, total: i64, check_only: bool) -> Result<(), TopicError> {
        let old = self
            .read()
            .get(name)
            .cloned()
            .ok_or_else(|| TopicError::Unknown {
                name: name.to_owned(),
            })?;
        let now = old.partitions.len() as i64;
        if total <= now || total > i64::from(PARTITIONS_PER_TOPIC_MAX) {
            return Err(TopicError::Partitions { asked: total });
        }
        let held: usize = self
            .read()
            .values()
            .map(|topic| topic.partitions.len())
            .sum();
        if held as i64 + total - now > PARTITIONS_MAX as i64 {
            return Err(TopicError::TooMany);
        }
        if check_only {
            return Ok(());
        }
        let logs = self.open_logs(name, total as i32)?;
        self.store_and_put(Arc::new(Topic {
            name: old.name.clone(),
            id: old.id,
            partitions: logs,
            overrides: old.overrides.clone(),
        }))?;
        info!(
            topic = name,
            partitions = total,
            "topic has more partitions"
        );
        Ok(())
    }

    fn alter(
        &self,
        name: &str,
        check_only: bool,
        edit: impl FnOnce(&mut Overrides) -> Result<(), SettingError>,
    ) -> Result<(), TopicError> {
        let old = self
            .read()
            .get(name)
            .cloned()
            .ok_or_else(|| TopicError::Unknown {
                name: name.to_owned(),
            })?;
        let mut overrides = old.overrides.clone();
        edit(&mut overrides)?;
        if check_only || overrides == old.overrides {
            return Ok(());
        }
        info!(topic = name, settings = ?overrides, "topic's settings change");
        self.store_and_put(Arc::new(Topic {
            name: old.name.clone(),
            id: old.id,
            partitions: old.partitions.clone(),
            overrides,
        }))
    }

    fn delete(&self, name: &str) -> Result<(), TopicError> {
        let Some(topic) = self.forget(name) else {
            return Err(TopicError::Unknown {
                name: name.to_owned(),
            });
        };
        let left = self.read().clone();
        if let Err(error) = self.store(&left) {
            self.put(topic);
            return Err(error);
        }
        info!(topic = name, "topic deleted");
        self.logs
            .delete_topic(name)
            .map(|_partitions| ())
            .map_err(|error| TopicError::LogsRemain(error.to_string()))
    }

    fn forget(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics
            .write()
            .expect("the map's lock is held for single map calls only")
            .remove(name)
    }
}

fn check_name(name: &str) -> Result<(), TopicError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let valid = (1..=TOPIC_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(allowed)
        && name != "."
        && name != "..";
    if valid {
        Ok(())
    } else {
        Err(TopicError::Name {
            name: name.chars().take(300).collect(),
        })
    }
}
