//! Small files of state, written whole: topics, cluster identity, producer ids.
//!
//! ```text
//! logboom <kind> <version> <CRC32C of the rest, 8 hex digits>\n
//! <JSON>
//! ```
//! Text, so that an operator can read it; the checksum, so that nothing half-right is taken for the truth. A reader
//! takes its own version of a kind and the older ones, and refuses newer ones. Written by atomic replacement: a crash leaves the old content or the new.

use std::path::Path;

use logboom_disk::{Disk, atomic_replace, read_all};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// Of every kind that is not named by [`version`].
const VERSION: u32 = 1;

/// What is written; all from 1 up to it are read.
fn version(kind: &str) -> u32 {
    match kind {
        // 2: topics have settings of their own.
        "topics" => 2,
        _ => VERSION,
    }
}

/// 8,192 topics of 249-byte names are 3 MiB, with all settings that there are 6 MiB.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Replaces the file; durable when it returns.
pub(crate) fn write<T: Serialize>(
    disk: &dyn Disk,
    path: &Path,
    kind: &str,
    value: &T,
) -> Result<(), logboom_disk::Error> {
    let body = serde_json::to_string_pretty(value)
        .expect("plain structures of text and numbers become JSON");
    let content = format!(
        "logboom {kind} {} {:08x}\n{body}\n",
        version(kind),
        crc32c::crc32c(format!("{body}\n").as_bytes())
    );
    atomic_replace(disk, path, content.as_bytes())
}

/// Reads the file; `None` when there is none.
pub(crate) fn read<T: DeserializeOwned>(
    disk: &dyn Disk,
    path: &Path,
    kind: &str,
) -> Result<Option<T>, Error> {
    let bytes = match read_all(disk, path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => {
            return Err(Error::DataDir {
                path: path.to_owned(),
                source: Box::new(error),
            });
        }
    };
    parse(&bytes, kind)
        .map(Some)
        .map_err(|problem| Error::Damaged {
            path: path.to_owned(),
            problem,
        })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], kind: &str) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let (head, body) = text.split_once('\n').ok_or("it has no first line")?;
    let words: Vec<&str> = head.split(' ').collect();
    let [magic, found_kind, version, checksum] = words[..] else {
        return Err(format!("its first line is `{head}`"));
    };
    if magic != "logboom" || found_kind != kind {
        return Err(format!(
            "it holds `{magic} {found_kind}` where `logboom {kind}` is expected"
        ));
    }
    let newest = self::version(kind);
    if !(1..=newest).any(|known| version == known.to_string()) {
        return Err(format!(
            "it is of version `{version}`, this program reads up to `{newest}`"
        ));
    }
    if checksum != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
        return Err("its checksum does not match its content".to_owned());
    }
    serde_json::from_str(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_disk::SimDisk;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_damage() {
        let disk = SimDisk::new(1);
        let path = Path::new("/topics");
        assert_eq!(read::<Vec<u32>>(&disk, path, "topics").unwrap(), None);
        write(&disk, path, "topics", &vec![1u32, 2]).unwrap();
        assert_eq!(
            read::<Vec<u32>>(&disk, path, "topics").unwrap(),
            Some(vec![1, 2])
        );
        assert!(matches!(
            read::<Vec<u32>>(&disk, path, "cluster"),
            Err(Error::Damaged { .. })
        ));

        let good = read_all(&disk, path, 1000).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            // Not the lowest bit, which makes another version of a version.
            bad[at] ^= 4;
            assert!(
                parse::<Vec<u32>>(&bad, "topics").is_err(),
                "flipped a bit of byte {at}"
            );
        }
    }

    #[test]
    fn older_versions_are_read_and_newer_ones_refused() {
        let file = |version: &str| {
            let body = "[1]\n";
            let checksum = crc32c::crc32c(body.as_bytes());
            format!("logboom topics {version} {checksum:08x}\n{body}")
        };
        for version in ["1", "2"] {
            assert_eq!(parse(file(version).as_bytes(), "topics"), Ok(vec![1u32]));
        }
        for version in ["0", "3", "", "02", "x"] {
            let error = parse::<Vec<u32>>(file(version).as_bytes(), "topics").unwrap_err();
            assert!(error.contains("reads up to `2`"), "{version}: {error}");
        }
    }
}
