//! The broker with kcat 1.7.1 (librdkafka 2.0.2), as an operator would use it.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{config, eventually, kcat, kcat_ok, kcat_start, start};

fn lines(range: std::ops::Range<usize>) -> String {
    range
        .map(|i| format!("line {i} of the test, 中文 too\n"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_the_broker_and_its_topics() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    kcat_ok(
        &broker.bootstrap(),
        &["-P", "-t", "logs", "-p", "0"],
        b"x\n",
    )
    .await;
    let listing = kcat_ok(&broker.bootstrap(), &["-L"], b"").await;
    assert!(
        listing.contains(&format!("broker 1 at {}", broker.address)),
        "{listing}"
    );
    assert!(
        listing.contains("topic \"logs\" with 4 partitions"),
        "{listing}"
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_arrives_as_it_was_sent_and_stays_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let sent = lines(0..500);
    let uncompressed = {
        kcat_ok(
            &broker.bootstrap(),
            &["-P", "-t", "none", "-p", "0"],
            sent.as_bytes(),
        )
        .await;
        bytes_of(&broker, "none")
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = codec;
        if codec != "none" {
            kcat_ok(
                &broker.bootstrap(),
                &["-P", "-t", topic, "-p", "0", "-z", codec],
                sent.as_bytes(),
            )
            .await;
            // Old librdkafka silently stops compressing when it does not like the declared versions.
            let stored = bytes_of(&broker, topic);
            assert!(
                stored * 2 < uncompressed,
                "{codec}: {stored} bytes are stored, {uncompressed} without a codec"
            );
        }
        let got = kcat_ok(
            &broker.bootstrap(),
            &["-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"],
            b"",
        )
        .await;
        assert_eq!(got, sent, "{codec}");
    }
    broker.stop().await;
}

fn bytes_of(broker: &common::Running, topic: &str) -> u64 {
    broker
        .status
        .get()
        .partitions
        .iter()
        .filter(|row| row.topic == topic)
        .map(|row| row.bytes)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_headers_and_all_acks_work() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    for acks in ["0", "1", "-1"] {
        let topic = format!("acks{acks}");
        let acks = format!("acks={acks}");
        let arguments = [
            "-P", "-t", &topic, "-p", "0", "-K", ":", "-H", "h=v", "-X", &acks,
        ];
        kcat_ok(&broker.bootstrap(), &arguments, b"k:value\n").await;
        eventually("the record is there", || broker.records(&topic) == 1).await;
        let format = "%k|%h|%s|%o\n";
        let arguments = [
            "-C",
            "-t",
            &topic,
            "-p",
            "0",
            "-o",
            "beginning",
            "-e",
            "-q",
            "-f",
            format,
        ];
        assert_eq!(
            kcat_ok(&broker.bootstrap(), &arguments, b"").await,
            "k|h=v|value|0\n",
            "{acks}"
        );
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_producer_works() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let sent = lines(0..2000);
    let arguments = [
        "-P",
        "-t",
        "logs",
        "-X",
        "enable.idempotence=true",
        "-X",
        "batch.num.messages=50",
    ];
    kcat_ok(&broker.bootstrap(), &arguments, sent.as_bytes()).await;
    assert_eq!(broker.records("logs"), 2000);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_found_by_time_from_the_end_and_beyond_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    kcat_ok(
        &broker.bootstrap(),
        &["-P", "-t", "logs", "-p", "0"],
        b"early 1\nearly 2\n",
    )
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let between = now_ms();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    kcat_ok(
        &broker.bootstrap(),
        &["-P", "-t", "logs", "-p", "0"],
        b"late 1\nlate 2\n",
    )
    .await;

    for (from, expected) in [
        (format!("s@{between}"), "late 1\nlate 2\n"),
        ("s@0".to_owned(), "early 1\nearly 2\nlate 1\nlate 2\n"),
        (format!("s@{}", now_ms() + 60_000), ""),
        ("-1".to_owned(), "late 2\n"),
        ("2".to_owned(), "late 1\nlate 2\n"),
        ("end".to_owned(), ""),
    ] {
        let arguments = ["-C", "-t", "logs", "-p", "0", "-o", &from, "-e", "-q"];
        assert_eq!(
            kcat_ok(&broker.bootstrap(), &arguments, b"").await,
            expected,
            "from {from}"
        );
    }
    let query = format!("logs:0:{between}");
    let answer = kcat_ok(&broker.bootstrap(), &["-Q", "-t", &query], b"").await;
    assert!(answer.contains("offset 2"), "{answer}");
    broker.stop().await;
}

fn now_ms() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_reads_on_where_it_stopped_across_a_restart_of_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    kcat_ok(&address, &["-P", "-t", "logs"], lines(0..100).as_bytes()).await;
    let group = [
        "-G",
        "readers",
        "-e",
        "-q",
        "-X",
        "auto.offset.reset=earliest",
        "logs",
    ];
    let first = kcat_ok(&address, &group, b"").await;
    assert_eq!(first.lines().collect::<BTreeSet<_>>().len(), 100);
    broker.stop().await;

    let broker = common::start_on(config(dir.path()), &address).await;
    assert_eq!(broker.records("logs"), 100, "restart keeps all");
    kcat_ok(&address, &["-P", "-t", "logs"], lines(100..150).as_bytes()).await;
    let second = kcat_ok(&address, &group, b"").await;
    let expected = lines(100..150);
    assert_eq!(
        second.lines().collect::<BTreeSet<_>>(),
        expected.lines().collect::<BTreeSet<_>>()
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_partitions_and_one_takes_over_when_the_other_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let address = broker.bootstrap();
    kcat_ok(&address, &["-P", "-t", "logs", "-p", "0"], b"first\n").await;
    let arguments = [
        "-G",
        "pair",
        "-u",
        "-X",
        "auto.offset.reset=earliest",
        "-X",
        "session.timeout.ms=6000",
        "-X",
        "heartbeat.interval.ms=200",
        "-f",
        "%p %s\n",
        "logs",
    ];
    let files = [dir.path().join("a"), dir.path().join("b")];
    let mut members = files
        .clone()
        .map(|file| kcat_start(&address, &arguments, &file));
    let seen = |file: &std::path::Path| std::fs::read_to_string(file).unwrap_or_default();
    let partitions_of = |file: &std::path::Path| -> BTreeSet<String> {
        seen(file)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(partition, _)| partition.to_owned())
            .collect()
    };
    let total = || seen(&files[0]).lines().count() + seen(&files[1]).lines().count();
    eventually("the first record is read", || total() >= 1).await;

    // Keep writing to all partitions until both have had some.
    for round in 0..100 {
        for partition in ["0", "1", "2", "3"] {
            kcat_ok(
                &address,
                &["-P", "-t", "logs", "-p", partition],
                format!("r{round}\n").as_bytes(),
            )
            .await;
        }
        if files.iter().all(|file| !partitions_of(file).is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(
        files.iter().all(|file| !partitions_of(file).is_empty()),
        "both members got partitions"
    );

    // SIGTERM: kcat leaves the group properly.
    let pid = members[0].id().to_string();
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
    members[0].wait().unwrap();
    for partition in ["0", "1", "2", "3"] {
        kcat_ok(&address, &["-P", "-t", "logs", "-p", partition], b"after\n").await;
    }
    eventually("the one who stayed reads all partitions", || {
        let after = seen(&files[1]);
        (0..4).all(|partition| {
            after
                .lines()
                .any(|line| line == format!("{partition} after"))
        })
    })
    .await;
    members[1].kill().unwrap();
    members[1].wait().unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_larger_than_every_limit_of_the_consumer_is_still_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(config(dir.path())).await;
    let long = "x".repeat(900_000) + "\nshort\n";
    kcat_ok(
        &broker.bootstrap(),
        &["-P", "-t", "logs", "-p", "0"],
        long.as_bytes(),
    )
    .await;
    let arguments = [
        "-C",
        "-t",
        "logs",
        "-p",
        "0",
        "-o",
        "beginning",
        "-e",
        "-q",
        "-X",
        "max.partition.fetch.bytes=1024",
        "-X",
        "fetch.max.bytes=1000000",
        "-X",
        "message.max.bytes=1000000",
    ];
    assert_eq!(kcat_ok(&broker.bootstrap(), &arguments, b"").await, long);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_larger_than_the_brokers_limit_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(logboom_broker::Config {
        max_batch_bytes: 10_000,
        ..config(dir.path())
    })
    .await;
    let long = "x".repeat(20_000) + "\n";
    let output = kcat(
        &broker.bootstrap(),
        &["-P", "-t", "logs", "-p", "0"],
        long.as_bytes(),
    )
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("Message size too large"), "{errors}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_not_created_where_that_is_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(logboom_broker::Config {
        auto_create_topics: false,
        ..config(dir.path())
    })
    .await;
    let output = kcat(
        &broker.bootstrap(),
        &[
            "-P",
            "-t",
            "logs",
            "-X",
            "topic.metadata.propagation.max.ms=0",
        ],
        b"x\n",
    )
    .await;
    assert!(!output.status.success());
    assert!(broker.status.get().partitions.is_empty());
    broker.stop().await;
}
