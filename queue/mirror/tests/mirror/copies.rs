//! What a copy is, and that it is one.

use bytes::Bytes;
use logboom_client::RawRecord;

use crate::cluster::{Cluster, Running, config, drain, eventually};

fn record(partition: i32, key: Option<&'static str>, value: Option<&'static str>) -> RawRecord {
    RawRecord {
        topic: "t".into(),
        partition,
        offset: 0,
        timestamp_ms: Some(1_700_000_000_123),
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_stand_in_the_target_as_they_stood_in_the_source() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 3).await;
    let mut with_headers = record(1, Some("k"), Some("v"));
    with_headers.headers = vec![
        ("lb.src".into(), Some(Bytes::from_static(b"00"))),
        ("twice".into(), Some(Bytes::from_static(&[0xFF, 0]))),
        ("none".into(), None),
        ("twice".into(), Some(Bytes::new())),
    ];
    let sent = [
        record(0, Some("tombstone"), None),
        record(0, None, Some("")),
        record(0, Some(""), Some("line")),
        with_headers,
        RawRecord {
            timestamp_ms: Some(1),
            ..record(2, None, Some("old"))
        },
    ];
    for record in &sent {
        from.put(record).await;
    }
    drain(&from, &to, "t").await.unwrap();
    assert_eq!(to.admin.partitions("t").await.unwrap(), Some(3));
    for partition in 0..3 {
        let (there, here) = (
            from.read("t", partition).await,
            to.read("t", partition).await,
        );
        assert_eq!(there.len(), here.len());
        for (original, copy) in there.iter().zip(&here) {
            let mut expected = original.clone();
            let source = from.admin.cluster_id().await.unwrap().unwrap();
            let offset = original.offset.to_string();
            expected
                .headers
                .push(("lb.origin".into(), Some(source.into())));
            expected
                .headers
                .push(("lb.mirror.offset".into(), Some(offset.into())));
            assert_eq!(copy, &expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ways_end_with_the_same_records_and_no_loop() {
    let (a, b) = (Cluster::start().await, Cluster::start().await);
    a.topic("t", 2).await;
    b.topic("t", 2).await;
    let both = Running::start(vec![config(&a, &b, "t"), config(&b, &a, "t")]).await;
    for round in 0..3 {
        a.produce("t", 2, &format!("a{round}"), 500).await;
        b.produce("t", 2, &format!("b{round}"), 300).await;
    }
    eventually("all are on both sides", async || {
        a.count("t").await >= 2400 && b.count("t").await >= 2400
    })
    .await;
    // One more from each side comes after everything that could have looped.
    a.produce("t", 2, "last of a", 2).await;
    b.produce("t", 2, "last of b", 2).await;
    eventually("the last are on both sides", async || {
        a.count("t").await >= 2404 && b.count("t").await >= 2404
    })
    .await;
    both.stop().await;
    let (in_a, in_b) = (a.values("t", 2).await, b.values("t", 2).await);
    assert_eq!(in_a, in_b);
    assert_eq!(in_a.len(), 2404);
    // Nothing is left that a new start would copy.
    drain(&a, &b, "t").await.unwrap();
    drain(&b, &a, "t").await.unwrap();
    assert_eq!((a.count("t").await, b.count("t").await), (2404, 2404));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_three_gives_every_record_to_each_once() {
    let ring = [
        Cluster::start().await,
        Cluster::start().await,
        Cluster::start().await,
    ];
    for cluster in &ring {
        cluster.topic("t", 1).await;
    }
    let ways = (0..3).map(|n| config(&ring[n], &ring[(n + 1) % 3], "t"));
    let running = Running::start(ways.collect()).await;
    for (n, cluster) in ring.iter().enumerate() {
        cluster.produce("t", 1, &format!("born in {n}"), 50).await;
    }
    for cluster in &ring {
        eventually("all arrive", async || cluster.count("t").await >= 150).await;
    }
    running.stop().await;
    let expected = ring[0].values("t", 1).await;
    assert_eq!(expected.len(), 150);
    for cluster in &ring[1..] {
        assert_eq!(cluster.values("t", 1).await, expected);
    }
}
