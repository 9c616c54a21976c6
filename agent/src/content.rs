//! Bytes of a file by logical offset, whether it is plain or compressed, and what `stat` says of it.
//!
//! A gzip file is read as what it decompresses to: its logical offsets are those of the file it was
//! made from, which is what lets it continue that file's source. Only a window of the decompressed
//! bytes is held; a step back behind the window decompresses again from the start, and so does a file
//! that has changed since its end was met: a member may have been appended, or all of it written anew.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// Where a file lives on the disk. `born_ns` (0 where the file system does not say) tells a reused
/// inode number from the file that had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) born_ns: i64,
}

/// What `stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) place: Place,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) is_file: bool,
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Stat {
        let born = metadata
            .created()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stat {
            place: Place {
                dev: metadata.dev(),
                ino: metadata.ino(),
                born_ns: born.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(0)),
            },
            size: metadata.size(),
            mtime_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            is_file: metadata.is_file(),
        }
    }
}

/// Follows symbolic links.
pub(crate) fn stat(path: &Path) -> io::Result<Stat> {
    Ok(Stat::from(&std::fs::metadata(path)?))
}

/// An open file.
pub(crate) enum Content {
    Plain(File),
    Gzip(Box<Gzip>),
}

impl Content {
    /// Opens without waiting (a FIFO would), and looks whether it is compressed.
    pub(crate) fn open(path: &Path) -> io::Result<(Content, Stat)> {
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open(path)?;
        let stat = Stat::from(&file.metadata()?);
        if !stat.is_file {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let mut magic = [0u8; 3];
        let gzip = file.read_at(&mut magic, 0)? == 3 && magic == GZIP_MAGIC;
        let content = if gzip {
            Content::Gzip(Box::new(Gzip::new(file)?))
        } else {
            Content::Plain(file)
        };
        Ok((content, stat))
    }

    pub(crate) fn is_gzip(&self) -> bool {
        matches!(self, Content::Gzip(_))
    }

    pub(crate) fn stat(&self) -> io::Result<Stat> {
        match self {
            Content::Plain(file) => Ok(Stat::from(&file.metadata()?)),
            Content::Gzip(gzip) => Ok(Stat::from(&gzip.file.metadata()?)),
        }
    }

    /// Fills `buffer` from `offset`; fewer bytes mean the end, for now.
    pub(crate) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(file) => {
                let mut filled = 0;
                while filled < buffer.len() {
                    match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                        Ok(0) => break,
                        Ok(count) => filled += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(filled)
            }
            Content::Gzip(gzip) => gzip.read_at(offset, buffer),
        }
    }

    /// Logical length, and whether that is final. Decompresses a gzip file to its end.
    pub(crate) fn len(&mut self) -> io::Result<Length> {
        match self {
            Content::Plain(file) => Ok(Length {
                bytes: file.metadata()?.size(),
                whole: true,
            }),
            Content::Gzip(gzip) => gzip.decoded_len(),
        }
    }
}

/// Logical length of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    pub(crate) bytes: u64,
    /// A gzip file that ends in the middle is still being written, or broken.
    pub(crate) whole: bool,
}

/// Magic and the only compression method there is.
pub(crate) const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// The longest line (1 MiB by default, and as much for its neighbours) can be read again.
const WINDOW_BYTES: usize = 4 << 20;
const STEP_BYTES: usize = 64 << 10;

pub(crate) struct Gzip {
    file: Arc<File>,
    decoder: MultiGzDecoder<BufReader<FromStart>>,
    /// Decompressed bytes `[from, from + window.len())`.
    window: Vec<u8>,
    from: u64,
    /// Where it ends, once that was met.
    end: Option<Length>,
    /// Of the file before the decoder began: what is written while it runs is seen as a change later.
    began: Stamp,
}

/// Size and time of the last change.
type Stamp = (u64, i64);

fn stamp(file: &File) -> io::Result<Stamp> {
    let stat = Stat::from(&file.metadata()?);
    Ok((stat.size, stat.mtime_ns))
}

/// Reads a shared file by position, so that its other users keep theirs.
struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

fn decoder(file: &Arc<File>) -> MultiGzDecoder<BufReader<FromStart>> {
    MultiGzDecoder::new(BufReader::with_capacity(
        STEP_BYTES,
        FromStart {
            file: Arc::clone(file),
            position: 0,
        },
    ))
}

