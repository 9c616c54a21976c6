//! Looking through a broker's directory without touching it: every file of it, every record batch.
//!
//! It works on a copy, on a read-only mount, and beside a running broker, whose files move while they are read: there
//! a partition with a damage is read once more, and what was only in motion is gone by then.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use logboom_disk::{DirLock, ReadOnlyDisk};

use crate::error::Error;
use crate::log::{self, Damage, Examined};
use crate::{offsets, producer_ids, stored, topics, transactions};

/// Longer than a group takes to be written, a segment to be closed, or a file to be replaced.
const MOTION: Duration = Duration::from_secs(1);

/// What was found beside the partitions.
#[derive(Debug, Default)]
pub struct Verified {
    /// The process that has the directory, if one does.
    pub holder: Option<String>,
    pub partitions: usize,
    pub damages: Vec<Damage>,
    /// What is no damage, but worth to know.
    pub notes: Vec<String>,
}

/// Looks through the directory of a broker. `each` is told of every partition as it is done. Blocking, and reads every byte.
pub fn verify(data_dir: &Path, mut each: impl FnMut(&Examined)) -> Result<Verified, Error> {
    let disk = ReadOnlyDisk;
    let failed = |source: logboom_disk::Error| Error::DataDir {
        path: data_dir.to_path_buf(),
        source: Box::new(source),
    };
    let mut found = Verified {
        holder: DirLock::holder(&data_dir.join("lock")).map_err(failed)?,
        ..Verified::default()
    };
    let dir = data_dir.join("log");
    let logs = log::partitions(&disk, &dir).map_err(failed)?;
    let named = state_files(&disk, data_dir, &logs, &mut found);
    for (topic, partition) in &logs {
        let mut examined = log::examine(&disk, &dir, topic, *partition);
        if found.holder.is_some() && !examined.damages.is_empty() {
            std::thread::sleep(MOTION);
            examined = log::examine(&disk, &dir, topic, *partition);
        }
        if named
            .as_ref()
            .is_some_and(|named| !named.contains(&(topic.clone(), *partition)))
        {
            let note = "no topic names it, the next start removes it";
            examined.notes.push(note.to_owned());
        }
        each(&examined);
        found.partitions += 1;
        found.damages.extend(examined.damages);
    }
    Ok(found)
}

/// Everything but the logs. Returns the partitions that topics name, if their file can be read.
fn state_files(
    disk: &ReadOnlyDisk,
    data_dir: &Path,
    logs: &[(String, i32)],
    found: &mut Verified,
) -> Option<BTreeSet<(String, i32)>> {
    let named = match topics::examine(disk, data_dir) {
        Ok(Some(named)) => Some(named.into_iter().collect::<BTreeSet<_>>()),
        Ok(None) => {
            if !logs.is_empty() {
                let note = "the file `topics` is missing: the next start makes a topic of every log that is there";
                found.notes.push(note.to_owned());
            }
            None
        }
        Err(error) => {
            found
                .damages
                .push(of_file(&data_dir.join("topics"), &error));
            None
        }
    };
    for (topic, partition) in named.iter().flatten() {
        if !logs
            .iter()
            .any(|(name, number)| (name, number) == (topic, partition))
        {
            found.damages.push(Damage {
                path: data_dir.join("topics"),
                position: 0,
                reason: format!(
                    "it names partition `{partition}` of topic `{topic}`, whose log is not there"
                ),
            });
        }
    }
    let cluster = data_dir.join("cluster");
    if let Err(error) = stored::read::<String>(disk, &cluster, "cluster") {
        found.damages.push(of_file(&cluster, &error));
    }
    if let Err(error) = producer_ids::examine(disk, data_dir) {
        found
            .damages
            .push(of_file(&data_dir.join("producer_ids"), &error));
    }
    match offsets::examine(disk, data_dir) {
        Ok(true) => {
            let note = "the journal of offsets has a torn tail, the next start cuts it off";
            found.notes.push(note.to_owned());
        }
        Ok(false) => {}
        Err(error) => found
            .damages
            .push(of_file(&data_dir.join("offsets"), &error)),
    }
    match transactions::examine(disk, data_dir) {
        Ok(true) => {
            let note = "the journal of transactions has a torn tail, the next start cuts it off";
            found.notes.push(note.to_owned());
        }
        Ok(false) => {}
        Err(error) => found
            .damages
            .push(of_file(&data_dir.join("transactions"), &error)),
    }
    named
}

