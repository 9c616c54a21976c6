//! Reading one source: check that the file is still the one, cut lines, hand them over.
//!
//! Every read starts [`limits::GUARD_BYTES`] before the next line and compares those bytes with what
//! was read there before. A file that was truncated and has grown past the old offset since is found
//! out by that, whatever its size says.

use std::io;

use logboom_client::SourceId;
use tracing::{info, warn};

use crate::checkpoint::Stage;
use crate::content::Content;
use crate::error::Error;
use crate::identity::{Guard, Head};
use crate::limits::{
    GUARD_BYTES, HEAD_BYTES, IN_FLIGHT_BYTES_MAX, READ_BYTES, RECORD_OVERHEAD_BYTES, RETRY,
    RUN_MARKS_MAX, SHRINK_WAIT, TURN_BYTES,
};
use crate::line::{cut, end_of_line, idle_end, without_terminator};
use crate::metrics;
use crate::sink::{Outgoing, Sink};
use crate::source::{Run, Source};
use crate::tail::Tailer;
use crate::trail::Mark;
use crate::way::Framing;

/// What one read led to.
enum Step {
    /// So many bytes were dealt with; there may be more.
    Read(usize),
    /// Nothing to do until the file changes or time passes.
    Wait,
    /// The file does not hold this source's content.
    Other { size: u64 },
}

/// Lines `[base + from, base + to)` of the buffer.
struct Lines {
    count: usize,
    to: usize,
}

