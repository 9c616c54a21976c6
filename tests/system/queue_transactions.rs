//! The queue dies by kill -9, round after round, while transactional producers are at work.
//!
//! In the end every transaction is there as a whole or not at all, in all its partitions; those that were acknowledged as
//! committed are, those that were aborted are not; no record is seen twice; and nothing holds readers back. Offsets that
//! were sent with a transaction are those of the last committed one. `LOGBOOM_ROUNDS` and `LOGBOOM_SEED` change how many
//! deaths there are, and when.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::process::{self, Process};

const TOPIC: &str = "transactions";
const PARTITIONS: i32 = 4;
const PRODUCERS: usize = 3;
/// Records of one transaction, spread over all partitions.
const RECORDS: usize = 8;
const WITHIN: Duration = Duration::from_secs(60);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_whole_or_not_there_across_kill_9() {
    let (rounds, seed) = (number("LOGBOOM_ROUNDS", 10), number("LOGBOOM_SEED", 1));
    println!("the queue dies: LOGBOOM_ROUNDS={rounds} LOGBOOM_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let address = format!("127.0.0.1:{}", process::free_port());
    let config = configure(directory.path(), &address);
    let mut process = start(&config, directory.path());

    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|number| {
            let (address, stop) = (address.clone(), stop.clone());
            tokio::task::spawn_blocking(move || run(&address, number, &stop))
        })
        .collect();
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        process.kill_9();
        process = start(&config, directory.path());
    }
    stop.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for producer in producers {
        told.push(producer.await.unwrap());
    }
    let check = move || compare(&address, &told, rounds);
    tokio::task::spawn_blocking(check).await.unwrap();
    assert!(process.terminate().success());
}

fn configure(directory: &Path, address: &str) -> PathBuf {
    let config = format!(
        "version: 1\ndata: {}\nqueue: {{listen: '{address}', partitions: {PARTITIONS}, disk_free_min: 1MiB}}\n\
         ui: {{listen: '127.0.0.1:0'}}\n",
        directory.join("data").display()
    );
    let path = directory.join("logboom.yaml");
    std::fs::write(&path, config).unwrap();
    path
}

fn start(config: &Path, directory: &Path) -> Process {
    let mut command = process::command(&["queue", "--config", config.to_str().unwrap()]);
    command.env_remove("LOGBOOM_QUEUE_LISTEN");
    Process::start(command, &directory.join("queue.log"))
}

fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("log.connection.close", "false");
    config
}

/// What a producer knows of a transaction of its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Committed,
    Aborted,
    /// The connection died over its end.
    Either,
}

/// Transactions one after the other until `stop`. A producer that has to give up makes way for a new one of its id.
fn run(address: &str, number: usize, stop: &AtomicBool) -> Vec<Known> {
    let mut random = StdRng::seed_from_u64(number as u64);
    let mut known = Vec::new();
    'instances: loop {
        let producer: BaseProducer = client(address)
            .set("transactional.id", format!("writer-{number}"))
            .set("transaction.timeout.ms", "60000")
            .set("linger.ms", "1")
            .set("retry.backoff.ms", "20")
            .create()
            .unwrap();
        retry(|| producer.init_transactions(WITHIN)).unwrap();
        // The last one ends what the one before left open, and then nobody writes.
        while !stop.load(Ordering::Relaxed) {
            let commit = random.random_bool(0.7);
            let ended = transaction(&producer, address, number, known.len(), commit);
            known.push(match (&ended, commit) {
                (Ok(()), true) => Known::Committed,
                (Ok(()), false) => Known::Aborted,
                (Err(_), true) => Known::Either,
                // Whatever went wrong, nobody asked for a commit.
                (Err(_), false) => Known::Aborted,
            });
            if ended.is_err() {
                continue 'instances;
            }
        }
        return known;
    }
}

