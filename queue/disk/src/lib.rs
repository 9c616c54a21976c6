//! logboom-disk: the durable files that queue, agent and stores are built on.
//!
//! Everything here is blocking and says precisely what is true after a call returns and after it fails. Callers put
//! it on blocking threads. Nothing here knows what the bytes mean.
//!
//! * [`Disk`] and [`DiskFile`]: the few calls that durability rests on. [`RealDisk`] is the operating system;
//!   [`ReadOnlyDisk`] is that without the right to change anything; [`SimDisk`] is its twin for tests, which crashes, tears,
//!   fills up and fails syncs from a seed.
//! * [`atomic_replace`]: a small file that is always wholly the old or wholly the new one.
//! * [`Journal`]: an append log of records with a checksum, and compaction by snapshot.
//! * [`DirLock`]: one process a data directory.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod disk;
mod error;
mod journal;
mod lock;
mod read_only;
mod real;
mod replace;
mod sim;

pub use disk::{Disk, DiskFile, DiskSpace, Entry, read_all};
pub use error::Error;
pub use journal::{Journal, JournalLimits};
pub use lock::DirLock;
pub use read_only::ReadOnlyDisk;
pub use real::RealDisk;
pub use replace::{TEMP_SUFFIX, atomic_replace};
pub use sim::SimDisk;
