//! One run of Kafka's `kafka-producer-perf-test`.

use crate::node;

/// What is sent.
pub(crate) struct Load {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// `None`: as fast as it goes.
    pub(crate) per_second: Option<usize>,
}

impl Load {
    pub(crate) fn full(records: usize, bytes: usize) -> Load {
        Load {
            records,
            bytes,
            per_second: None,
        }
    }
}

/// What became of it, by the client's account.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) records_per_second: f64,
    pub(crate) p99_ms: f64,
}

/// Creates the topic and sends to it.
pub(crate) fn run(address: &str, topic: &str, partitions: u32, load: &Load) -> Outcome {
    create(address, topic, partitions);
    let throughput = load.per_second.map_or(-1, |rate| rate as i64);
    let output = node::java()
        .arg("org.apache.kafka.tools.ProducerPerformance")
        .args(["--topic", topic])
        .args(["--num-records", &load.records.to_string()])
        .args(["--record-size", &load.bytes.to_string()])
        .args(["--throughput", &throughput.to_string()])
        .args(["--bootstrap-server", address])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The last line that names a rank is of the whole run; those before are of five seconds each.
    let last = text.lines().rfind(|line| line.contains("99th"));
    last.and_then(read)
        .unwrap_or_else(|| panic!("no result in: {text}"))
}

fn create(address: &str, topic: &str, partitions: u32) {
    let output = node::java()
        .arg("org.apache.kafka.tools.TopicCommand")
        .args(["--bootstrap-server", address, "--create", "--if-not-exists"])
        .args(["--topic", topic, "--partitions", &partitions.to_string()])
        .args(["--replication-factor", "1"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// `1000 records sent, 123.4 records/sec (0.01 MB/sec), 1.2 ms avg latency, …, 3 ms 95th, 4 ms 99th, 5 ms 99.9th.`
fn read(line: &str) -> Option<Outcome> {
    let before = |unit: &str| -> Option<f64> {
        let rest = &line[..line.find(unit)?];
        rest.rsplit([' ', ','])
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    };
    Some(Outcome {
        records_per_second: before(" records/sec")?,
        p99_ms: before(" ms 99th")?,
    })
}
