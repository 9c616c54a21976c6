//! The numbers of this crate and why they are what they are.

use std::time::Duration;

/// Readers never block in WAL mode and one process has one writing connection, so a lock is held by
/// a foreign tool (`sqlite3` in a terminal, a backup) or by a checkpoint: both end within seconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A writer waits its turn behind the others of its process; a transaction of ours takes
/// milliseconds, so a minute means a disk that hangs, and the caller should hear of it.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);

/// A page cache of 2 MiB each (SQLite's default): eight readers cost at most 16 MiB.
pub(crate) const READ_CONNECTIONS_MAX: u32 = 8;
