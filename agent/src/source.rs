//! A source in memory: its durable part and where its reading stands.

use std::collections::VecDeque;

use crate::checkpoint::{Saved, Stage};
use crate::content::{Content, Stat};
use crate::identity::Guard;
use crate::sink::Home;
use crate::trail::Mark;

/// One source.
pub(crate) struct Source {
    pub(crate) saved: Saved,
    pub(crate) home: Home,
    /// Everything before was handed to the sink; the next line starts here.
    pub(crate) sent: u64,
    /// End of the last record handed over: `lb.prev` of the next one.
    pub(crate) sent_prev: u64,
    /// Of the bytes before `sent`: checked at every read, which is how a file that was truncated and
    /// has grown again is found out.
    pub(crate) sent_guard: Guard,
    /// No line ends in `[sent, scanned)`: a long line is not searched twice, nor kept in memory.
    pub(crate) scanned: u64,
    /// Handed over, not acked, in order.
    pub(crate) runs: VecDeque<Run>,
    /// Open while it is being read; closed when cold.
    pub(crate) content: Option<Content>,
    /// Of the content, as far as known. What a compressed file holds is known at its end only.
    pub(crate) size: u64,
    pub(crate) gzip: bool,
    /// Of the file, when it was last looked at.
    pub(crate) file_size: u64,
    pub(crate) mtime_ns: i64,
    /// When bytes were last seen to be added.
    pub(crate) changed_ms: u64,
    /// When it was last read, to close the least recent file.
    pub(crate) read_ms: u64,
    /// Since when the file is shorter than `sent` although its head is the same.
    pub(crate) shrunk_since_ms: Option<u64>,
    /// The queue refused a record: not before this.
    pub(crate) retry_at_ms: u64,
    /// It is in the queue of sources to read.
    pub(crate) queued: bool,
    /// A pattern names its file.
    pub(crate) listed: bool,
}

/// Records handed over together.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u64,
    /// What `acked`, `prev` and `guard` become.
    pub(crate) end: u64,
    pub(crate) prev: u64,
    pub(crate) guard: Guard,
    /// Places inside it for the source's trail.
    pub(crate) marks: Vec<Mark>,
    pub(crate) lines: u64,
    /// What it counts for in the bound of bytes in flight.
    pub(crate) weight: usize,
    pub(crate) done: bool,
}

impl Source {
    /// A source whose reading starts at what was acked.
    pub(crate) fn new(saved: Saved, home: Home) -> Source {
        Source {
            sent: saved.acked,
            sent_prev: saved.prev,
            sent_guard: saved.guard,
            scanned: saved.acked,
            size: saved.acked,
            saved,
            home,
            runs: VecDeque::new(),
            content: None,
            gzip: false,
            file_size: 0,
            mtime_ns: 0,
            changed_ms: 0,
            read_ms: 0,
            shrunk_since_ms: None,
            retry_at_ms: 0,
            queued: false,
            listed: true,
        }
    }

    /// Takes note of what `stat` says; whether there may be something to read.
    pub(crate) fn note(&mut self, seen: &Stat, now_ms: u64) -> bool {
        let changed = seen.size != self.file_size || seen.mtime_ns != self.mtime_ns;
        if seen.size > self.file_size {
            self.changed_ms = now_ms;
        }
        (self.file_size, self.mtime_ns) = (seen.size, seen.mtime_ns);
        if !self.gzip {
            self.size = seen.size;
        }
        changed
    }

    /// A read ended at the end of the content, which is at `offset`.
    pub(crate) fn met_end(&mut self, offset: u64) {
        if self.gzip {
            self.size = offset;
        }
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.saved.stage == Stage::Bound
    }

    /// Everything known is acked.
    pub(crate) fn is_drained(&self) -> bool {
        self.runs.is_empty() && self.saved.acked >= self.size
    }

    /// Whether a line without an end is waiting.
    pub(crate) fn has_partial(&self) -> bool {
        self.scanned > self.sent
    }

    /// A record `[sent, end)` that was cut by idleness before, and must be cut there again.
    pub(crate) fn framed_end(&self, offset: u64) -> Option<u64> {
        self.saved
            .framed
            .iter()
            .find(|(off, _)| *off == offset)
            .map(|(_, end)| *end)
    }

    /// Goes back to what was acked. Returns what is not in flight any more.
    pub(crate) fn rewind(&mut self) -> VecDeque<Run> {
        self.sent = self.saved.acked;
        self.sent_prev = self.saved.prev;
        self.sent_guard = self.saved.guard;
        self.scanned = self.sent;
        std::mem::take(&mut self.runs)
    }

    /// Notes that a run arrived; returns how many lines and bytes became durable in order.
    pub(crate) fn arrived(&mut self, run: u64) -> (u64, u64) {
        if let Some(run) = self.runs.iter_mut().find(|candidate| candidate.id == run) {
            run.done = true;
        }
        let (mut lines, before) = (0, self.saved.acked);
        while self.runs.front().is_some_and(|run| run.done) {
            let run = self.runs.pop_front().expect("it was just looked at");
            assert!(run.end >= self.saved.acked, "acks never go back");
            (self.saved.acked, self.saved.prev, self.saved.guard) = (run.end, run.prev, run.guard);
            for mark in run.marks.into_iter().chain([(run.end, run.guard)]) {
                self.saved.trail.mark(mark);
            }
            lines += run.lines;
        }
        let acked = self.saved.acked;
        self.saved.framed.retain(|&(_, end)| end > acked);
        (lines, acked - before)
    }
}
