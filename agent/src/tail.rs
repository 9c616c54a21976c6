//! The tailer: all sources, read in turns.
//!
//! [`Tailer::turn`] does what is due at `now_ms` and says when to call it again. Files are noticed by
//! hints and sweeps, found by walks ([`crate::reconcile`]), read with a budget each
//! ([`crate::reading`]). Reading stops while [`limits::IN_FLIGHT_BYTES_MAX`] bytes wait for the queue's
//! ack: the files are the buffer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logboom_client::{Context, SourceId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracing::{debug, info, warn};

use crate::checkpoint::{Checkpoints, Saved, Stage};
use crate::claim::Pending;
use crate::config::Config;
use crate::content::{Place, stat};
use crate::discover::Patterns;
use crate::error::Error;
use crate::family::Families;
use crate::identity::{Guard, Head};
use crate::sink::{Home, Sink};
use crate::source::Source;
use crate::trail::Trail;
use crate::way::Pace;
use crate::{limits, metrics};

/// Reads files into a sink.
pub(crate) struct Tailer<S> {
    pub(crate) config: Config,
    pub(crate) host: String,
    pub(crate) partitions: u32,
    pub(crate) patterns: Patterns,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) sink: S,
    rng: StdRng,

    pub(crate) sources: BTreeMap<SourceId, Source>,
    /// Whose file lives where, for bound sources.
    pub(crate) places: HashMap<(u64, u64), SourceId>,
    /// Where bound sources were seen last, for hints.
    pub(crate) paths: HashMap<PathBuf, SourceId>,
    /// All sources by name.
    pub(crate) families: Families,
    /// Bound sources by partition.
    pub(crate) load: Vec<u32>,
    /// Files that may be copies still being written.
    pub(crate) pending: HashMap<(u64, u64), Pending>,
    /// Files known to have started anew, whatever they begin like.
    pub(crate) fresh: HashSet<Place>,
    /// Folders that files may appear in: what to watch.
    pub(crate) folders: BTreeSet<PathBuf>,

    /// Sources to read, in order of turns.
    pub(crate) ready: VecDeque<SourceId>,
    /// Sources whose file may be open.
    pub(crate) open: Vec<SourceId>,
    /// Owners of runs in flight.
    pub(crate) runs: HashMap<u64, SourceId>,
    pub(crate) next_run: u64,
    pub(crate) in_flight_bytes: usize,
    /// Sources whose acks the journal does not have yet.
    dirty: BTreeSet<SourceId>,
    /// Shared by all reads: no source keeps bytes of its own.
    pub(crate) buffer: Vec<u8>,

    pub(crate) next_scan_ms: u64,
    /// Hints and surprises ask for a walk at once; they get it, but not one after the other.
    pub(crate) scan_floor_ms: u64,
    next_warm_ms: u64,
    next_cold_ms: u64,
    next_checkpoint_ms: u64,

    /// Paths whose trouble was told, until it ends.
    pub(crate) complained: HashSet<PathBuf>,
    pub(crate) errors: VecDeque<String>,
    pub(crate) lines_total: u64,
    pub(crate) bytes_total: u64,
    pub(crate) traced: Pace,
}

impl<S: Sink> Tailer<S> {
    /// `partitions`: how many the topic has. `seed`: for ids.
    pub(crate) fn new(
        config: Config,
        partitions: u32,
        checkpoints: Checkpoints,
        saved: Vec<Saved>,
        sink: S,
        seed: [u8; 32],
    ) -> Result<Tailer<S>, Error> {
        assert!(partitions > 0, "a topic has at least one partition");
        let mut tailer = Tailer {
            patterns: Patterns::new(&config.tails)?,
            host: config.host.clone(),
            traced: Pace::new(config.trace_every),
            config,
            partitions,
            checkpoints,
            sink,
            rng: StdRng::from_seed(seed),
            sources: BTreeMap::new(),
            places: HashMap::new(),
            paths: HashMap::new(),
            families: Families::default(),
            load: vec![0; partitions as usize],
            pending: HashMap::new(),
            fresh: HashSet::new(),
            folders: BTreeSet::new(),
            ready: VecDeque::new(),
            open: Vec::new(),
            runs: HashMap::new(),
            next_run: 0,
            in_flight_bytes: 0,
            dirty: BTreeSet::new(),
            buffer: vec![0; limits::GUARD_BYTES + limits::READ_BYTES],
            next_scan_ms: 0,
            scan_floor_ms: 0,
            next_warm_ms: 0,
            next_cold_ms: 0,
            next_checkpoint_ms: 0,
            complained: HashSet::new(),
            errors: VecDeque::new(),
            lines_total: 0,
            bytes_total: 0,
        };
        if !tailer.checkpoints.has_walked() {
            info!(
                dir = %tailer.config.data_dir.display(),
                "no saved state: files are read as configured for a first start; if there was state, lines may double"
            );
        }
        for source in saved {
            tailer.restore(source)?;
        }
        Ok(tailer)
    }

