//! The batches of segment files, for people who look at them: read only, one after the other, as far as they are sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use logboom_disk::{Disk, DiskFile, ReadOnlyDisk};

use super::batch::{self, Header};
use super::error::LogError;
use super::limits::UNSYNCED_BYTES_MAX;
use super::scan::{self, Rest, Scan};
use super::segment::{self, DATA_FROM};

/// A record of an uncompressed batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpedRecord {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// A sound batch and where it stands.
#[derive(Debug)]
pub struct DumpedBatch {
    pub path: PathBuf,
    pub position: u64,
    pub header: Header,
    file: Arc<dyn DiskFile>,
}

impl DumpedBatch {
    /// Its records; `None` if they are compressed, or not readable as records.
    pub fn records(&self) -> Result<Option<Vec<DumpedRecord>>, LogError> {
        let mut bytes = vec![0; self.header.total_bytes];
        let read = self.file.read_at(self.position, &mut bytes)?;
        Ok(batch::records(&self.header, &bytes[..read]))
    }
}

/// How a segment ends behind its last sound batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEnd {
    pub path: PathBuf,
    pub position: u64,
    pub next_offset: i64,
    pub what: &'static str,
}

/// What a walk meets.
#[derive(Debug)]
pub enum Dumped {
    Batch(DumpedBatch),
    End(SegmentEnd),
}

/// Walks a segment file, or all those in a partition's directory, from the batch with offset `from` on, until `each`
/// says `false`. Blocking.
pub fn dump(path: &Path, from: i64, each: &mut dyn FnMut(Dumped) -> bool) -> Result<(), LogError> {
    let disk = ReadOnlyDisk;
    let (dir, bases) = if path.is_dir() {
        let entries = disk.list(path)?;
        let mut bases: Vec<i64> = entries
            .iter()
            .filter_map(|entry| segment::base_of(&entry.name))
            .collect();
        bases.sort_unstable();
        let first = bases
            .partition_point(|base| *base <= from)
            .saturating_sub(1);
        (path, bases.split_off(first))
    } else {
        let name = path.file_name().and_then(|name| name.to_str());
        let base = name
            .and_then(segment::base_of)
            .ok_or_else(|| LogError::NoSegment {
                path: path.to_path_buf(),
            })?;
        (path.parent().unwrap_or(Path::new("")), vec![base])
    };
    if bases.is_empty() {
        return Err(LogError::NoSegment {
            path: path.to_path_buf(),
        });
    }
    for base in bases {
        if !dump_segment(&disk, dir, base, from, each)? {
            break;
        }
    }
    Ok(())
}

fn dump_segment(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
    from: i64,
    each: &mut dyn FnMut(Dumped) -> bool,
) -> Result<bool, LogError> {
    let path = segment::path(dir, base);
    let file = disk.open(&path)?;
    segment::check_header(file.as_ref(), &path, base)?;
    let mut scan = Scan::new(file.clone(), DATA_FROM);
    let mut next_offset = base;
    loop {
        let position = scan.position();
        let Some((header, _marker)) = scan.next(next_offset)? else {
            break;
        };
        next_offset = header.next_offset();
        let batch = DumpedBatch {
            path: path.clone(),
            position,
            header,
            file: file.clone(),
        };
        if next_offset > from && !each(Dumped::Batch(batch)) {
            return Ok(false);
        }
    }
    let position = scan.position();
    let unsynced = UNSYNCED_BYTES_MAX as u64;
    let rest = scan::judge_rest(file.as_ref(), &path, position, next_offset, unsynced)?;
    let what = match rest {
        Rest::Zeros if position == file.len()? => "end of the file",
        Rest::Zeros => "reserved space",
        Rest::Torn => "not a sound batch: the torn tail of a crash, or damage",
        Rest::GoodBatchAt(_) => "damage: there is a sound batch further on",
    };
    Ok(each(Dumped::End(SegmentEnd {
        path,
        position,
        next_offset,
        what,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::BatchBuilder;

    #[test]
    fn batches_and_records_come_with_their_places_and_the_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let disk = logboom_disk::RealDisk;
        let (file, _) = segment::create(&disk, dir.path(), 7, 1 << 20, 0).unwrap();
        let mut position = DATA_FROM;
        for base in [7, 9] {
            let mut bytes = BatchBuilder::new(&["a", "b"])
                .timestamp(50)
                .step(1)
                .build()
                .to_vec();
            batch::place(&mut bytes, base, 0);
            file.write_at(position, &bytes).unwrap();
            position += bytes.len() as u64;
        }
        let walk = |path: &Path, from| {
            let (mut batches, mut ends) = (Vec::new(), Vec::new());
            dump(path, from, &mut |dumped| {
                match dumped {
                    Dumped::Batch(batch) => {
                        batches.push((batch.position, batch.records().unwrap().unwrap()))
                    }
                    Dumped::End(end) => ends.push((end.position, end.next_offset, end.what)),
                }
                true
            })
            .map(|()| (batches, ends))
        };
        let (batches, ends) = walk(dir.path(), 0).unwrap();
        assert_eq!(ends, [(position, 11, "reserved space")]);
        assert_eq!((batches.len(), batches[0].0), (2, DATA_FROM));
        let record = &batches[1].1[1];
        assert_eq!((record.offset, record.timestamp_ms), (10, 51));
        assert_eq!(
            (&record.key, record.value.as_deref()),
            (&None, Some(&b"b"[..]))
        );

        let path = segment::path(dir.path(), 7);
        assert_eq!(walk(&path, 9).unwrap().0.len(), 1);
        file.write_at(position, b"torn").unwrap();
        let (_, ends) = walk(&path, 0).unwrap();
        assert!(ends[0].2.contains("torn tail"), "{ends:?}");
        let error = walk(&dir.path().join("x.index"), 0).unwrap_err();
        assert!(matches!(error, LogError::NoSegment { .. }), "{error}");
    }
}
