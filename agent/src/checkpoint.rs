//! What survives a crash of the agent: its sources and how far the queue has acked each.
//!
//! A [`logboom_disk::Journal`] of postcard entries. The order of writes carries the promise:
//! - a source is synced before its first record is sent;
//! - the end of the first walk is synced before anything that was found later is judged: from then on, a file
//!   without a source is new;
//! - a record whose end its writer did not set (idleness) has `Framed` synced before it is sent, so
//!   that a restart cuts the same record;
//! - `Acked` follows the queue's ack, within 100 ms. Late is safe: what was acked is sent again as the
//!   same records, which every consumer's marks drop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use logboom_client::SourceId;
use logboom_disk::{Disk, Journal, JournalLimits};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::content::Place;
use crate::error::Error;
use crate::identity::{Guard, Head};
use crate::limits;
use crate::trail::{Mark, Trail};

/// The durable part of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) id: SourceId,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The path at which it was found first, which its records carry.
    #[serde(with = "path_bytes")]
    pub(crate) first_path: std::path::PathBuf,
    /// Where it was seen last.
    #[serde(with = "path_bytes")]
    pub(crate) path: std::path::PathBuf,
    /// `None` once its file turned out to hold something else.
    pub(crate) place: Option<Place>,
    pub(crate) stage: Stage,
    pub(crate) head: Head,
    /// Everything before is acked by the queue.
    pub(crate) acked: u64,
    /// End of the last record acked: below `acked` only by bytes that make no record.
    pub(crate) prev: u64,
    /// Of the bytes before `acked`.
    pub(crate) guard: Guard,
    /// Records `[off, end)` whose end was set by idleness, above `acked`.
    pub(crate) framed: Vec<(u64, u64)>,
    /// Has its own entries.
    #[serde(skip)]
    pub(crate) trail: Trail,
}

/// What a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It has a file.
    Bound,
    /// Its file is gone; a copy with the rest may turn up. `size` is how long the content was known
    /// to be.
    Orphan { since_ms: u64, size: u64 },
    /// Done; remembered to recognise copies.
    Closed { at_ms: u64 },
    /// Like `Orphan`, and its file is still there, but with other content.
    Replaced { since_ms: u64, size: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// The first entry of every journal. `machine` tells a cloned disk from its original.
    Agent {
        id: [u8; 16],
        machine: u64,
    },
    Source(Box<Saved>),
    Acked {
        id: SourceId,
        acked: u64,
        prev: u64,
        guard: Guard,
    },
    Framed {
        id: SourceId,
        off: u64,
        end: u64,
    },
    Forgotten {
        id: SourceId,
    },
    /// Whether the patterns were walked to the end once: what is found later is new. Journals from before
    /// this entry have none; in them, sources say that there was a walk.
    FirstWalk {
        done: bool,
    },
    /// Places that a source has been at, besides those that `Acked` tells.
    Marks {
        id: SourceId,
        marks: Vec<Mark>,
    },
    /// A copy of a source was seen, of this length.
    Copied {
        id: SourceId,
        copy: Mark,
    },
}

/// The open journal.
pub(crate) struct Checkpoints {
    journal: Journal,
    pub(crate) agent_id: [u8; 16],
    /// The patterns were walked to the end once in the life of this state.
    walked: bool,
    machine: u64,
    /// Something appended must be durable before the next record is sent.
    must_sync: bool,
    /// Something was appended since the last sync.
    unsynced: bool,
    /// The disk was full at the last write: told once.
    full: bool,
}

