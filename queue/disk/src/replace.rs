//! Replacing a small file so that a crash leaves the old one or the new one, never a mixture and never neither.

use std::path::{Path, PathBuf};

use crate::{Disk, Error};

/// What a replacement is called until it is whole. Left over by a crash, it is overwritten by the next
/// replacement; who lists a directory skips it.
pub const TEMP_SUFFIX: &str = ".tmp";

/// Writes `bytes` as the new content of `path`.
///
/// After `Ok` the new content survives a crash. After an error, and after a crash in the middle, `path` holds the
/// old content or the new one, whole; if it was not there it may still not be.
pub fn atomic_replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temp = temp_path(path);
    match disk.remove(&temp) {
        Ok(()) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let file = disk.create(&temp)?;
    // The content must be durable before the name points at it: many filesystems order them otherwise.
    let written = file.write_at(0, bytes).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // Gives the space back when the disk is full. If this fails too, the next replacement removes it.
        let _best_effort = disk.remove(&temp);
        return Err(error);
    }
    drop(file);
    disk.rename(&temp, path)?;
    disk.sync_dir(parent(path))
}

fn temp_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMP_SUFFIX);
    PathBuf::from(name)
}

/// The directory that holds the name of `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RealDisk, SimDisk, read_all};

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new_content() {
        let path = Path::new("/d/state");
        let (old, new) = (vec![1_u8; 1500], vec![2_u8; 700]);
        for seed in 0..40 {
            for steps in 0..10 {
                let disk = SimDisk::new(seed);
                disk.create_dir(Path::new("/d")).unwrap();
                disk.sync_dir(Path::new("/")).unwrap();
                atomic_replace(&disk, path, &old).unwrap();
                disk.stop_after(steps);
                let outcome = atomic_replace(&disk, path, &new);
                disk.crash();
                let found = read_all(&disk, path, 1 << 20).unwrap();
                assert!(
                    found == old || found == new,
                    "seed {seed}, {steps} steps: a mixture of {} bytes",
                    found.len()
                );
                assert!(
                    outcome.is_err() || found == new,
                    "seed {seed}, {steps} steps: an acknowledged content is gone"
                );
                // What the crash left behind does not stop the next one.
                atomic_replace(&disk, path, &new).unwrap();
                assert_eq!(read_all(&disk, path, 1 << 20).unwrap(), new);
            }
        }
    }

    #[test]
    fn a_full_disk_keeps_the_old_content_and_gives_the_space_back() {
        let disk = SimDisk::new(1);
        let path = Path::new("/state");
        atomic_replace(&disk, path, &[1; 1000]).unwrap();
        disk.set_capacity(Some(1500));
        assert!(
            atomic_replace(&disk, path, &[2; 1000])
                .unwrap_err()
                .is_full()
        );
        assert_eq!(read_all(&disk, path, 1 << 20).unwrap(), vec![1; 1000]);
        assert_eq!(disk.free_bytes(Path::new("/")).unwrap(), 500);
        disk.set_capacity(None);
        atomic_replace(&disk, path, &[2; 1000]).unwrap();
    }

    #[test]
    fn works_on_the_real_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for content in [b"one".as_slice(), b"", b"three"] {
            atomic_replace(&RealDisk, &path, content).unwrap();
            assert_eq!(read_all(&RealDisk, &path, 10).unwrap(), content);
        }
        assert!(matches!(
            read_all(&RealDisk, &path, 2),
            Err(Error::TooLarge { bytes: 5, .. })
        ));
    }
}
