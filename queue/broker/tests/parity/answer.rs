//! An answer as a list of fields: a path such as `topics/logs/partitions/0/error_code` and a value.
//!
//! The codec's types can be written for a debugger and in no other way, so their text is read back. What two brokers
//! must differ in (ports, generated ids, the words of messages) is replaced by what can be compared of it.

use std::collections::BTreeMap;

/// The fields by which the elements of lists are told apart; order is not compared.
const KEYS: [&str; 15] = [
    "api_key",
    "topic_name",
    "name",
    "topic",
    "group_id",
    "member_id",
    "partition_index",
    "partition",
    "index",
    "broker_id",
    "node_id",
    "resource_name",
    "key",
    "topic_id",
    "host",
];

/// The ids of members, in the order in which they first appear, which is what they are called.
#[derive(Default)]
pub(crate) struct Members(Vec<String>);

/// The fields of an answer, by path.
pub(crate) fn fields(
    answer: &impl std::fmt::Debug,
    members: &mut Members,
) -> BTreeMap<String, String> {
    let text = format!("{answer:#?}");
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().expect("an answer has a name");
    let tree = value(first, &mut lines);
    let mut found = BTreeMap::new();
    collect(&tree, "", "", members, &mut found);
    found
}

enum Tree {
    Leaf(String),
    Struct(Vec<(String, Tree)>),
    List(Vec<Tree>),
}

/// The value that begins at the end of `line`.
fn value<'a>(line: &'a str, lines: &mut impl Iterator<Item = &'a str>) -> Tree {
    match line.chars().next_back() {
        Some('{') => Tree::Struct(rows(lines, '}', |line, lines| {
            let (name, rest) = line.split_once(": ").expect("a field has a name");
            (name.to_owned(), value(rest, lines))
        })),
        Some('[') => Tree::List(rows(lines, ']', value)),
        // `Some(…)` and the types around members and numbers say nothing.
        Some('(') => rows(lines, ')', value).pop().expect("something is wrapped"),
        _ => match line.trim_end_matches(',') {
            "[]" => Tree::List(Vec::new()),
            leaf => Tree::Leaf(leaf.to_owned()),
        },
    }
}

fn rows<'a, T, I: Iterator<Item = &'a str>>(
    lines: &mut I,
    end: char,
    row: impl Fn(&'a str, &mut I) -> T,
) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.starts_with(end)) {
        found.push(row(line, lines));
    }
    found
}

fn collect(
    tree: &Tree,
    path: &str,
    field: &str,
    members: &mut Members,
    found: &mut BTreeMap<String, String>,
) {
    let below = |part: &str| {
        if path.is_empty() {
            part.to_owned()
        } else {
            format!("{path}/{part}")
        }
    };
    match tree {
        Tree::Leaf(leaf) => {
            found.insert(path.to_owned(), comparable(field, leaf, members));
        }
        Tree::List(rows) if rows.is_empty() => {}
        Tree::List(rows) if rows.iter().all(|row| matches!(row, Tree::Leaf(_))) => {
            let leaves = rows.iter().map(|row| match row {
                Tree::Leaf(leaf) => leaf.as_str(),
                _ => unreachable!("only leaves"),
            });
            found.insert(
                path.to_owned(),
                format!("({})", leaves.collect::<Vec<_>>().join(" ")),
            );
        }
        Tree::List(rows) => {
            for (number, row) in rows.iter().enumerate() {
                let key = key(row, members).unwrap_or_else(|| number.to_string());
                collect(row, &below(&key), field, members, found);
            }
        }
        Tree::Struct(rows) => {
            for (name, row) in rows
                .iter()
                .filter(|(name, _)| name != "unknown_tagged_fields")
            {
                collect(row, &below(name), name, members, found);
            }
        }
    }
}

fn key(element: &Tree, members: &mut Members) -> Option<String> {
    let Tree::Struct(rows) = element else {
        return None;
    };
    KEYS.iter().find_map(|key| {
        let (name, tree) = rows.iter().find(|(name, _)| name == key)?;
        match tree {
            Tree::Leaf(leaf) if leaf != "None" => Some(
                comparable(name, leaf, members)
                    .trim_matches('"')
                    .replace('/', "|"),
            ),
            _ => None,
        }
    })
}

/// A value without what is different by nature.
fn comparable(field: &str, leaf: &str, members: &mut Members) -> String {
    let has_value = !["None", "\"\"", "-1", "0"].contains(&leaf);
    match field {
        "member_id" | "leader" if has_value => members.name(leaf),
        "topic_id" if leaf.chars().any(|c| !"0-".contains(c)) => "given".to_owned(),
        "cluster_id" | "error_message" | "port" | "producer_id" | "session_id" if has_value => {
            "given".to_owned()
        }
        _ => leaf.to_owned(),
    }
}

impl Members {
    fn name(&mut self, id: &str) -> String {
        let at = self.0.iter().position(|known| known == id);
        let at = at.unwrap_or_else(|| {
            self.0.push(id.to_owned());
            self.0.len() - 1
        });
        format!("member {at}")
    }
}
