//! The queue dies by kill -9, round after round, while producers and a group are at work.
//!
//! In the end every acknowledged record is read once, at the offset of its acknowledgement; offsets are dense; an
//! idempotent producer's records are there once and in its order; and what a group was told is committed never goes
//! back. `LOGBOOM_ROUNDS` and `LOGBOOM_SEED` change how many deaths there are, and when.

mod group;
mod produce;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::process::{self, Process};
use produce::Produced;

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 4;
const GROUP: &str = "crash-readers";
/// Of which those with an even number are idempotent.
const PRODUCERS: usize = 4;
const MEMBERS: usize = 2;
const WITHIN: Duration = Duration::from_secs(60);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
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

#[tokio::test(flavor = "multi_thread")]
async fn no_ack_of_the_queue_is_lost_and_no_commit_goes_back_across_kill_9() {
    let (rounds, seed) = (number("LOGBOOM_ROUNDS", 20), number("LOGBOOM_SEED", 1));
    println!("the queue dies: LOGBOOM_ROUNDS={rounds} LOGBOOM_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let queue = Queue::new(directory.path());
    let mut process = queue.start();

    let (stop_producing, stop_reading) = (CancellationToken::new(), CancellationToken::new());
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            tokio::spawn(produce::run(
                client(&queue.address),
                producer,
                stop_producing.clone(),
            ))
        })
        .collect();
    let commits = group::Commits::default();
    let members: Vec<_> = (0..MEMBERS)
        .map(|_| {
            tokio::spawn(group::read(
                client(&queue.address),
                commits.clone(),
                stop_reading.clone(),
            ))
        })
        .collect();

    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..1_200))).await;
        process.kill_9();
        let told = commits.told();
        process = queue.start();
        assert_none_went_back(&told, &queue.committed().await);
    }

    stop_producing.cancel();
    let mut produced = Vec::new();
    for producer in producers {
        produced.push(producer.await.unwrap());
    }
    let log = queue.read_all().await;
    let records: usize = log.iter().map(Vec::len).sum();
    let segments = queue.segments();
    println!(
        "{records} records in {segments} segments, {} commits",
        commits.count()
    );
    assert!(
        records > 1_000 * rounds as usize / 4,
        "hardly anything was written"
    );
    assert!(
        segments > PARTITIONS as usize,
        "no segment was ever closed under load"
    );
    compare(&produced, &log);

    commits.wait_for(&log, WITHIN).await;
    stop_reading.cancel();
    let mut delivered: Vec<Vec<i64>> = vec![Vec::new(); PARTITIONS as usize];
    for member in members {
        for (partition, offset) in member.await.unwrap() {
            delivered[partition as usize].push(offset);
        }
    }
    for (partition, offsets) in delivered.iter_mut().enumerate() {
        offsets.sort_unstable();
        offsets.dedup();
        let all: Vec<i64> = (0..log[partition].len() as i64).collect();
        assert!(
            *offsets == all,
            "the group was not given all of partition {partition}"
        );
    }
    assert!(process.terminate().success());
}

/// The server that dies: where it is, and what it says when it is asked in between.
struct Queue {
    directory: std::path::PathBuf,
    address: String,
}

impl Queue {
    fn new(directory: &Path) -> Queue {
        let address = format!("127.0.0.1:{}", process::free_port());
        let config = format!(
            "version: 1\ndata: {}\nqueue: {{listen: '{address}', partitions: {PARTITIONS}, segment_bytes: 16MiB, disk_free_min: 1MiB}}\n\
             ui: {{listen: '127.0.0.1:0'}}\n",
            directory.join("data").display()
        );
        std::fs::write(directory.join("logboom.yaml"), config).unwrap();
        Queue {
            directory: directory.to_owned(),
            address,
        }
    }

    fn start(&self) -> Process {
        let config = self.directory.join("logboom.yaml");
        let mut command = process::command(&["queue", "--config", config.to_str().unwrap()]);
        command.env_remove("LOGBOOM_QUEUE_LISTEN");
        Process::start(command, &self.directory.join("queue.log"))
    }

    fn segments(&self) -> usize {
        let topic = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(TOPIC);
        walk(&self.directory.join("data"))
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
            .filter(|path| path.parent().and_then(Path::file_name).is_some_and(topic))
            .count()
    }

