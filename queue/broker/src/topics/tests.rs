//! Topics through crashes and failures at every step of a change.

use std::sync::OnceLock;

use logboom_disk::SimDisk;

use super::*;
use crate::log::LogConfig;
use crate::log::testing::{BatchBuilder, Hooked};

#[tokio::test]
async fn nothing_of_a_topic_is_seen_before_it_is_durable() {
    let (opened, seen) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    let hook = {
        let (opened, seen) = (opened.clone(), seen.clone());
        move |path: &Path| {
            if let (true, Some(topics)) = (path == Path::new("/topics"), opened.get()) {
                seen.lock()
                    .unwrap()
                    .push(size(topics).map_or(0, |(partitions, _)| partitions));
            }
        }
    };
    let disk: Arc<dyn Disk> = Arc::new(Hooked {
        disk: SimDisk::new(0),
        hook,
    });
    let logs = Logs::open(disk.clone(), Path::new("/log"), LogConfig::default()).unwrap();
    let topics = Topics::open(disk, Path::new("/"), Arc::new(logs)).unwrap();
    assert!(opened.set(topics.clone()).is_ok());
    topics.create("t", 1).await.unwrap();
    topics.grow("t", 3, false).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 1]);
    assert_eq!(topics.get("t").unwrap().partitions.len(), 3);
}

fn open(disk: &SimDisk) -> Topics {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = LogConfig {
        disk_free_min_bytes: 0,
        ..LogConfig::default()
    };
    let logs = Logs::open(disk.clone(), Path::new("/log"), config).unwrap();
    Topics::open(disk, Path::new("/"), Arc::new(logs)).unwrap()
}

/// Partitions and records of `t`.
fn size(topics: &Topics) -> Option<(usize, i64)> {
    let topic = topics.get("t")?;
    let records = topic.partitions.iter().map(|log| log.high_watermark());
    Some((topic.partitions.len(), records.sum()))
}

#[tokio::test]
async fn a_topic_has_no_records_of_one_whose_deletion_failed_or_was_cut_off() {
    let (old, new) = ((3, 3), (2, 0));
    for steps in 0.. {
        let mut deletions_done = 0;
        for crashes in [false, true] {
            let disk = SimDisk::new(steps);
            let mut topics = open(&disk);
            for log in &topics.create("t", 3).await.unwrap().partitions {
                let batch = BatchBuilder::new(&["old"]).build();
                log.append(batch).await.unwrap();
            }
            disk.stop_after(steps);
            let deleted = topics.delete("t").await;
            if crashes {
                drop(topics);
                disk.crash();
                topics = open(&disk);
            } else {
                disk.heal();
            }
            let created = topics.create("t", 2).await.map(|_| ());
            let found = size(&topics).unwrap();
            match &created {
                Ok(()) => assert_eq!(found, new, "{steps} steps: {deleted:?}"),
                Err(TopicError::Exists { .. }) => {
                    assert_eq!(found, old, "{steps} steps: {deleted:?}");
                }
                Err(error) => panic!("{steps} steps: {error}"),
            }
            assert!(deleted.is_err() || created.is_ok(), "{steps} steps");
            drop(topics);
            if crashes {
                disk.crash();
            }
            assert_eq!(size(&open(&disk)), Some(found), "{steps} steps");
            deletions_done += u32::from(deleted.is_ok());
        }
        if deletions_done == 2 {
            return;
        }
    }
}

#[tokio::test]
async fn no_topic_is_created_while_records_of_its_name_cannot_be_removed() {
    let disk = SimDisk::new(0);
    let topics = open(&disk);
    topics.create("t", 3).await.unwrap();
    // The file is replaced in five steps; the first log is put aside, and then the disk fails.
    disk.stop_after(6);
    let deleted = topics.delete("t").await;
    assert!(matches!(deleted, Err(TopicError::LogsRemain(_))));
    let created = topics.create("t", 3).await.map(|_| ());
    assert!(matches!(created, Err(TopicError::LogsRemain(_))));
    assert!(topics.get("t").is_none());
    disk.heal();
    topics.create("t", 3).await.unwrap();
    assert_eq!(size(&topics), Some((3, 0)));
}

#[tokio::test]
async fn a_file_of_before_topics_had_settings_is_read() {
    let disk = SimDisk::new(0);
    let topics = open(&disk);
    topics.create("t", 3).await.unwrap();
    let path = Path::new("/topics");
    let now = logboom_disk::read_all(&disk, path, 10_000).unwrap();
    let now = String::from_utf8(now).unwrap();
    assert!(now.starts_with("logboom topics 2 ") && !now.contains("settings"));
    let old = now.replacen("topics 2", "topics 1", 1);
    drop(topics);
    logboom_disk::atomic_replace(&disk, path, old.as_bytes()).unwrap();
    let topics = open(&disk);
    assert_eq!(size(&topics), Some((3, 0)));
    let set = |overrides: &mut Overrides| overrides.set(settings::RETENTION_MS, "1000");
    topics.alter("t", false, set).await.unwrap();
    topics.grow("t", 4, false).await.unwrap();
    drop(topics);
    disk.crash();
    let topics = open(&disk);
    let topic = topics.get("t").unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert_eq!(topic.overrides.get(settings::RETENTION_MS), Some("1000"));
}

#[test]
fn topic_names_are_kafkas() {
    for good in ["logs", "_logboom_agents", "a.b-c_9", &"x".repeat(249)] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        ".",
        "..",
        "a/b",
        "a b",
        "ä",
        "a\0",
        &"x".repeat(250),
        "../x",
    ] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}
