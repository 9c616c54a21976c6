//! Evidence: what tells one content from another (facts: no single sign is enough).
//!
//! A source keeps the first bytes of its content ([`Head`]) and a hash of the bytes before an offset
//! ([`Guard`]). A file at a source's place is that source's file iff both fit; another file is a
//! copy of it iff both fit **and** its name says so ([`names_are_related`]), because two files of
//! different writers may well begin alike.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::content::Content;
use crate::limits::{GUARD_BYTES, HEAD_BYTES};

/// The first bytes of a content, at most [`HEAD_BYTES`]. Kept as they are, not hashed: a file that is
/// shorter than the head of the source it came from can then still be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head(pub(crate) Vec<u8>);

impl Head {
    pub(crate) fn read(content: &mut Content) -> io::Result<Head> {
        let mut bytes = vec![0; HEAD_BYTES];
        let count = content.read_at(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(Head(bytes))
    }

    /// Whether both can be the start of one content: one begins with the other.
    pub(crate) fn agrees_with(&self, other: &Head) -> bool {
        let shared = self.0.len().min(other.0.len());
        self.0[..shared] == other.0[..shared]
    }
}

/// A hash of the at most [`GUARD_BYTES`] bytes before an offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guard(u64);

impl Guard {
    /// `before` must end at the offset and have at least [`Guard::span`] bytes.
    pub(crate) fn of(before: &[u8], offset: u64) -> Guard {
        let span = Guard::span(offset);
        Guard(if span == 0 {
            0
        } else {
            xxh3_64(&before[before.len() - span..])
        })
    }

    /// How many bytes a guard at `offset` looks at.
    pub(crate) fn span(offset: u64) -> usize {
        usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(GUARD_BYTES)
    }

    /// The guard of `content` at `offset`, or `None` when the content ends before.
    pub(crate) fn read(content: &mut Content, offset: u64) -> io::Result<Option<Guard>> {
        Ok(bytes_before(content, offset)?.map(|bytes| Guard::of(&bytes, offset)))
    }
}

/// The bytes that a guard at `offset` looks at, or `None` when the content ends before.
pub(crate) fn bytes_before(content: &mut Content, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let span = Guard::span(offset);
    let mut bytes = vec![0; span];
    let count = content.read_at(offset - span as u64, &mut bytes)?;
    Ok((count == span).then_some(bytes))
}

/// Whether a file called `name` may be a rotated or saved copy of one called `of`: the name of the
/// other, without what rotation puts behind names, stands in it as a whole (`app.log` in `app.log.1`,
/// `app.log-20260101.gz`, `old-app.log`), or its stem and extension do, with a number put between
/// (`app-20260101.log`, `app.1.log.gz`).
pub(crate) fn names_are_related(name: &Path, of: &Path) -> bool {
    let (Some(name), Some(of)) = (file_name(name), file_name(of)) else {
        return false;
    };
    let of = without_rotation(of);
    contains_as_word(name, of) || {
        let name = name.strip_suffix(b".gz").unwrap_or(name);
        match of.iter().rposition(|byte| *byte == b'.') {
            Some(dot) if dot > 0 => {
                let (stem, extension) = of.split_at(dot);
                name.strip_suffix(extension)
                    .and_then(|rest| rest.strip_prefix(stem))
                    .is_some_and(|between| {
                        between.iter().any(u8::is_ascii_digit)
                            && !between[0].is_ascii_alphanumeric()
                    })
            }
            _ => false,
        }
    }
}

/// What rotation and hand-made copies put behind a name, besides numbers.
const SUFFIXES: [&[u8]; 11] = [
    b"gz", b"bz2", b"xz", b"zst", b"copy", b"bak", b"backup", b"old", b"orig", b"save", b"tmp",
];

/// `app.log` for `app.log.1`, `app.log-20260101.gz` and `app.log.copy-3`.
fn without_rotation(mut name: &[u8]) -> &[u8] {
    while let Some(at) = name
        .iter()
        .rposition(|byte| matches!(byte, b'.' | b'-' | b'_'))
    {
        let suffix = &name[at + 1..];
        let is_number = !suffix.is_empty() && suffix.iter().all(u8::is_ascii_digit);
        if at == 0 || !(is_number || SUFFIXES.contains(&suffix)) {
            break;
        }
        name = &name[..at];
    }
    name
}

fn file_name(path: &Path) -> Option<&[u8]> {
    path.file_name().map(OsStr::as_bytes)
}

fn contains_as_word(name: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find_iter(name, word).any(|at| {
        let before = at.checked_sub(1).map(|index| name[index]);
        let after = name.get(at + word.len());
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric())
            && !after.is_some_and(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files_are_related_and_names_of_neighbours_are_not() {
        let related = |name: &str, of: &str| names_are_related(Path::new(name), Path::new(of));
        for name in [
            "a.log",
            "a.log.1",
            "a.log.copy-3",
            "a.log.2.gz",
            "/other/a.log",
            "old-a.log",
            "a-20260101.log",
            "a.1.log.gz",
        ] {
            assert!(related(name, "/var/log/a.log"), "{name}");
        }
        for name in [
            "b.log",
            "aa.log",
            "data.log",
            "a.logs",
            "a-worker.log",
            "a",
            "a.txt",
        ] {
            assert!(!related(name, "/var/log/a.log"), "{name}");
        }
        assert!(related("a.log.0.gz", "a.log.1") && related("a.log.2", "a.log.copy-1"));
        assert!(!related("b.log.0.gz", "a.log.1"));
        assert!(!related("f10.log", "f1.log"));
        assert!(!related("f1.log", "f10.log"));
    }

    #[test]
    fn heads_agree_when_one_begins_with_the_other() {
        let head = |text: &str| Head(text.as_bytes().to_vec());
        assert!(head("abc").agrees_with(&head("abcdef")));
        assert!(head("").agrees_with(&head("x")));
        assert!(!head("abc").agrees_with(&head("abX")));
    }

    #[test]
    fn a_guard_depends_on_the_last_kibibyte_alone() {
        let mut bytes = vec![7u8; 3000];
        let guard = Guard::of(&bytes, 3000);
        bytes[0] = 1;
        assert_eq!(guard, Guard::of(&bytes, 3000));
        bytes[2999] = 1;
        assert_ne!(guard, Guard::of(&bytes, 3000));
    }
}