    fn reader(&self) -> BaseConsumer {
        client(&self.address)
            .set("group.id", GROUP)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .create()
            .unwrap()
    }

    /// The group's offset of each partition, as the server has it.
    async fn committed(&self) -> HashMap<i32, i64> {
        let reader = self.reader();
        let asked = move || {
            let mut partitions = TopicPartitionList::new();
            partitions.add_partition_range(TOPIC, 0, PARTITIONS - 1);
            let begun = Instant::now();
            // Its connections were to the process that died: librdkafka may have to make new ones.
            let committed = loop {
                match reader.committed_offsets(partitions.clone(), Duration::from_secs(5)) {
                    Ok(committed) => break committed,
                    Err(error) if begun.elapsed() > WITHIN => panic!("{error}"),
                    Err(_) => {}
                }
            };
            let rows = committed.elements();
            rows.iter()
                .filter_map(|row| Some((row.partition(), row.offset().to_raw()?)))
                .filter(|(_, offset)| *offset >= 0)
                .collect()
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    }

    /// Per partition every record from the first to the end, as (offset, value).
    async fn read_all(&self) -> Vec<Vec<(i64, Vec<u8>)>> {
        let reader = self.reader();
        let read = move || {
            (0..PARTITIONS)
                .map(|partition| read_partition(&reader, partition))
                .collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

fn read_partition(reader: &BaseConsumer, partition: i32) -> Vec<(i64, Vec<u8>)> {
    let (start, end) = reader.fetch_watermarks(TOPIC, partition, WITHIN).unwrap();
    assert_eq!(start, 0, "nothing is old enough to be deleted");
    let mut assigned = TopicPartitionList::new();
    assigned
        .add_partition_offset(TOPIC, partition, Offset::Offset(0))
        .unwrap();
    reader.assign(&assigned).unwrap();
    let mut records = Vec::new();
    while (records.len() as i64) < end {
        let message = reader
            .poll(WITHIN)
            .unwrap_or_else(|| {
                panic!(
                    "{} of {end} records of partition {partition}",
                    records.len()
                )
            })
            .unwrap();
        records.push((message.offset(), message.payload().unwrap().to_vec()));
    }
    records
}

fn walk(directory: &Path) -> Box<dyn Iterator<Item = std::path::PathBuf>> {
    let entries = std::fs::read_dir(directory).unwrap();
    Box::new(entries.flat_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path)
        } else {
            Box::new(std::iter::once(path))
        }
    }))
}

fn assert_none_went_back(told: &HashMap<i32, i64>, committed: &HashMap<i32, i64>) {
    for (partition, offset) in told {
        let found = committed.get(partition).copied().unwrap_or(-1);
        assert!(
            found >= *offset,
            "{offset} was acknowledged as committed for partition {partition}, after the restart it is {found}"
        );
    }
}

fn compare(produced: &[Produced], log: &[Vec<(i64, Vec<u8>)>]) {
    let mut places: HashMap<(usize, u64), Vec<(i32, i64)>> = HashMap::new();
    for (partition, records) in log.iter().enumerate() {
        let mut last = HashMap::new();
        for (expected, (offset, value)) in records.iter().enumerate() {
            assert_eq!(
                *offset, expected as i64,
                "offsets of partition {partition} are not dense"
            );
            let (producer, sequence) = produce::read(value).expect("nobody else writes here");
            let place = (partition as i32, *offset);
            places.entry((producer, sequence)).or_default().push(place);
            let before = last.insert(producer, sequence);
            assert!(
                !produce::is_idempotent(producer) || before.is_none_or(|before| before < sequence),
                "producer {producer} wrote {sequence} after {before:?} in partition {partition}"
            );
        }
    }
    for (producer, produced) in produced.iter().enumerate() {
        assert!(!produced.acked.is_empty());
        for (sequence, place) in &produced.acked {
            let found = places
                .get(&(producer, *sequence))
                .map_or(&[][..], Vec::as_slice);
            assert!(
                found.contains(place),
                "record {sequence} of producer {producer} was acknowledged at {place:?}, it is at {found:?}"
            );
            assert!(
                !produce::is_idempotent(producer) || found.len() == 1,
                "record {sequence} of producer {producer} is there {} times",
                found.len()
            );
        }
    }
}
