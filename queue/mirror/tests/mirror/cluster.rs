//! A cluster of one broker on a directory of its own, and mirrors between two.

use std::time::Duration;

use logboom_broker::Broker;
use logboom_client::{Admin, Assignment, ClientConfig, Consumer, Isolation, Producer, RawRecord};
use logboom_mirror::{Config, Error, Until};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) client: ClientConfig,
    pub(crate) admin: Admin,
    producer: Producer,
    stop: CancellationToken,
    _task: JoinHandle<Result<(), logboom_broker::Error>>,
    _dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let mut config = logboom_broker::Config::new(dir.path());
        config.disk_free_min_bytes = 0;
        config.segment_bytes = 16 << 20;
        let broker = Broker::open(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = ClientConfig::new(listener.local_addr().unwrap().to_string(), "test");
        let stop = CancellationToken::new();
        let (ready, mut is_ready) = watch::channel(false);
        let task = tokio::spawn(broker.run(listener, ready, stop.clone()));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        Cluster {
            admin: Admin::new(&client).unwrap(),
            producer: Producer::new(&client).unwrap(),
            client,
            stop,
            _task: task,
            _dir: dir,
        }
    }

    pub(crate) async fn topic(&self, name: &str, partitions: u32) {
        assert_eq!(
            self.admin.ensure_topic(name, partitions).await.unwrap(),
            partitions
        );
    }

    /// A topic that takes no larger batches.
    pub(crate) async fn topic_of_small(&self, name: &str, partitions: i32, bytes_max: &str) {
        let admin: AdminClient<DefaultClientContext> = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", &self.client.bootstrap)
            .create()
            .unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1))
            .set("max.message.bytes", bytes_max);
        let made = admin.create_topics([&topic], &AdminOptions::new()).await;
        assert_eq!(made.unwrap(), [Ok(name.to_owned())]);
    }

    /// Lines `{label} {n}` round robin over the partitions.
    pub(crate) async fn produce(&self, topic: &str, partitions: i32, label: &str, count: i32) {
        // A new one knows of partitions that are new.
        let producer = Producer::new(&self.client).unwrap();
        let (batch, delivery) = producer.batch();
        for n in 0..count {
            let value = format!("{label} {n}");
            batch
                .send(
                    topic,
                    Some(n % partitions),
                    None,
                    value.as_bytes(),
                    1_000,
                    &[],
                )
                .await
                .unwrap();
        }
        drop(batch);
        timeout(PATIENCE, delivery).await.unwrap().unwrap();
    }

    /// As it stands, nulls and all.
    pub(crate) async fn put(&self, record: &RawRecord) {
        let headers: Vec<(&str, Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let (batch, delivery) = self.producer.batch();
        batch.copy(record, &headers).await.unwrap();
        drop(batch);
        timeout(PATIENCE, delivery).await.unwrap().unwrap();
    }

    /// All records of a partition.
    pub(crate) async fn read(&self, topic: &str, partition: i32) -> Vec<RawRecord> {
        let name = (topic.to_owned(), partition);
        let bounds = self
            .admin
            .bounds(std::slice::from_ref(&name), Isolation::None)
            .await
            .unwrap()[&name];
        if bounds.low == bounds.high {
            return Vec::new();
        }
        let at = |offset| {
            vec![Assignment {
                topic: topic.to_owned(),
                partition,
                offset,
            }]
        };
        let mut consumer = Consumer::of_raw(&self.client, Isolation::None).unwrap();
        consumer.assign(&at(bounds.low)).unwrap();
        let mut records = Vec::new();
        let all = async {
            while !consumer.has_read_to(&at(bounds.high)) {
                let more = consumer
                    .recv_raw(1000, 8 << 20, Duration::from_millis(100))
                    .await
                    .unwrap();
                records.extend(more);
            }
        };
        timeout(PATIENCE, all).await.unwrap();
        records
    }

    /// The values of all partitions, sorted.
    pub(crate) async fn values(&self, topic: &str, partitions: i32) -> Vec<String> {
        let mut values = Vec::new();
        for partition in 0..partitions {
            for record in self.read(topic, partition).await {
                let value = record.value.unwrap_or_default();
                values.push(String::from_utf8(value.to_vec()).unwrap());
            }
        }
        values.sort();
        values
    }

    pub(crate) async fn count(&self, topic: &str) -> usize {
        match self.admin.partitions(topic).await.unwrap() {
            Some(partitions) => self.values(topic, partitions as i32).await.len(),
            None => 0,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn config(from: &Cluster, to: &Cluster, topics: &str) -> Config {
    let mut config = Config::new(
        "test",
        from.client.clone(),
        to.client.clone(),
        topics.parse().unwrap(),
    );
    config.refresh = Duration::from_millis(100);
    config
}

/// A mirror that runs until it is stopped.
pub(crate) struct Running {
    stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Returns when it serves.
    pub(crate) async fn start(mirrors: Vec<Config>) -> Running {
        let (ready, mut is_ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let task = tokio::spawn(logboom_mirror::run(mirrors, ready, stop.clone()));
        timeout(PATIENCE, is_ready.wait_for(|ready| *ready))
            .await
            .unwrap()
            .unwrap();
        Running { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// Copies what there is and ends.
pub(crate) async fn drain(from: &Cluster, to: &Cluster, topics: &str) -> Result<(), Error> {
    let mut config = config(from, to, topics);
    config.until = Until::Drained;
    let (ready, _is_ready) = watch::channel(false);
    let run = logboom_mirror::run(vec![config], ready, CancellationToken::new());
    timeout(PATIENCE, run).await.unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let all = async {
        while !condition().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(PATIENCE, all).await.is_ok(), "never: {what}");
}