    fn restore(&mut self, mut saved: Saved) -> Result<(), Error> {
        if saved.topic != self.config.topic || saved.partition >= self.partitions as i32 {
            // Another home: the old source ends at what was acked, a new one starts there.
            let old = saved.id;
            saved.id = self.fresh_id();
            saved.topic = self.config.topic.clone();
            saved.partition = self.least_loaded();
            saved.prev = saved.acked;
            saved.framed.clear();
            self.checkpoints.forget(old)?;
            self.checkpoints.save(&saved, true)?;
            self.checkpoints.trail(&saved)?;
        }
        let home = self.home(&saved);
        if let Some(place) = saved.place.filter(|_| saved.stage == Stage::Bound) {
            self.places.insert((place.dev, place.ino), saved.id);
        }
        if saved.stage == Stage::Bound {
            self.paths.insert(saved.path.clone(), saved.id);
            self.load[saved.partition as usize] += 1;
        }
        for path in [&saved.first_path, &saved.path] {
            self.families.add(path, saved.id, &saved.head);
        }
        self.sources.insert(saved.id, Source::new(saved, home));
        Ok(())
    }

    pub(crate) fn home(&self, saved: &Saved) -> Home {
        let tail = self
            .patterns
            .tail_of(&saved.path)
            .or_else(|| self.patterns.tail_of(&saved.first_path));
        let tail = &self.config.tails[tail.unwrap_or(0)];
        let context = Context {
            host: self.host.clone(),
            path: saved.first_path.display().to_string(),
            service: tail.service.clone(),
            format: tail.format.clone(),
            timezone: tail.timezone.clone(),
        };
        Home::new(saved.id, saved.partition, Arc::new(context))
    }

    /// Does what is due and reads a little. Returns when to call again at the latest; sooner is fine.
    pub(crate) fn turn(&mut self, now_ms: u64) -> Result<u64, Error> {
        self.take_reports(now_ms)?;
        if now_ms >= self.next_checkpoint_ms {
            self.checkpoint()?;
            self.next_checkpoint_ms = now_ms + limits::CHECKPOINT.as_millis() as u64;
        }
        if now_ms >= self.next_scan_ms.max(self.scan_floor_ms) {
            self.scan(now_ms)?;
        }
        if now_ms >= self.next_warm_ms {
            self.sweep(now_ms, true);
            self.next_warm_ms = now_ms + limits::WARM_SWEEP.as_millis() as u64;
        }
        if now_ms >= self.next_cold_ms {
            self.sweep(now_ms, false);
            self.next_cold_ms = now_ms + limits::COLD_SWEEP.as_millis() as u64;
        }
        for _ in 0..limits::TURNS_PER_LOOK {
            if !self.has_room() {
                break;
            }
            let Some(id) = self.ready.pop_front() else {
                break;
            };
            if let Some(source) = self.sources.get_mut(&id) {
                source.queued = false;
            }
            if self.read(id, now_ms)? {
                self.queue(id);
            }
        }
        if !self.ready.is_empty() && self.has_room() {
            return Ok(now_ms);
        }
        let checkpoint = if self.dirty.is_empty() {
            u64::MAX
        } else {
            self.next_checkpoint_ms
        };
        let scan = self.next_scan_ms.max(self.scan_floor_ms);
        Ok(checkpoint
            .min(scan)
            .min(self.next_warm_ms)
            .min(self.next_cold_ms))
    }

    /// Something happened to `path`, somebody says.
    pub(crate) fn hint(&mut self, path: &Path, now_ms: u64) {
        match self.paths.get(path).copied() {
            Some(id) => self.look(id, now_ms),
            None if self.patterns.tail_of(path).is_some() => {
                self.next_scan_ms = self.next_scan_ms.min(now_ms)
            }
            None => {}
        }
    }

