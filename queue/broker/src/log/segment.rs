//! One file of a partition: a header sector, then record batches end to end, then zeros that are only reserved.
//!
//! ```text
//! 0      8            16          24
//! magic  base offset  created ms  crc32c     zeros up to 512, then batches       little endian
//! ```
//!
//! The file is called after the offset of its first record. It gets that name only when its header and the name
//! are about to be durable, so a segment with a bad header is damage, not a crash. Closed, it is cut to the end
//! of its last batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut};
use logboom_disk::{Disk, DiskFile, Error as DiskError, TEMP_SUFFIX};

use super::error::LogError;
use super::limits::{ALLOCATE_BYTES_MAX, ALLOCATE_BYTES_MIN};

const MAGIC: &[u8; 8] = b"LBSEGM01";
/// Where the first batch stands: a sector of its own for the header, so that no batch ever rewrites it.
pub(super) const DATA_FROM: u64 = 512;
const EXTENSION: &str = ".log";
/// What a file is called between the decision to delete it and its end.
pub(super) const DELETED_SUFFIX: &str = ".deleted";

pub(super) fn path(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{EXTENSION}"))
}

/// The base offset that a segment's file name tells.
pub(super) fn base_of(name: &str) -> Option<i64> {
    let digits = name
        .strip_suffix(EXTENSION)
        .filter(|digits| digits.len() == 20)?;
    digits.parse().ok().filter(|base| *base >= 0)
}

/// A new, empty segment that survives a crash, with its first space reserved: the file, and how far that is.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
    segment_bytes: u64,
    now_ms: i64,
) -> Result<(Arc<dyn DiskFile>, u64), DiskError> {
    let path = path(dir, base);
    let temp = dir.join(format!("{base:020}{EXTENSION}{TEMP_SUFFIX}"));
    match disk.remove(&temp) {
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    let file = disk.create(&temp)?;
    let allocated = DATA_FROM + allocation_step(0).min(segment_bytes);
    let written = file
        .allocate(0, allocated)
        .and_then(|()| file.write_at(0, &header(base, now_ms)))
        .and_then(|()| file.sync_data())
        .and_then(|()| disk.rename(&temp, &path));
    if let Err(error) = written {
        let _next_try_or_open_removes_it = disk.remove(&temp);
        return Err(error);
    }
    disk.sync_dir(dir)?;
    Ok((file, allocated))
}

/// How much to reserve at once for a segment that holds `position` bytes.
pub(super) fn allocation_step(position: u64) -> u64 {
    position.clamp(ALLOCATE_BYTES_MIN, ALLOCATE_BYTES_MAX)
}

pub(super) fn check_header(file: &dyn DiskFile, path: &Path, base: i64) -> Result<(), LogError> {
    let mut found = [0; DATA_FROM as usize];
    let read = file.read_at(0, &mut found)?;
    let mut fields = &found[..];
    let magic = fields.copy_to_bytes(MAGIC.len());
    let (named, _created_ms) = (fields.get_i64_le(), fields.get_i64_le());
    let whole = read == found.len()
        && magic == MAGIC.as_slice()
        && named == base
        && fields.get_u32_le() == crc32c::crc32c(&found[..24]);
    if whole {
        return Ok(());
    }
    Err(LogError::Damaged {
        path: path.to_path_buf(),
        position: 0,
        reason: "the segment's header is bad".to_owned(),
    })
}

fn header(base: i64, now_ms: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DATA_FROM as usize);
    bytes.put_slice(MAGIC);
    bytes.put_i64_le(base);
    bytes.put_i64_le(now_ms);
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    bytes.resize(DATA_FROM as usize, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_disk::SimDisk;

    #[test]
    fn names_tell_the_base_offset_and_nothing_else_is_a_segment() {
        let dir = Path::new("/");
        for base in [0, 7, i64::MAX] {
            assert_eq!(
                base_of(path(dir, base).file_name().unwrap().to_str().unwrap()),
                Some(base)
            );
        }
        for name in [
            "0.log",
            "00000000000000000000.index",
            "00000000000000000000.log.tmp",
            "-0000000000000000001.log",
        ] {
            assert_eq!(base_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_new_segment_survives_a_crash_and_any_flipped_header_byte_is_damage() {
        let disk = SimDisk::new(5);
        let dir = Path::new("/");
        let (_, allocated) = create(&disk, dir, 42, 1 << 20, 0).unwrap();
        disk.crash();
        let path = path(dir, 42);
        assert_eq!(disk.open(&path).unwrap().len().unwrap(), allocated);
        check_header(disk.open(&path).unwrap().as_ref(), &path, 42).unwrap();
        for at in 0..28 {
            disk.damage(&path, |bytes| bytes[at] ^= 1);
            assert!(
                check_header(disk.open(&path).unwrap().as_ref(), &path, 42).is_err(),
                "byte {at}"
            );
            disk.damage(&path, |bytes| bytes[at] ^= 1);
        }
    }
}
