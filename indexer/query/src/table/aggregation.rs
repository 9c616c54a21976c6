//! The state of one `stats`: its groups, and what is remembered of each.
//!
//! What is fed counts, not how: events one by one, columns of a split without an event, or parts
//! that are merged give the same table. That holds beyond the cap on groups, too: groups are kept
//! by the hash of their key, the lowest ones, so a group is either kept wherever it occurs, and
//! exact, or left out, and the table says that some were. Which part saw it first plays no role.

use std::collections::{BTreeSet, HashMap};

use logboom_event::Event;
use xxhash_rust::xxh3::xxh3_64;

use super::cell::{Cell, cell};
use super::summary::{Summary, Wanted};
use crate::field::Field;
use crate::limits::{GROUPS_MAX, STATE_BYTES_MAX};
use crate::pipe::{GroupKey, Stats};

#[derive(Debug)]
pub struct Aggregation {
    stats: Stats,
    keys: Vec<GroupKey>,
    /// The fields that the aggregates are about, each once: three quantiles of one field share a summary.
    inputs: Vec<Field>,
    wanted: Vec<Wanted>,
    /// By slot; `None` once left out.
    groups: Vec<Option<Group>>,
    /// By encoded key.
    slots: HashMap<Box<[u8]>, Slot>,
    /// The kept groups by the hash of their key.
    by_hash: BTreeSet<(u64, Slot)>,
    /// Groups whose hash is this or higher are left out.
    ceiling: Option<u64>,
    limits: Limits,
    /// Memory of the groups.
    bytes: usize,
    scratch: Vec<u8>,
}

/// A group's place in its aggregation. Stays valid while that lives, also when the group is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

#[derive(Debug, Clone)]
struct Group {
    key: Box<[Cell<'static>]>,
    encoded: Box<[u8]>,
    events: u64,
    /// By input.
    summaries: Box<[Summary]>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    groups: usize,
    bytes: usize,
}

/// A group as the table reads it.
pub(super) struct Row<'a> {
    pub(super) key: &'a [Cell<'static>],
    pub(super) events: u64,
    pub(super) summaries: &'a [Summary],
}

impl Aggregation {
    pub fn new(stats: &Stats) -> Aggregation {
        Aggregation::within(
            stats,
            Limits {
                groups: GROUPS_MAX,
                bytes: STATE_BYTES_MAX,
            },
        )
    }

    fn within(stats: &Stats, limits: Limits) -> Aggregation {
        let mut inputs: Vec<Field> = Vec::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for aggregate in &stats.aggregates {
            let Some(field) = &aggregate.field else {
                continue;
            };
            let at = inputs.iter().position(|input| input == field);
            let at = at.unwrap_or_else(|| {
                inputs.push(field.clone());
                wanted.push(Wanted::default());
                inputs.len() - 1
            });
            wanted[at].also(aggregate.function);
        }
        let mut aggregation = Aggregation {
            keys: stats.by.iter().map(|group| group.key.clone()).collect(),
            stats: stats.clone(),
            inputs,
            wanted,
            groups: Vec::new(),
            slots: HashMap::new(),
            by_hash: BTreeSet::new(),
            ceiling: None,
            limits,
            bytes: 0,
            scratch: Vec::new(),
        };
        if stats.by.is_empty() {
            // Without keys there is one group, also when there is no event.
            let _ = aggregation.group(&[]);
        }
        aggregation
    }

    /// What the cells of a group's key are, in order.
    pub fn keys(&self) -> &[GroupKey] {
        &self.keys
    }

    /// Which fields' values are wanted; [`Aggregation::add`] numbers them so.
    pub fn inputs(&self) -> &[Field] {
        &self.inputs
    }

    /// Adds an event: the oracle of everything that feeds columns.
    pub fn add_event(&mut self, event: &Event) {
        let key: Vec<Cell<'_>> = self
            .keys
            .iter()
            .map(|key| match key {
                GroupKey::Field(field) => cell(field, event),
                GroupKey::Bin { width_ns } => {
                    Cell::Time(GroupKey::bin_ns(*width_ns, event.timestamp_ns))
                }
            })
            .collect();
        let Some(slot) = self.group(&key) else {
            return;
        };
        self.count(slot);
        for input in 0..self.inputs.len() {
            let value = cell(&self.inputs[input], event);
            self.add(slot, input, &value);
        }
    }

