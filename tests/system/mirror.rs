//! Two queues that mirror each other, across kill -9 of everything: no loss, no loop, nothing twice.
//!
//! What is born on a side is what its log holds without `lb.origin`, so that the comparison is between logs and does not
//! rest on what a producer believes.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use logboom_client::{
    Admin, Assignment, ClientConfig, Consumer, Context, Isolation, Marks, Origin, Producer,
    RawRecord, SourceId, Verdict,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::process::{self, Process};

const PARTITIONS: u32 = 2;
/// `logs` carries what agents send, numbered by its source; `foreign` what others do.
const TOPICS: [&str; 2] = ["logs", "foreign"];
const KILLS: usize = 12;
const TAKES: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn two_queues_mirror_each_other_across_kill_9() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match number("LOGBOOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("LOGBOOM_SEEDS").unwrap_or(1) + 1,
    };
    for seed in seeds {
        println!("mirror: LOGBOOM_SEED={seed}");
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut system = System::start(directory.path());
    for address in &system.addresses {
        let admin = Admin::new(&client(address)).unwrap();
        for topic in TOPICS {
            admin.ensure_topic(topic, PARTITIONS).await.unwrap();
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|side| {
            let (address, done) = (system.addresses[side].clone(), Arc::clone(&done));
            tokio::spawn(async move { write(side, &address, &done).await })
        })
        .collect();
    let mut random = StdRng::seed_from_u64(seed);
    let mut kills: Vec<Duration> = (0..KILLS)
        .map(|_| TAKES.mul_f64(random.random_range(0.02..1.0)))
        .collect();
    kills.sort();
    let started = tokio::time::Instant::now();
    for (kill, at) in kills.into_iter().enumerate() {
        tokio::time::sleep_until(started + at).await;
        system.kill_and_restart((kill + random.random_range(0..2)) % PARTS.len());
    }
    done.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    system.drain();

    for (born_at, seen_at) in [(0, 1), (1, 0)] {
        let mut born = 0;
        for topic in TOPICS {
            for partition in 0..PARTITIONS as i32 {
                let place = (topic, partition);
                born += compare(&system.addresses, born_at, seen_at, place).await;
            }
        }
        let acked = written[born_at];
        println!("{born} born at {born_at}, {acked} acked");
        assert!(born >= acked && acked > 1000, "{born} of {acked}");
    }
}

/// Every record born at one side is at the other once, in order and whole. Returns how many.
async fn compare(
    addresses: &[String; 2],
    born_at: usize,
    seen_at: usize,
    (topic, partition): (&str, i32),
) -> usize {
    let is_born_here = |record: &RawRecord| record.header("lb.origin").is_none();
    let mut born = read(&addresses[born_at], topic, partition).await;
    born.retain(is_born_here);
    let mut copies = read(&addresses[seen_at], topic, partition).await;
    copies.retain(|record| !is_born_here(record));
    let mut marks = Marks::default();
    for (n, copy) in copies.iter().enumerate() {
        let original = born
            .get(n)
            .unwrap_or_else(|| panic!("`{topic}`/{partition}: more copies than records: {copy:?}"));
        assert_eq!(
            copy.header("lb.mirror.offset"),
            Some(original.offset.to_string().as_bytes()),
            "copy {n} of `{topic}`/{partition}"
        );
        assert_eq!(&copy.value, &original.value);
        assert_eq!(copy.timestamp_ms, original.timestamp_ms);
        assert_eq!(copy.headers[..copy.headers.len() - 2], original.headers);
        if topic == TOPICS[0] {
            let headers = copy.headers.iter();
            let headers =
                headers.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
            let origin = logboom_event::origin_from_headers(headers, &mut Default::default());
            let origin = origin.unwrap().expect("an agent's record stays one");
            assert_eq!(marks.observe(&origin, 1), Verdict::New);
        }
    }
    assert_eq!(copies.len(), born.len(), "`{topic}`/{partition}");
    assert_eq!(marks.gaps().count(), 0);
    born.len()
}

/// Writes to one side until told that it is enough; how many records were acked.
async fn write(side: usize, address: &str, done: &AtomicBool) -> usize {
    let producer = Producer::new(&client(address)).unwrap();
    let mut acked = 0;
    let mut ends = [0u64; PARTITIONS as usize];
    while !done.load(Ordering::Relaxed) {
        let (batch, delivery) = producer.batch();
        for n in 0..40u64 {
            let partition = (n % u64::from(PARTITIONS)) as i32;
            let value = format!("side {side} line {n} {}", "x".repeat(n as usize * 10));
            let end = &mut ends[partition as usize];
            let headers = origin(side, partition, *end, *end + 10).to_headers();
            *end += 10;
            let headers: Vec<(&str, &[u8])> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_slice()))
                .collect();
            let (time, value) = (1_000 + n as i64, value.as_bytes());
            let sent = batch.send(TOPICS[0], Some(partition), None, value, time, &headers);
            sent.await.unwrap();
            let sent = batch.send(TOPICS[1], Some(partition), Some(b"k"), value, time, &[]);
            sent.await.unwrap();
        }
        drop(batch);
        delivery.await.unwrap();
        acked += 80;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acked
}