impl Checkpoints {
    /// Opens the journal in `dir`. `fresh_id` becomes the agent's id when there is no state, and seeds
    /// the new source ids of a cloned machine.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        machine: u64,
        mut fresh_id: impl FnMut() -> [u8; 16],
    ) -> Result<(Checkpoints, Vec<Saved>), Error> {
        let (journal, entries) = Journal::open(disk, dir, JournalLimits::default())?;
        let (mut agent, mut walked) = (None, None);
        let mut sources: BTreeMap<SourceId, Saved> = BTreeMap::new();
        for bytes in entries {
            let entry = postcard::from_bytes(&bytes).map_err(|source| Error::Decode {
                dir: dir.display().to_string(),
                source,
            })?;
            match entry {
                Entry::Agent { id, machine } => agent = Some((id, machine)),
                Entry::Source(mut saved) => {
                    if let Some(before) = sources.remove(&saved.id) {
                        saved.trail = before.trail;
                    }
                    saved.trail.mark((saved.acked, saved.guard));
                    if matches!(saved.stage, Stage::Closed { .. }) {
                        saved.trail.forget_marks();
                    }
                    sources.insert(saved.id, *saved);
                }
                Entry::Acked {
                    id,
                    acked,
                    prev,
                    guard,
                } => {
                    if let Some(source) = sources.get_mut(&id) {
                        source.framed.retain(|&(_, end)| end > acked);
                        (source.acked, source.prev, source.guard) = (acked, prev, guard);
                        source.trail.mark((acked, guard));
                        source.trail.note(acked);
                    }
                }
                Entry::Framed { id, off, end } => {
                    if let Some(source) = sources.get_mut(&id) {
                        source.framed.push((off, end));
                    }
                }
                Entry::Forgotten { id } => {
                    sources.remove(&id);
                }
                Entry::Marks { id, marks } => {
                    if let Some(source) = sources.get_mut(&id) {
                        marks.into_iter().for_each(|mark| source.trail.mark(mark));
                    }
                }
                Entry::Copied { id, copy } => {
                    if let Some(source) = sources.get_mut(&id) {
                        source.trail.copied(copy);
                    }
                }
                Entry::FirstWalk { done } => walked = Some(done),
            }
        }
        let cloned = agent.is_some_and(|(_, was)| was != machine);
        let agent_id = agent
            .filter(|_| !cloned)
            .map_or_else(&mut fresh_id, |(id, _)| id);
        let mut saved: Vec<Saved> = sources.into_values().collect();
        if cloned {
            info!("the agent's state comes from another machine: its sources go on under new ids");
            for source in &mut saved {
                source.id = SourceId(fresh_id());
                source.prev = source.acked;
                source.framed.clear();
            }
        }
        let mut checkpoints = Checkpoints {
            journal,
            agent_id,
            walked: walked.unwrap_or(!saved.is_empty()),
            machine,
            must_sync: false,
            unsynced: false,
            full: false,
        };
        if agent.is_none() || cloned {
            checkpoints.compact(saved.iter())?;
        }
        Ok((checkpoints, saved))
    }

    /// A source that is new or changed in anything but its progress. `before_records`: durable before
    /// the next record is sent. `false`: the disk is full, nothing was written, try again later.
    pub(crate) fn save(&mut self, source: &Saved, before_records: bool) -> Result<bool, Error> {
        self.append(&Entry::Source(Box::new(source.clone())), before_records)
    }

    pub(crate) fn acked(&mut self, source: &mut Saved) -> Result<bool, Error> {
        let marks = source.trail.unnoted(source.acked);
        if !marks.is_empty() {
            let id = source.id;
            if !self.append(&Entry::Marks { id, marks }, false)? {
                return Ok(false);
            }
        }
        source.trail.note(source.acked);
        let Saved {
            id,
            acked,
            prev,
            guard,
            ..
        } = *source;
        self.append(
            &Entry::Acked {
                id,
                acked,
                prev,
                guard,
            },
            false,
        )
    }

    pub(crate) fn framed(&mut self, id: SourceId, off: u64, end: u64) -> Result<bool, Error> {
        self.append(&Entry::Framed { id, off, end }, true)
    }

    /// Notes a copy that was seen of `source`. If this cannot be written, it is found out again.
    pub(crate) fn copied(&mut self, source: &mut Saved, copy: Mark) -> Result<(), Error> {
        let id = source.id;
        if source.trail.copied(copy) {
            self.append(&Entry::Copied { id, copy }, false)?;
        }
        Ok(())
    }

    /// All of a source's trail, which goes on under a new id.
    pub(crate) fn trail(&mut self, source: &Saved) -> Result<(), Error> {
        for entry in trail(source) {
            self.append(&entry, false)?;
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self, id: SourceId) -> Result<bool, Error> {
        self.append(&Entry::Forgotten { id }, false)
    }

    /// Whether a walk was completed before: files without a source are new then.
    pub(crate) fn has_walked(&self) -> bool {
        self.walked
    }

    /// A walk is complete; durable on return. If the disk is full, it counts as not made: the next one tells
    /// again.
    pub(crate) fn walked(&mut self) -> Result<(), Error> {
        if !self.walked && self.append(&Entry::FirstWalk { done: true }, true)? {
            self.sync()?;
            self.walked = true;
        }
        Ok(())
    }

    /// Call before records are sent: what they rest on becomes durable.
    pub(crate) fn sync_before_records(&mut self) -> Result<(), Error> {
        if self.must_sync { self.sync() } else { Ok(()) }
    }

    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.unsynced {
            self.journal.sync()?;
        }
        (self.must_sync, self.unsynced) = (false, false);
        Ok(())
    }

    /// Rewrites the journal when it has grown far beyond what it says.
    pub(crate) fn compact_if_large<'a>(
        &mut self,
        sources: impl ExactSizeIterator<Item = &'a Saved>,
    ) -> Result<(), Error> {
        // A saved source is at most its head, two paths and its trail: 2 KiB is the usual worst.
        let snapshot_bytes = sources.len() as u64 * 2048;
        if self.journal.bytes() > limits::JOURNAL_COMPACT_BYTES.max(4 * snapshot_bytes) {
            self.compact(sources)?;
        }
        Ok(())
    }

    fn compact<'a>(&mut self, sources: impl Iterator<Item = &'a Saved>) -> Result<(), Error> {
        let agent = encode(&Entry::Agent {
            id: self.agent_id,
            machine: self.machine,
        });
        let walk = encode(&Entry::FirstWalk { done: self.walked });
        let sources = sources.flat_map(|source| {
            let entry = Entry::Source(Box::new(source.clone()));
            std::iter::once(entry)
                .chain(trail(source))
                .map(|entry| encode(&entry))
        });
        match self
            .journal
            .compact([agent, walk].into_iter().chain(sources))
        {
            Ok(()) => (self.must_sync, self.unsynced) = (false, false),
            Err(error) if error.is_full() => self.complain(&error),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn append(&mut self, entry: &Entry, before_records: bool) -> Result<bool, Error> {
        match self.journal.append(&encode(entry)) {
            Ok(()) => {
                self.unsynced = true;
                self.must_sync |= before_records;
                self.full = false;
                Ok(true)
            }
            Err(error) if error.is_full() => {
                self.complain(&error);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn complain(&mut self, cause: &logboom_disk::Error) {
        if !self.full {
            error!(error = %cause, "the disk of the agent's state is full: free some space; files wait meanwhile");
        }
        self.full = true;
    }
}

/// What the entry of a source leaves out.
fn trail(source: &Saved) -> impl Iterator<Item = Entry> + use<> {
    let (id, marks) = (source.id, source.trail.marks().to_vec());
    let copies = source.trail.copies().to_vec();
    let marks = (!marks.is_empty()).then_some(Entry::Marks { id, marks });
    marks.into_iter().chain(
        copies
            .into_iter()
            .map(move |copy| Entry::Copied { id, copy }),
    )
}

fn encode(entry: &Entry) -> Vec<u8> {
    postcard::to_stdvec(entry).expect("entries have no unserialisable part")
}

/// Paths are bytes, not text.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        Ok(PathBuf::from(OsString::from_vec(Vec::deserialize(
            deserializer,
        )?)))
    }
}

