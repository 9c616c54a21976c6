//! Where a source has been: a few places of what was shipped, by which an older copy is known again.
//!
//! A copy made before the last lines of a file were shipped is shorter than its source, so the guard
//! at the source's offset says nothing about it. The trail has guards further back:
//! - **marks**, at acked offsets, at most [`MARKS_MAX`], the denser the nearer to the end: from one to the
//!   next is about half of what is left to the end. A content that agrees at the last mark before its
//!   own end is most likely the beginning of what was shipped; its last bytes are not proven.
//! - **copies**, at the ends of files that were seen to be copies: one that ends there with the same
//!   bytes is that copy, moved or compressed.

use std::io;

use crate::content::Content;
use crate::identity::Guard;
use crate::limits::{COPIES_MAX, HEAD_BYTES, MARKS_MAX};

/// The guard of what was shipped at an offset.
pub(crate) type Mark = (u64, Guard);

/// What a content shorter than what was shipped is to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It ends where a copy ended, with the same bytes.
    Known,
    /// It is the same at the last mark before its end, and that is not far.
    Likely,
    No,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    /// By offset.
    marks: Vec<Mark>,
    /// Marks up to here are in the journal.
    noted: u64,
    /// The oldest first.
    copies: Vec<Mark>,
}

impl Trail {
    /// Adds a mark, and drops the one that is missed least.
    pub(crate) fn mark(&mut self, mark: Mark) {
        let Err(at) = self.marks.binary_search_by_key(&mark.0, |mark| mark.0) else {
            return;
        };
        if mark.0 < HEAD_BYTES as u64 {
            // There the head speaks.
            return;
        }
        self.marks.insert(at, mark);
        if self.marks.len() > MARKS_MAX {
            let end = self.marks[self.marks.len() - 1].0;
            let gap_without = |at: &usize| {
                let (before, after) = (self.marks[at - 1].0, self.marks[at + 1].0);
                (after - before) as f64 / (end - before) as f64
            };
            let least = (1..self.marks.len() - 1)
                .min_by(|one, other| gap_without(one).total_cmp(&gap_without(other)))
                .expect("there are more than two");
            self.marks.remove(least);
        }
    }

    /// Marks that the journal does not have; `acked` itself it has anyway.
    pub(crate) fn unnoted(&self, acked: u64) -> Vec<Mark> {
        let is_new = |mark: &&Mark| mark.0 > self.noted && mark.0 < acked;
        self.marks.iter().filter(is_new).copied().collect()
    }

    pub(crate) fn note(&mut self, acked: u64) {
        self.noted = acked;
    }

    /// All marks, for a journal that is written anew.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub(crate) fn copies(&self) -> &[Mark] {
        &self.copies
    }

    /// Notes a copy; `false` if it was known.
    pub(crate) fn copied(&mut self, copy: Mark) -> bool {
        if self.copies.contains(&copy) {
            return false;
        }
        if self.copies.len() == COPIES_MAX {
            self.copies.remove(0);
        }
        self.copies.push(copy);
        true
    }

    /// The source ended long ago: only copies that are known are recognised from now on.
    pub(crate) fn forget_marks(&mut self) {
        self.marks = Vec::new();
    }

    /// What a content of `length` bytes is whose full head was found to be that of the source.
    pub(crate) fn beginning(&self, content: &mut Content, length: u64) -> io::Result<Beginning> {
        let last = self.marks.iter().rfind(|mark| mark.0 <= length);
        let likely = match last {
            // Half of it must lie before the mark.
            Some((offset, guard)) if length - offset <= *offset => {
                Guard::read(content, *offset)? == Some(*guard)
            }
            Some(_) => false,
            // The head is one, too.
            None => length <= 2 * HEAD_BYTES as u64,
        };
        let end = Guard::read(content, length)?;
        let is_known = self
            .copies
            .iter()
            .any(|copy| copy.0 == length && Some(copy.1) == end);
        Ok(match (is_known, likely) {
            (true, _) => Beginning::Known,
            (false, true) => Beginning::Likely,
            (false, false) => Beginning::No,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(bytes: &[u8], offset: usize) -> Guard {
        Guard::of(&bytes[..offset], offset as u64)
    }

    #[test]
    fn marks_are_bounded_and_the_denser_the_nearer_to_the_end() {
        let mut trail = Trail::default();
        for end in (1..=100_000u64).map(|n| n * 300) {
            trail.mark((end, Guard::default()));
        }
        assert_eq!(trail.marks.len(), MARKS_MAX);
        let end = 30_000_000;
        for pair in trail.marks.windows(2) {
            let (gap, rest) = (pair[1].0 - pair[0].0, end - pair[0].0);
            assert!(gap <= 600 || gap * 10 <= rest * 8, "{:?}", trail.marks);
        }
        assert!(trail.marks[MARKS_MAX - 3].0 >= end - 1_200);
    }

    #[test]
    fn what_ends_like_a_copy_is_known_and_what_differs_at_a_mark_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        let bytes: Vec<u8> = (0u32..5_000).flat_map(u32::to_le_bytes).collect();
        let mut trail = Trail::default();
        for offset in [4_000, 8_000] {
            trail.mark((offset as u64, guard(&bytes, offset)));
        }
        trail.copied((7_000, guard(&bytes, 7_000)));
        let judge = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let mut open = Content::open(&path).unwrap().0;
            trail.beginning(&mut open, content.len() as u64).unwrap()
        };
        assert_eq!(judge(&bytes[..7_000]), Beginning::Known);
        assert_eq!(judge(&bytes[..7_001]), Beginning::Likely);
        assert_eq!(judge(&bytes[..8_000]), Beginning::Likely);
        assert_eq!(judge(&bytes[..3_999]), Beginning::No, "no mark before");
        assert_eq!(judge(&bytes[..2_048]), Beginning::Likely, "by its head");
        assert_eq!(judge(&bytes[..16_001]), Beginning::No, "too far from one");
        let mut other = bytes[..7_000].to_vec();
        other[3_500] ^= 1;
        assert_eq!(judge(&other[..6_999]), Beginning::No);
        other[6_500] ^= 1;
        assert_eq!(judge(&other), Beginning::No);
    }

    #[test]
    fn only_marks_between_what_was_noted_and_the_offset_are_news() {
        let mut trail = Trail::default();
        let mark = |offset| (offset, Guard::default());
        for offset in [2_000, 3_000, 4_000] {
            trail.mark(mark(offset));
        }
        assert_eq!(trail.unnoted(4_000), [mark(2_000), mark(3_000)]);
        trail.note(4_000);
        trail.mark(mark(5_000));
        trail.mark(mark(6_000));
        assert_eq!(trail.unnoted(6_000), [mark(5_000)]);
    }
}
