//! What searches see: published splits plus hot segments, in one snapshot that is right at every instant.
//!
//! Invariants:
//! - Every indexed record is in exactly one searcher of a snapshot. Sealing moves segments inside the
//!   hot list; a publish swaps the sealed segments for their split, a merge its inputs for its
//!   output, each in one step under the lock.
//! - A snapshot stays usable for as long as somebody holds it: searchers keep their memory, and their
//!   files are deleted only after a grace (open files would survive even that).

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use tantivy::Searcher;
use ulid::Ulid;

use crate::{kind::Kind, tables::SplitMeta};

/// A published split, open for searching.
pub struct OpenSplit {
    pub id: Ulid,
    pub searcher: Searcher,
    /// Event times inside, in ns; only prunes.
    pub time_range: RangeInclusive<i64>,
    pub docs: u64,
    pub(crate) meta: SplitMeta,
}

/// One consistent view of everything that is indexed.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// What all of it is.
    pub kind: Kind,
    pub splits: Vec<Arc<OpenSplit>>,
    pub hot: Vec<Searcher>,
    /// False while the indexer has not yet read what the queue held when it started.
    pub complete: bool,
}

/// The current snapshot of one index and the few ways to change it.
pub(crate) struct Catalog {
    kind: Kind,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    splits: BTreeMap<Ulid, Arc<OpenSplit>>,
    /// Hot segments that still take records.
    filling: Vec<Searcher>,
    /// Hot segments that are being published: one publish is in flight at most.
    sealed: Vec<Searcher>,
    complete: bool,
    /// Built by the last change, handed out until the next one.
    snapshot: Arc<Snapshot>,
}

impl Catalog {
    pub(crate) fn new(kind: Kind) -> Catalog {
        let catalog = Catalog {
            kind,
            contents: Mutex::default(),
        };
        catalog.change(|_| {});
        catalog
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// The splits found at start.
    pub(crate) fn load(&self, splits: Vec<OpenSplit>) {
        self.change(|contents| {
            contents.splits = splits
                .into_iter()
                .map(|split| (split.id, Arc::new(split)))
                .collect()
        });
    }

    /// All segments of the filling hot index, after a refresh.
    pub(crate) fn refresh(&self, filling: Vec<Searcher>) {
        self.change(|contents| contents.filling = filling);
    }

    /// The filling hot index is complete: a new, empty one takes its place.
    pub(crate) fn seal(&self) {
        self.change(|contents| {
            assert!(contents.sealed.is_empty(), "one publish at a time");
            contents.sealed = std::mem::take(&mut contents.filling);
        });
    }

    /// What was sealed is now in these splits.
    pub(crate) fn publish(&self, splits: Vec<OpenSplit>) {
        self.change(|contents| {
            contents.sealed.clear();
            contents
                .splits
                .extend(splits.into_iter().map(|split| (split.id, Arc::new(split))));
        });
    }

    /// What was in the splits `old` is now in `new`.
    pub(crate) fn replace(&self, old: &[Ulid], new: OpenSplit) {
        self.change(|contents| {
            for id in old {
                let replaced = contents.splits.remove(id);
                assert!(replaced.is_some(), "a merge replaces published splits");
            }
            contents.splits.insert(new.id, Arc::new(new));
        });
    }

    /// These splits have expired.
    pub(crate) fn remove(&self, expired: &[Ulid]) {
        self.change(|contents| contents.splits.retain(|id, _| !expired.contains(id)));
    }

    /// The indexer has read what the queue held when it started.
    pub(crate) fn caught_up(&self) {
        self.change(|contents| contents.complete = true);
    }

    fn change(&self, change: impl FnOnce(&mut Contents)) {
        let mut contents = self.lock();
        change(&mut contents);
        contents.snapshot = Arc::new(Snapshot {
            kind: self.kind,
            splits: contents.splits.values().cloned().collect(),
            hot: contents
                .sealed
                .iter()
                .chain(&contents.filling)
                .cloned()
                .collect(),
            complete: contents.complete,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Contents> {
        // A change that panicked half-way has not replaced the snapshot.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
