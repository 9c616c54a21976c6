//! Evidence: what tells one content from another (facts: no single sign is enough).
//!
//! A source keeps the first bytes of its content ([`Head`]) and a hash of the bytes before an offset
//! ([`Guard`]). A file at a source's place is that source's file iff both fit; another file is a
//! copy of it iff both fit **and** its name says so ([`crate::family`]), because two files of
//! different writers may well begin alike.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

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
