//! Sources by name, so that a file is compared with those alone whose copy it may be.
//!
//! A file may be a rotated or saved copy of another if that one's name, without what rotation puts
//! behind names, stands in its own as a whole (`app.log` in `app.log.1`, `app.log-20260101.gz`,
//! `old-app.log`), or that one's stem and extension do, with a number put between
//! (`app-20260101.log`, `app.1.log.gz`). The names for which this holds are few and can be listed:
//! they are looked up in a map, since asking every source makes a walk that meets ten thousand new
//! files quadratic.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use logboom_client::SourceId;

use crate::checkpoint::Saved;
use crate::identity::Head;

#[derive(Debug, Default)]
pub(crate) struct Families {
    members: HashMap<Vec<u8>, BTreeMap<SourceId, Start>>,
}

/// The first bytes of a head, which tell most rotated files of one name apart; none of one that was
/// shorter when it was noted.
type Start = Option<[u8; 32]>;

fn start(head: &Head) -> Start {
    head.0.first_chunk().copied()
}

impl Families {
    /// Notes a name of a source: it has up to two, the first and the latest.
    pub(crate) fn add(&mut self, path: &Path, id: SourceId, head: &Head) {
        let Some(name) = original_name(path) else {
            return;
        };
        match self.members.get_mut(name) {
            Some(members) => {
                members.insert(id, start(head));
            }
            None => {
                let members = BTreeMap::from([(id, start(head))]);
                self.members.insert(name.to_vec(), members);
            }
        }
    }

    /// A source is at another path now.
    pub(crate) fn rename(&mut self, source: &Saved, to: &Path) {
        self.remove(&source.path, source.id);
        self.add(&source.first_path, source.id, &source.head);
        self.add(to, source.id, &source.head);
    }

    pub(crate) fn remove(&mut self, path: &Path, id: SourceId) {
        let Some(name) = original_name(path) else {
            return;
        };
        if let Some(members) = self.members.get_mut(name) {
            members.remove(&id);
            if members.is_empty() {
                self.members.remove(name);
            }
        }
    }

    /// The sources that a file of this name, and perhaps this head, may be a copy of.
    pub(crate) fn related(&self, path: &Path, head: Option<&Head>) -> Vec<SourceId> {
        let ours = head.and_then(start);
        let mut related = Vec::new();
        for members in original_names(path).filter_map(|name| self.members.get(name.as_ref())) {
            let alike = members
                .iter()
                .filter(|(_, theirs)| ours.is_none() || theirs.is_none() || **theirs == ours);
            related.extend(alike.map(|(id, _)| *id));
        }
        related.sort_unstable();
        related.dedup();
        related
    }
}

/// The name under which a file may have been written before it was rotated.
fn original_name(path: &Path) -> Option<&[u8]> {
    file_name(path).map(without_rotation)
}

/// All names `n` such that a file called `name` is related to those whose [`original_name`] is `n`,
/// some of them twice: as many as there are words in it, times themselves.
fn original_names(name: &Path) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let name = file_name(name).unwrap_or_default();
    let is_border = |at: &usize| {
        name.get(*at)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let starts = (0..name.len()).filter(move |at| *at == 0 || is_border(&(at - 1)));
    let words = starts.flat_map(move |start| {
        let ends = (start + 1..=name.len()).filter(is_border);
        ends.map(move |end| Cow::Borrowed(&name[start..end]))
    });
    // What is left when something with a number is taken out between stem and extension.
    let plain = name.strip_suffix(b".gz").unwrap_or(name);
    let dot = plain.iter().rposition(|byte| *byte == b'.').unwrap_or(0);
    let (stem, extension) = plain.split_at(dot);
    let shorter = (1..stem.len()).filter(move |at| {
        let between = &stem[*at..];
        !between[0].is_ascii_alphanumeric() && between.iter().any(u8::is_ascii_digit)
    });
    words.chain(shorter.map(move |at| Cow::Owned([&stem[..at], extension].concat())))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the module says it, name by name.
    fn names_are_related(name: &[u8], of: &[u8]) -> bool {
        let of = without_rotation(of);
        // Also where it overlaps itself: `__` stands twice in `___`.
        let found = name.windows(of.len()).enumerate();
        let as_word = found.filter(|(_, window)| *window == of).any(|(at, _)| {
            let is_inner = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let before = at.checked_sub(1).and_then(|index| name.get(index));
            !is_inner(before) && !is_inner(name.get(at + of.len()))
        });
        let name = name.strip_suffix(b".gz").unwrap_or(name);
        let dot = of.iter().rposition(|byte| *byte == b'.').unwrap_or(0);
        let (stem, extension) = of.split_at(dot);
        let between = name
            .strip_suffix(extension)
            .and_then(|rest| rest.strip_prefix(stem))
            .filter(|between| dot > 0 && between.iter().any(u8::is_ascii_digit));
        as_word || between.is_some_and(|between| !between[0].is_ascii_alphanumeric())
    }

    proptest! {
        #[test]
        fn the_related_are_those_of_related_names(
            name in "[ab1.\\-_g]{1,9}(\\.log)?(\\.gz)?(\\.1)?",
            of in prop::collection::vec("[ab1.\\-_g]{1,5}(\\.log)?(-2)?(\\.gz)?", 1..20),
        ) {
            let id = |at: usize| SourceId([at as u8; 16]);
            let mut families = Families::default();
            for (at, path) in of.iter().enumerate() {
                families.add(Path::new(path), id(at), &Head::default());
            }
            let name = Path::new(&name);
            let expected: Vec<SourceId> = (0..of.len())
                .filter(|at| {
                    let (name, of) = (file_name(name), file_name(Path::new(&of[*at])));
                    name.zip(of).is_some_and(|(name, of)| names_are_related(name, of))
                })
                .map(id)
                .collect();
            prop_assert_eq!(families.related(name, None), expected);
            for (at, path) in of.iter().enumerate() {
                families.remove(Path::new(path), id(at));
            }
            prop_assert!(families.members.is_empty());
        }
    }

    #[test]
    fn names_of_rotated_files_are_related_and_names_of_neighbours_are_not() {
        let related = |name: &str, of: &str| {
            let mut families = Families::default();
            families.add(Path::new(of), SourceId([1; 16]), &Head::default());
            !families.related(Path::new(name), None).is_empty()
        };
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
    fn of_one_name_those_with_another_head_are_left_out() {
        let mut families = Families::default();
        let head = |text: &str| Head(text.as_bytes().to_vec());
        let one = head("2026-11-25T04:00:00 the first line");
        let other = head("2026-11-26T04:00:00 the first line");
        let path = Path::new("a.log");
        for (at, head) in [&one, &other, &head("2026")].into_iter().enumerate() {
            families.add(path, SourceId([at as u8; 16]), head);
        }
        let related = |head: &Head| families.related(path, Some(head)).len();
        assert_eq!((related(&one), related(&other)), (2, 2));
        assert_eq!(related(&head("2026")), 3);
    }
}
