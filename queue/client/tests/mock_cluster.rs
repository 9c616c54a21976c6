//! The client against librdkafka's in-process cluster.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use logboom_client::{
    Admin, Assignment, Checkpoint, ClientConfig, Consumer, Context, Error, Marks, Origin, Producer,
    Record, SourceId, Verdict, record_crc, resume,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

const TOPIC: &str = "logs";

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    config: ClientConfig,
}

fn cluster(partitions: i32) -> Cluster {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(TOPIC, partitions, 1).unwrap();
    let config = ClientConfig::new(mock.bootstrap_servers(), "test");
    Cluster { mock, config }
}

fn agent_topics() -> Vec<String> {
    vec![TOPIC.to_owned()]
}

fn origin(prev: u64, end: u64) -> Origin {
    let context = Context::new("h", "/p");
    Origin {
        source: SourceId([7; 16]),
        prev,
        offset: prev,
        end,
        continues: false,
        true_len: None,
        context: Arc::new(context),
    }
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let all = async {
        while records.len() < count {
            records.extend(
                consumer
                    .recv(10, 1 << 20, Duration::from_secs(1))
                    .await
                    .unwrap(),
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .unwrap();
    records
}

fn at(offset: i64) -> Vec<Assignment> {
    vec![Assignment {
        topic: TOPIC.into(),
        partition: 0,
        offset,
    }]
}

#[tokio::test]
async fn records_arrive_in_order_with_their_origin_and_other_headers() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    let (batch, delivery) = producer.batch();
    for n in 0..25u64 {
        let mut headers = origin(n * 10, n * 10 + 10).to_headers();
        headers.push(("other", vec![0xFF]));
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(key, value)| (*key, value.as_slice()))
            .collect();
        batch
            .send(
                TOPIC,
                Some(0),
                None,
                format!("line {n}").as_bytes(),
                1000 + n as i64,
                &headers,
            )
            .await
            .unwrap();
    }
    drop(batch);
    assert_eq!(delivery.await.unwrap().offset, 24);

    let mut consumer = Consumer::new(&cluster.config, &agent_topics()).unwrap();
    consumer.assign(&at(0)).unwrap();
    let records = read(&mut consumer, 25).await;
    let mut marks = Marks::default();
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.value, format!("line {n}"));
        assert_eq!(
            (record.offset, record.timestamp_ms),
            (n as i64, 1000 + n as i64)
        );
        assert_eq!(
            record.headers,
            vec![("other".to_owned(), bytes::Bytes::from_static(&[0xFF]))]
        );
        let seen = record.origin.as_ref().unwrap();
        assert_eq!(seen, &origin(n as u64 * 10, n as u64 * 10 + 10));
        assert_eq!(marks.observe(seen, record.timestamp_ms), Verdict::New);
        assert_eq!(marks.observe(seen, record.timestamp_ms), Verdict::Duplicate);
    }
    assert_eq!(marks.gaps().count(), 0);

    // Elsewhere, lb.* headers are anybody's.
    let mut foreign = Consumer::new(&cluster.config, &[]).unwrap();
    foreign.assign(&at(24)).unwrap();
    let record = read(&mut foreign, 1).await.remove(0);
    assert!(record.origin.is_none());
    assert!(record.headers.iter().any(|(name, _)| name == "lb.src"));
}

#[tokio::test]
async fn a_record_waits_for_a_queue_that_is_away_and_arrives_once() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    producer
        .send(TOPIC, Some(0), None, b"before", 1, &[])
        .await
        .unwrap()
        .await
        .unwrap();
    cluster.mock.broker_down(1).unwrap();
    let waiting = producer
        .send(TOPIC, Some(0), None, b"during", 2, &[])
        .await
        .unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), waiting);
    assert!(early.await.is_err(), "nobody can have acked it");
    let waiting = producer
        .send(TOPIC, Some(0), None, b"after", 3, &[])
        .await
        .unwrap();
    cluster.mock.broker_up(1).unwrap();
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap();
    let mut consumer = Consumer::new(&cluster.config, &[]).unwrap();
    consumer.assign(&at(0)).unwrap();
    let values: Vec<_> = read(&mut consumer, 3)
        .await
        .into_iter()
        .map(|record| record.value)
        .collect();
    assert_eq!(values, ["before", "during", "after"]);
}

