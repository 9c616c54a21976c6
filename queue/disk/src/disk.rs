//! The seam between durable formats and the disk under them, with what each call promises.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::Error;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
}

/// The size of a disk and what is left of it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub total: u64,
    /// What an unprivileged process could still allocate.
    pub free: u64,
}

/// A tree of files. Changes of names (create, rename, remove) are seen by every later call at once, and survive a
/// crash only after [`Disk::sync_dir`] of the directory that holds the name. Until then a crash keeps any prefix
/// of a directory's changes.
pub trait Disk: Debug + Send + Sync {
    /// A new, empty file, open for reading and writing. An existing name is an error.
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error>;

    /// An existing file, for reading and writing; [`Error::NotFound`] if there is none.
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error>;

    /// Atomic; replaces a file that has the new name. Directories can be renamed within their parent.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error>;

    /// The name is gone; who has the file open can go on reading it.
    fn remove(&self, path: &Path) -> Result<(), Error>;

    /// Names in `dir`, sorted. Names that are not UTF-8 are left out: nothing of ours has one.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error>;

    /// The parent must exist. A directory that exists already is fine.
    fn create_dir(&self, dir: &Path) -> Result<(), Error>;

    /// Only an empty directory can be removed.
    fn remove_dir(&self, dir: &Path) -> Result<(), Error>;

    /// After it returns, every change of a name in `dir` survives a crash. After an error nothing is known.
    fn sync_dir(&self, dir: &Path) -> Result<(), Error>;

    /// How much room there is on the disk under `dir`.
    fn space(&self, dir: &Path) -> Result<DiskSpace, Error>;

    /// What an unprivileged process could still allocate.
    fn free_bytes(&self, dir: &Path) -> Result<u64, Error> {
        self.space(dir).map(|space| space.free)
    }
}

/// An open file, addressed by position. All calls may be made from several threads at once.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes`, extending the file if need be. After an error any part may have been written.
    /// Without a sync, a crash keeps any subset of the 512-byte sectors touched, others reading as before (or as
    /// zeros where the file was shorter).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Fills `buffer` from `offset`; fewer bytes mean the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error>;

    fn len(&self) -> Result<u64, Error>;

    fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Cuts, or extends with zeros. Survives a crash only after a sync.
    fn set_len(&self, len: u64) -> Result<(), Error>;

    /// Reserves `[offset, offset + len)` on the disk, so that writing there can neither run out of space nor
    /// change the file's size. New bytes read as zeros. After [`Error::Full`] nothing is reserved.
    fn allocate(&self, offset: u64, len: u64) -> Result<(), Error>;

    /// After it returns, content and length survive a crash. After an error ([`Error::SyncFailed`]) everything
    /// written since the last good sync may be lost for ever, although reads may still show it.
    fn sync_data(&self) -> Result<(), Error>;
}

/// The whole file at `path`, refusing one that is larger than `bytes_max` before anything is allocated.
pub fn read_all(disk: &dyn Disk, path: &Path, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let file = disk.open(path)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > bytes_max {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes: len,
            bytes_max,
        });
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
