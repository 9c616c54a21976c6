//! What is known of a segment without reading it: where its batches end, how old they are, and, sparsely, where an
//! offset or a time stands. A cache: every part can be had again by walking the segment.
//!
//! The file `<base>.index` beside a segment holds it together with the producers as of the segment's end:
//!
//! ```text
//! 0      8     16          24            32             40                    48            56           64     68
//! magic  base  end offset  end position  max timestamp  max timestamp offset  first append  last append  count  producers
//! 72       76             84        88
//! aborted  first aborted  body crc  crc
//! entries: offset i64, max timestamp before i64, position u32   (× count)
//! producers: see `producers`, so many bytes
//! aborted transactions: producer id i64, first offset i64, offset of the marker i64   (× aborted)
//! ```
//!
//! Files of version 1, from before there were transactions, lack the two fields at 72, what they are about, and what
//! `producers` has of open transactions. They are read.
//!
//! Little endian. The file is synced, and for a closed segment says what the segment must be. Beside it the open
//! segment has `<base>.note` of the same format, written now and then *after* a sync of the data it describes and
//! itself not synced: if a crash tears it, its checksums fail, and the segment is walked from further back. It never
//! replaces the synced file, which may hold the only copy of what producers wrote to segments deleted since.

use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use logboom_disk::{Disk, Error as DiskError, TEMP_SUFFIX, atomic_replace, read_all};

use super::batch::Header;
use super::marker::{Aborted, Marker};
use super::partition::remove_if_there;
use super::producers::Producers;
use super::segment::DATA_FROM;

pub(super) const NOTE_EXTENSION: &str = ".note";
const EXTENSION: &str = ".index";
const MAGIC: &[u8; 8] = b"LBINDX02";
const HEADER_BYTES: usize = 92;
const MAGIC_1: &[u8; 8] = b"LBINDX01";
const HEADER_1_BYTES: usize = 80;
const ENTRY_BYTES: usize = 20;
const ABORTED_BYTES: usize = 24;
/// A 1 GiB segment with an entry every 4 KiB has 5 MiB of them, 10,000 producers take 2 MB, and aborted transactions as
/// much again.
const FILE_BYTES_MAX: usize = 16 << 20;

/// The part that is kept in memory for every segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) base: i64,
    /// Offset after the last record.
    pub(super) end_offset: i64,
    /// Position after the last batch.
    pub(super) end_position: u64,
    /// `i64::MIN` while there is no batch.
    pub(super) max_timestamp: i64,
    /// Last offset of the batch that has it.
    pub(super) max_timestamp_offset: i64,
    /// When the first batch arrived, by this machine's clock; 0 while there is none.
    pub(super) first_append_ms: i64,
    /// When the last batch arrived: retention counts from here, not from what producers claim.
    pub(super) last_append_ms: i64,
    /// The smallest first offset of the transactions whose abort is in this segment; [`NO_ABORTED`] if there is none.
    /// Tells whose list has to be looked at without opening it.
    pub(super) first_aborted: i64,
}

/// See [`Summary::first_aborted`].
pub(super) const NO_ABORTED: i64 = i64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Of the batch at `position`.
    base_offset: i64,
    /// The largest timestamp of all batches before `position`.
    max_timestamp_before: i64,
    position: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) summary: Summary,
    entries: Vec<Entry>,
    /// Transactions whose abort is in this segment, in the order of their markers.
    aborted: Vec<Aborted>,
}

impl Summary {
    pub(super) fn empty(base: i64) -> Summary {
        Summary {
            base,
            end_offset: base,
            end_position: DATA_FROM,
            max_timestamp: i64::MIN,
            max_timestamp_offset: base,
            first_append_ms: 0,
            last_append_ms: 0,
            first_aborted: NO_ABORTED,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end_offset == self.base
    }

    /// Of the batches alone.
    pub(super) fn data_bytes(&self) -> u64 {
        self.end_position - DATA_FROM
    }
}

impl Index {
    pub(super) fn empty(base: i64) -> Index {
        Index {
            summary: Summary::empty(base),
            entries: Vec::new(),
            aborted: Vec::new(),
        }
    }

