//! Which files the patterns name.
//!
//! A pattern is walked from its literal prefix (`/var/log` of `/var/log/**/*.log`). Symbolic links are
//! followed, to files and folders; a folder is entered once per walk however many links lead to it,
//! and the same file under several names is sorted out by (dev, ino) later.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::config::TailConfig;
use crate::content::{Stat, stat};
use crate::error::Error;
use crate::limits::{FOLDER_DEPTH_MAX, FOLDERS_MAX};

/// A file that a pattern names.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Index of the first `TailConfig` that names it.
    pub(crate) tail: usize,
    pub(crate) stat: Stat,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Sorted by path.
    pub(crate) files: Vec<Found>,
    /// Folders that files may appear in.
    pub(crate) folders: BTreeSet<PathBuf>,
    pub(crate) errors: Vec<(PathBuf, io::Error)>,
}

/// All patterns, compiled.
pub(crate) struct Patterns {
    tails: Vec<Tail>,
    /// Where to start walking, and whether to go into sub-folders; no root lies in another's walk.
    roots: BTreeMap<PathBuf, usize>,
}

struct Tail {
    wanted: GlobSet,
    excluded: GlobSet,
}

impl Patterns {
    pub(crate) fn new(tails: &[TailConfig]) -> Result<Patterns, Error> {
        let mut roots: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut compiled = Vec::new();
        for tail in tails {
            for pattern in &tail.globs {
                if !pattern.starts_with('/') {
                    return Err(Error::RelativePattern {
                        pattern: pattern.clone(),
                    });
                }
                let (root, depth) = literal_prefix(pattern);
                let known = roots.entry(root).or_default();
                *known = depth.max(*known);
            }
            compiled.push(Tail {
                wanted: compile(&tail.globs)?,
                excluded: compile(&tail.exclude)?,
            });
        }
        Ok(Patterns {
            tails: compiled,
            roots,
        })
    }

    /// The first tail that names `path`.
    pub(crate) fn tail_of(&self, path: &Path) -> Option<usize> {
        self.tails
            .iter()
            .position(|tail| tail.wanted.is_match(path) && !tail.excluded.is_match(path))
    }

    pub(crate) fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        for (root, depth) in &self.roots {
            // Links may lead in circles: a folder counts once per root.
            self.folder(root, *depth, &mut HashSet::new(), &mut walk);
        }
        walk.files.sort_by(|one, other| one.path.cmp(&other.path));
        walk.files.dedup_by(|one, other| one.path == other.path);
        walk
    }

    fn folder(
        &self,
        path: &Path,
        depth: usize,
        entered: &mut HashSet<(u64, u64)>,
        walk: &mut Walk,
    ) {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if !entered.insert((metadata.dev(), metadata.ino()))
                    || walk.folders.len() >= FOLDERS_MAX
                {
                    return;
                }
            }
            // A root may itself be a file: a pattern without wildcards.
            Ok(metadata) => return self.file(path.to_path_buf(), Stat::from(&metadata), walk),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return walk.errors.push((path.to_path_buf(), error)),
        }
        walk.folders.insert(path.to_path_buf());
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return walk.errors.push((path.to_path_buf(), error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return walk.errors.push((path.to_path_buf(), error)),
            };
            let child = entry.path();
            let kind = entry.file_type();
            let may_be_folder = kind
                .as_ref()
                .map_or(true, |kind| kind.is_dir() || kind.is_symlink());
            if may_be_folder && depth > 1 && child.is_dir() {
                self.folder(&child, depth - 1, entered, walk);
            } else if self.tail_of(&child).is_some() {
                // Gone again or a dangling link: the next walk sees what became of it.
                if let Ok(stat) = stat(&child) {
                    self.file(child, stat, walk);
                }
            }
        }
    }

    fn file(&self, path: PathBuf, stat: Stat, walk: &mut Walk) {
        if let Some(tail) = self.tail_of(&path)
            && stat.is_file
        {
            walk.files.push(Found { path, tail, stat });
        }
    }
}

/// The folder to start from, and how many levels below it can match.
fn literal_prefix(pattern: &str) -> (PathBuf, usize) {
    let is_wild = |part: &str| part.contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<_> = Path::new(pattern)
        .components()
        .map(|part| match part {
            Component::RootDir => "/".to_owned(),
            other => other.as_os_str().to_string_lossy().into_owned(),
        })
        .collect();
    let literal = parts
        .iter()
        .take_while(|part| !is_wild(part))
        .count()
        .min(parts.len() - 1);
    let rest = &parts[literal..];
    let depth = if rest.iter().any(|part| part.contains("**")) {
        FOLDER_DEPTH_MAX
    } else {
        rest.len()
    };
    (parts[..literal].iter().collect(), depth)
}

fn compile(patterns: &[String]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|source| Error::Pattern {
            pattern: pattern.clone(),
            source,
        })?);
    }
    set.build().map_err(|source| Error::Pattern {
        pattern: patterns.join(", "),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn walk(dir: &Path, globs: &[&str], exclude: &[&str]) -> Vec<String> {
        let absolute = |globs: &[&str]| {
            globs
                .iter()
                .map(|glob| format!("{}/{glob}", dir.display()))
                .collect()
        };
        let tail = TailConfig {
            exclude: absolute(exclude),
            ..TailConfig::new(absolute(globs))
        };
        let found = Patterns::new(&[tail]).unwrap().walk();
        found
            .files
            .iter()
            .map(|file| file.path.strip_prefix(dir).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn patterns_find_what_a_shell_would_and_links_in_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::create_dir_all(dir.join("a/b/c")).unwrap();
        for file in [
            "one.log",
            "a/two.log",
            "a/b/c/three.log",
            "a/four.txt",
            "one.log.1",
        ] {
            std::fs::write(dir.join(file), "x").unwrap();
        }
        symlink(dir.join("a"), dir.join("a/b/again")).unwrap();
        symlink(dir.join("nowhere"), dir.join("dangling.log")).unwrap();
        assert_eq!(
            walk(dir, &["**/*.log"], &[]),
            ["a/b/c/three.log", "a/two.log", "one.log"]
        );
        assert_eq!(walk(dir, &["*.log*"], &[]), ["one.log", "one.log.1"]);
        assert_eq!(walk(dir, &["*/*.{log,txt}"], &["a/f*"]), ["a/two.log"]);
        assert_eq!(walk(dir, &["one.log", "missing.log"], &[]), ["one.log"]);
    }

    #[test]
    fn a_relative_or_broken_pattern_is_refused_by_name() {
        let error = |glob: &str| {
            Patterns::new(&[TailConfig::new(vec![glob.to_owned()])])
                .err()
                .unwrap()
                .to_string()
        };
        assert!(error("logs/*.log").contains("`logs/*.log`"));
        assert!(error("/var/log/[.log").contains("`/var/log/[.log`"));
    }
}