#[tokio::test]
async fn a_full_buffer_makes_send_wait_until_the_queue_takes_more() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    producer
        .send(TOPIC, Some(0), None, b"first", 1, &[])
        .await
        .unwrap()
        .await
        .unwrap();
    cluster.mock.broker_down(1).unwrap();
    let value = vec![b'x'; 1 << 20];
    let mut sent = 0;
    let fill = async {
        loop {
            drop(
                producer
                    .send(TOPIC, Some(0), None, &value, 1, &[])
                    .await
                    .unwrap(),
            );
            sent += 1;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(1), fill)
            .await
            .is_err()
    );
    assert!((8..=17).contains(&sent), "{sent} MiB buffered");
    cluster.mock.broker_up(1).unwrap();
    let one_more = producer.send(TOPIC, Some(0), None, &value, 1, &[]);
    tokio::time::timeout(Duration::from_secs(20), one_more)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_offset_that_is_not_in_the_log_is_an_error() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    producer
        .send(TOPIC, Some(0), None, b"only", 1, &[])
        .await
        .unwrap()
        .await
        .unwrap();
    let mut consumer = Consumer::new(&cluster.config, &[]).unwrap();
    consumer.assign(&at(100)).unwrap();
    let seen = async {
        loop {
            match consumer.recv(10, 1000, Duration::from_millis(200)).await {
                Ok(records) => assert!(records.is_empty()),
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), seen)
        .await
        .unwrap();
    assert!(matches!(error, Error::OffsetOutOfRange), "{error}");
}

#[tokio::test]
async fn a_checkpoint_is_proved_by_the_record_before_it() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    for n in 0..20 {
        let line = format!("line {n}");
        producer
            .send(TOPIC, Some(0), None, line.as_bytes(), 1, &[])
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let mut consumer = Consumer::new(&cluster.config, &agent_topics()).unwrap();
    consumer.assign(&at(0)).unwrap();
    let records = read(&mut consumer, 20).await;
    let go_on = async |stored| {
        resume(&cluster.config, &agent_topics(), TOPIC, 0, stored)
            .await
            .unwrap()
    };

    let fresh = go_on(None).await;
    assert_eq!(
        fresh.checkpoint,
        Checkpoint {
            incarnation: 1,
            next_offset: 0,
            last_crc: None
        }
    );

    let good = Checkpoint {
        incarnation: 3,
        next_offset: 10,
        last_crc: Some(record_crc(&records[9])),
    };
    let resumed = go_on(Some(good)).await;
    assert_eq!((resumed.checkpoint, resumed.rewound), (good, false));

    // The log was shortened and filled again: the record is found where it is now.
    let moved = Checkpoint {
        incarnation: 3,
        next_offset: 15,
        last_crc: Some(record_crc(&records[9])),
    };
    let resumed = go_on(Some(moved)).await;
    assert_eq!(
        (resumed.checkpoint, resumed.rewound),
        (
            Checkpoint {
                incarnation: 4,
                ..good
            },
            true
        )
    );

    // A log of another life: from its start, and ids never meet those of the old one.
    let unknown = Checkpoint {
        incarnation: 3,
        next_offset: 1000,
        last_crc: Some(1),
    };
    let resumed = go_on(Some(unknown)).await;
    assert_eq!(
        resumed.checkpoint,
        Checkpoint {
            incarnation: 4,
            next_offset: 0,
            last_crc: None
        }
    );
    assert!(resumed.rewound);
}

