//! Hints from the kernel that something changed. Only hints: sweeps and walks see everything too, a
//! little later, so a watcher that fails or falls behind costs latency and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{info, warn};

use crate::run::Wake;

/// Watches folders.
pub(crate) struct Hints {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// The kernel's limit was met: told once.
    complained: bool,
}

impl Hints {
    pub(crate) fn new(wake: Sender<Wake>) -> Hints {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() {
                return;
            }
            for path in event.paths {
                // Nobody listens any more when the tailer has ended.
                drop(wake.send(Wake::Changed(path)));
            }
        });
        let watcher = watcher
            .inspect_err(|error| warn!(%error, "no hints about changed files: they are noticed within 250 ms instead"))
            .ok();
        Hints {
            watcher,
            watched: BTreeSet::new(),
            complained: false,
        }
    }

    /// Watches these folders and no others.
    pub(crate) fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        if self.watched == *folders {
            return;
        }
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.watched.difference(folders) {
            // It may have been deleted, and its watch with it.
            drop(watcher.unwatch(gone));
        }
        for folder in folders.difference(&self.watched) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
                && !self.complained
            {
                self.complained = true;
                info!(folder = %folder.display(), %error,
                    "cannot watch a folder: its files are noticed within 250 ms, those quiet for a minute within 10 s");
            }
        }
        self.watched = folders.clone();
    }
}
