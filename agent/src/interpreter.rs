//! Random writers, rotations, acks and crashes against the tailer: every line is seen exactly once.
//!
//! A seed determines everything but inode numbers. `LOGBOOM_SEEDS=1000 cargo test -p logboom-agent
//! interpreter` runs more of them, `LOGBOOM_SEED=n` one.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use logboom_client::{ClientConfig, Origin};
use logboom_disk::{Disk, SimDisk};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::checkpoint::Checkpoints;
use crate::limits::HEAD_BYTES;
use crate::memory::MemoryQueue;
use crate::tail::Tailer;
use crate::{Config, ReadFrom, TailConfig};

/// A tailer with everything around it under control.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) queue: MemoryQueue,
    pub(crate) config: Config,
    pub(crate) tailer: Option<Tailer<MemoryQueue>>,
    pub(crate) now_ms: u64,
    pub(crate) rng: StdRng,
}

impl World {
    pub(crate) fn new(seed: u64, globs: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let globs = globs
            .iter()
            .map(|glob| format!("{}/{glob}", dir.path().display()))
            .collect();
        let queue = ClientConfig::new("unused", "unused");
        let mut config = Config::new("/state".into(), queue, vec![TailConfig::new(globs)]);
        config.host = "host".into();
        let mut world = World {
            dir,
            disk: Arc::new(SimDisk::new(seed)),
            queue: MemoryQueue::default(),
            config,
            tailer: None,
            now_ms: 1_000_000,
            rng: StdRng::seed_from_u64(seed),
        };
        world.start();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start(&mut self) {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let rng = &mut self.rng;
        let (checkpoints, saved) =
            Checkpoints::open(disk, Path::new("/state"), 1, || rng.random()).unwrap();
        let seed = self.rng.random();
        let tailer = Tailer::new(
            self.config.clone(),
            4,
            checkpoints,
            saved,
            self.queue.clone(),
            seed,
        )
        .unwrap();
        self.tailer = Some(tailer);
    }

    pub(crate) fn crash(&mut self) {
        self.tailer = None;
        self.disk.crash();
        self.queue.crash(&mut self.rng);
        self.start();
    }

    pub(crate) fn turn(&mut self) {
        self.tailer.as_mut().unwrap().turn(self.now_ms).unwrap();
    }

    /// Lets time pass and everything be read and acked.
    pub(crate) fn settle(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            for _ in 0..3 {
                self.turn();
                self.queue.ack(usize::MAX);
            }
        }
        self.turn();
    }