#[cfg(test)]
mod tests {
    use logboom_disk::SimDisk;

    use super::*;

    fn saved(n: u8) -> Saved {
        Saved {
            id: SourceId([n; 16]),
            topic: "logs".into(),
            partition: 2,
            first_path: "/a".into(),
            path: "/b".into(),
            place: Some(Place {
                dev: 1,
                ino: 2,
                born_ns: 3,
            }),
            stage: Stage::Bound,
            head: Head(b"head".to_vec()),
            acked: 0,
            prev: 0,
            guard: Guard::default(),
            framed: Vec::new(),
            trail: Trail::default(),
        }
    }

    fn open(disk: &Arc<SimDisk>, machine: u64) -> (Checkpoints, Vec<Saved>) {
        let disk: Arc<dyn Disk> = disk.clone();
        Checkpoints::open(disk, Path::new("/state"), machine, || [9; 16]).unwrap()
    }

    #[test]
    fn what_was_synced_before_a_crash_is_there_after_it() {
        let disk = Arc::new(SimDisk::new(1));
        let (mut checkpoints, none) = open(&disk, 1);
        assert!(none.is_empty());
        let mut first = saved(1);
        checkpoints.save(&first, true).unwrap();
        checkpoints.framed(first.id, 10, 20).unwrap();
        checkpoints.framed(first.id, 20, 30).unwrap();
        checkpoints.sync_before_records().unwrap();
        (first.acked, first.prev) = (20, 19);
        checkpoints.acked(&mut first).unwrap();
        checkpoints.sync().unwrap();
        drop(checkpoints);
        disk.crash();
        let (checkpoints, sources) = open(&disk, 1);
        first.framed = vec![(20, 30)];
        assert_eq!((sources, checkpoints.agent_id), (vec![first], [9; 16]));
    }

