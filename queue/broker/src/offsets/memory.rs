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
    /// By group and producer id: what an open transaction would commit.
    pub(super) pending: HashMap<String, BTreeMap<i64, Rows>>,
    /// Rows over all groups, pending ones included.
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
            Change::Commit { group, rows } => self.commit(group, rows),
            Change::DeleteGroup { group } => {
                for (_, rows) in self.pending.remove(&group).into_iter().flatten() {
                    self.drop_rows(&rows);
                    self.bytes -= group_bytes(&group);
                }
                let Some(rows) = self.groups.remove(&group) else {
                    return;
                };
                self.drop_rows(&rows);
                self.bytes -= group_bytes(&group);
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
                self.pending.retain(|group, by_producer| {
                    by_producer.retain(|_, rows| {
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
                    !by_producer.is_empty()
                });
            }
            Change::Pend {
                group,
                producer_id,
                rows,
            } => {
                let name_bytes = group_bytes(&group);
                let of_group = self.pending.entry(group).or_default();
                let known = of_group.entry(producer_id).or_insert_with(|| {
                    self.bytes += name_bytes;
                    Rows::new()
                });
                let added = put_rows(known, rows);
                self.count = self.count.saturating_add_signed(added.rows);
                self.bytes = self.bytes.saturating_add_signed(added.bytes);
            }
            Change::EndPending {
                group,
                producer_id,
                commit,
            } => {
                let Some(of_group) = self.pending.get_mut(&group) else {
                    return;
                };
                let Some(rows) = of_group.remove(&producer_id) else {
                    return;
                };
                if of_group.is_empty() {
                    self.pending.remove(&group);
                }
                self.drop_rows(&rows);
                self.bytes -= group_bytes(&group);
                if commit {
                    self.commit(group, rows_of(&rows));
                }
            }
        }
    }

    fn commit(&mut self, group: String, rows: Vec<Row>) {
        if !self.groups.contains_key(&group) {
            self.bytes += group_bytes(&group);
        }
        let added = put_rows(self.groups.entry(group).or_default(), rows);
        self.count = self.count.saturating_add_signed(added.rows);
        self.bytes = self.bytes.saturating_add_signed(added.bytes);
    }

    fn drop_rows(&mut self, rows: &Rows) {
        self.count -= rows.len();
        self.bytes -= bytes_of(rows);
    }

    /// What `rows` of `group`, pending ones of a producer or committed, would need beside what is there, those that replace
    /// others their difference at most.
    pub(super) fn room_for(&self, group: &str, producer_id: Option<i64>, rows: &[Row]) -> Room {
        let known = match producer_id {
            Some(id) => self.pending.get(group).and_then(|known| known.get(&id)),
            None => self.groups.get(group),
        };
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
        let pending = self.pending.iter().flat_map(|(group, by_producer)| {
            by_producer
                .iter()
                .map(move |(producer_id, rows)| (group, *producer_id, rows_of(rows)))
        });
        for (group, producer_id, rows) in pending {
            for rows in rows.chunks(ROWS_PER_RECORD_MAX) {
                records.push(encode(&Change::Pend {
                    group: group.clone(),
                    producer_id,
                    rows: rows.to_vec(),
                }));
            }
        }
        records
    }
}

/// How rows and bytes change.
struct Added {
    rows: isize,
    bytes: isize,
}

/// Puts rows in the place of those for the same partitions.
fn put_rows(known: &mut Rows, rows: Vec<Row>) -> Added {
    let mut added = Added { rows: 0, bytes: 0 };
    for row in rows {
        added.rows += 1;
        added.bytes += row_bytes(&row.topic, &row.committed) as isize;
        let key = (Arc::from(row.topic), row.partition);
        if let Some(old) = known.insert(key.clone(), row.committed) {
            added.rows -= 1;
            added.bytes -= row_bytes(&key.0, &old) as isize;
        }
    }
    added
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