    /// Whether the agent says that all of a file is acked.
    pub(crate) fn is_acked(&self, path: &Path) -> bool {
        let size = std::fs::metadata(path).unwrap().len();
        let tailer = self.tailer.as_ref().unwrap();
        tailer.sources.values().any(|source| {
            source.is_bound()
                && source.saved.path == path
                && source.saved.acked == size
                && source.size == size
        })
    }

    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One program that writes a log, and what its administrator does with the files.
struct Writer {
    name: String,
    lines: u64,
    /// The last line has no newline yet.
    open_line: bool,
    rotated: Vec<PathBuf>,
    copies: u64,
    zips: u64,
}

struct Run {
    world: World,
    writers: Vec<Writer>,
    written: Vec<String>,
    /// Lines that nobody need see, but nobody twice.
    doomed: Vec<String>,
    trace: Vec<String>,
}

impl Run {
    fn step(&mut self) {
        let writer = self.world.rng.random_range(0..self.writers.len());
        match self.world.rng.random_range(0..100) {
            0..35 => self.write(writer),
            35..40 => self.rename(writer),
            40..47 => self.copytruncate(writer),
            47..53 => self.zip(writer),
            53..55 => self.delete(writer),
            55..59 => {
                self.note("crash");
                self.world.crash();
            }
            59..62 => {
                let Run { world, .. } = self;
                world.queue.fail(&mut world.rng);
                self.note("fail");
            }
            62..75 => {
                let count = self.world.rng.random_range(0..4);
                self.world.queue.ack(count);
            }
            75..85 => {
                self.world.now_ms += self.world.rng.random_range(0..1500);
                self.world.turn();
            }
            85..86 => {
                self.note("settle");
                self.world.settle(3000);
            }
            _ => self.turns(4),
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trace
            .push(format!("{} {}", self.world.now_ms, what.into()));
    }

    fn turns(&mut self, up_to: u32) {
        for _ in 0..self.world.rng.random_range(0..up_to) {
            self.world.now_ms += self.world.rng.random_range(0..120);
            self.world.turn();
        }
    }

    fn write(&mut self, writer: usize) {
        let rng = &mut self.world.rng;
        let writer = &mut self.writers[writer];
        let mut bytes = Vec::new();
        let count = if rng.random_ratio(1, 20) {
            300
        } else {
            rng.random_range(1..6)
        };
        for _ in 0..count {
            if !writer.open_line {
                let longest = if rng.random_ratio(1, 40) { 5_000 } else { 60 };
                let padding = "é".repeat(rng.random_range(0..longest));
                let line = format!("{} {} {padding}", writer.name, writer.lines);
                writer.lines += 1;
                bytes.extend_from_slice(line.as_bytes());
                self.written.push(line);
                writer.open_line = true;
            }
            if rng.random_ratio(9, 10) {
                bytes.extend_from_slice(if rng.random() { b"\n" } else { b"\r\n" });
                writer.open_line = false;
            } else {
                // The rest of the line comes with another write: perhaps much later.
                break;
            }
        }
        let name = writer.name.clone();
        // A write may become visible in two pieces.
        let half = self.world.rng.random_range(0..=bytes.len());
        self.world.append(&name, &bytes[..half]);
        if self.world.rng.random_ratio(1, 4) {
            self.turns(3);
        }
        self.world.append(&name, &bytes[half..]);
        self.note(format!("write {name} {half}+{}", bytes.len() - half));
    }

    fn rename(&mut self, writer: usize) {
        let Writer {
            name,
            rotated,
            open_line,
            ..
        } = &mut self.writers[writer];
        let live = self.world.dir.path().join(&*name);
        if !live.exists() {
            return;
        }
        // The shift of logrotate, oldest first.
        let mut shifted = Vec::new();
        for (index, path) in rotated.iter().enumerate().rev() {
            if path.to_string_lossy().contains("copy") || path.to_string_lossy().ends_with(".gz") {
                continue;
            }
            shifted.push((index, path.clone()));
        }
        let total = shifted.len();
        shifted.sort_by_key(|(_, path)| {
            path.extension()
                .unwrap()
                .to_string_lossy()
                .parse::<u64>()
                .unwrap()
        });
        for (place, (index, path)) in shifted.into_iter().enumerate().rev() {
            let next = self.world.dir.path().join(format!("{name}.{}", place + 2));
            std::fs::rename(&path, &next).unwrap();
            rotated[index] = next;
        }
        let first = self.world.dir.path().join(format!("{name}.1"));
        std::fs::rename(&live, &first).unwrap();
        rotated.push(first);
        *open_line = false;
        let note = format!("rename {name}, {total} older");
        self.note(note);
    }

    fn copytruncate(&mut self, writer: usize) {
        let live = self.world.path(&self.writers[writer].name);
        let Ok(bytes) = std::fs::read(&live) else {
            return;
        };
        let copies = self.writers[writer].copies;
        let name = format!("{}.copy-{copies}", self.writers[writer].name);
        self.writers[writer].copies += 1;
        let copy = self.world.path(&name);
        let mut out = File::create(&copy).unwrap();
        let mut at = 0;
        while at < bytes.len() {
            let piece = self.world.rng.random_range(1..=bytes.len() - at);
            out.write_all(&bytes[at..at + piece]).unwrap();
            at += piece;
            if self.world.rng.random_ratio(1, 3) {
                self.turns(3);
            }
            if self.world.rng.random_ratio(1, 20) {
                self.note("crash in copy");
                self.world.crash();
            }
        }
        if self.world.rng.random_ratio(1, 3) {
            self.turns(4);
        }
        self.write_before_truncation(writer, bytes.len());
        OpenOptions::new()
            .write(true)
            .open(&live)
            .unwrap()
            .set_len(0)
            .unwrap();
        self.writers[writer].open_line = false;
        self.writers[writer].rotated.push(copy);
        self.note(format!("copytruncate to {name}, {} bytes", bytes.len()));
    }

    /// Lines that come between copy and truncation are in no copy: unless they are read in time, they are
    /// lost. What the copy has must still be seen once. (A small copy may be a new file by chance: it is
    /// shipped again rather than lost.)
    fn write_before_truncation(&mut self, writer: usize, copied: usize) {
        if copied < HEAD_BYTES || self.writers[writer].open_line || self.world.rng.random() {
            return;
        }
        let count = self.world.rng.random_range(1..30);
        let writer = &mut self.writers[writer];
        let mut bytes = String::new();
        for _ in 0..count {
            let line = format!("{} {} between", writer.name, writer.lines);
            writer.lines += 1;
            bytes += &format!("{line}\n");
            self.doomed.push(line);
        }
        let name = writer.name.clone();
        self.world.append(&name, &bytes);
        self.note(format!("{count} lines into {name} before truncation"));
        self.turns(4);
        match self.world.rng.random_range(0..4) {
            0 => self.world.crash(),
            1 => self.world.queue.ack(2),
            _ => {}
        }
        self.turns(2);
    }

    /// Compresses a rotated file whose end is acked.
    fn zip(&mut self, writer: usize) {
        let Some(path) = self.acked_one(writer) else {
            return;
        };
        let bytes = std::fs::read(&path).unwrap();
        let zips = self.writers[writer].zips;
        let target = self
            .world
            .path(&format!("{}.{zips}.gz", self.writers[writer].name));
        self.writers[writer].zips += 1;
        let packed = gzip(&bytes);
        let half = self.world.rng.random_range(0..packed.len());
        let mut out = File::create(&target).unwrap();
        out.write_all(&packed[..half]).unwrap();
        self.turns(3);
        out.write_all(&packed[half..]).unwrap();
        self.turns(2);
        std::fs::remove_file(&path).unwrap();
        if let Some(slot) = self.writers[writer]
            .rotated
            .iter_mut()
            .find(|rotated| **rotated == path)
        {
            *slot = target.clone();
        }
        self.note(format!("zip {} to {}", path.display(), target.display()));
    }

    fn delete(&mut self, writer: usize) {
        let Some(path) = self.acked_one(writer) else {
            return;
        };
        std::fs::remove_file(&path).unwrap();
        self.writers[writer]
            .rotated
            .retain(|rotated| *rotated != path);
        self.note(format!("delete {}", path.display()));
    }

    fn acked_one(&mut self, writer: usize) -> Option<PathBuf> {
        let plain = self.writers[writer].rotated.iter();
        let acked: Vec<_> = plain
            .filter(|path| path.extension().unwrap() != "gz" && self.world.is_acked(path))
            .cloned()
            .collect();
        if acked.is_empty() {
            None
        } else {
            Some(acked[self.world.rng.random_range(0..acked.len())].clone())
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed, &["*.log*"]);
    world.config.open_files_max = [2, 160][(seed % 2) as usize];
    // After a first start without files, whatever comes is new: then both must ship the same.
    world.config.tails[0].read_from = [ReadFrom::Beginning, ReadFrom::End][(seed / 2 % 2) as usize];
    world.start();
    world.turn();
    world.crash();
    let writers = ["a.log", "b.log", "ab.log"];
    let writers = writers.map(|name| Writer {
        name: name.into(),
        lines: 0,
        open_line: false,
        rotated: Vec::new(),
        copies: 0,
        zips: 0,
    });
    let mut run = Run {
        world,
        writers: writers.into(),
        written: Vec::new(),
        doomed: Vec::new(),
        trace: Vec::new(),
    };
    for _ in 0..run.world.rng.random_range(20..200) {
        run.step();
    }
    run.world.settle(40_000);
    assert_eq!(run.world.queue.waiting(), 0);
    let mut written = run.written;
    let seen = run.world.queue.lines();
    written.extend(
        run.doomed
            .into_iter()
            .filter(|line| seen.binary_search(line).is_ok()),
    );
    written.sort();
    if written != seen {
        let show = |lines: &[String], others: &[String]| -> Vec<String> {
            let (mut rest, mut extra) = (others.to_vec(), Vec::new());
            for line in lines {
                match rest.binary_search(line) {
                    Ok(at) => drop(rest.remove(at)),
                    Err(_) => extra.push(line.chars().take(24).collect()),
                }
            }
            extra
        };
        let twice = show(&seen, &written);
        for arrived in run.world.queue.seen() {
            let text = String::from_utf8_lossy(&arrived.value);
            if twice
                .iter()
                .any(|line| text.starts_with(line.split(" é").next().unwrap()))
            {
                let Origin {
                    source,
                    prev,
                    offset,
                    end,
                    context,
                    ..
                } = arrived.origin;
                let text: String = text.chars().take(12).collect();
                run.trace.push(format!(
                    "{text:?} from {} {source} [{prev} {offset} {end})",
                    context.path
                ));
            }
        }
        let trace = run.trace.join("\n");
        panic!(
            "seed {seed}: lost {:?}, extra {:?}\n{trace}",
            show(&written, &seen),
            show(&seen, &written)
        );
    }
    assert_eq!(run.world.queue.gaps(), vec![], "seed {seed}");
}

#[test]
fn every_line_is_seen_exactly_once_whatever_happens_to_files_and_agent() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    match number("LOGBOOM_SEED") {
        Some(seed) => run(seed),
        None => (0..number("LOGBOOM_SEEDS").unwrap_or(48)).for_each(run),
    }
}