fn origin(side: usize, partition: i32, prev: u64, end: u64) -> Origin {
    let mut source = [0; 16];
    source[0] = side as u8 + 1;
    source[1] = partition as u8;
    Origin {
        source: SourceId(source),
        prev,
        offset: prev,
        end,
        continues: false,
        true_len: None,
        context: Arc::new(Context::new("h", "/p")),
    }
}

async fn read(address: &str, topic: &str, partition: i32) -> Vec<RawRecord> {
    let client = client(address);
    let (low, high) = Admin::new(&client)
        .unwrap()
        .watermarks(topic, partition)
        .await
        .unwrap();
    if low == high {
        return Vec::new();
    }
    let at = |offset| {
        vec![Assignment {
            topic: topic.to_owned(),
            partition,
            offset,
        }]
    };
    let mut consumer = Consumer::of_raw(&client, Isolation::Committed).unwrap();
    consumer.assign(&at(low)).unwrap();
    let mut records = Vec::new();
    let all = async {
        while !consumer.has_read_to(&at(high)) {
            let wait = Duration::from_millis(200);
            records.extend(consumer.recv_raw(4096, 8 << 20, wait).await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .unwrap();
    records
}

fn client(address: &str) -> ClientConfig {
    ClientConfig::new(address, "test")
}

/// Two queues, and a mirror each way.
struct System {
    directory: PathBuf,
    addresses: [String; 2],
    parts: [Option<Process>; 4],
}

const PARTS: [&str; 4] = ["queue-0", "mirror-0", "queue-1", "mirror-1"];

impl System {
    fn start(directory: &Path) -> System {
        let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", process::free_port()));
        for (side, address) in addresses.iter().enumerate() {
            let config = format!(
                "version: 1\ndata: {}\nqueue: {{listen: '{address}'}}\n",
                directory.join(format!("data-{side}")).display()
            );
            std::fs::write(directory.join(format!("queue-{side}.yaml")), config).unwrap();
        }
        let mut system = System {
            directory: directory.to_owned(),
            addresses,
            parts: [const { None }; 4],
        };
        for part in [0, 2, 1, 3] {
            system.start_part(part);
        }
        system
    }

    fn start_part(&mut self, part: usize) {
        let side = part / 2;
        let config = self.directory.join(format!("queue-{side}.yaml"));
        let command = match part % 2 {
            0 => {
                let mut command =
                    process::command(&["queue", "--config", config.to_str().unwrap()]);
                command.env_remove("LOGBOOM_QUEUE_LISTEN");
                command
            }
            _ => process::command(&self.mirror(side)),
        };
        let log = self.directory.join(format!("{}.log", PARTS[part]));
        self.parts[part] = Some(Process::start(command, &log));
    }

    fn mirror(&self, from: usize) -> Vec<&str> {
        let (from, to) = (&self.addresses[from], &self.addresses[1 - from]);
        vec![
            "mirror",
            "--from",
            from,
            "--to",
            to,
            "--topics",
            "logs|foreign",
        ]
    }

    fn kill_and_restart(&mut self, part: usize) {
        self.parts[part].take().unwrap().kill_9();
        self.start_part(part);
    }

    /// Stops the mirrors and lets others copy the rest.
    fn drain(&mut self) {
        for side in 0..2 {
            let stopped = self.parts[side * 2 + 1].take().unwrap().terminate();
            assert!(stopped.success(), "{stopped}");
        }
        for side in 0..2 {
            let mut args = self.mirror(side);
            args.push("--once");
            let Output { status, stderr, .. } = process::command(&args).output().unwrap();
            assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        }
    }
}

#[test]
fn a_mirror_that_cannot_be_says_why_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("queue.yaml");
    std::fs::write(
        &config,
        "version: 1\ndata: data\nqueue: {listen: '127.0.0.1:0'}\n",
    )
    .unwrap();
    let queue = process::command(&["queue", "--config", config.to_str().unwrap()]);
    let queue = Process::start(queue, &directory.path().join("queue.log"));
    let (_, port) = queue.ready.rsplit_once(':').unwrap();
    let here = format!("127.0.0.1:{port}");
    let again = format!("localhost:{port}");
    for (from, to, topics, why) in [
        (&here, &again, "logs", "are the same cluster"),
        (&here, &here, "logs", "not copied to itself"),
        (&here, &again, "logs(", "is no regular expression"),
        (&here, &"nowhere".to_owned(), "logs", "`--to`"),
    ] {
        for once in [false, true] {
            let mut args = vec!["mirror", "--from", from, "--to", to, "--topics", topics];
            args.extend(once.then_some("--once"));
            let Output { status, stderr, .. } = process::command(&args).output().unwrap();
            let stderr = String::from_utf8_lossy(&stderr);
            assert_eq!(status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(why), "{stderr}");
        }
    }
}