    /// Takes in the next batch, which stands at the end so far and arrived at `now_ms`, with what it says if it is a
    /// marker.
    pub(super) fn note(
        &mut self,
        header: &Header,
        marker: Option<&Marker>,
        interval_bytes: u64,
        now_ms: i64,
    ) {
        let summary = &mut self.summary;
        assert_eq!(
            header.base_offset, summary.end_offset,
            "batches are noted in order"
        );
        let position = summary.end_position;
        let due = self
            .entries
            .last()
            .is_none_or(|last| position - u64::from(last.position) >= interval_bytes);
        if due {
            self.entries.push(Entry {
                base_offset: header.base_offset,
                max_timestamp_before: summary.max_timestamp,
                position: u32::try_from(position)
                    .expect("segments are closed long before positions need more"),
            });
        }
        if summary.is_empty() {
            summary.first_append_ms = now_ms;
        }
        summary.last_append_ms = now_ms;
        if header.max_timestamp > summary.max_timestamp {
            summary.max_timestamp = header.max_timestamp;
            summary.max_timestamp_offset = header.last_offset();
        }
        summary.end_offset = header.next_offset();
        summary.end_position += header.total_bytes as u64;
        if let Some(aborted) = marker.and_then(|marker| marker.aborted(header)) {
            summary.first_aborted = summary.first_aborted.min(aborted.first_offset);
            self.aborted.push(aborted);
        }
    }

    pub(super) fn aborted_count(&self) -> usize {
        self.aborted.len()
    }

    /// Aborted transactions that may have records in `[from, to)`, those whose marker is in another segment excepted.
    pub(super) fn aborted_within(&self, from: i64, to: i64) -> impl Iterator<Item = Aborted> {
        let ended_before = self
            .aborted
            .partition_point(|aborted| aborted.last_offset < from);
        self.aborted[ended_before..]
            .iter()
            .filter(move |aborted| aborted.first_offset < to)
            .copied()
    }

    /// Where a batch starts at or before the one that holds `offset`, as near as is known.
    pub(super) fn position_before(&self, offset: i64) -> u64 {
        let after = self
            .entries
            .partition_point(|entry| entry.base_offset <= offset);
        after
            .checked_sub(1)
            .map_or(DATA_FROM, |at| u64::from(self.entries[at].position))
    }

    /// Where a batch starts (and its offset) before which no timestamp is as large as `timestamp`.
    pub(super) fn before_time(&self, timestamp: i64) -> (u64, i64) {
        let after = self
            .entries
            .partition_point(|entry| entry.max_timestamp_before < timestamp);
        match after.checked_sub(1) {
            Some(at) => (
                u64::from(self.entries[at].position),
                self.entries[at].base_offset,
            ),
            None => (DATA_FROM, self.summary.base),
        }
    }
}

/// Holds an index against the batches of its segment, one after the other.
pub(super) struct Agreement<'a> {
    index: &'a Index,
    /// How many entries were met.
    met: usize,
    /// Where the first entry stands that no batch is at.
    wrong: Option<u32>,
    /// What the batches amount to where the index ends.
    at_end: Option<Summary>,
}

