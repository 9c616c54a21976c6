//! The operating system's disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::{Disk, DiskFile, DiskSpace, Entry, Error};

/// Files and directories of the operating system. Holds no state.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| Error::io("create", path, error))?;
        Ok(Arc::new(RealFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| Error::io("open", path, error))?;
        Ok(Arc::new(RealFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        std::fs::rename(from, to).map_err(|error| Error::io("rename", from, error))
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        std::fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        let failed = |error| Error::io("list", dir, error);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), Error> {
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => {
                Ok(())
            }
            other => other.map_err(|error| Error::io("create directory", dir, error)),
        }
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), Error> {
        std::fs::remove_dir(dir).map_err(|error| Error::io("remove directory", dir, error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        let handle = File::open(dir).map_err(|error| Error::io("open directory", dir, error))?;
        handle.sync_all().map_err(|source| Error::SyncFailed {
            path: dir.to_path_buf(),
            source,
        })
    }

    fn space(&self, dir: &Path) -> Result<DiskSpace, Error> {
        let stat = rustix::fs::statvfs(dir)
            .map_err(|errno| Error::io("ask for the free space of", dir, errno.into()))?;
        Ok(DiskSpace {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// For error messages; the file may have been renamed since.
    path: PathBuf,
}

impl DiskFile for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| Error::io("write", &self.path, error))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> Result<u64, Error> {
        let metadata = self
            .file
            .metadata()
            .map_err(|error| Error::io("stat", &self.path, error))?;
        Ok(metadata.len())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file
            .set_len(len)
            .map_err(|error| Error::io("cut", &self.path, error))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        // The size grows with the reservation: a write inside it then leaves the inode alone, which makes the sync
        // that follows several times cheaper.
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, len) {
            // No reservation on this filesystem: the writes themselves will tell when it is full.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => {
                other.map_err(|errno| Error::io("reserve space for", &self.path, errno.into()))
            }
        }
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::SyncFailed {
            path: self.path.clone(),
            source,
        })
    }
}