fn of_file(path: &Path, error: &Error) -> Damage {
    use std::error::Error as _;
    let mut reason = error.to_string();
    let (mut path, mut position) = (path.to_path_buf(), 0);
    if let Some(source) = error.source() {
        reason = source.to_string();
        if let Some(logboom_disk::Error::Damaged {
            path: file, offset, ..
        }) = source.downcast_ref()
        {
            (path, position) = (file.clone(), *offset);
        }
    }
    Damage {
        path,
        position,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::Arc;

    use logboom_disk::{Disk, RealDisk};

    use crate::log::testing::BatchBuilder;
    use crate::log::{LogConfig, Logs, Outcome};
    use crate::offsets::{Committed, Offsets, Row};
    use crate::producer_ids::ProducerIds;
    use crate::topics::Topics;

    /// A broker's directory with several segments in `t-0`, closed in order.
    async fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let config = LogConfig {
            segment_bytes: 16 << 10,
            index_interval_bytes: 4 << 10,
            disk_free_min_bytes: 0,
            ..LogConfig::default()
        };
        let logs = Logs::open(disk.clone(), &dir.path().join("log"), config).unwrap();
        let logs = Arc::new(logs);
        let topics = Topics::open(disk.clone(), dir.path(), logs.clone()).unwrap();
        let topic = topics.create("t", 2).await.unwrap();
        for byte in 0..40 {
            let batch = BatchBuilder::new(&[vec![byte; 500], vec![byte; 500]]).build();
            topic.partitions[0].append(batch).await.unwrap();
        }
        let in_transaction = BatchBuilder::new(&[b"x"])
            .attributes(0x10)
            .producer(7, 0, 0)
            .build();
        let other = &topic.partitions[1];
        other.append(in_transaction).await.unwrap();
        other.end_transaction(7, 0, Outcome::Abort).await.unwrap();
        let offsets = Offsets::open(disk.clone(), dir.path()).unwrap();
        let committed = Committed {
            offset: 3,
            leader_epoch: 0,
            metadata: String::new(),
            time_ms: 0,
        };
        let row = Row {
            topic: "t".to_owned(),
            partition: 0,
            committed,
        };
        offsets.commit("g", vec![row.clone()]).await.unwrap();
        offsets.commit("h", vec![row]).await.unwrap();
        offsets.close().unwrap();
        let ids = ProducerIds::open(disk.clone(), dir.path()).unwrap();
        ids.next().await.unwrap();
        stored::write(
            &*disk,
            &dir.path().join("cluster"),
            "cluster",
            &"c".to_owned(),
        )
        .unwrap();
        logs.close().unwrap();
        dir
    }

    fn damages(dir: &Path) -> Vec<Damage> {
        verify(dir, |_| {}).unwrap().damages
    }

    fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_sound_directory_is_counted_and_left_as_it_is() {
        let dir = directory().await;
        let before = files(dir.path());
        let mut seen = Vec::new();
        let found = verify(dir.path(), |partition| seen.push(partition.clone())).unwrap();
        assert_eq!((found.damages, found.notes), (vec![], vec![]));
        assert_eq!((found.holder, found.partitions), (None, 2));
        assert!(seen[0].segments > 2, "{seen:?}");
        assert_eq!(
            (seen[0].batches, seen[0].records, seen[0].offsets),
            (40, 80, (0, 80))
        );
        assert!(
            seen.iter().all(|partition| partition.notes.is_empty()),
            "{seen:?}"
        );
        assert_eq!(files(dir.path()), before);
    }

    #[tokio::test]
    async fn every_flipped_byte_is_found_with_its_file() {
        let dir = directory().await;
        for (path, good) in files(dir.path()) {
            let name = path.strip_prefix(dir.path()).unwrap().display().to_string();
            // Of the lock and the mark of a clean end the content is nothing.
            if name == "lock" || name == "log/clean" {
                continue;
            }
            let step = (good.len() / 97).max(1);
            for at in (0..good.len()).step_by(step) {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&path, &bad).unwrap();
                let mut notes = Vec::new();
                let found = verify(dir.path(), |partition| {
                    notes.extend(partition.notes.clone())
                })
                .unwrap();
                let is_told = found.damages.iter().any(|damage| damage.path == path)
                    || notes
                        .iter()
                        .chain(&found.notes)
                        .any(|note| note.contains("made again") || note.contains("torn"));
                // Padding, reserved space, and an index that the open segment can do without.
                let is_idle = good[at] == 0 || name.ends_with(".index");
                assert!(
                    is_told || is_idle,
                    "{name} at {at}: {:?} {notes:?}",
                    found.damages
                );
            }
            std::fs::write(&path, &good).unwrap();
        }
        assert_eq!(damages(dir.path()), []);
    }

    #[tokio::test]
    async fn a_damage_is_told_with_its_position() {
        let dir = directory().await;
        let log = dir.path().join("log/t-0");
        let first = log.join("00000000000000000000.log");
        let mut bytes = std::fs::read(&first).unwrap();
        let batch = (bytes.len() - 512) / 7;
        let at = 512 + 2 * batch + 100;
        bytes[at] ^= 1;
        std::fs::write(&first, &bytes).unwrap();
        let [damage] = &damages(dir.path())[..] else {
            panic!("one damage: {:?}", damages(dir.path()))
        };
        assert_eq!(damage.path, first);
        assert!(
            damage.position <= at as u64 && damage.position > 512,
            "{damage:?}"
        );
        bytes[at] ^= 1;
        std::fs::write(&first, &bytes).unwrap();

        let last = files(&log)
            .into_iter()
            .map(|(path, _)| path)
            .rfind(|path| path.extension().is_some_and(|end| end == "log"))
            .unwrap();
        let good = std::fs::read(&last).unwrap();
        std::fs::write(&last, &good[..good.len() - 1]).unwrap();
        let [damage] = &damages(dir.path())[..] else {
            panic!("one damage: {:?}", damages(dir.path()))
        };
        assert!(
            damage.path == last && damage.reason.contains("had been synced"),
            "{damage:?}"
        );
        std::fs::write(&last, &good).unwrap();

        let missing = files(&log)
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .nth(1)
            .unwrap();
        std::fs::rename(&missing, dir.path().join("aside")).unwrap();
        let [damage] = &damages(dir.path())[..] else {
            panic!("one damage: {:?}", damages(dir.path()))
        };
        assert!(
            damage.reason.contains("the one before ends at"),
            "{damage:?}"
        );
        std::fs::rename(dir.path().join("aside"), &missing).unwrap();
        std::fs::remove_dir_all(dir.path().join("log/t-1")).unwrap();
        let [damage] = &damages(dir.path())[..] else {
            panic!("one damage: {:?}", damages(dir.path()))
        };
        assert!(
            damage.reason.contains("partition `1` of topic `t`"),
            "{damage:?}"
        );
    }
}
