//! Exactly once, from the file's byte to the search hit, across kill -9 of every part.
//!
//! The sixteen samples and some Chinese lines are written line by line into one
//! watched directory, with rename rotation, copytruncate and gzip, while agent,
//! queue and indexer die at random moments. In the end every generation of every
//! file (what was written between two rotations) is found as one source, whole,
//! byte for byte, and nothing is found twice. With Apache Kafka in the queue's place it is the same
//! test: the address alone is another.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::kafka::Kafka;
use crate::process::{self, Process};
use crate::samples::{self, Line};

const KILLS_PER_PART: usize = 10;
const WRITING_TAKES: Duration = Duration::from_secs(20);
const CHINESE_LINES: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn loghub_exactly_once_across_kill_9() {
    for seed in seeds(3) {
        println!("exactly once: LOGBOOM_SEED={seed}");
        run(seed, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loghub_exactly_once_with_apache_kafka_as_the_queue() {
    for seed in seeds(1) {
        println!("exactly once on Apache Kafka: LOGBOOM_SEED={seed}");
        run(seed, Some(Kafka::start(&[]))).await;
    }
}

/// `LOGBOOM_SEED` alone, or as many as `LOGBOOM_SEEDS` says.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse::<u64>()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    match number("LOGBOOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("LOGBOOM_SEEDS").unwrap_or(count) + 1,
    }
}

async fn run(seed: u64, kafka: Option<Kafka>) {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let mut system = System::start(directory.path(), &logs, kafka);
    let mut random = StdRng::seed_from_u64(seed);

    let parts = system.parts.len();
    let mut kills: Vec<(Duration, usize)> = (0..parts * KILLS_PER_PART)
        .map(|kill| {
            (
                WRITING_TAKES.mul_f64(random.random_range(0.02..1.0)),
                kill % parts,
            )
        })
        .collect();
    kills.sort();

    let url = system.url();
    let writer_logs = logs.clone();
    let writer_url = url.clone();
    let writer = tokio::spawn(async move {
        write_all(
            &writer_logs,
            &writer_url,
            StdRng::seed_from_u64(seed ^ 0x5eed),
        )
        .await
    });
    let started = tokio::time::Instant::now();
    for (at, part) in kills {
        tokio::time::sleep_until(started + at).await;
        system.kill_and_restart(part);
    }
    let expected = writer.await.unwrap();

    let lines: usize = expected
        .iter()
        .map(|generation| generation.lines.len())
        .sum();
    assert_eq!(lines, 32_000 + CHINESE_LINES);
    let deadline = Instant::now() + Duration::from_secs(120);
    while process::total(&url, "*").await.unwrap_or_default() < lines as u64
        && Instant::now() < deadline
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // What would be found twice may come late: a re-read file, a replayed batch.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let hits = process::all_hits(&url, "*").await;
    compare(&expected, &hits, directory.path());
}

/// Queue, indexer, agent as processes of their own that die, and a ui that does not. Apache Kafka in the queue's place
/// does not either: what of it is on the disk is its own affair.
struct System {
    directory: PathBuf,
    parts: Vec<Part>,
    ui: Process,
    _kafka: Option<Kafka>,
}

struct Part {
    name: &'static str,
    process: Option<Process>,
}

impl System {
    fn start(directory: &Path, logs: &Path, kafka: Option<Kafka>) -> System {
        let names: &[&str] = match kafka {
            Some(_) => &["indexer", "agent"],
            None => &["queue", "indexer", "agent"],
        };
        let (queue, indexer) = match &kafka {
            Some(kafka) => (kafka.address.port(), process::free_port()),
            None => (process::free_port(), process::free_port()),
        };
        let data = directory.join("data");
        let config = format!(
            "version: 1\ndata: {data}\nqueue: {{listen: '127.0.0.1:{queue}', address: '127.0.0.1:{queue}'}}\n\
             indexer: {{listen: '127.0.0.1:{indexer}'}}\nindexes: {{logs: {{hot_age_max: 3s}}}}\n\
             ui: {{listen: '127.0.0.1:0', indexer_url: 'http://127.0.0.1:{indexer}'}}\n\
             agent: {{tail: [{{glob: ['{logs}/*']}}]}}\n",
            data = data.display(),
            logs = logs.display(),
        );
        std::fs::write(directory.join("logboom.yaml"), config).unwrap();
        let parts = names.iter().map(|name| Part {
            name,
            process: Some(start_part(directory, name)),
        });
        System {
            parts: parts.collect(),
            ui: start_part(directory, "ui"),
            directory: directory.to_owned(),
            _kafka: kafka,
        }
    }

    fn url(&self) -> String {
        self.ui.url().to_owned()
    }

    fn kill_and_restart(&mut self, part: usize) {
        let part = &mut self.parts[part];
        part.process.take().unwrap().kill_9();
        part.process = Some(start_part(&self.directory, part.name));
    }
}

fn start_part(directory: &Path, part: &str) -> Process {
    let config = directory.join("logboom.yaml");
    let mut command = process::command(&[part, "--config", config.to_str().unwrap()]);
    for port in [
        "LOGBOOM_LISTEN",
        "LOGBOOM_QUEUE_LISTEN",
        "LOGBOOM_INDEXER_LISTEN",
    ] {
        command.env_remove(port);
    }
    Process::start(command, &directory.join(format!("{part}.log")))
}

/// What one file held between two rotations.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Generation {
    /// (offset in the file, bytes of the line)
    lines: Vec<(u64, Vec<u8>)>,
}

