//! redpanda#4057: open files and segments that grow with every restart. Alone in its binary, for it counts the files
//! of the whole process.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{config, kcat_ok, start};
use logboom_broker::Config;

const PARTITIONS: u32 = 100;
const RESTARTS: usize = 5;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_leave_neither_open_files_nor_segments_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut counts = Vec::new();
    for restart in 0..RESTARTS {
        let broker = start(Config {
            default_partitions: PARTITIONS,
            ..config(dir.path())
        })
        .await;
        let partition = restart.to_string();
        let arguments = ["-P", "-t", "logs", "-p", &partition];
        kcat_ok(&broker.bootstrap(), &arguments, b"line\n").await;
        let running = open_files();
        broker.stop().await;
        counts.push((running, open_files(), files(dir.path())));
    }
    println!("open while running, open after the stop, files: {counts:?}");
    let first = counts[0];
    for later in &counts[1..] {
        // The sockets of a client that has just gone may be among the open ones.
        assert!(
            later.0 <= first.0 + 2 && later.1 <= first.1 + 2,
            "{counts:?}"
        );
        assert_eq!(later.2, first.2, "{counts:?}");
    }
}
