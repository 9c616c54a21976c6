//! An append log of records for small states that change often: offsets, checkpoints.
//!
//! A directory holds one file `journal-<generation>`, which starts with a header (magic, generation, CRC) and then
//! has frames, each padded to 8 bytes:
//!
//! ```text
//! 0       4       8          16         24
//! crc32c  length  position   synced     payload …
//! ```
//!
//! All numbers are little endian; the CRC covers everything after itself, padding excluded. `position` is where
//! the frame itself starts, so neither zeros nor bytes from elsewhere can pass for one. `synced` is how much of
//! the file was durable when the frame was written. That decides what a bad frame means: if any later frame says
//! that the bad bytes had been synced, they are damage, an error; if none does, they are the torn tail of a
//! crash, cut off and the cut synced before anything else is written. (A bad last frame with nothing after it
//! can't be told from a torn one.)
//!
//! [`Journal::compact`] writes the next generation beside the old one and only then removes that: at every instant
//! one of the two is whole and durable, and the higher one counts.
//!
//! Not known here: what the records mean, and when compaction is worth it ([`Journal::bytes`] helps to decide).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::replace::{TEMP_SUFFIX, parent};
use crate::{Disk, DiskFile, Error, read_all};

const MAGIC: &[u8; 8] = b"LBJRNL01";
/// Magic, generation, CRC of both, padding.
const HEADER_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 24;
const ALIGNMENT: usize = 8;
const NAME_PREFIX: &str = "journal-";

/// Bounds of one journal.
#[derive(Debug, Clone, Copy)]
pub struct JournalLimits {
    /// A longer record is refused when written and taken for damage when read.
    pub record_bytes_max: usize,
    /// A larger file is refused at open, before memory is allocated for it, and not grown beyond.
    pub file_bytes_max: usize,
    /// Space is reserved in steps of this, which makes most syncs several times cheaper.
    pub allocate_bytes: u64,
}

impl Default for JournalLimits {
    /// Fits thousands of offsets or files: compaction at a few MiB keeps it far below the maximum.
    fn default() -> JournalLimits {
        JournalLimits {
            record_bytes_max: 1 << 20,
            file_bytes_max: 256 << 20,
            allocate_bytes: 1 << 20,
        }
    }
}

/// An open journal. Dropping it without [`Journal::sync`] is like a crash for the records since the last one.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: JournalLimits,
    generation: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Where the next frame goes; everything before is whole.
    end: u64,
    /// Durable up to here.
    synced: u64,
    allocated: u64,
    /// Set by the first failure after which the file's content is unknown.
    failed: bool,
}

