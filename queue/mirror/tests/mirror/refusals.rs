//! What a mirror refuses, or is refused, and what it says.

use logboom_client::RawRecord;
use logboom_mirror::{Config, Error};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Running, config, drain, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_on_both_ends_is_refused() {
    let cluster = Cluster::start().await;
    let error = drain(&cluster, &cluster, "t").await.unwrap_err();
    assert!(matches!(error, Error::SameCluster { .. }), "{error}");
    assert!(
        error.to_string().contains(&cluster.client.bootstrap),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_fewer_partitions_is_refused_unless_it_is_empty() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 4).await;
    to.topic("t", 2).await;
    to.produce("t", 2, "theirs", 10).await;
    let error = drain(&from, &to, "t").await.unwrap_err();
    assert!(
        matches!(&error, Error::FewerPartitions { topic, wanted: 4, found: 2, .. } if topic == "t"),
        "{error}"
    );

    let empty = Cluster::start().await;
    empty.topic("t", 2).await;
    drain(&from, &empty, "t").await.unwrap();
    assert_eq!(empty.admin.partitions("t").await.unwrap(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_target_refuses_stops_its_partition_alone() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 2).await;
    to.topic_of_small("t", 2, "65536").await;
    // No codec makes this smaller.
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    let large = RawRecord {
        topic: "t".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: Some(1),
        key: None,
        value: Some(noise.take(200 << 10).collect()),
        headers: vec![],
    };
    from.put(&large).await;
    from.produce("t", 2, "small", 20).await;

    let running = Running::start(vec![config(&from, &to, "t")]).await;
    eventually("the other partition is copied", async || {
        to.read("t", 1).await.len() == 10
    })
    .await;
    running.stop().await;
    assert!(
        to.read("t", 0).await.is_empty(),
        "nothing may overtake the record that was refused"
    );

    let error = drain(&from, &to, "t").await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { topic, partition: 0, .. } if topic == "t"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_stopped_before_its_end_says_so() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 1).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let (ready, _is_ready) = watch::channel(false);
    let config = Config {
        until: logboom_mirror::Until::Drained,
        ..config(&from, &to, "t")
    };
    let error = logboom_mirror::run(vec![config], ready, stop)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotDrained), "{error}");
}