impl Gzip {
    fn new(file: File) -> io::Result<Gzip> {
        let file = Arc::new(file);
        Ok(Gzip {
            began: stamp(&file)?,
            decoder: decoder(&file),
            file,
            window: Vec::new(),
            from: 0,
            end: None,
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        self.began = stamp(&self.file)?;
        self.decoder = decoder(&self.file);
        self.window.clear();
        (self.from, self.end) = (0, None);
        Ok(())
    }

    /// Forgets what was decompressed from a file that is not the same any more. One that only grows
    /// while it is read is read on.
    fn notice_change(&mut self) -> io::Result<()> {
        let now = stamp(&self.file)?;
        if now.0 < self.began.0 || (self.end.is_some() && now != self.began) {
            self.restart()?;
        }
        Ok(())
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(
            buffer.len() <= WINDOW_BYTES,
            "a read is smaller than the window"
        );
        self.notice_change()?;
        if offset < self.from {
            self.restart()?;
        }
        while self.end.is_none()
            && self.from + (self.window.len() as u64) < offset + buffer.len() as u64
        {
            self.step()?;
        }
        let start = usize::try_from(offset - self.from)
            .unwrap_or(usize::MAX)
            .min(self.window.len());
        let count = buffer.len().min(self.window.len() - start);
        buffer[..count].copy_from_slice(&self.window[start..start + count]);
        Ok(count)
    }

    fn decoded_len(&mut self) -> io::Result<Length> {
        self.notice_change()?;
        loop {
            if let Some(end) = self.end {
                return Ok(end);
            }
            self.step()?;
        }
    }

    /// Decompresses a little more, or notes the end.
    fn step(&mut self) -> io::Result<()> {
        if self.window.len() >= 2 * WINDOW_BYTES {
            let drop = self.window.len() - WINDOW_BYTES;
            self.window.drain(..drop);
            self.from += drop as u64;
        }
        let filled = self.window.len();
        self.window.resize(filled + STEP_BYTES, 0);
        let read = self.decoder.read(&mut self.window[filled..]);
        let count = *read.as_ref().unwrap_or(&0);
        self.window.truncate(filled + count);
        let bytes = self.from + self.window.len() as u64;
        match read {
            Ok(0) => self.end = Some(Length { bytes, whole: true }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.end = Some(Length {
                    bytes,
                    whole: false,
                });
            }
            // Garbage behind a whole member (tar padding, a bad block): what came before counts.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                ) =>
            {
                self.end = Some(Length { bytes, whole: true });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: usize) -> Vec<u8> {
        (0u64..)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .take(bytes)
            .collect()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_file_reads_like_the_file_it_was_made_from_also_backwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let plain = lines(20 << 20);
        std::fs::write(&path, gzipped(&plain)).unwrap();
        let (mut content, _) = Content::open(&path).unwrap();
        assert!(content.is_gzip());
        for offset in [0usize, 19 << 20, 5 << 20, (20 << 20) - 10, 1] {
            let mut buffer = vec![0; 1 << 16];
            let count = content.read_at(offset as u64, &mut buffer).unwrap();
            assert_eq!(
                buffer[..count],
                plain[offset..(offset + (1 << 16)).min(plain.len())]
            );
        }
        let length = content.len().unwrap();
        assert_eq!((length.bytes, length.whole), (plain.len() as u64, true));
    }

    #[test]
    fn a_gzip_file_still_being_written_is_read_as_far_as_it_goes_and_later_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let plain = lines(1 << 20);
        let packed = gzipped(&plain);
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let (mut content, _) = Content::open(&path).unwrap();
        let half = content.len().unwrap();
        assert!(!half.whole && half.bytes > 0 && half.bytes < plain.len() as u64);
        std::fs::write(&path, &packed).unwrap();
        let mut buffer = vec![0; 100];
        assert_eq!(
            content
                .read_at(plain.len() as u64 - 100, &mut buffer)
                .unwrap(),
            100
        );
        assert_eq!(buffer, plain[plain.len() - 100..]);
    }

    #[test]
    fn a_gzip_file_that_changed_after_its_end_was_met_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let (first, second) = (lines(9 << 20), b"another member\n".to_vec());
        std::fs::write(&path, gzipped(&first)).unwrap();
        let (mut content, _) = Content::open(&path).unwrap();
        let mut buffer = vec![0; 100];
        let end = first.len() as u64;
        assert_eq!(content.read_at(end, &mut buffer).unwrap(), 0);
        std::fs::write(&path, [gzipped(&first), gzipped(&second)].concat()).unwrap();
        assert_eq!(content.read_at(end, &mut buffer).unwrap(), second.len());
        assert_eq!(buffer[..second.len()], second);
        // Written over by something else.
        std::fs::write(&path, gzipped(&second)).unwrap();
        assert_eq!(content.len().unwrap().bytes, second.len() as u64);
        assert_eq!(content.read_at(0, &mut buffer).unwrap(), second.len());
        assert_eq!(buffer[..second.len()], second);
    }
}
