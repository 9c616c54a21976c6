//! Topics that come, grow and go while a mirror runs.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use crate::cluster::{Cluster, Running, config, drain, eventually};

pub(crate) async fn delete(cluster: &Cluster, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &cluster.client.bootstrap)
        .create()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let results = admin.delete_topics(&[topic], &options).await.unwrap();
    results.into_iter().next().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_partitions_that_are_new_are_found_and_others_left_alone() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("logs", 1).await;
    let running = Running::start(vec![config(&from, &to, "logs.*")]).await;
    from.produce("logs", 1, "one", 10).await;
    eventually("what was there is copied", async || {
        to.count("logs").await == 10
    })
    .await;

    from.topic("logs-new", 2).await;
    from.topic("metrics", 1).await;
    from.produce("metrics", 1, "no", 5).await;
    from.produce("logs-new", 2, "two", 20).await;
    eventually("the new topic is copied", async || {
        to.count("logs-new").await == 20
    })
    .await;

    from.admin.grow_topic("logs", 3).await.unwrap();
    eventually("the target grows, too", async || {
        to.admin.partitions("logs").await.unwrap() == Some(3)
    })
    .await;
    from.produce("logs", 3, "three", 30).await;
    eventually("the new partitions are copied", async || {
        to.count("logs").await == 40
    })
    .await;
    running.stop().await;
    assert_eq!(to.admin.partitions("metrics").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_ends_quietly_and_stays_at_the_target() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("gone", 1).await;
    from.topic("stays", 1).await;
    from.produce("gone", 1, "old", 10).await;
    let running = Running::start(vec![config(&from, &to, ".*")]).await;
    eventually("it is copied", async || to.count("gone").await == 10).await;
    delete(&from, "gone").await;
    from.produce("stays", 1, "new", 10).await;
    eventually("the other goes on", async || to.count("stays").await == 10).await;
    running.stop().await;
    assert_eq!(to.count("gone").await, 10);
    drain(&from, &to, ".*").await.unwrap();
}
