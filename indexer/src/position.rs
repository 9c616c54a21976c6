//! Where one partition is: the next offset, the last record's checksum, and the marks of its sources.
//!
//! The position moves with every record that is taken into a hot segment (or dropped as a duplicate);
//! the checkpoint in the metastore follows when the split is published.

use logboom_client::{Checkpoint, Marks, Verdict, record_crc};
use logboom_event::Record;

use crate::{limits, tables::Progress};

#[derive(Clone, Debug)]
pub(crate) struct Position {
    /// What the metastore holds once the publish in flight (if any) has succeeded.
    committed: Checkpoint,
    current: Checkpoint,
    marks: Marks,
    /// Of the records admitted in this life.
    newest_ms: i64,
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Index {
        incarnation: u32,
    },
    /// Its source's bytes were indexed before.
    Duplicate,
    /// Its offset was passed before: the queue delivered it again after a reassignment.
    Passed,
}

impl Position {
    pub(crate) fn new(checkpoint: Checkpoint, marks: Marks) -> Position {
        Position {
            committed: checkpoint,
            current: checkpoint,
            marks,
            newest_ms: i64::MIN,
        }
    }

    pub(crate) fn current(&self) -> Checkpoint {
        self.current
    }

    /// The last checkpoint that was given to a publish, or the one found at start.
    pub(crate) fn committed(&self) -> Checkpoint {
        self.committed
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(crate) fn admit(&mut self, record: &Record) -> Admission {
        if record.offset < self.current.next_offset {
            return Admission::Passed;
        }
        self.current.next_offset = record.offset + 1;
        self.current.last_crc = Some(record_crc(record));
        self.newest_ms = self.newest_ms.max(record.timestamp_ms);
        let verdict = match &record.origin {
            Some(origin) => self.marks.observe(origin, record.timestamp_ms),
            None => Verdict::New,
        };
        match verdict {
            Verdict::New => Admission::Index {
                incarnation: self.current.incarnation,
            },
            Verdict::Duplicate => Admission::Duplicate,
        }
    }

    /// Goes on elsewhere: the queue's log is not the one that was read before.
    pub(crate) fn rewind(&mut self, checkpoint: Checkpoint) {
        self.current = checkpoint;
    }

    pub(crate) fn has_moved(&self) -> bool {
        self.committed != self.current
    }

    /// The move since the last call, for a publish; `None` when nothing moved.
    pub(crate) fn take_progress(
        &mut self,
        topic: &str,
        partition: i32,
        now_ms: i64,
    ) -> Option<Progress> {
        if !self.has_moved() {
            return None;
        }
        // By the records' own clock, so that a late replay keeps what it needs; a clock that runs ahead
        // does not count.
        let latest_ms = self.newest_ms.min(now_ms);
        self.marks
            .forget_closed(latest_ms.saturating_sub(limits::MARKS_KEPT.as_millis() as i64));
        let from = std::mem::replace(&mut self.committed, self.current);
        Some(Progress {
            topic: topic.to_owned(),
            partition,
            from,
            to: self.current,
            marks: self.marks.to_bytes(),
        })
    }
}
