//! Topics, watermarks and the committed offsets that show lag and hold retention back.
//!
//! librdkafka's calls for these block, so each runs on a blocking thread.

mod cluster;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::ClientConfig;
use crate::consumer::{Assignment, partition_list};
use crate::context::Context;
use crate::error::Error;
use crate::limits::{self, REQUEST_TIMEOUT};
use crate::security::Security;

pub use cluster::{Bounds, Position};

/// Administers the queue. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    config: ClientConfig,
    pub(crate) client: AdminClient<Context>,
    /// One client per group: the group is a client-wide setting of librdkafka.
    committers: Mutex<HashMap<String, Arc<BaseConsumer<Context>>>>,
    /// Asked why a queue does not let us in: the words for that reach only who polls, and an admin client is not polled.
    asker: OnceLock<BaseConsumer<Context>>,
}

impl Admin {
    pub fn new(config: &ClientConfig) -> Result<Admin, Error> {
        let client = config
            .admin()
            .create_with_context(Context::new(config))
            .map_err(|source| Error::Create {
                bootstrap: config.bootstrap.clone(),
                cause: Box::new(source),
            })?;
        let shared = Shared {
            config: config.clone(),
            client,
            committers: Mutex::default(),
            asker: OnceLock::new(),
        };
        Ok(Admin {
            shared: Arc::new(shared),
        })
    }

    /// Makes sure that the topic exists, and says how many partitions it really has. One try: the
    /// caller repeats while the error [`Error::is_retriable`].
    pub async fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32, Error> {
        if let Some(found) = self.partitions(topic).await? {
            return Ok(found);
        }
        // -1: the cluster's own default, 1 here, 3 where an operator runs three brokers.
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let batch_bytes = limits::BATCH_BYTES_MAX.to_string();
        let new = NewTopic::new(topic, count, TopicReplication::Fixed(-1))
            .set("max.message.bytes", &batch_bytes);
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let results = self.shared.client.create_topics([&new], &options).await;
        let outcome = results
            .map_err(|source| self.unavailable(format!("create topic `{topic}`"), source))?;
        for result in outcome {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    return Err(self.unavailable(
                        format!("create topic `{topic}`"),
                        KafkaError::AdminOp(code),
                    ));
                }
            }
        }
        match self.partitions(topic).await? {
            Some(found) => Ok(found),
            None => Err(self.unavailable(
                format!("find the topic `{topic}` just created"),
                KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition),
            )),
        }
    }

    /// How many partitions a topic has, or `None` when there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<Option<u32>, Error> {
        let wanted = topic.to_owned();
        // All topics: asking for one by name may create it where the broker does that by itself.
        self.blocking(format!("look up topic `{topic}`"), move |shared| {
            let metadata = shared
                .client
                .inner()
                .fetch_metadata(None, REQUEST_TIMEOUT)?;
            let found = metadata
                .topics()
                .iter()
                .find(|topic| topic.name() == wanted && topic.error().is_none());
            Ok(found
                .map(|topic| topic.partitions().len() as u32)
                .filter(|count| *count > 0))
        })
        .await
    }

    /// First offset of a partition and the one after its last record.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        let wanted = topic.to_owned();
        self.blocking(
            format!("read the ends of `{topic}`/{partition}"),
            move |shared| {
                shared
                    .client
                    .inner()
                    .fetch_watermarks(&wanted, partition, REQUEST_TIMEOUT)
            },
        )
        .await
    }

    /// Commits the offsets to read next under `group`: for the display of lag, and to keep the
    /// built-in queue from deleting what is still unread. Nothing of ours starts from them.
    pub async fn commit(&self, group: &str, next: &[Assignment]) -> Result<(), Error> {
        let list = partition_list(next)?;
        let name = group.to_owned();
        self.blocking(
            format!("commit offsets of group `{group}`"),
            move |shared| shared.committer(&name)?.commit(&list, CommitMode::Sync),
        )
        .await
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        what: String,
        call: impl FnOnce(&Shared) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let joined = tokio::task::spawn_blocking(move || {
            call(&shared).inspect_err(|_| shared.tell_why_locked_out())
        })
        .await;
        // A join error means the runtime is going down (or a panic, already reported).
        let result = joined.unwrap_or(Err(KafkaError::Canceled));
        result.map_err(|source| self.unavailable(what, source))
    }

    pub(crate) fn unavailable(&self, what: String, source: KafkaError) -> Error {
        Error::Unavailable {
            what,
            bootstrap: self.shared.config.bootstrap.clone(),
            cause: Box::new(source),
        }
    }
}

impl Shared {
    /// A consumer for looking at what any group has committed; it never becomes a member.
    pub(crate) fn member_of(&self, group: &str) -> Result<BaseConsumer<Context>, KafkaError> {
        self.config
            .consumer(group, limits::PREFETCH_BYTES)
            .create_with_context(Context::new(&self.config))
    }

    /// A consumer for looking at partitions, under a name that commits nothing.
    pub(crate) fn looker(&self) -> Result<BaseConsumer<Context>, KafkaError> {
        self.member_of(&self.config.client_id)
    }

    /// Where there are credentials to be wrong, tries once more with a client that hears the reason, which its context logs.
    fn tell_why_locked_out(&self) {
        if self.config.security == Security::default() {
            return;
        }
        if self.asker.get().is_none()
            && let Ok(asker) = self.looker()
        {
            // Lost by whoever is second.
            let _kept = self.asker.set(asker);
        }
        if let Some(asker) = self.asker.get() {
            let _told = asker.fetch_metadata(None, limits::REASON_WAIT);
            let _nothing = asker.poll(limits::REASON_POLL);
        }
    }

    fn committer(&self, group: &str) -> Result<Arc<BaseConsumer<Context>>, KafkaError> {
        let mut committers = self
            .committers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = committers.get(group) {
            return Ok(Arc::clone(known));
        }
        let context = Context::new(&self.config);
        let settings = self.config.consumer(group, limits::PREFETCH_BYTES);
        let made: Arc<BaseConsumer<Context>> = Arc::new(settings.create_with_context(context)?);
        committers.insert(group.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}