impl Journal {
    /// Opens or creates the journal in `dir` (whose parent must exist) and returns all its records in order, all
    /// of them durable.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limits: JournalLimits,
    ) -> Result<(Journal, Vec<Vec<u8>>), Error> {
        disk.create_dir(dir)?;
        disk.sync_dir(parent(dir))?;
        let mut generations = Vec::new();
        for entry in disk.list(dir)? {
            if entry.name.starts_with(NAME_PREFIX) && entry.name.ends_with(TEMP_SUFFIX) {
                disk.remove(&dir.join(&entry.name))?;
            } else {
                generations.extend(generation_of(&entry.name));
            }
        }
        generations.sort_unstable();
        let Some(generation) = generations.pop() else {
            let journal = Journal::create(disk, dir, limits, 1, std::iter::empty::<&[u8]>())?;
            return Ok((journal, Vec::new()));
        };
        let opened = Journal::replay(disk.clone(), dir, limits, generation)?;
        // The name of the one that counts must be durable before the others go.
        disk.sync_dir(dir)?;
        for old in generations {
            disk.remove(&file_path(dir, old))?;
        }
        Ok(opened)
    }

    /// All records in the journal in `dir`, as [`Journal::open`] would give them, but nothing is changed; and whether there
    /// is a torn tail, which opening would cut off. A directory that is not there has none.
    pub fn examine(
        disk: &dyn Disk,
        dir: &Path,
        limits: JournalLimits,
    ) -> Result<(Vec<Vec<u8>>, bool), Error> {
        let entries = match disk.list(dir) {
            Err(error) if error.is_not_found() => return Ok((Vec::new(), false)),
            other => other?,
        };
        let newest = entries
            .iter()
            .filter_map(|entry| generation_of(&entry.name));
        let Some(newest) = newest.max() else {
            return Ok((Vec::new(), false));
        };
        let content = Content::read(disk, dir, limits, newest)?;
        Ok((content.records, content.is_torn))
    }

    /// Adds a record behind the others. Durable after the next [`Journal::sync`]. After [`Error::Full`] the
    /// journal is as before and the call can be repeated.
    pub fn append(&mut self, record: &[u8]) -> Result<(), Error> {
        self.check()?;
        check_record(&self.path, record, self.limits)?;
        let frame = frame(self.end, self.synced, record);
        let end = self.end + frame.len() as u64;
        if end > self.limits.file_bytes_max as u64 {
            return Err(Error::TooLarge {
                path: self.path.clone(),
                bytes: end as usize,
                bytes_max: self.limits.file_bytes_max,
            });
        }
        if end > self.allocated {
            let step = self.limits.allocate_bytes.max(frame.len() as u64);
            self.file.allocate(self.allocated, step)?;
            self.allocated += step;
        }
        if let Err(error) = self.file.write_at(self.end, &frame) {
            // Part of the frame may stand there. Cut it off, or never write here again.
            self.failed = self.file.set_len(self.end).is_err();
            self.allocated = self.end;
            return Err(error);
        }
        self.end = end;
        Ok(())
    }

    /// After it returns every record appended so far survives a crash. After an error the journal takes no more
    /// writes: what the kernel dropped can't be synced by trying again.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check()?;
        if self.synced == self.end {
            return Ok(());
        }
        self.file.sync_data().inspect_err(|_| self.failed = true)?;
        self.synced = self.end;
        Ok(())
    }

    /// Replaces all records by `snapshot`, durably. After an error before the switch, [`Error::Full`] above all,
    /// the old records are untouched and the journal goes on with them.
    pub fn compact<R: AsRef<[u8]>>(
        &mut self,
        snapshot: impl IntoIterator<Item = R>,
    ) -> Result<(), Error> {
        self.check()?;
        let old = self.path.clone();
        let next = match Journal::create(
            self.disk.clone(),
            &self.dir,
            self.limits,
            self.generation + 1,
            snapshot,
        ) {
            Ok(next) => next,
            Err(error) => {
                // Once the new name may be there, a crash decides which generation counts: writing to the old
                // one would put records where nobody looks for them.
                let next = file_path(&self.dir, self.generation + 1);
                self.failed = !matches!(self.disk.open(&next), Err(Error::NotFound { .. }));
                return Err(error);
            }
        };
        *self = next;
        // If this fails, the next open removes it: the higher generation counts anyway.
        let _open_removes_it = self.disk.remove(&old);
        Ok(())
    }

    /// Size of the records with their frames: compare with that of a snapshot to decide on compaction.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    fn check(&self) -> Result<(), Error> {
        if self.failed {
            Err(Error::Failed {
                path: self.path.clone(),
            })
        } else {
            Ok(())
        }
    }

    /// Writes a generation beside what is there and gives it its name once it is whole and durable.
    fn create<R: AsRef<[u8]>>(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limits: JournalLimits,
        generation: u64,
        records: impl IntoIterator<Item = R>,
    ) -> Result<Journal, Error> {
        let path = file_path(dir, generation);
        let mut bytes = header(generation);
        for record in records {
            check_record(&path, record.as_ref(), limits)?;
            // The file counts only once it has its name, and by then every byte is durable: a bad one is damage.
            let position = bytes.len() as u64;
            bytes.extend_from_slice(&frame(position, position, record.as_ref()));
        }
        if bytes.len() > limits.file_bytes_max {
            return Err(Error::TooLarge {
                path,
                bytes: bytes.len(),
                bytes_max: limits.file_bytes_max,
            });
        }
        let temp = dir.join(format!("{NAME_PREFIX}{generation:020}{TEMP_SUFFIX}"));
        match disk.remove(&temp) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let file = disk.create(&temp)?;
        let end = bytes.len() as u64;
        let allocated = end + limits.allocate_bytes;
        let written = file
            .allocate(0, allocated)
            .and_then(|()| file.write_at(0, &bytes))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            let _open_removes_it = disk.remove(&temp);
            return Err(error);
        }
        disk.rename(&temp, &path)?;
        disk.sync_dir(dir)?;
        Ok(Journal {
            disk,
            dir: dir.to_path_buf(),
            limits,
            generation,
            path,
            file,
            end,
            synced: end,
            allocated,
            failed: false,
        })
    }

    fn replay(
        disk: Arc<dyn Disk>,
        dir: &Path,
        limits: JournalLimits,
        generation: u64,
    ) -> Result<(Journal, Vec<Vec<u8>>), Error> {
        let Content {
            path,
            bytes,
            records,
            end,
            synced,
            is_torn,
        } = Content::read(disk.as_ref(), dir, limits, generation)?;
        let file = disk.open(&path)?;
        if is_torn {
            file.set_len(end as u64)?;
        }
        // What is read here may be in memory only, for instance when the last process died of a failed sync: the
        // kernel then shows bytes it will never write. Writing them again makes them dirty, the sync durable.
        file.write_at(synced as u64, &bytes[synced..end])?;
        file.sync_data()?;
        let allocated = file.len()?;
        let end = end as u64;
        let journal = Journal {
            disk,
            dir: dir.to_path_buf(),
            limits,
            generation,
            path,
            file,
            end,
            synced: end,
            allocated,
            failed: false,
        };
        Ok((journal, records))
    }
}

