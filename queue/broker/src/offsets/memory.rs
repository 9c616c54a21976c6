//! What is committed, as it is in memory, and how much of it there is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Change, Committed, ROWS_PER_RECORD_MAX, Row, encode};

/// What a row or a group takes beside its text: numbers, lengths, and its place in the map.
const ROW_FIXED_BYTES: usize = 64;

pub(super) type Rows = BTreeMap<(Arc<str>, i32), Committed>;

#[derive(Default)]
pub(super) struct Memory {
    pub(super) groups: HashMap<String, Rows>,
    /// Rows over all groups.
    pub(super) count: usize,
    /// See [`row_bytes`] and [`group_bytes`].
    pub(super) bytes: usize,
}

/// Rows and bytes that a change adds.
#[derive(Clone, Copy, Default)]
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Memory {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Commit { group, rows } => {
                if !self.groups.contains_key(&group) {
                    self.bytes += group_bytes(&group);
                }
                let known = self.groups.entry(group).or_default();
                for row in rows {
                    self.bytes += row_bytes(&row.topic, &row.committed);
                    self.count += 1;
                    let key = (Arc::from(row.topic), row.partition);
                    if let Some(old) = known.insert(key.clone(), row.committed) {
                        self.bytes -= row_bytes(&key.0, &old);
                        self.count -= 1;
                    }
                }
            }
            Change::DeleteGroup { group } => {
                let Some(rows) = self.groups.remove(&group) else {
                    return;
                };
                self.count -= rows.len();
                self.bytes -= group_bytes(&group) + bytes_of(&rows);
            }
            Change::DeleteRows { group, rows } => {
                let Some(known) = self.groups.get_mut(&group) else {
                    return;
                };
                for (topic, partition) in rows {
                    if let Some(old) = known.remove(&(Arc::from(topic.as_str()), partition)) {
                        self.count -= 1;
                        self.bytes -= row_bytes(&topic, &old);
                    }
                }
                if known.is_empty() {
                    self.bytes -= group_bytes(&group);
                    self.groups.remove(&group);
                }
            }
            Change::DeleteTopic { topic } => {
                self.groups.retain(|group, rows| {
                    let gone = rows
                        .extract_if(.., |(name, _), _| **name == topic)
                        .collect();
                    self.count -= Rows::len(&gone);
                    self.bytes -= bytes_of(&gone);
                    if rows.is_empty() {
                        self.bytes -= group_bytes(group);
                    }
                    !rows.is_empty()
                });
            }
        }
    }

    /// What `rows` of `group` would need beside what is there, those that replace others their difference at most.
    pub(super) fn room_for(&self, group: &str, rows: &[Row]) -> Room {
        let known = self.groups.get(group);
        let mut room = Room {
            rows: 0,
            bytes: known.map_or_else(|| group_bytes(group), |_| 0),
        };
        for row in rows {
            let key = (Arc::from(row.topic.as_str()), row.partition);
            let bytes = row_bytes(&row.topic, &row.committed);
            match known.and_then(|rows| rows.get(&key)) {
                Some(old) => {
                    room.bytes += bytes.saturating_sub(row_bytes(&row.topic, old));
                }
                None => {
                    room.rows += 1;
                    room.bytes += bytes;
                }
            }
        }
        room
    }

    pub(super) fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for (group, rows) in &self.groups {
            for rows in rows_of(rows).chunks(ROWS_PER_RECORD_MAX) {
                records.push(encode(&Change::Commit {
                    group: group.clone(),
                    rows: rows.to_vec(),
                }));
            }
        }
        records
    }
}

pub(super) fn row_bytes(topic: &str, committed: &Committed) -> usize {
    ROW_FIXED_BYTES + topic.len() + committed.metadata.len()
}

pub(super) fn group_bytes(group: &str) -> usize {
    ROW_FIXED_BYTES + group.len()
}

fn bytes_of(rows: &Rows) -> usize {
    let bytes = |((topic, _), committed): (&(Arc<str>, i32), _)| row_bytes(topic, committed);
    rows.iter().map(bytes).sum()
}

pub(super) fn rows_of(rows: &Rows) -> Vec<Row> {
    rows.iter()
        .map(|((topic, partition), committed)| Row {
            topic: topic.to_string(),
            partition: *partition,
            committed: committed.clone(),
        })
        .collect()
}
