//! A tantivy directory for one split: reads through memory maps, writes politely.
//!
//! Invariants: a file that was terminated is on the disk; so are the names after `sync_directory`.
//! Writers sync every MiB and then pause, because one long unsynced write on the same disk makes the
//! queue's fsync, and with it every ack, wait for all of it (design §10).

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tantivy::{
    Directory,
    directory::{
        AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite,
        WatchCallback, WatchHandle, WritePtr,
        error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError},
    },
};

use tokio_util::sync::CancellationToken;

use crate::limits;

#[derive(Clone, Debug)]
pub(crate) struct SplitDirectory {
    path: PathBuf,
    files: MmapDirectory,
    /// Makes every write fail: how a long merge on a blocking thread is told to stop.
    abort: CancellationToken,
}

impl SplitDirectory {
    pub(crate) fn open(
        path: &Path,
        abort: CancellationToken,
    ) -> Result<SplitDirectory, OpenDirectoryError> {
        Ok(SplitDirectory {
            path: path.to_owned(),
            files: MmapDirectory::open(path)?,
            abort,
        })
    }
}

impl Directory for SplitDirectory {
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.path.join(path))
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
                _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
            })?;
        let writer = PoliteWriter {
            file,
            unsynced_bytes: 0,
            abort: self.abort.clone(),
        };
        Ok(BufWriter::with_capacity(64 << 10, Box::new(writer)))
    }

    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.files.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.files.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.files.watch(callback)
    }
}

/// Runs on a blocking thread: the pause is a sleep.
struct PoliteWriter {
    file: File,
    unsynced_bytes: usize,
    abort: CancellationToken,
}

impl Write for PoliteWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.abort.is_cancelled() {
            return Err(io::Error::other("the indexer is stopping"));
        }
        let written = self.file.write(bytes)?;
        self.unsynced_bytes += written;
        if self.unsynced_bytes >= limits::SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
            std::thread::sleep(limits::SYNC_PAUSE);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for PoliteWriter {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.file.sync_data()
    }
}