#[tokio::test]
async fn admin_counts_partitions_reads_ends_and_commits() {
    let cluster = cluster(3);
    let admin = Admin::new(&cluster.config).unwrap();
    assert_eq!(admin.ensure_topic(TOPIC, 8).await.unwrap(), 3);
    let producer = Producer::new(&cluster.config).unwrap();
    producer
        .send(TOPIC, Some(1), None, b"x", 1, &[])
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(admin.watermarks(TOPIC, 1).await.unwrap(), (0, 1));
    admin
        .commit(
            "indexer",
            &[Assignment {
                topic: TOPIC.into(),
                partition: 1,
                offset: 1,
            }],
        )
        .await
        .unwrap();
}

/// A produce request (version 3) of one batch: the marker that commits a transaction, as a coordinator writes it.
fn commit_marker() -> Vec<u8> {
    const CONTROL_AND_TRANSACTIONAL: i16 = 0x30;
    let (key, value) = ([0u8, 0, 0, 1], [0u8; 6]);
    let mut record = vec![0, 0, 0, 2 * key.len() as u8];
    record.extend(key);
    record.push(2 * value.len() as u8);
    record.extend(value);
    record.push(0);

    let mut checked = CONTROL_AND_TRANSACTIONAL.to_be_bytes().to_vec();
    checked.extend(0i32.to_be_bytes());
    checked.extend([0; 16]);
    checked.extend(9i64.to_be_bytes());
    checked.extend(0i16.to_be_bytes());
    checked.extend((-1i32).to_be_bytes());
    checked.extend(1i32.to_be_bytes());
    checked.push(2 * record.len() as u8);
    checked.extend(record);

    let mut batch = 0i64.to_be_bytes().to_vec();
    batch.extend((checked.len() as i32 + 9).to_be_bytes());
    batch.extend(0i32.to_be_bytes());
    batch.push(2);
    batch.extend(crc32c::crc32c(&checked).to_be_bytes());
    batch.extend(checked);

    let string = |text: &str| [&(text.len() as i16).to_be_bytes(), text.as_bytes()].concat();
    let mut request = [0i16.to_be_bytes(), 3i16.to_be_bytes()].concat();
    request.extend(1i32.to_be_bytes());
    request.extend(string("coordinator"));
    request.extend((-1i16).to_be_bytes());
    request.extend((-1i16).to_be_bytes());
    request.extend(1000i32.to_be_bytes());
    request.extend(1i32.to_be_bytes());
    request.extend(string(TOPIC));
    request.extend(1i32.to_be_bytes());
    request.extend(0i32.to_be_bytes());
    request.extend((batch.len() as i32).to_be_bytes());
    request.extend(batch);
    [&(request.len() as i32).to_be_bytes(), &*request].concat()
}

#[tokio::test]
async fn a_marker_at_the_end_of_a_partition_is_passed() {
    let cluster = cluster(1);
    let producer = Producer::new(&cluster.config).unwrap();
    let sent = producer.send(TOPIC, Some(0), None, b"a", 1, &[]).await;
    sent.unwrap().await.unwrap();
    let brokers = cluster.config.bootstrap.clone();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(brokers).unwrap();
        stream.write_all(&commit_marker()).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
    })
    .await
    .unwrap();
    let admin = Admin::new(&cluster.config).unwrap();
    assert_eq!(admin.watermarks(TOPIC, 0).await.unwrap(), (0, 2));

    let mut consumer = Consumer::new(&cluster.config, &[]).unwrap();
    // From the record on, and from the marker on: where a checkpoint behind the record stands.
    for from in [0, 1] {
        consumer.assign(&at(from)).unwrap();
        assert!(!consumer.has_read_to(&at(2)), "nothing is read yet");
        let reading = async {
            let mut offsets = Vec::new();
            while !consumer.has_read_to(&at(2)) {
                let wait = Duration::from_millis(100);
                let records = consumer.recv(10, 1 << 20, wait).await.unwrap();
                offsets.extend(records.iter().map(|record| record.offset));
            }
            offsets
        };
        let offsets = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert_eq!(offsets.unwrap(), (from..1).collect::<Vec<_>>());
        assert!(!consumer.has_read_to(&at(3)));
    }
}