impl<'a> Agreement<'a> {
    pub(super) fn new(index: &'a Index) -> Agreement<'a> {
        Agreement {
            index,
            met: 0,
            wrong: None,
            at_end: None,
        }
    }

    /// The next batch; `before` is the summary of those before it.
    pub(super) fn batch(&mut self, header: &Header, before: &Summary) {
        self.look_at_end(before);
        let Some(entry) = self.index.entries.get(self.met) else {
            return;
        };
        let position = u64::from(entry.position);
        if position > before.end_position || self.wrong.is_some() {
            return;
        }
        let expected = (
            before.end_position,
            header.base_offset,
            before.max_timestamp,
        );
        if (position, entry.base_offset, entry.max_timestamp_before) == expected {
            self.met += 1;
        } else {
            self.wrong = Some(entry.position);
        }
    }

    /// All batches, which amount to `walked`, were seen. The index of an open segment may end before them.
    pub(super) fn end(mut self, walked: &Summary, is_open: bool) -> Result<(), String> {
        self.look_at_end(walked);
        let summary = &self.index.summary;
        let differs = |at_end: &Summary| {
            (
                at_end.end_offset,
                at_end.max_timestamp,
                at_end.max_timestamp_offset,
            ) != (
                summary.end_offset,
                summary.max_timestamp,
                summary.max_timestamp_offset,
            )
        };
        if self.at_end.as_ref().is_none_or(differs)
            || (!is_open && summary.end_position != walked.end_position)
        {
            return Err(format!(
                "it ends at offset {} and byte {}, the batches of its segment at offset {} and byte {}, or their times differ",
                summary.end_offset, summary.end_position, walked.end_offset, walked.end_position
            ));
        }
        match self.wrong {
            Some(position) => Err(format!("it says of byte {position} what is not there")),
            None if self.met < self.index.entries.len() => {
                Err("it has entries behind its end".to_owned())
            }
            None => Ok(()),
        }
    }

    fn look_at_end(&mut self, so_far: &Summary) {
        if so_far.end_position == self.index.summary.end_position {
            self.at_end = Some(*so_far);
        }
    }
}

pub(super) fn path(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{EXTENSION}"))
}

/// Writes and syncs the file of a segment that is being closed.
pub(super) fn store_durably(
    disk: &dyn Disk,
    dir: &Path,
    index: &Index,
    producers: &Producers,
) -> Result<(), DiskError> {
    atomic_replace(
        disk,
        &path(dir, index.summary.base),
        &encode(index, producers),
    )
}

/// Whether a name is of an index or a note, which tell of records.
pub(super) fn is_name(name: &str) -> bool {
    name.ends_with(EXTENSION) || name.ends_with(NOTE_EXTENSION)
}

pub(super) fn note_path(dir: &Path, base: i64) -> PathBuf {
    dir.join(format!("{base:020}{NOTE_EXTENSION}"))
}

/// Writes the note of the open segment without waiting for the disk. What it describes must have been synced.
pub(super) fn store_note(
    disk: &dyn Disk,
    dir: &Path,
    index: &Index,
    producers: &Producers,
) -> Result<(), DiskError> {
    let path = note_path(dir, index.summary.base);
    let temp = path.with_extension(format!("note{TEMP_SUFFIX}"));
    remove_if_there(disk, &temp)?;
    disk.create(&temp)?.write_at(0, &encode(index, producers))?;
    disk.rename(&temp, &path)
}

/// Index and producers of the open segment, from the file or the note, whichever is further.
pub(super) fn load_open(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
) -> Result<Option<(Index, Producers)>, DiskError> {
    let stored = load(disk, dir, base)?;
    let noted = load_from(disk, &note_path(dir, base), base)?;
    Ok(match (stored, noted) {
        (Some(stored), Some(noted))
            if stored.0.summary.end_position >= noted.0.summary.end_position =>
        {
            Some(stored)
        }
        (stored, noted) => noted.or(stored),
    })
}

/// Index and producers, if the file is there and whole.
pub(super) fn load(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
) -> Result<Option<(Index, Producers)>, DiskError> {
    load_from(disk, &path(dir, base), base)
}

fn load_from(
    disk: &dyn Disk,
    path: &Path,
    base: i64,
) -> Result<Option<(Index, Producers)>, DiskError> {
    match read_all(disk, path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(decode(&bytes, base)),
        Err(DiskError::NotFound { .. } | DiskError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The summary alone, if the file is there and its header whole.
pub(super) fn load_summary(
    disk: &dyn Disk,
    dir: &Path,
    base: i64,
) -> Result<Option<Summary>, DiskError> {
    let file = match disk.open(&path(dir, base)) {
        Ok(file) => file,
        Err(DiskError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    Ok(decode_header(&header[..read], base).map(|found| found.summary))
}

fn encode(index: &Index, producers: &Producers) -> Vec<u8> {
    let mut body = Vec::with_capacity(index.entries.len() * ENTRY_BYTES);
    for entry in &index.entries {
        body.put_i64_le(entry.base_offset);
        body.put_i64_le(entry.max_timestamp_before);
        body.put_u32_le(entry.position);
    }
    let entries_bytes = body.len();
    producers.encode(&mut body);
    let producers_bytes = body.len() - entries_bytes;
    for aborted in &index.aborted {
        body.put_i64_le(aborted.producer_id);
        body.put_i64_le(aborted.first_offset);
        body.put_i64_le(aborted.last_offset);
    }
    let summary = &index.summary;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.put_slice(MAGIC);
    bytes.put_i64_le(summary.base);
    bytes.put_i64_le(summary.end_offset);
    bytes.put_u64_le(summary.end_position);
    bytes.put_i64_le(summary.max_timestamp);
    bytes.put_i64_le(summary.max_timestamp_offset);
    bytes.put_i64_le(summary.first_append_ms);
    bytes.put_i64_le(summary.last_append_ms);
    bytes.put_u32_le(index.entries.len() as u32);
    bytes.put_u32_le(producers_bytes as u32);
    bytes.put_u32_le(index.aborted.len() as u32);
    bytes.put_i64_le(summary.first_aborted);
    bytes.put_u32_le(crc32c::crc32c(&body));
    bytes.put_u32_le(crc32c::crc32c(&bytes));
    debug_assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.extend_from_slice(&body);
    bytes
}

struct FileHeader {
    summary: Summary,
    entries: usize,
    producers_bytes: usize,
    aborted: usize,
    body_crc: u32,
    /// Of the header itself.
    bytes: usize,
    with_transactions: bool,
}

fn decode_header(bytes: &[u8], base: i64) -> Option<FileHeader> {
    let with_transactions = match bytes.first_chunk()? {
        MAGIC => true,
        MAGIC_1 => false,
        _ => return None,
    };
    let header_bytes = if with_transactions {
        HEADER_BYTES
    } else {
        HEADER_1_BYTES
    };
    let (checked, mut crc) = bytes.get(..header_bytes)?.split_at(header_bytes - 4);
    if crc32c::crc32c(checked) != crc.get_u32_le() {
        return None;
    }
    let mut fields = &checked[MAGIC.len()..];
    let mut summary = Summary {
        base: fields.get_i64_le(),
        end_offset: fields.get_i64_le(),
        end_position: fields.get_u64_le(),
        max_timestamp: fields.get_i64_le(),
        max_timestamp_offset: fields.get_i64_le(),
        first_append_ms: fields.get_i64_le(),
        last_append_ms: fields.get_i64_le(),
        first_aborted: NO_ABORTED,
    };
    let entries = fields.get_u32_le() as usize;
    let producers_bytes = fields.get_u32_le() as usize;
    let mut aborted = 0;
    if with_transactions {
        aborted = fields.get_u32_le() as usize;
        summary.first_aborted = fields.get_i64_le();
    }
    let body_crc = fields.get_u32_le();
    (summary.base == base && summary.end_offset >= base && summary.end_position >= DATA_FROM)
        .then_some(FileHeader {
            summary,
            entries,
            producers_bytes,
            aborted,
            body_crc,
            bytes: header_bytes,
            with_transactions,
        })
}

fn decode(bytes: &[u8], base: i64) -> Option<(Index, Producers)> {
    let header = decode_header(bytes, base)?;
    let body = &bytes[header.bytes..];
    let (entries_bytes, aborted_bytes) =
        (header.entries * ENTRY_BYTES, header.aborted * ABORTED_BYTES);
    if crc32c::crc32c(body) != header.body_crc
        || body.len() != entries_bytes + header.producers_bytes + aborted_bytes
    {
        return None;
    }
    let (mut entries, rest) = body.split_at(entries_bytes);
    let (producers, mut aborted) = rest.split_at(header.producers_bytes);
    let index = Index {
        summary: header.summary,
        entries: (0..header.entries)
            .map(|_| Entry {
                base_offset: entries.get_i64_le(),
                max_timestamp_before: entries.get_i64_le(),
                position: entries.get_u32_le(),
            })
            .collect(),
        aborted: (0..header.aborted)
            .map(|_| Aborted {
                producer_id: aborted.get_i64_le(),
                first_offset: aborted.get_i64_le(),
                last_offset: aborted.get_i64_le(),
            })
            .collect(),
    };
    let producers = Producers::decode(producers, header.with_transactions)?;
    Some((index, producers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::marker::{self, Outcome};
    use crate::log::testing::BatchBuilder;
    use logboom_disk::SimDisk;

    fn filled() -> Index {
        let mut index = Index::empty(100);
        for (batch, timestamp) in [50, 10, 70, 20].into_iter().enumerate() {
            let bytes = BatchBuilder::new(&[b"a", b"b"])
                .timestamp(timestamp)
                .build();
            let mut header = Header::parse(&bytes).unwrap();
            header.base_offset = 100 + 2 * batch as i64;
            index.note(&header, None, 1, 1_000 + batch as i64);
        }
        index
    }

    /// Two aborted transactions, `[90, 108]` and `[104, 109]`, and a committed one.
    fn with_markers() -> Index {
        let mut index = filled();
        for (offset, outcome, first_offset) in [
            (108, Outcome::Abort, 90),
            (109, Outcome::Abort, 104),
            (110, Outcome::Commit, 106),
        ] {
            let mut header = Header::parse(&marker::build(offset, 0, outcome, 5)).unwrap();
            header.base_offset = offset;
            let marker = Marker {
                outcome,
                first_offset,
            };
            index.note(&header, Some(&marker), 1, 2_000);
        }
        index
    }

    #[test]
    fn an_offset_is_found_at_or_before_its_batch() {
        let index = filled();
        let batch_bytes = (index.summary.end_position - DATA_FROM) / 4;
        for (offset, batch) in [(100, 0), (101, 0), (102, 1), (107, 3)] {
            assert_eq!(
                index.position_before(offset),
                DATA_FROM + batch * batch_bytes,
                "offset {offset}"
            );
        }
    }

    #[test]
    fn a_time_is_found_although_timestamps_step_back() {
        let index = filled();
        for (timestamp, offset) in [(0, 100), (50, 100), (51, 104), (70, 104), (71, 106)] {
            assert_eq!(
                index.before_time(timestamp).1,
                offset,
                "timestamp {timestamp}"
            );
        }
        assert_eq!(
            (
                index.summary.max_timestamp,
                index.summary.max_timestamp_offset
            ),
            (70, 105)
        );
    }

    #[test]
    fn a_file_with_any_bit_flipped_or_byte_missing_is_not_believed() {
        let disk = SimDisk::new(0);
        let (dir, index) = (Path::new("/"), with_markers());
        store_durably(&disk, dir, &index, &Producers::default()).unwrap();
        let (found, _) = load(&disk, dir, 100).unwrap().unwrap();
        assert_eq!(found, index);
        assert_eq!(load_summary(&disk, dir, 100).unwrap(), Some(index.summary));
        let bytes = read_all(&disk, &path(dir, 100), FILE_BYTES_MAX).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode(&flipped, 100).is_none(), "byte {at}");
            assert!(decode(&bytes[..at], 100).is_none(), "{at} bytes");
        }
        assert!(decode(&bytes, 101).is_none());
    }

    #[test]
    fn aborted_transactions_are_found_by_where_their_records_may_be() {
        let index = with_markers();
        assert_eq!(index.summary.first_aborted, 90);
        let firsts = |from, to| -> Vec<i64> {
            let within = index.aborted_within(from, to);
            within.map(|aborted| aborted.first_offset).collect()
        };
        assert_eq!(firsts(0, 90), [0; 0]);
        assert_eq!(firsts(0, 91), [90]);
        assert_eq!(firsts(100, 105), [90, 104]);
        assert_eq!(firsts(109, 200), [104]);
        assert_eq!(firsts(110, 200), [0; 0], "committed");
    }

    #[test]
    fn a_file_of_version_1_is_read() {
        let index = filled();
        let mut bytes = encode(&index, &Producers::default());
        bytes[..8].copy_from_slice(MAGIC_1);
        bytes.drain(72..84);
        let crc = crc32c::crc32c(&bytes[..HEADER_1_BYTES - 4]);
        bytes[HEADER_1_BYTES - 4..HEADER_1_BYTES].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode(&bytes, 100), Some((index, Producers::default())));
    }
}