/// A live log file and the rotations it went through.
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    left: std::vec::IntoIter<Line>,
    current: Generation,
    past: Vec<Generation>,
    rotations: usize,
}

impl Log {
    fn create(path: PathBuf, lines: Vec<Line>) -> Log {
        let file = open(&path);
        Log {
            path,
            file,
            size: 0,
            left: lines.into_iter(),
            current: Generation::default(),
            past: vec![],
            rotations: 0,
        }
    }

    /// One `write` a line, as programs log; `false` when there is none left.
    fn write_line(&mut self) -> bool {
        let Some(line) = self.left.next() else {
            return false;
        };
        let bytes = [line.bytes.as_slice(), line.terminator].concat();
        self.file.write_all(&bytes).unwrap();
        self.current.lines.push((self.size, line.bytes));
        self.size += bytes.len() as u64;
        true
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}.{suffix}", self.path.display()))
    }

    /// `X.log.1` becomes `X.log.2` and so on; the writer goes on in a new `X.log`.
    fn rotate_by_rename(&mut self) {
        for number in (1..=self.rotations).rev() {
            let from = self.sibling(&number.to_string());
            if from.exists() {
                std::fs::rename(from, self.sibling(&(number + 1).to_string())).unwrap();
            }
        }
        std::fs::rename(&self.path, self.sibling("1")).unwrap();
        self.rotations += 1;
        self.file = open(&self.path);
        self.begin_generation();
    }

    /// The copy stays in the watched directory, the file starts again at its first byte.
    fn copytruncate(&mut self) {
        std::fs::copy(
            &self.path,
            self.sibling(&format!("copy-{}", self.past.len())),
        )
        .unwrap();
        self.file.set_len(0).unwrap();
        self.begin_generation();
    }

    fn begin_generation(&mut self) {
        self.size = 0;
        self.past.push(std::mem::take(&mut self.current));
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

/// Writes everything, in bursts over [`WRITING_TAKES`], and says what was written where.
async fn write_all(logs: &Path, url: &str, mut random: StdRng) -> Vec<Generation> {
    let mut open_logs: Vec<Log> = samples::SYSTEMS
        .iter()
        .map(|system| Log::create(logs.join(format!("{system}.log")), samples::read(system)))
        .collect();
    open_logs.push(Log::create(
        logs.join("中文.log"),
        samples::chinese(CHINESE_LINES),
    ));
    let mut done = Vec::new();
    let (mut renamed, mut truncated, mut gzipped) = (0, 0, 0);
    let bursts = 32_200 / 40;
    while !open_logs.is_empty() {
        let chosen = random.random_range(0..open_logs.len());
        let log = &mut open_logs[chosen];
        let mut more = true;
        for _ in 0..random.random_range(1..80) {
            more = more && log.write_line();
        }
        if !more {
            done.push(open_logs.swap_remove(chosen));
        } else if !log.current.lines.is_empty() {
            match random.random_range(0..100) {
                0..4 => {
                    log.rotate_by_rename();
                    renamed += 1;
                }
                4..8 => {
                    log.copytruncate();
                    truncated += 1;
                }
                8..12 => gzipped += u32::from(gzip_one_acked(logs, url, gzipped).await),
                _ => {}
            }
        }
        tokio::time::sleep(WRITING_TAKES / bursts).await;
    }
    println!("{renamed} renames, {truncated} copytruncates, {gzipped} gzips");
    assert!(
        renamed > 5 && truncated > 5 && gzipped > 0,
        "the files were hardly rotated"
    );
    let generations = done.into_iter().flat_map(|mut log| {
        log.begin_generation();
        log.past
    });
    generations
        .filter(|generation| !generation.lines.is_empty())
        .collect()
}

/// Compresses a rotated file whose end the agent has acked, as logrotate's `delaycompress` does;
/// `false` when there is none.
async fn gzip_one_acked(logs: &Path, url: &str, number: u32) -> bool {
    let Some(pipeline) = process::get(url, "pipeline", &[]).await else {
        return false;
    };
    let files = pipeline["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|agent| agent["files"].as_array().into_iter().flatten());
    let acked: BTreeMap<String, u64> = files
        .filter_map(|file| Some((file["path"].as_str()?.to_owned(), file["acked"].as_u64()?)))
        .collect();
    let rotated = std::fs::read_dir(logs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let suffix = path
                .extension()
                .and_then(|suffix| suffix.to_str())
                .unwrap_or_default();
            let size = std::fs::metadata(path).unwrap().len();
            suffix.parse::<u32>().is_ok() && acked.get(path.to_str().unwrap()) == Some(&size)
        });
    let Some(path) = rotated else { return false };
    let content = std::fs::read(&path).unwrap();
    // A date in the field, a number here: the name of an older one is never met again.
    let target = PathBuf::from(format!("{}-{number}.gz", path.display()));
    let mut encoder = flate2::write::GzEncoder::new(
        File::create(target).unwrap(),
        flate2::Compression::default(),
    );
    encoder.write_all(&content).unwrap();
    encoder.finish().unwrap();
    std::fs::remove_file(path).unwrap();
    true
}

fn compare(expected: &[Generation], hits: &[Value], directory: &Path) {
    let mut by_source: BTreeMap<&str, Generation> = BTreeMap::new();
    for hit in hits {
        let source = hit["source_id"]
            .as_str()
            .expect("a line of an agent names its source");
        let line = (
            hit["offset"].as_u64().unwrap(),
            hit["raw"].as_str().unwrap().as_bytes().to_vec(),
        );
        by_source.entry(source).or_default().lines.push(line);
    }
    for generation in by_source.values_mut() {
        generation.lines.sort();
    }
    let mut found: Vec<&Generation> = by_source.values().collect();
    let mut expected: Vec<&Generation> = expected.iter().collect();
    found.sort();
    expected.sort();

    let bytes = |generations: &[&Generation]| -> Vec<Vec<u8>> {
        let lines = generations
            .iter()
            .flat_map(|generation| generation.lines.iter());
        let mut bytes: Vec<Vec<u8>> = lines.map(|(_, bytes)| bytes.clone()).collect();
        bytes.sort();
        bytes
    };
    let (bytes_expected, bytes_found) = (bytes(&expected), bytes(&found));
    if bytes_expected != bytes_found || found != expected {
        for source in by_source
            .iter()
            .filter(|(_, generation)| !expected.contains(generation))
        {
            let place = hits
                .iter()
                .find(|hit| hit["source_id"] == **source.0)
                .map(|hit| hit["source"].to_string());
            let first = source.1.lines.first().unwrap();
            println!(
                "source {} of {} is no generation: {} lines from offset {} to {}",
                source.0,
                place.unwrap_or_default(),
                source.1.lines.len(),
                first.0,
                source.1.lines.last().unwrap().0,
            );
        }
        for (source, generation) in &by_source {
            let twins = by_source.values().filter(|other| *other == generation);
            if twins.count() > 1 {
                let paths: std::collections::BTreeSet<&str> = hits
                    .iter()
                    .filter(|hit| hit["source_id"] == **source)
                    .filter_map(|hit| hit["source"].as_str())
                    .collect();
                let ids: Vec<&str> = hits
                    .iter()
                    .filter(|hit| hit["source_id"] == **source)
                    .filter_map(|hit| hit["id"].as_str())
                    .collect();
                println!(
                    "found twice: source {source} at {paths:?}, {} lines, ids {} to {}",
                    generation.lines.len(),
                    ids[ids.len() - 1],
                    ids[0]
                );
            }
        }
        for generation in expected
            .iter()
            .filter(|generation| !found.contains(generation))
        {
            println!(
                "never found as one source: {} lines to offset {}, beginning {:?}",
                generation.lines.len(),
                generation.lines.last().unwrap().0,
                String::from_utf8_lossy(&generation.lines[0].1),
            );
        }
        let log = std::fs::read_to_string(directory.join("agent.log")).unwrap_or_default();
        println!("the agent's log:\n{log}");
        panic!(
            "{} lines in {} generations were written, {} lines of {} sources were found",
            bytes_expected.len(),
            expected.len(),
            bytes_found.len(),
            found.len()
        );
    }
}
