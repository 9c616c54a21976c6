//! Where the queue is, and the librdkafka settings that the promises of design §2 rest on.

use rdkafka::config::{ClientConfig as Settings, RDKafkaLogLevel};

use crate::limits;
use crate::security::Security;

/// How to reach the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `host:port[,host:port…]` of any brokers of the cluster.
    pub bootstrap: String,
    /// Shown in the broker's logs and quotas.
    pub client_id: String,
    /// How to get in.
    pub security: Security,
}

/// Which records of transactions a reader sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Those of committed ones, and nothing behind the first that is still open.
    #[default]
    Committed,
    /// All.
    None,
}

impl ClientConfig {
    /// A client of a queue that asks nobody who comes.
    pub fn new(bootstrap: impl Into<String>, client_id: impl Into<String>) -> ClientConfig {
        ClientConfig {
            bootstrap: bootstrap.into(),
            client_id: client_id.into(),
            security: Security::default(),
        }
    }

    /// What every client shares.
    fn base(&self) -> Settings {
        let mut settings = Settings::new();
        settings
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set(
                "reconnect.backoff.max.ms",
                limits::RECONNECT_BACKOFF_MAX.as_millis().to_string(),
            )
            // One line per lost connection is noise: `Context` logs one clear line instead.
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Info);
        self.security.apply(&mut settings);
        settings
    }

    /// An idempotent producer that never gives a record up.
    pub(crate) fn producer(&self) -> Settings {
        let mut settings = self.base();
        settings
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // 0 = for ever: a record that expired would be a hole in its source.
            .set("message.timeout.ms", "0")
            .set("linger.ms", limits::LINGER.as_millis().to_string())
            .set(
                "queue.buffering.max.kbytes",
                (limits::PRODUCER_BUFFER_BYTES / 1024).to_string(),
            )
            .set(
                "queue.buffering.max.messages",
                limits::PRODUCER_BUFFER_RECORDS.to_string(),
            )
            .set("message.max.bytes", limits::RECORD_BYTES_MAX.to_string())
            .set("compression.codec", "lz4")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "1000");
        settings
    }

    /// A consumer that is told where to read and never moves by itself.
    pub(crate) fn consumer(&self, group: &str, prefetch_bytes: usize) -> Settings {
        let mut settings = self.base();
        settings
            // librdkafka wants a group even for assign(); nothing is ever committed under it.
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // What was aborted was never meant to be. An open transaction holds back what is behind it in its partition.
            .set("isolation.level", "read_committed")
            // Out of range is an error that the owner of the checkpoint must see.
            .set("auto.offset.reset", "error")
            .set("queued.min.messages", limits::PREFETCH_RECORDS.to_string())
            .set(
                "queued.max.messages.kbytes",
                (prefetch_bytes / 1024).to_string(),
            )
            .set(
                "fetch.message.max.bytes",
                limits::FETCH_PARTITION_BYTES.to_string(),
            )
            .set(
                "fetch.max.bytes",
                (prefetch_bytes / 2)
                    .max(limits::RECORD_BYTES_MAX + 65_536)
                    .to_string(),
            )
            .set(
                "fetch.wait.max.ms",
                limits::FETCH_WAIT.as_millis().to_string(),
            )
            .set(
                "fetch.queue.backoff.ms",
                limits::FETCH_QUEUE_BACKOFF.as_millis().to_string(),
            )
            .set(
                "fetch.error.backoff.ms",
                limits::FETCH_ERROR_BACKOFF.as_millis().to_string(),
            )
            .set("check.crcs", "true");
        settings
    }

    /// As [`ClientConfig::consumer`], and says which transactions it sees.
    pub(crate) fn reader(
        &self,
        group: &str,
        prefetch_bytes: usize,
        isolation: Isolation,
    ) -> Settings {
        let mut settings = self.consumer(group, prefetch_bytes);
        let level = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::None => "read_uncommitted",
        };
        settings.set("isolation.level", level);
        settings
    }

    /// As [`ClientConfig::producer`], for copies: takes what other clusters hold, and nothing after a record that was
    /// refused.
    pub(crate) fn copier(&self) -> Settings {
        let mut settings = self.producer();
        settings
            .set("enable.gapless.guarantee", "true")
            .set(
                "queue.buffering.max.kbytes",
                (limits::COPY_BUFFER_BYTES / 1024).to_string(),
            )
            .set("message.max.bytes", limits::COPIED_BYTES_MAX.to_string());
        settings
    }

    /// A client for topics and offsets.
    pub(crate) fn admin(&self) -> Settings {
        self.base()
    }
}