    /// The group of a key, one cell for each of [`Aggregation::keys`]. `None`: it is left out, and
    /// so are its events.
    pub fn group(&mut self, key: &[Cell<'_>]) -> Option<Slot> {
        debug_assert_eq!(key.len(), self.keys.len());
        let mut encoded = std::mem::take(&mut self.scratch);
        encoded.clear();
        key.iter().for_each(|cell| cell.encode(&mut encoded));
        let slot = self.slots.get(encoded.as_slice()).copied().or_else(|| {
            let group = Group {
                key: key.iter().map(|cell| cell.clone().into_owned()).collect(),
                encoded: encoded.as_slice().into(),
                events: 0,
                summaries: self.wanted.iter().copied().map(Summary::new).collect(),
            };
            self.insert(group)
        });
        self.scratch = encoded;
        slot
    }

    /// One event of the group. To be called exactly once for each.
    pub fn count(&mut self, slot: Slot) {
        if let Some(group) = self.groups[slot.at()].as_mut() {
            group.events += 1;
        }
    }

    /// An event's value of `inputs()[input]`.
    pub fn add(&mut self, slot: Slot, input: usize, value: &Cell<'_>) {
        let Some(group) = self.groups[slot.at()].as_mut() else {
            return;
        };
        let summary = &mut group.summaries[input];
        let before = summary.heap_bytes();
        summary.add(value, &mut self.scratch);
        let after = summary.heap_bytes();
        self.bytes = self.bytes - before + after;
        if after > before {
            self.shed();
        }
    }

    /// Adds what another aggregation of the same `stats` was fed. Its slots mean nothing here.
    pub fn merge(&mut self, other: Aggregation) {
        assert_eq!(self.stats, other.stats, "only states of one `stats` add up");
        if let Some(ceiling) = other.ceiling {
            self.lower(ceiling);
        }
        for group in other.groups.into_iter().flatten() {
            match self.slots.get(&group.encoded) {
                Some(slot) => self.absorb(*slot, &group),
                None => {
                    let _ = self.insert(group);
                }
            }
        }
        self.shed();
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.groups.iter().flatten().map(|group| Row {
            key: &group.key,
            events: group.events,
            summaries: &group.summaries,
        })
    }

    /// About how many groups there are, when some were left out.
    pub(super) fn estimated_groups(&self) -> Option<u64> {
        let share = (self.ceiling? as f64 + 1.0) / 2_f64.powi(64);
        Some((self.by_hash.len() as f64 / share).round() as u64)
    }

    fn insert(&mut self, group: Group) -> Option<Slot> {
        let hash = xxh3_64(&group.encoded);
        if self.ceiling.is_some_and(|ceiling| hash >= ceiling) {
            return None;
        }
        let slot = Slot(u32::try_from(self.groups.len()).ok()?);
        self.bytes += group.bytes();
        self.slots.insert(group.encoded.clone(), slot);
        self.by_hash.insert((hash, slot));
        self.groups.push(Some(group));
        self.shed();
        self.groups[slot.at()].is_some().then_some(slot)
    }

    fn absorb(&mut self, slot: Slot, other: &Group) {
        let Some(group) = self.groups[slot.at()].as_mut() else {
            return;
        };
        self.bytes -= group.bytes();
        group.events += other.events;
        for (mine, theirs) in group.summaries.iter_mut().zip(&other.summaries) {
            mine.merge(theirs);
        }
        self.bytes += group.bytes();
    }

    /// Leaves groups out until the rest fits. One group always does: its functions are few.
    fn shed(&mut self) {
        while self.by_hash.len() > 1
            && (self.by_hash.len() > self.limits.groups || self.bytes > self.limits.bytes)
        {
            if let Some((hash, _)) = self.by_hash.last() {
                self.lower(*hash);
            }
        }
    }

    fn lower(&mut self, ceiling: u64) {
        self.ceiling = Some(self.ceiling.map_or(ceiling, |mine| mine.min(ceiling)));
        while let Some((hash, slot)) = self.by_hash.last().copied()
            && hash >= ceiling
        {
            self.by_hash.pop_last();
            if let Some(group) = self.groups[slot.at()].take() {
                self.bytes -= group.bytes();
                self.slots.remove(&group.encoded);
            }
        }
    }
}

impl Slot {
    fn at(self) -> usize {
        self.0 as usize
    }
}

impl Group {
    fn bytes(&self) -> usize {
        /// Of the maps' entries, and what the allocator adds.
        const OVERHEAD: usize = 128;
        let texts = self.key.iter().map(|cell| match cell {
            Cell::Text(text) => text.len(),
            _ => 0,
        });
        let summaries = self.summaries.iter();
        OVERHEAD
            + size_of_val(&*self.key)
            + texts.sum::<usize>()
            + 2 * self.encoded.len()
            + size_of_val(&*self.summaries)
            + summaries.map(Summary::heap_bytes).sum::<usize>()
    }
}