/// What stands in the file of one generation.
struct Content {
    path: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Vec<u8>>,
    /// Where the last whole frame ends.
    end: usize,
    /// How much the last frame says to be durable.
    synced: usize,
    /// Whether something else than zeros follows `end`, which a crash left.
    is_torn: bool,
}

impl Content {
    fn read(
        disk: &dyn Disk,
        dir: &Path,
        limits: JournalLimits,
        generation: u64,
    ) -> Result<Content, Error> {
        let path = file_path(dir, generation);
        let bytes = read_all(
            disk,
            &path,
            limits
                .file_bytes_max
                .saturating_add(limits.allocate_bytes as usize),
        )?;
        if bytes.get(..HEADER_BYTES) != Some(header(generation).as_slice()) {
            return Err(Error::Damaged {
                path,
                offset: 0,
                reason: "this is not a journal's header",
            });
        }
        let mut records = Vec::new();
        let mut end = HEADER_BYTES;
        let mut synced = HEADER_BYTES;
        while let Some(found) = read_frame(&bytes, end, limits) {
            records.push(found.payload.to_vec());
            synced = found.synced;
            end = found.end;
        }
        let is_torn = bytes[end..].iter().any(|byte| *byte != 0);
        if is_torn {
            let had_been_synced = (end..bytes.len()).step_by(ALIGNMENT).any(|position| {
                read_frame(&bytes, position, limits).is_some_and(|later| later.synced > end)
            });
            if had_been_synced {
                return Err(Error::Damaged {
                    path,
                    offset: end as u64,
                    reason: "a frame that had been synced is bad",
                });
            }
        }
        Ok(Content {
            path,
            bytes,
            records,
            end,
            synced,
            is_torn,
        })
    }
}

fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix(NAME_PREFIX)?.parse().ok()
}

fn file_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{NAME_PREFIX}{generation:020}"))
}

fn check_record(path: &Path, record: &[u8], limits: JournalLimits) -> Result<(), Error> {
    if record.len() > limits.record_bytes_max {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes: record.len(),
            bytes_max: limits.record_bytes_max,
        });
    }
    Ok(())
}

fn header(generation: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    bytes
}

fn frame(position: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("the limit of a record is far below 4 GiB");
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len() + ALIGNMENT);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.extend_from_slice(&synced.to_le_bytes());
    bytes.extend_from_slice(payload);
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

struct Frame<'a> {
    payload: &'a [u8],
    synced: usize,
    end: usize,
}

/// The frame at `position`, if everything about it holds.
fn read_frame(bytes: &[u8], position: usize, limits: JournalLimits) -> Option<Frame<'_>> {
    let header = bytes.get(position..position.checked_add(FRAME_HEADER_BYTES)?)?;
    let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let (crc, len, at, synced) = (half(0), half(4) as usize, word(8), word(16));
    if at != position as u64 || synced > at || len > limits.record_bytes_max {
        return None;
    }
    let payload_at = position + FRAME_HEADER_BYTES;
    let payload = bytes.get(payload_at..payload_at + len)?;
    if crc32c::crc32c(&bytes[position + 4..payload_at + len]) != crc {
        return None;
    }
    // The padding is not covered: a tear there does not matter.
    let end = (payload_at + len)
        .next_multiple_of(ALIGNMENT)
        .min(bytes.len());
    Some(Frame {
        payload,
        synced: synced as usize,
        end,
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