    #[test]
    fn a_cloned_machine_goes_on_at_the_saved_offsets_under_new_ids() {
        let disk = Arc::new(SimDisk::new(1));
        let (mut checkpoints, _) = open(&disk, 1);
        let original = Saved {
            acked: 50,
            prev: 49,
            framed: vec![(50, 60)],
            ..saved(1)
        };
        checkpoints.save(&original, true).unwrap();
        checkpoints.sync().unwrap();
        drop(checkpoints);
        let (_, sources) = open(&disk, 2);
        let expected = Saved {
            id: SourceId([9; 16]),
            prev: 50,
            framed: vec![],
            ..original
        };
        assert_eq!(sources, vec![expected]);
    }

    #[test]
    fn the_trail_of_a_source_survives_a_crash_and_compaction() {
        let disk = Arc::new(SimDisk::new(1));
        let (mut checkpoints, _) = open(&disk, 1);
        let mut source = saved(1);
        checkpoints.save(&source, true).unwrap();
        let guard = |offset: u64| Guard::of(&offset.to_le_bytes().repeat(128), offset);
        for offset in (2_000..40_000).step_by(1_000) {
            source.trail.mark((offset, guard(offset)));
            if offset % 3 == 0 {
                (source.acked, source.guard) = (offset, guard(offset));
                checkpoints.acked(&mut source).unwrap();
            }
        }
        checkpoints.copied(&mut source, (1_500, guard(1))).unwrap();
        checkpoints.sync().unwrap();
        for _ in 0..2 {
            drop(checkpoints);
            disk.crash();
            let opened = open(&disk, 1);
            checkpoints = opened.0;
            assert_eq!(opened.1[0].trail.marks(), source.trail.marks());
            assert_eq!(opened.1[0].trail.copies(), [(1_500, guard(1))]);
            checkpoints.compact(opened.1.iter()).unwrap();
        }
        // What ended long ago keeps its copies alone.
        source.stage = Stage::Closed { at_ms: 1 };
        checkpoints.save(&source, false).unwrap();
        checkpoints.sync().unwrap();
        drop(checkpoints);
        let trail = &open(&disk, 1).1[0].trail;
        assert_eq!((trail.marks().len(), trail.copies().len()), (0, 1));
    }

    #[test]
    fn the_first_walk_is_over_only_when_it_was_completed_also_after_compaction() {
        let disk = Arc::new(SimDisk::new(1));
        let (mut checkpoints, _) = open(&disk, 1);
        checkpoints.save(&saved(1), true).unwrap();
        checkpoints.sync().unwrap();
        drop(checkpoints);
        disk.crash();
        let (mut checkpoints, sources) = open(&disk, 1);
        assert!(!checkpoints.has_walked() && sources.len() == 1);
        checkpoints.walked().unwrap();
        drop(checkpoints);
        disk.crash();
        let (mut checkpoints, sources) = open(&disk, 1);
        assert!(checkpoints.has_walked());
        checkpoints.compact(sources.iter()).unwrap();
        drop(checkpoints);
        assert!(open(&disk, 1).0.has_walked());
        // A clone of the state on another machine has walked, too.
        assert!(open(&disk, 2).0.has_walked());
    }

    #[test]
    fn a_journal_from_before_the_entry_of_the_first_walk_has_walked_if_it_has_sources() {
        for sources in [0, 1] {
            let disk = Arc::new(SimDisk::new(1));
            let journal: Arc<dyn Disk> = disk.clone();
            let (mut journal, _) =
                Journal::open(journal, Path::new("/state"), JournalLimits::default()).unwrap();
            let id = [9; 16];
            journal
                .append(&encode(&Entry::Agent { id, machine: 1 }))
                .unwrap();
            for n in 0..sources {
                journal
                    .append(&encode(&Entry::Source(Box::new(saved(n)))))
                    .unwrap();
            }
            journal.sync().unwrap();
            drop(journal);
            let (checkpoints, found) = open(&disk, 1);
            assert_eq!((checkpoints.agent_id, found.len()), (id, sources as usize));
            assert_eq!(checkpoints.has_walked(), sources > 0);
        }
    }

    #[test]
    fn a_full_disk_is_reported_as_not_written() {
        let disk = Arc::new(SimDisk::new(1));
        let (mut checkpoints, _) = open(&disk, 1);
        disk.set_capacity(Some(disk.used_bytes()));
        let mut written = 0;
        while checkpoints.save(&saved(1), true).unwrap() {
            written += 1;
            assert!(written < 100_000);
        }
        disk.set_capacity(None);
        assert!(checkpoints.save(&saved(1), true).unwrap());
    }
}
