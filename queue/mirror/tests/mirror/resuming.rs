//! Where a start goes on, over real logs. All cases of the decision are in `src/resume/tests.rs`.

use logboom_client::{Assignment, Position};
use logboom_mirror::Error;

use crate::cluster::{Cluster, PATIENCE, Running, config, drain, eventually};

async fn group(to: &Cluster) -> String {
    format!(
        "logboom-mirror-{}",
        to.admin.cluster_id().await.unwrap().unwrap()
    )
}

fn partitions(count: i32) -> Vec<(String, i32)> {
    (0..count).map(|number| ("t".to_owned(), number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_whose_commit_was_lost_are_not_made_again() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 2).await;
    from.produce("t", 2, "first", 100).await;
    drain(&from, &to, "t").await.unwrap();
    let group = group(&to).await;
    let committed = from.admin.positions(&group, &partitions(2)).await.unwrap();
    assert_eq!(committed[0].next.offset, 50);
    from.produce("t", 2, "second", 100).await;
    // Others write to the target, too.
    to.produce("t", 2, "foreign", 40).await;
    drain(&from, &to, "t").await.unwrap();
    let expected = to.values("t", 2).await;
    assert_eq!(expected.len(), 240);

    // As if it had been killed before the second commit.
    from.admin
        .commit_positions(&group, committed)
        .await
        .unwrap();
    drain(&from, &to, "t").await.unwrap();
    assert_eq!(to.values("t", 2).await, expected);

    // As if the group had been forgotten, or an operator had moved it.
    for note in ["", "moved by hand"] {
        let moved = partitions(2)
            .into_iter()
            .map(|(topic, partition)| Position {
                next: Assignment {
                    topic,
                    partition,
                    offset: 0,
                },
                note: note.to_owned(),
            });
        let moved = moved.collect();
        from.admin.commit_positions(&group, moved).await.unwrap();
        drain(&from, &to, "t").await.unwrap();
        assert_eq!(to.values("t", 2).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_at_the_source_is_copied_from_its_start() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 1).await;
    from.produce("t", 1, "old", 100).await;
    drain(&from, &to, "t").await.unwrap();
    crate::topics::delete(&from, "t").await;
    from.topic("t", 1).await;
    from.produce("t", 1, "new", 100).await;
    for _again in 0..2 {
        drain(&from, &to, "t").await.unwrap();
        assert_eq!(to.count("t").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_lost_its_log_is_filled_again() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 1).await;
    from.produce("t", 1, "kept", 100).await;
    drain(&from, &to, "t").await.unwrap();
    crate::topics::delete(&to, "t").await;
    for _again in 0..2 {
        drain(&from, &to, "t").await.unwrap();
        assert_eq!(to.count("t").await, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_that_began_last_goes_on_and_the_other_ends() {
    let (from, to) = (Cluster::start().await, Cluster::start().await);
    from.topic("t", 1).await;
    from.produce("t", 1, "before", 10).await;
    let first = Running::start(vec![config(&from, &to, "t")]).await;
    eventually("the first copies", async || to.count("t").await == 10).await;
    let second = Running::start(vec![config(&from, &to, "t")]).await;
    from.produce("t", 1, "after", 10).await;
    let ended = tokio::time::timeout(PATIENCE, first.task).await.unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(matches!(error, Error::TakenOver { .. }), "{error}");
    from.produce("t", 1, "later", 10).await;
    eventually("the second copies", async || to.count("t").await >= 30).await;
    second.stop().await;
}
