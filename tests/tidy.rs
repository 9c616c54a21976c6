//! What the house holds itself to and a machine can check: crate edges, links, leftovers.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may depend on whom; see ARCHITECTURE.md.
const EDGES: [(&str, &[&str]); 11] = [
    ("queue/event", &[]),
    ("queue/disk", &[]),
    ("indexer/metastore", &[]),
    ("indexer/query", &["event"]),
    ("queue/client", &["event"]),
    ("queue/broker", &["event", "disk"]),
    ("queue/mirror", &["client"]),
    ("agent", &["client", "disk", "event"]),
    (
        "indexer",
        &["client", "query", "disk", "metastore", "event"],
    ),
    (
        "alerting",
        &["client", "query", "disk", "metastore", "event"],
    ),
    ("ui", &["indexer", "alerting", "query"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Tracked kinds of files below the root, without what builds leave behind.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            if name.starts_with('.') || ["target", "node_modules", "dist"].contains(&name.as_str())
            {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "there are files of kind .{extension}");
    found
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    for (folder, allowed) in EDGES {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest
            .split("[dependencies]")
            .nth(1)
            .unwrap()
            .split("\n[")
            .next()
            .unwrap();
        let found: BTreeSet<&str> = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("logboom-"))
            .map(|rest| rest.split(['.', ' ', '=']).next().unwrap())
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let added: Vec<_> = found.difference(&allowed).collect();
        assert!(
            added.is_empty(),
            "{folder} depends on {added:?}, which ARCHITECTURE.md does not allow"
        );
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in files("md") {
        let text = std::fs::read_to_string(&document).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .map(|rest| rest.split([')', '#']).next().unwrap())
        {
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(
                path.exists(),
                "{} links to {target}, which does not exist",
                document.display()
            );
        }
    }
}

#[test]
fn nothing_unfinished_is_left_behind() {
    // Spelt apart so that this file does not find itself.
    let words = [
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["dbg", "!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    for source in files("rs")
        .into_iter()
        .chain(files("ts"))
        .chain(files("tsx"))
    {
        let text = std::fs::read_to_string(&source).unwrap();
        for word in &words {
            assert!(
                !text.contains(word.as_str()),
                "{} holds `{word}`",
                source.display()
            );
        }
    }
}

#[test]
fn every_crate_takes_part_in_the_workspace_lints() {
    for (folder, _) in EDGES {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{folder} sets lints of its own"
        );
    }
}