    /// Acks into the journal, durably. Also the last call before a clean stop.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Error> {
        let mut waiting = BTreeSet::new();
        for id in std::mem::take(&mut self.dirty) {
            if let Some(source) = self.sources.get_mut(&id)
                && !self.checkpoints.acked(&mut source.saved)?
            {
                waiting.insert(id);
            }
        }
        self.dirty = waiting;
        self.checkpoints.sync()?;
        self.checkpoints
            .compact_if_large(self.sources.values().map(|source| &source.saved))
    }

    pub(crate) fn take_reports(&mut self, now_ms: u64) -> Result<(), Error> {
        for report in self.sink.reports() {
            // A run that was given up when its source was rewound has no owner any more.
            let Some(id) = self.runs.remove(&report.run) else {
                continue;
            };
            let Some(source) = self.sources.get_mut(&id) else {
                continue;
            };
            if report.acked {
                if let Some(run) = source.runs.iter_mut().find(|run| run.id == report.run) {
                    self.in_flight_bytes -= std::mem::take(&mut run.weight);
                }
                self.settle(id, report.run);
            } else {
                source.retry_at_ms = now_ms + limits::RETRY.as_millis() as u64;
                self.rewind(id);
            }
        }
        Ok(())
    }

    pub(crate) fn settle(&mut self, id: SourceId, run: u64) {
        let source = self.sources.get_mut(&id).expect("runs belong to a source");
        let (lines, bytes) = source.arrived(run);
        if bytes > 0 {
            self.dirty.insert(id);
            self.lines_total += lines;
            self.bytes_total += bytes;
            ::metrics::counter!(metrics::LINES).increment(lines);
            ::metrics::counter!(metrics::BYTES).increment(bytes);
        }
    }

    /// Sends again what is not acked.
    fn rewind(&mut self, id: SourceId) {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        for run in source.rewind() {
            self.runs.remove(&run.id);
            self.in_flight_bytes -= run.weight;
        }
        ::metrics::counter!(metrics::RESENT).increment(1);
        warn!(path = %source.saved.path.display(), offset = source.sent, "sending again what the queue did not ack");
        self.queue(id);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight_bytes < limits::IN_FLIGHT_BYTES_MAX
    }

    pub(crate) fn queue(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(&id)
            && !source.queued
        {
            source.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Looks at files that changed lately, or at all others.
    pub(crate) fn sweep(&mut self, now_ms: u64, warm: bool) {
        let is_warm = |source: &Source| {
            source.content.is_some()
                || now_ms.saturating_sub(source.changed_ms) < limits::WARM.as_millis() as u64
        };
        let due: Vec<SourceId> = self
            .sources
            .iter()
            .filter(|(_, source)| source.is_bound() && is_warm(source) == warm)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.look(id, now_ms);
        }
    }

    /// Queues a source whose file has changed, or that waits for a time that has come.
    pub(crate) fn look(&mut self, id: SourceId, now_ms: u64) {
        let Some(source) = self.sources.get_mut(&id).filter(|source| source.is_bound()) else {
            return;
        };
        let seen = match &source.content {
            Some(content) => content.stat(),
            None => stat(&source.saved.path),
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                debug!(path = %source.saved.path.display(), %error, "cannot look");
                if error.kind() == std::io::ErrorKind::NotFound {
                    self.next_scan_ms = self.next_scan_ms.min(now_ms);
                }
                return;
            }
        };
        if Some(seen.place) != source.saved.place {
            // Another file has the name: the walk finds where ours went.
            self.next_scan_ms = self.next_scan_ms.min(now_ms);
            return;
        }
        let idle_since = source.changed_ms + self.config.idle_flush.as_millis() as u64;
        let due = (source.has_partial() && now_ms >= idle_since)
            || source.shrunk_since_ms.is_some()
            || (source.retry_at_ms > 0 && now_ms >= source.retry_at_ms);
        if due || source.note(&seen, now_ms) {
            self.queue(id);
        } else if source.is_drained()
            && now_ms.saturating_sub(source.changed_ms) >= limits::WARM.as_millis() as u64
        {
            source.content = None;
        }
    }

    pub(crate) fn fresh_id(&mut self) -> SourceId {
        SourceId(self.rng.random())
    }

    /// The partition with the fewest sources that have a file.
    pub(crate) fn least_loaded(&self) -> i32 {
        let least = self
            .load
            .iter()
            .enumerate()
            .min_by_key(|(_, count)| **count)
            .expect("there is a partition");
        least.0 as i32
    }

    /// Makes a source. `false`: its state could not be kept, so it has to wait.
    pub(crate) fn open_source(
        &mut self,
        path: &Path,
        place: Place,
        start: (u64, Guard),
        head: Head,
    ) -> Result<Option<SourceId>, Error> {
        let saved = Saved {
            id: self.fresh_id(),
            topic: self.config.topic.clone(),
            partition: self.least_loaded(),
            first_path: path.to_path_buf(),
            path: path.to_path_buf(),
            place: Some(place),
            stage: Stage::Bound,
            head,
            acked: start.0,
            prev: start.0,
            guard: start.1,
            framed: Vec::new(),
            trail: Trail::default(),
        };
        if !self.checkpoints.save(&saved, true)? {
            return Ok(None);
        }
        let id = saved.id;
        let home = self.home(&saved);
        debug!(source = %id, path = %path.display(), partition = saved.partition, "new source");
        self.places.insert((place.dev, place.ino), id);
        self.paths.insert(path.to_path_buf(), id);
        self.families.add(path, id, &saved.head);
        self.load[saved.partition as usize] += 1;
        self.sources.insert(id, Source::new(saved, home));
        Ok(Some(id))
    }

    /// One line for trouble with a file, once until it ends.
    pub(crate) fn complain(&mut self, path: &Path, error: &std::io::Error) {
        if !self.complained.insert(path.to_path_buf()) {
            return;
        }
        ::metrics::counter!(metrics::UNREADABLE).increment(1);
        let uid = rustix::process::geteuid().as_raw();
        let remedy = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "let this user read it (for example by group `adm`), or exclude it"
            }
            _ => "see why, or exclude it; it is tried again",
        };
        let message = format!(
            "cannot read `{}` as uid {uid}: {error}; {remedy}",
            path.display()
        );
        tracing::error!("{message}");
        self.errors.push_back(message);
        while self.errors.len() > limits::STATUS_ERRORS_MAX {
            self.errors.pop_front();
        }
    }
}
