//! The operating system's disk, to be looked at and not touched: for those who examine what is not theirs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Disk, DiskFile, DiskSpace, Entry, Error, RealDisk};

/// Opens files for reading only, so a read-only mount will do, and refuses every change. Holds no state.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOnlyDisk;

fn refuse<T>(operation: &'static str, path: &Path) -> Result<T, Error> {
    let reason = io::ErrorKind::ReadOnlyFilesystem.into();
    Err(Error::io(operation, path, reason))
}

impl Disk for ReadOnlyDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        refuse("create", path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        Ok(Arc::new(ReadOnlyFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<(), Error> {
        refuse("rename", from)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        refuse("remove", path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        RealDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), Error> {
        refuse("create directory", dir)
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), Error> {
        refuse("remove directory", dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        refuse("sync directory", dir)
    }

    fn space(&self, dir: &Path) -> Result<DiskSpace, Error> {
        RealDisk.space(dir)
    }
}

#[derive(Debug)]
struct ReadOnlyFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for ReadOnlyFile {
    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> Result<(), Error> {
        refuse("write", &self.path)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| Error::io("stat", &self.path, error))?;
        Ok(metadata.len())
    }

    fn set_len(&self, _len: u64) -> Result<(), Error> {
        refuse("cut", &self.path)
    }

    fn allocate(&self, _offset: u64, _len: u64) -> Result<(), Error> {
        refuse("reserve space for", &self.path)
    }

    fn sync_data(&self) -> Result<(), Error> {
        refuse("sync", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"hello").unwrap();
        let disk = ReadOnlyDisk;
        let file = disk.open(&path).unwrap();
        let mut buffer = [0; 9];
        assert_eq!(file.read_at(1, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"ello");
        assert!(file.write_at(0, b"x").is_err() && file.set_len(0).is_err());
        assert!(file.allocate(0, 10).is_err() && file.sync_data().is_err());
        let other = dir.path().join("b");
        assert!(disk.create(&other).is_err() && disk.create_dir(&other).is_err());
        assert!(disk.rename(&path, &other).is_err() && disk.remove(&path).is_err());
        assert!(disk.open(&other).unwrap_err().is_not_found());
        assert_eq!(disk.list(dir.path()).unwrap().len(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    }
}