impl<S: Sink> Tailer<S> {
    /// Gives a source its turn; whether it wants another.
    pub(crate) fn read(&mut self, id: SourceId, now_ms: u64) -> Result<bool, Error> {
        let Some(source) = self.sources.get_mut(&id).filter(|source| source.is_bound()) else {
            return Ok(false);
        };
        if now_ms < source.retry_at_ms {
            return Ok(false);
        }
        (source.read_ms, source.retry_at_ms) = (now_ms, 0);
        let mut budget = TURN_BYTES;
        while self.has_room() {
            let step = match self.step(id, now_ms) {
                Ok(step) => step?,
                Err(error) => {
                    let path = self.sources[&id].saved.path.clone();
                    self.complain(&path, &error);
                    // Nothing more may happen to the file that would call attention to it.
                    self.try_again_later(id);
                    return Ok(false);
                }
            };
            match step {
                Step::Read(bytes) if bytes < budget => budget -= bytes,
                Step::Read(_) => return Ok(true),
                Step::Wait => return Ok(false),
                Step::Other { size } => {
                    self.orphan(id, size, now_ms)?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// One read. The outer error is the file's, the inner one ends the agent.
    fn step(&mut self, id: SourceId, now_ms: u64) -> io::Result<Result<Step, Error>> {
        if let Some(step) = self.open_content(id)? {
            return Ok(Ok(step));
        }
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let content = source.content.as_mut().expect("it was just opened");
        let base = source.sent;
        let span = Guard::span(base);
        let mut buffer = std::mem::take(&mut self.buffer);
        // Near the start the guard is short: there the head speaks.
        let head = if span as u64 == base {
            source.saved.head.0.len()
        } else {
            0
        };
        let known = span.max(head);
        let wanted = if source.scanned > base {
            known
        } else {
            span + READ_BYTES
        };
        let count = content.read_at(base - span as u64, &mut buffer[..wanted]);
        let same = *count.as_ref().unwrap_or(&0) >= known
            && Guard::of(&buffer[..span], base) == source.sent_guard
            && buffer[..head] == source.saved.head.0[..head];
        self.buffer = buffer;
        let count = count?;
        if !same {
            return self.disagrees(id, now_ms).map(Ok);
        }
        source.shrunk_since_ms = None;
        if let Some(end) = source.framed_end(base) {
            return self.ship_range(id, end, now_ms);
        }
        if source.scanned > base {
            return self.scan_on(id, now_ms);
        }

        let data = span..count;
        let mut lines = Lines { count: 0, to: 0 };
        // Tiny lines cost more than their bytes: a step takes no more of them than there is room for,
        // since the producer would block this thread.
        let room = IN_FLIGHT_BYTES_MAX.saturating_sub(self.in_flight_bytes);
        while let Some(length) = end_of_line(&self.buffer[data.start + lines.to..data.end]) {
            let is_full = lines.to + lines.count * RECORD_OVERHEAD_BYTES >= room;
            if lines.count > 0 && (is_full || source.framed_end(base + lines.to as u64).is_some()) {
                break;
            }
            lines.to += length;
            lines.count += 1;
        }
        if lines.count > 0 {
            return Ok(self.ship_lines(id, span, &lines));
        }
        // No line ends here: a partial line at the end, or a long one.
        let read = data.len();
        if read > 0 {
            source.scanned = base + read as u64;
            source.changed_ms = now_ms;
        }
        if read == READ_BYTES {
            return Ok(Ok(Step::Read(read)));
        }
        source.met_end(base + read as u64);
        Ok(Ok(Step::Wait))
    }

    /// The next look finds the source due, whether its file changes again or not.
    fn try_again_later(&mut self, id: SourceId) {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        source.retry_at_ms = source.read_ms + RETRY.as_millis() as u64;
    }

    /// Opens the file if need be. A step, if the source has no file to read now.
    fn open_content(&mut self, id: SourceId) -> io::Result<Option<Step>> {
        if self.sources[&id].content.is_some() {
            return Ok(None);
        }
        self.close_least_recent();
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let (mut content, seen) = match Content::open(&source.saved.path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.next_scan_ms = 0;
                self.try_again_later(id);
                return Ok(Some(Step::Wait));
            }
            Err(error) => return Err(error),
        };
        self.complained.remove(&source.saved.path);
        if Some(seen.place) != source.saved.place {
            self.next_scan_ms = 0;
            self.try_again_later(id);
            return Ok(Some(Step::Wait));
        }
        let head = Head::read(&mut content)?;
        if !head.agrees_with(&source.saved.head) {
            return Ok(Some(Step::Other { size: source.size }));
        }
        source.gzip = content.is_gzip();
        source.size = if source.gzip {
            source.size.max(source.sent + 1)
        } else {
            seen.size
        };
        source.content = Some(content);
        self.open.push(id);
        Ok(None)
    }

    /// Goes on looking for the end of a long line, from where the last read ended.
    fn scan_on(&mut self, id: SourceId, now_ms: u64) -> io::Result<Result<Step, Error>> {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let content = source.content.as_mut().expect("the caller opened it");
        let count = content.read_at(source.scanned, &mut self.buffer[..READ_BYTES])?;
        if let Some(length) = end_of_line(&self.buffer[..count]) {
            let end = source.scanned + length as u64;
            return self.ship_range(id, end, now_ms);
        }
        if count > 0 {
            source.scanned += count as u64;
            source.changed_ms = now_ms;
            if count == READ_BYTES {
                return Ok(Ok(Step::Read(count)));
            }
            source.met_end(source.scanned);
            return Ok(Ok(Step::Wait));
        }
        if now_ms < source.changed_ms + self.config.idle_flush.as_millis() as u64 {
            return Ok(Ok(Step::Wait));
        }
        // The writer pauses: what is there becomes a record of its own.
        let mut last = [0u8];
        let at = source.scanned - 1;
        if content.read_at(at, &mut last)? == 0 {
            return Ok(Ok(Step::Wait));
        }
        let end = at + idle_end(&last) as u64;
        if end == source.sent {
            return Ok(Ok(Step::Wait));
        }
        match self.checkpoints.framed(id, source.sent, end) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(Step::Wait)),
            Err(error) => return Ok(Err(error)),
        }
        source.saved.framed.push((source.sent, end));
        self.ship_range(id, end, now_ms)
    }

    /// The bytes before the next line are not what they were.
    fn disagrees(&mut self, id: SourceId, now_ms: u64) -> io::Result<Step> {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let content = source.content.as_mut().expect("the caller opened it");
        let size = content.len()?.bytes;
        let was = source.size.max(source.scanned);
        let known = source.sent.max(source.saved.head.0.len() as u64);
        if size >= known || size == 0 || !Head::read(content)?.agrees_with(&source.saved.head) {
            return Ok(Step::Other { size: was });
        }
        // Shorter, but what is left is ours: network file systems show an old size for a moment.
        let since = *source.shrunk_since_ms.get_or_insert(now_ms);
        if now_ms < since + SHRINK_WAIT.as_millis() as u64 {
            Ok(Step::Wait)
        } else {
            Ok(Step::Other { size: was })
        }
    }

    /// Hands over the lines at the start of the buffer, which begins `span` bytes before `sent`.
    fn ship_lines(&mut self, id: SourceId, span: usize, lines: &Lines) -> Result<Step, Error> {
        let line_bytes_max = self.config.line_bytes_max;
        let buffer = std::mem::take(&mut self.buffer);
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let framing = self.traced.begin(&source.home, source.read_ms);
        let mut records = Vec::with_capacity(lines.count);
        let mut continues = span > 0 && buffer[span - 1] != b'\n';
        let (mut at, mut prev) = (0, source.sent_prev);
        while at < lines.to {
            let length =
                end_of_line(&buffer[span + at..span + lines.to]).expect("it was found before");
            let line = without_terminator(&buffer[span + at..span + at + length]);
            let (offset, end) = (source.sent + at as u64, source.sent + (at + length) as u64);
            // A bare terminator behind a line that was shipped without it makes no record.
            if !(continues && line.is_empty()) {
                let value = cut(line, line_bytes_max);
                let true_len = (value.len() < line.len()).then_some(line.len() as u64);
                records.push(Outgoing {
                    prev,
                    offset,
                    end,
                    value,
                    continues,
                    true_len,
                });
                prev = end;
            }
            continues = false;
            at += length;
        }
        let start = source.sent;
        let guard_at = |at: usize| Guard::of(&buffer[..span + at], start + at as u64);
        // Evidence for later, if a copy should end inside this run.
        let step = (lines.to / RUN_MARKS_MAX).max(GUARD_BYTES);
        let marks = (step..lines.to).step_by(step);
        let marks = marks.map(|at| (start + at as u64, guard_at(at))).collect();
        let reached = (start + lines.to as u64, guard_at(lines.to));
        let result = self.ship(id, reached, marks, &records, framing);
        drop(records);
        self.buffer = buffer;
        result.map(|()| Step::Read(lines.to))
    }

    /// Hands over `[sent, end)` as one record, however long it is.
    fn ship_range(
        &mut self,
        id: SourceId,
        end: u64,
        now_ms: u64,
    ) -> io::Result<Result<Step, Error>> {
        let line_bytes_max = self.config.line_bytes_max;
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let content = source.content.as_mut().expect("the caller opened it");
        let start = source.sent;
        let length = end - start;
        let before = usize::from(start > 0);
        // One byte before, to see whether the line began there; one behind the limit, to see a longer
        // one; two for a terminator.
        let wanted = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(line_bytes_max + 3);
        let mut bytes = vec![0; before + wanted];
        let mut last = [0u8; 2];
        let tail = usize::try_from(length).unwrap_or(usize::MAX).min(2);
        let read = content.read_at(start - before as u64, &mut bytes)?;
        let read_tail = content.read_at(end - tail as u64, &mut last[..tail])?;
        let Some(guard) =
            Guard::read(content, end)?.filter(|_| read == bytes.len() && read_tail == tail)
        else {
            return self.disagrees(id, now_ms).map(Ok);
        };
        let terminator = tail - without_terminator(&last[..tail]).len();
        let line_length = length - terminator as u64;
        let available = usize::try_from(line_length)
            .unwrap_or(usize::MAX)
            .min(wanted);
        let line = &bytes[before..before + available];
        let value = cut(line, line_bytes_max);
        let true_len = (value.len() as u64 != line_length).then_some(line_length);
        let continues = before == 1 && bytes[0] != b'\n';
        let record = Outgoing {
            prev: source.sent_prev,
            offset: start,
            end,
            value,
            continues,
            true_len,
        };
        let records = if continues && line.is_empty() {
            &[][..]
        } else {
            &[record][..]
        };
        let framing = match records {
            [] => Framing::untraced(),
            _ => self.traced.begin(&source.home, now_ms),
        };
        let result = self.ship(id, (end, guard), Vec::new(), records, framing);
        Ok(result.map(|()| Step::Read(usize::try_from(length).unwrap_or(usize::MAX))))
    }

    /// Hands a run over: everything up to `end` is dealt with.
    fn ship(
        &mut self,
        id: SourceId,
        (end, guard): Mark,
        marks: Vec<Mark>,
        records: &[Outgoing<'_>],
        framing: Framing,
    ) -> Result<(), Error> {
        self.keep_head(id)?;
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let (start, run) = (source.sent, self.next_run);
        self.next_run += 1;
        let weight = records
            .iter()
            .map(|record| record.value.len() + RECORD_OVERHEAD_BYTES)
            .sum();
        let prev = records.last().map_or(source.sent_prev, |record| record.end);
        source.runs.push_back(Run {
            id: run,
            end,
            prev,
            guard,
            marks,
            lines: records.len() as u64,
            weight,
            done: false,
        });
        (
            source.sent,
            source.sent_prev,
            source.sent_guard,
            source.scanned,
        ) = (end, prev, guard, end);
        if records.is_empty() {
            self.settle(id, run);
            return Ok(());
        }
        let cuts = records
            .iter()
            .filter(|record| record.true_len.is_some())
            .count();
        if cuts > 0 {
            ::metrics::counter!(metrics::LINES_CUT).increment(cuts as u64);
        }
        self.in_flight_bytes += weight;
        self.runs.insert(run, id);
        // The source itself, and a cut that its writer did not make, outlive a crash from here on.
        self.checkpoints.sync_before_records()?;
        let home = source.home.clone();
        let Framing { batch, frame } = framing;
        batch.record("logboom.lines", records.len());
        batch.record("logboom.bytes", end - start);
        drop(frame);
        self.sink.send(run, &home, records, &batch);
        Ok(())
    }

    /// Learns more of the head of a content that was short when its source was opened.
    fn keep_head(&mut self, id: SourceId) -> Result<(), Error> {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        let known = source.saved.head.0.len();
        let enough = usize::try_from(source.size)
            .unwrap_or(usize::MAX)
            .min(HEAD_BYTES);
        if known < HEAD_BYTES
            && enough >= (2 * known).min(HEAD_BYTES)
            && let Some(content) = source.content.as_mut()
            && let Ok(head) = Head::read(content)
            && head.agrees_with(&source.saved.head)
            && head.0.len() > known
        {
            source.saved.head = head;
            self.checkpoints.save(&source.saved, false)?;
        }
        Ok(())
    }

    /// The file of a source holds something else now. What was not read of it may be in a copy.
    pub(crate) fn orphan(&mut self, id: SourceId, size: u64, now_ms: u64) -> Result<(), Error> {
        let source = self.sources.get_mut(&id).expect("the caller has it");
        info!(source = %id, path = %source.saved.path.display(), offset = source.sent, size,
            "file was truncated or replaced: a new source starts in it");
        ::metrics::counter!(metrics::TRUNCATIONS).increment(1);
        self.fresh.extend(source.saved.place);
        self.unbind(
            id,
            Stage::Replaced {
                since_ms: now_ms,
                size,
            },
        )
    }

    /// Ends a source's hold on its file: evidence must not tie what is there, or what gets its inode
    /// number next, to it.
    pub(crate) fn unbind(&mut self, id: SourceId, stage: Stage) -> Result<(), Error> {
        self.next_scan_ms = 0;
        let source = self.sources.get_mut(&id).expect("the caller has it");
        assert!(source.is_bound(), "only a source that has a file loses it");
        self.load[source.saved.partition as usize] -= 1;
        source.saved.stage = stage;
        source.content = None;
        source.shrunk_since_ms = None;
        source.scanned = source.sent;
        if let Some(place) = source.saved.place.take()
            && self.places.get(&(place.dev, place.ino)) == Some(&id)
        {
            self.places.remove(&(place.dev, place.ino));
        }
        if self.paths.get(&source.saved.path) == Some(&id) {
            self.paths.remove(&source.saved.path);
        }
        // If this cannot be written, the same is found out again after a restart.
        self.checkpoints.save(&source.saved, false)?;
        Ok(())
    }

    /// Keeps the number of open files bounded. One with unread bytes is closed after those without,
    /// since it may be deleted before it is opened again; a deleted one last: it is lost then.
    pub(crate) fn close_least_recent(&mut self) {
        if self.open.len() < self.config.open_files_max {
            return;
        }
        let sources = &self.sources;
        self.open.sort_unstable_by_key(|id| id.0);
        self.open.dedup();
        self.open.retain(|id| {
            sources
                .get(id)
                .is_some_and(|source| source.content.is_some())
        });
        if self.open.len() < self.config.open_files_max {
            return;
        }
        let deleted = |source: &Source| {
            !source.listed && std::fs::symlink_metadata(&source.saved.path).is_err()
        };
        let least = self.open.iter().copied().min_by_key(|id| {
            let source = &sources[id];
            (deleted(source), source.sent < source.size, source.read_ms)
        });
        let Some(id) = least else { return };
        let lost = if deleted(&sources[&id]) {
            sources[&id].size.saturating_sub(sources[&id].sent)
        } else {
            0
        };
        let source = self.sources.get_mut(&id).expect("it was just listed");
        source.content = None;
        if lost > 0 {
            ::metrics::counter!(metrics::LOST_BYTES).increment(lost);
            warn!(source = %id, path = %source.saved.path.display(), lost_bytes = lost,
                "too many deleted files wait to be read: giving one up; raise `open_files_max`");
        }
    }
}
