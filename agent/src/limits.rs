//! Bounds of the agent, with the arithmetic that chose them.

use std::time::Duration;

/// Default of [`crate::Config::line_bytes_max`].
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// No configuration goes beyond: a record is at most 4 MiB, and a read 4 MiB of a gzip window.
pub const LINE_BYTES_CEILING: usize = 3 << 20;

/// Bytes of records handed to the queue and not acked yet: what a restart may have to send again,
/// and, with the producer's own copy, the agent's largest piece of memory.
pub const IN_FLIGHT_BYTES_MAX: usize = 12 << 20;

/// What a record costs beside its line: headers (about 250 bytes as text) and librdkafka's message.
pub const RECORD_OVERHEAD_BYTES: usize = 512;

/// One pread. Larger ones gain nothing (the copy dominates), smaller ones cost system calls.
pub const READ_BYTES: usize = 256 << 10;

/// What one file may read before the next one gets its turn: two reads. A file that ended early has
/// no claim to the rest, so a thousand busy files wait at most a thousand times 2 ms.
pub const TURN_BYTES: usize = 512 << 10;

/// Source turns between two looks at acks, hints and the clock.
pub const TURNS_PER_LOOK: usize = 8;

/// Evidence at either end of what was read (facts: rivals hash 256 B to 1 KiB).
pub const HEAD_BYTES: usize = 1024;
pub const GUARD_BYTES: usize = 1024;

/// Looks at files that changed within [`WARM`].
pub const WARM_SWEEP: Duration = Duration::from_millis(250);
/// Looks at all others: 10,000 files cost 1,000 stats a second, about 0.2 % of a core.
pub const COLD_SWEEP: Duration = Duration::from_secs(10);
/// A file quiet for longer is cold and loses its descriptor.
pub const WARM: Duration = Duration::from_secs(60);

/// Walks of the watched directories. A walk that took long is repeated later, so that walking
/// never costs more than a twentieth of a core.
pub const SCAN: Duration = Duration::from_secs(1);
pub const SCAN_COST_MAX: u32 = 20;
/// Walks that a hint asks for are at least this far apart (and five times their cost).
pub const SCAN_MIN: Duration = Duration::from_millis(50);

/// See [`crate::Config::idle_flush`].
pub const IDLE_FLUSH: Duration = Duration::from_secs(1);

/// How long acks wait for company in the journal: the design allows 100 ms.
pub const CHECKPOINT: Duration = Duration::from_millis(100);

/// Below the common soft limit of 256 that some containers set, with room for sockets and logs.
pub const OPEN_FILES_MAX: usize = 160;

/// Guards kept of where a source has been, to know a copy that ends before its offset: 16 bytes each.
/// From one to the next is about half of what is left to the end, so 16 reach back over some 50,000
/// runs (2^16); what is older is before the first but one, or in the head.
pub const MARKS_MAX: usize = 16;
/// Marks inside one run, at least [`GUARD_BYTES`] apart: eight hashes of 1 KiB for 256 KiB of lines.
pub const RUN_MARKS_MAX: usize = 8;
/// Ends of known copies of one source: what a rotation keeps is in one file, hand-made ones are few.
pub const COPIES_MAX: usize = 8;

/// How long a file that is shorter than what was shipped of the source it resembles is taken for a
/// copy still being written, counted from its last growth.
pub const COPY_WAIT: Duration = Duration::from_secs(10);
/// The same for one smaller than [`HEAD_BYTES`], where two files may well be equal by chance.
pub const SMALL_COPY_WAIT: Duration = Duration::from_secs(2);

/// How long a file may be shorter than it was before that counts as truncated, if its head is still
/// the same: network file systems show old sizes for a moment.
pub const SHRINK_WAIT: Duration = Duration::from_secs(1);

/// How long a source without a file waits for a copy of it before its unread bytes are given up.
pub const ORPHAN_WAIT: Duration = Duration::from_secs(30);

/// Sources that ended are remembered to recognise late copies of them: a year of daily rotation of
/// a dozen files. At most 1.3 KiB each.
pub const CLOSED_SOURCES_MAX: usize = 4096;

/// The journal is compacted beyond this, and beyond four times the size of a snapshot.
pub const JOURNAL_COMPACT_BYTES: u64 = 4 << 20;

/// Pause before a source is sent again after the queue refused a record of it.
pub const RETRY: Duration = Duration::from_secs(1);

/// The agent's state goes to the queue this often.
pub const STATUS: Duration = Duration::from_secs(2);
pub const STATUS_FILES_MAX: usize = 200;
pub const STATUS_ERRORS_MAX: usize = 10;

/// See [`crate::Config::trace_every`]: six spans a second are not noticed, and no delay that lasts for a second is missed.
pub const TRACE_EVERY: Duration = Duration::from_secs(1);

/// How long a clean stop waits for acks.
pub const STOP_WAIT: Duration = Duration::from_secs(5);

/// Hints waiting for the tailer; when full, the next sweep sees what was dropped.
pub const HINTS_MAX: usize = 4096;

/// Folders under one pattern, against a pattern like `/**`.
pub const FOLDERS_MAX: usize = 100_000;
/// Depth of folders below a pattern's literal prefix.
pub const FOLDER_DEPTH_MAX: usize = 64;
