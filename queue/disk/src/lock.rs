//! One process a data directory.
//!
//! The lock is the kernel's (`flock`), so it ends with the process however that ends: a file left by a kill does
//! not keep anyone out. The text in the file only says whom to look for. It lives outside [`crate::Disk`]: a
//! simulated disk has nobody to share it with.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// Held until dropped.
#[derive(Debug)]
pub struct DirLock {
    /// Keeps the lock; closing it releases.
    _file: File,
    path: PathBuf,
}

/// More than a pid and a word or two never stands in the file, whoever wrote it.
const HOLDER_BYTES_MAX: u64 = 256;

impl DirLock {
    /// Takes the lock file at `path` (created if need be; its directory must exist). `who` names the role to
    /// others, for instance `up` or `queue`. Does not wait: [`Error::Locked`] tells who has it.
    pub fn acquire(path: &Path, who: &str) -> Result<DirLock, Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Error::io("open lock file", path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: path.to_path_buf(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path, error)),
        }
        let text = format!("{} {who}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|error| Error::io("write lock file", path, error))?;
        Ok(DirLock {
            _file: file,
            path: path.to_path_buf(),
        })
    }

    /// Who holds the lock file at `path`, if anybody does. Leaves the file as it is.
    pub fn holder(path: &Path) -> Result<Option<String>, Error> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open lock file", path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&file))),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", path, error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    // The holder may be between taking the lock and writing its name: an unreadable text is no reason to fail.
    let _unknown_is_fine = file.take(HOLDER_BYTES_MAX).read_to_string(&mut text);
    match text.trim().split_once(' ') {
        Some((pid, who)) => format!("process {pid} (`logboom {who}`)"),
        None => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DirLock::acquire(&path, "up").unwrap();
        let message = DirLock::acquire(&path, "queue").unwrap_err().to_string();
        assert!(
            message.contains(&format!("process {} (`logboom up`)", std::process::id())),
            "{message}"
        );
        assert!(message.contains("stop that process"), "{message}");
        drop(first);
        DirLock::acquire(&path, "queue").unwrap();
    }

    #[test]
    fn who_only_asks_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(DirLock::holder(&path).unwrap(), None);
        assert!(!path.exists());
        let lock = DirLock::acquire(&path, "queue").unwrap();
        let holder = DirLock::holder(&path).unwrap().unwrap();
        assert!(holder.contains("logboom queue"), "{holder}");
        drop(lock);
        assert_eq!(DirLock::holder(&path).unwrap(), None);
        DirLock::acquire(&path, "queue").unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_kill_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "4242 a longer text than ours will be\n").unwrap();
        let _lock = DirLock::acquire(&path, "up").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{} up\n", std::process::id())
        );
    }
}