fn transaction(
    producer: &BaseProducer,
    address: &str,
    number: usize,
    transaction: usize,
    commit: bool,
) -> Result<(), KafkaError> {
    producer.begin_transaction()?;
    for record in 0..RECORDS {
        let value = format!("{number} {transaction} {record}");
        let record: BaseRecord<'_, (), _> = BaseRecord::to(TOPIC)
            .partition(record as i32 % PARTITIONS)
            .payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(WITHIN)?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(transaction as i64 + 1))?;
    let group = reader(address, number).group_metadata();
    let group = group.expect("a consumer with a group");
    retry(|| producer.send_offsets_to_transaction(&offsets, &group, WITHIN))?;
    if commit {
        retry(|| producer.commit_transaction(WITHIN))
    } else {
        retry(|| producer.abort_transaction(WITHIN))
    }
}

/// What librdkafka says may be asked again.
fn retry(mut step: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let begun = Instant::now();
    loop {
        match step() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && begun.elapsed() < WITHIN => {}
            done => return done,
        }
    }
}

fn reader(address: &str, number: usize) -> BaseConsumer {
    client(address)
        .set("group.id", format!("group-{number}"))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap()
}

/// Every committed record of a partition.
fn read_partition(reader: &BaseConsumer, partition: i32) -> Vec<String> {
    let mut assigned = TopicPartitionList::new();
    assigned
        .add_partition_offset(TOPIC, partition, Offset::Beginning)
        .unwrap();
    reader.assign(&assigned).unwrap();
    let (mut values, mut heard) = (Vec::new(), Instant::now());
    loop {
        match reader.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => {
                values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            other => assert!(heard.elapsed() < WITHIN, "partition {partition}: {other:?}"),
        }
    }
}

fn compare(address: &str, told: &[Vec<Known>], rounds: u64) {
    let reader = reader(address, 0);
    // By producer and transaction: how often each record is there.
    let mut seen: HashMap<(usize, usize), BTreeMap<usize, usize>> = HashMap::new();
    for partition in 0..PARTITIONS {
        for value in read_partition(&reader, partition) {
            let fields: Vec<usize> = value
                .split(' ')
                .map(|field| field.parse().unwrap())
                .collect();
            let records = seen.entry((fields[0], fields[1])).or_default();
            *records.entry(fields[2]).or_default() += 1;
        }
    }
    let mut counts: HashMap<&'static str, usize> = HashMap::new();
    for (producer, known) in told.iter().enumerate() {
        let mut last_committed = None;
        for (transaction, known) in known.iter().enumerate() {
            let what = format!("transaction {transaction} of producer {producer}, {known:?}");
            let is_there = match seen.remove(&(producer, transaction)) {
                None => false,
                Some(records) => {
                    let whole: BTreeMap<usize, usize> =
                        (0..RECORDS).map(|record| (record, 1)).collect();
                    assert_eq!(records, whole, "{what}");
                    true
                }
            };
            let outcome = match (known, is_there) {
                (Known::Committed, true) => "committed",
                (Known::Aborted, false) => "aborted",
                (Known::Either, true) => "unknown, committed",
                (Known::Either, false) => "unknown, aborted",
                (_, is_there) => panic!("{what}: it is there: {is_there}"),
            };
            *counts.entry(outcome).or_default() += 1;
            if is_there {
                last_committed = Some(transaction as i64 + 1);
            }
        }
        assert_eq!(committed_offset(address, producer), last_committed);
    }
    assert!(seen.is_empty(), "nobody wrote {seen:?}");
    println!("{counts:?}");
    let committed = counts.get("committed").copied().unwrap_or(0);
    let aborted = counts.get("aborted").copied().unwrap_or(0);
    assert!(
        committed as u64 > rounds && aborted > 0,
        "hardly anything was written: {counts:?}"
    );
}

fn committed_offset(address: &str, number: usize) -> Option<i64> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let committed = reader(address, number)
        .committed_offsets(asked, WITHIN)
        .unwrap();
    let row = committed.find_partition(TOPIC, 0).unwrap();
    row.offset().to_raw().filter(|offset| *offset >= 0)
}
