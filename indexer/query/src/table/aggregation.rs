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
    /// By slot.
    places: Vec<Place>,
    /// Places whose group was left out. Used again, so that ever new groups take no ever new memory.
    free: Vec<u32>,
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

/// Where a group is in its aggregation. May be kept as long as that lives: when the group is left
/// out, what is added to it no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    at: u32,
    /// Tells the group from an earlier one in the same place.
    generation: u32,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    group: Option<Group>,
}

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
            places: Vec::new(),
            free: Vec::new(),
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
        if let Some(group) = group_at(&mut self.places, slot) {
            group.events += 1;
        }
    }

    /// An event's value of `inputs()[input]`.
    pub fn add(&mut self, slot: Slot, input: usize, value: &Cell<'_>) {
        let Some(group) = group_at(&mut self.places, slot) else {
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
        for group in other.places.into_iter().filter_map(|place| place.group) {
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
        let groups = self.places.iter().filter_map(|place| place.group.as_ref());
        groups.map(|group| Row {
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
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.places.push(Place {
                    generation: 0,
                    group: None,
                });
                u32::try_from(self.places.len() - 1).expect("the limit on groups is far below 2^32")
            }
        };
        let place = &mut self.places[at as usize];
        let slot = Slot {
            at,
            generation: place.generation,
        };
        self.bytes += group.bytes();
        self.slots.insert(group.encoded.clone(), slot);
        self.by_hash.insert((hash, slot));
        place.group = Some(group);
        self.shed();
        group_at(&mut self.places, slot).is_some().then_some(slot)
    }

    fn absorb(&mut self, slot: Slot, other: &Group) {
        let Some(group) = group_at(&mut self.places, slot) else {
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
            let place = &mut self.places[slot.at as usize];
            place.generation = place.generation.wrapping_add(1);
            self.free.push(slot.at);
            if let Some(group) = place.group.take() {
                self.bytes -= group.bytes();
                self.slots.remove(&group.encoded);
            }
        }
    }
}

fn group_at(places: &mut [Place], slot: Slot) -> Option<&mut Group> {
    let place = &mut places[slot.at as usize];
    place
        .group
        .as_mut()
        .filter(|_| place.generation == slot.generation)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn within(text: &str, limits: Limits) -> Aggregation {
        let query = parse(text).unwrap();
        Aggregation::within(query.stats().unwrap(), limits)
    }

    fn feed(aggregation: &mut Aggregation, group: u64, values: std::ops::Range<u64>) {
        for value in values {
            if let Some(slot) = aggregation.group(&[group.into()]) {
                aggregation.count(slot);
                aggregation.add(slot, 0, &value.into());
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_kept_is_exact() {
        let limits = Limits {
            groups: 1_000,
            bytes: 200 << 10,
        };
        let text = "| stats count(), p50(x), count_distinct(x) by g";
        let mut aggregation = within(text, limits);
        // Values of a group come in two rounds, so that groups grow after they were admitted.
        for round in 0..2 {
            for group in 0..500 {
                feed(&mut aggregation, group, round * 300..(round + 1) * 300);
                assert!(aggregation.bytes <= limits.bytes);
            }
        }
        let counted: usize = aggregation
            .places
            .iter()
            .filter_map(|place| place.group.as_ref())
            .map(Group::bytes)
            .sum();
        assert_eq!(
            counted, aggregation.bytes,
            "the account agrees with the groups"
        );
        let kept = aggregation.rows().count();
        assert!((2..500).contains(&kept), "{kept}");
        assert!(aggregation.rows().all(|row| row.events == 600));
        assert!(aggregation.places.len() < 500, "places are used again");
        assert!(aggregation.estimated_groups().is_some());
    }

    #[test]
    fn one_group_is_kept_whatever_it_takes() {
        let limits = Limits {
            groups: 1,
            bytes: 1,
        };
        let mut aggregation = within("| stats p50(x)", limits);
        let slot = aggregation.group(&[]).unwrap();
        (0..1_000_u64).for_each(|value| aggregation.add(slot, 0, &value.into()));
        assert_eq!(aggregation.estimated_groups(), None);
        assert_eq!(aggregation.rows().count(), 1);
    }

    #[test]
    fn a_slot_of_a_group_that_was_left_out_adds_to_no_other() {
        let limits = Limits {
            groups: 1,
            bytes: usize::MAX,
        };
        let mut aggregation = within("| stats count(), sum(x) by g", limits);
        let slots: Vec<Slot> = (0..100_u64)
            .filter_map(|group| aggregation.group(&[group.into()]))
            .collect();
        assert!(slots.len() > 1, "a lower hash came after a higher one");
        for slot in &slots {
            aggregation.count(*slot);
            aggregation.add(*slot, 0, &1_u64.into());
        }
        assert_eq!(aggregation.rows().map(|row| row.events).sum::<u64>(), 1);
    }
}
