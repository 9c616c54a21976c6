//! Random histories against a model, over a disk that crashes, fills up and fails syncs.
//!
//! Each seed runs a few hundred actions on three partitions: groups of appends by plain and idempotent producers (who,
//! like real ones, repeat a batch until it is acknowledged), half of them in transactions that commit and abort, reads,
//! trims, retention, full disks, failing syncs, clean restarts, kills and power cuts at any step, also in the middle of a
//! recovery. Readers of what is committed see what a walk over all transactions says. After each restart:
//!
//! * every acknowledged batch from the log start on is there, in order, byte for byte, at its offset;
//! * what is there besides was attempted and never answered; from then on it counts like the rest, since readers see it;
//! * offsets never went back, the log start neither;
//! * no idempotent batch is there twice.
//!
//! Where acknowledgements do not wait for a sync, a power cut may take what was not synced: then what is there has to be
//! the first part of what was acknowledged, at least up to the last sync, and the leader epoch has to tell where it ends.
//!
//! `LOGBOOM_SEEDS=5000 cargo test -p logboom-broker random_histories` runs more seeds; `LOGBOOM_SEED=7` one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use logboom_disk::Disk;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::batch::{Header, place};
use super::marker::{self, Outcome};
use super::testing::{BatchBuilder, Machine, append};
use super::{AppendError, Flush, Logs, PartitionLog};

const PARTITIONS: i32 = 3;
const PRODUCERS: usize = 4;
const ACTIONS: usize = 120;
const DEFAULT_SEEDS: u64 = 400;

#[test]
fn random_histories_keep_what_was_acknowledged_and_nothing_twice() {
    let totals = histories(Flush::Group, DEFAULT_SEEDS);
    assert_eq!(totals.lost, 0);
}

#[test]
fn random_histories_with_a_sync_a_batch_keep_what_was_acknowledged() {
    let totals = histories(Flush::Always, DEFAULT_SEEDS / 4);
    assert_eq!(totals.lost, 0);
}

#[test]
fn random_histories_with_syncs_now_and_then_lose_only_what_was_not_synced() {
    // The thread never gets its turn: the histories flush when it is theirs.
    let hour = std::time::Duration::from_secs(3600);
    let totals = histories(Flush::Interval(hour), DEFAULT_SEEDS / 2);
    assert!(totals.lost > 100 || totals.histories < 100, "{totals:?}");
}

#[test]
fn random_histories_without_syncs_lose_the_end_and_nothing_else() {
    let totals = histories(Flush::Os, DEFAULT_SEEDS / 2);
    assert!(totals.lost > 100 || totals.histories < 100, "{totals:?}");
}

fn histories(flush: Flush, default_seeds: u64) -> Totals {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let seeds = match number("LOGBOOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LOGBOOM_SEEDS").unwrap_or(default_seeds),
    };
    let mut totals = Totals::default();
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| History::new(seed, flush).run());
        match outcome {
            Ok(one) => totals.add(&one),
            Err(panic) => {
                eprintln!("failed with LOGBOOM_SEED={seed} and {flush:?}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{totals:?}");
    // A model that never meets what it is for proves nothing.
    if totals.histories >= DEFAULT_SEEDS {
        let Totals {
            acked,
            duplicates,
            full,
            failed,
            crashes,
            found_unanswered,
            trims,
            rolls,
            commits,
            aborts,
            skipped,
            ..
        } = totals;
        for count in [
            acked,
            duplicates,
            full,
            failed,
            crashes,
            found_unanswered,
            trims,
            rolls,
            commits,
            aborts,
            skipped,
        ] {
            assert!(count > 100, "{totals:?}");
        }
    }
    totals
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    histories: u64,
    acked: u64,
    duplicates: u64,
    full: u64,
    failed: u64,
    crashes: u64,
    found_unanswered: u64,
    trims: u64,
    rolls: u64,
    read_batches: u64,
    /// Acknowledged batches that a power cut took.
    lost: u64,
    commits: u64,
    aborts: u64,
    /// Batches of aborted transactions that a reader of what is committed stepped over.
    skipped: u64,
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.histories += other.histories;
        self.acked += other.acked;
        self.duplicates += other.duplicates;
        self.full += other.full;
        self.failed += other.failed;
        self.crashes += other.crashes;
        self.found_unanswered += other.found_unanswered;
        self.trims += other.trims;
        self.rolls += other.rolls;
        self.read_batches += other.read_batches;
        self.lost += other.lost;
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.skipped += other.skipped;
    }
}

/// What one partition must have.
#[derive(Default)]
struct Model {
    /// By base offset; the bytes without leader epoch.
    batches: BTreeMap<i64, Bytes>,
    log_start: i64,
    /// A trim that was not answered may be done or not.
    log_start_max: i64,
    end: i64,
    /// What is before survives a power cut.
    synced: i64,
    /// Sent and neither acknowledged nor refused for good: may turn up after a restart.
    unanswered: Vec<Bytes>,
    epoch: i32,
    /// All that there ever were, also when their records are trimmed.
    transactions: Vec<Transaction>,
}

struct Transaction {
    producer_id: i64,
    first_offset: i64,
    /// Offset of the marker, and what it says.
    end: Option<(i64, Outcome)>,
}

/// Sends one batch at a time to its partition, again and again until it is acknowledged.
struct Producer {
    id: i64,
    partition: usize,
    sequence: i32,
    current: Option<Bytes>,
    last_acked: Option<(Bytes, i64)>,
    transactional: bool,
    /// Since the last marker something was acknowledged.
    is_open: bool,
    /// The marker that is sent until it is acknowledged.
    ending: Option<Bytes>,
}

struct History {
    machine: Machine,
    chance: StdRng,
    logs: Option<Logs>,
    models: Vec<Model>,
    producers: Vec<Producer>,
    batches_made: u64,
    totals: Totals,
}

impl History {
    fn new(seed: u64, flush: Flush) -> History {
        let mut chance = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9));
        let producers = (0..PRODUCERS)
            .map(|number| Producer {
                id: number as i64,
                partition: chance.random_range(0..PARTITIONS as usize),
                // Some wrap around soon.
                sequence: if chance.random_bool(0.5) {
                    0
                } else {
                    i32::MAX - chance.random_range(0..20)
                },
                current: None,
                last_acked: None,
                transactional: number % 2 == 0,
                is_open: false,
                ending: None,
            })
            .collect();
        let mut machine = Machine::new(seed);
        machine.config.flush = flush;
        let logs = machine.open();
        for partition in 0..PARTITIONS {
            logs.create("t", partition).unwrap();
        }
        History {
            machine,
            chance,
            logs: Some(logs),
            models: (0..PARTITIONS).map(|_| Model::default()).collect(),
            producers,
            batches_made: 0,
            totals: Totals {
                histories: 1,
                ..Totals::default()
            },
        }
    }

    fn run(mut self) -> Totals {
        for _ in 0..ACTIONS {
            self.machine
                .now
                .fetch_add(self.chance.random_range(0..100), Ordering::Relaxed);
            match self.chance.random_range(0..100) {
                0..52 => self.append(),
                52..55 => self.flush(),
                55..70 => self.read(),
                70..75 => self.trim(),
                75..80 => self.retain(),
                80..84 => {
                    let room = self.chance.random_range(0..40_000);
                    self.machine
                        .disk
                        .set_capacity(Some(self.machine.disk.used_bytes() + room));
                }
                84..88 => self.machine.disk.set_capacity(None),
                88..90 => self.machine.disk.fail_syncs(300),
                90..94 => self
                    .machine
                    .disk
                    .stop_after(self.chance.random_range(0..30)),
                _ => self.restart(),
            }
        }
        self.restart();
        self.read();
        self.totals
    }

    fn log(&self, partition: usize) -> Arc<PartitionLog> {
        self.logs
            .as_ref()
            .unwrap()
            .get("t", partition as i32)
            .unwrap()
    }

    fn flush(&mut self) {
        self.logs.as_ref().unwrap().flush();
        for partition in 0..self.models.len() {
            // A partition that failed before, or now, may have lost what it had not synced then.
            if !self.flush_comes_first()
                && matches!(self.machine.config.flush, Flush::Interval(_))
                && self.log(partition).failure().is_none()
            {
                self.models[partition].synced = self.models[partition].end;
            }
        }
    }

    fn flush_comes_first(&self) -> bool {
        self.machine.config.flush.comes_first()
    }

    fn append(&mut self) {
        let mut group: Vec<(Arc<PartitionLog>, Bytes, Option<usize>)> = Vec::new();
        for _ in 0..self.chance.random_range(1..6) {
            let producer = self.chance.random_range(0..PRODUCERS * 2);
            if producer >= PRODUCERS {
                let partition = self.chance.random_range(0..PARTITIONS as usize);
                group.push((self.log(partition), self.batch((-1, -1, -1), 0), None));
            } else if group.iter().all(|(_, _, other)| *other != Some(producer)) {
                let (batch, partition) = self.next_of(producer);
                group.push((self.log(partition), batch, Some(producer)));
            }
        }
        for (log, batch, _) in &group {
            self.models[log.partition() as usize]
                .unanswered
                .push(without_epoch(batch, 0));
        }
        let borrowed: Vec<_> = group
            .iter()
            .map(|(log, batch, _)| (log, batch.clone()))
            .collect();
        let answers = append(&borrowed);
        for ((log, batch, producer), answer) in group.into_iter().zip(answers) {
            self.take_answer(log.partition() as usize, &batch, producer, answer);
        }
        for (partition, model) in self.models.iter().enumerate() {
            assert_eq!(
                self.log(partition).high_watermark(),
                model.end,
                "partition {partition}: only what is acknowledged shows"
            );
        }
    }

    /// A new batch, the one that waits for its acknowledgement, or sometimes one that is acknowledged already.
    fn next_of(&mut self, number: usize) -> (Bytes, usize) {
        let partition = self.producers[number].partition;
        if let Some((batch, _)) = self.producers[number]
            .last_acked
            .clone()
            .filter(|_| self.chance.random_bool(0.2))
        {
            return (batch, partition);
        }
        if let Some(marker) = self.marker_of(number) {
            return (marker, partition);
        }
        if self.producers[number].current.is_none() {
            let producer = &self.producers[number];
            let attributes = if producer.transactional { 0x10 } else { 0 };
            let sequence = (producer.id, 0, producer.sequence);
            let batch = self.batch(sequence, attributes);
            self.producers[number].current = Some(batch);
        }
        (self.producers[number].current.clone().unwrap(), partition)
    }

    /// The marker that a producer waits for, or sometimes a new one if its transaction is open.
    fn marker_of(&mut self, number: usize) -> Option<Bytes> {
        let may_end = self.producers[number].is_open && self.producers[number].current.is_none();
        if self.producers[number].ending.is_none() && may_end && self.chance.random_bool(0.4) {
            let outcome = if self.chance.random_bool(0.5) {
                Outcome::Commit
            } else {
                Outcome::Abort
            };
            let now = self.machine.now.load(Ordering::Relaxed);
            let marker = marker::build(self.producers[number].id, 0, outcome, now);
            self.producers[number].ending = Some(marker);
        }
        self.producers[number].ending.clone()
    }

    fn batch(&mut self, (id, epoch, sequence): (i64, i16, i32), attributes: i16) -> Bytes {
        let records = self.chance.random_range(1..4);
        let values: Vec<Vec<u8>> = (0..records)
            .map(|_| {
                self.batches_made += 1;
                let mut value = self.batches_made.to_be_bytes().to_vec();
                // Zeros, so that sectors of a batch can look like reserved space.
                value.resize(
                    8 + self.chance.random_range(0..1500),
                    if self.chance.random_bool(0.5) { 0 } else { 7 },
                );
                value
            })
            .collect();
        let timestamp = self.machine.now.load(Ordering::Relaxed) - self.chance.random_range(0..50);
        BatchBuilder::new(&values)
            .timestamp(timestamp)
            .attributes(attributes)
            .producer(id, epoch, sequence)
            .build()
    }

    fn take_answer(
        &mut self,
        partition: usize,
        batch: &Bytes,
        producer: Option<usize>,
        answer: Result<super::Appended, AppendError>,
    ) {
        let model = &mut self.models[partition];
        match answer {
            Ok(appended) => {
                let header = Header::parse(batch).unwrap();
                let placed = without_epoch(batch, appended.base_offset);
                let unplaced = without_epoch(batch, 0);
                model.unanswered.retain(|sent| *sent != unplaced);
                if header.is_control() {
                    if !appended.duplicate {
                        assert_eq!(appended.base_offset, model.end, "offsets have no holes");
                        model.end += 1;
                        // In every mode.
                        model.synced = model.end;
                        model.insert(appended.base_offset, placed);
                    }
                    // A repeated one found nothing open: the first had been stored.
                    let ended = model.transactions.iter().rev();
                    let mut ended = ended.filter(|ended| ended.producer_id == header.producer_id);
                    let (_, outcome) = ended.next().unwrap().end.unwrap();
                    match outcome {
                        Outcome::Commit => self.totals.commits += 1,
                        Outcome::Abort => self.totals.aborts += 1,
                    }
                    let producer = &mut self.producers[producer.unwrap()];
                    (producer.is_open, producer.ending) = (false, None);
                    return;
                }
                if appended.duplicate {
                    self.totals.duplicates += 1;
                    let stored = model.batches.get(&appended.base_offset);
                    assert!(
                        stored.is_some_and(|stored| *stored == placed)
                            || appended.base_offset < model.log_start_max,
                        "a duplicate of something that is not there: {appended:?}, {:?} {:?}, log start {}..{}, end {}",
                        stored.map(|stored| Header::parse(stored)),
                        Header::parse(batch),
                        model.log_start,
                        model.log_start_max,
                        model.end
                    );
                } else {
                    self.totals.acked += 1;
                    assert_eq!(appended.base_offset, model.end, "offsets have no holes");
                    model.end += i64::from(header.count);
                    model.insert(appended.base_offset, placed);
                }
                if let Some(producer) = producer.map(|number| &mut self.producers[number]) {
                    if producer.current.as_ref() == Some(batch) {
                        producer.current = None;
                        producer.sequence =
                            super::batch::sequence_after(header.base_sequence, header.count);
                        producer.last_acked = Some((batch.clone(), appended.base_offset));
                        producer.is_open = producer.transactional;
                    } else {
                        let (_, offset) = producer.last_acked.as_ref().unwrap();
                        assert!(
                            appended.duplicate && appended.base_offset == *offset,
                            "an old batch was stored again: {appended:?}, first at {offset}, log start {}, producer {:?}",
                            model.log_start,
                            header
                        );
                    }
                }
            }
            Err(AppendError::StorageFull) => self.totals.full += 1,
            Err(AppendError::Storage { .. }) => self.totals.failed += 1,
            Err(error) => panic!("a well-behaved producer was refused: {error}"),
        }
    }

    fn read(&mut self) {
        for partition in 0..self.models.len() {
            let log = self.log(partition);
            let model = &self.models[partition];
            let log_start = log.log_start();
            let from = self.chance.random_range(log_start..=model.end);
            // Reading needs nothing that a stopped or full disk would refuse.
            let found = self.machine.read_all(&log, from).unwrap();
            let expected: Vec<(&i64, &Bytes)> = model
                .batches
                .iter()
                .filter(|(_, batch)| Header::parse(batch).unwrap().last_offset() >= from)
                .collect();
            assert_eq!(
                found.len(),
                expected.len(),
                "partition {partition} from {from}"
            );
            for ((header, bytes), (offset, batch)) in found.iter().zip(expected) {
                assert_eq!(
                    (
                        header.base_offset,
                        &without_epoch(bytes, header.base_offset)
                    ),
                    (*offset, batch)
                );
            }
            self.totals.read_batches += found.len() as u64;
            self.look_up_times(&log, partition);
            self.read_committed(&log, partition, from);
        }
    }

    fn read_committed(&mut self, log: &PartitionLog, partition: usize, from: i64) {
        let model = &self.models[partition];
        let stable = model.stable_end(log.log_start());
        assert_eq!(
            log.last_stable_offset(),
            stable,
            "partition {partition}: last stable offset"
        );
        // From the last stable offset on there is nothing to see, and no way to get there.
        let from = from.min(stable);
        let aborted_max = self.chance.random_range(1..4);
        let found = self.machine.read_committed(log, from, aborted_max).unwrap();
        let found: Vec<i64> = found.iter().map(|(header, _)| header.base_offset).collect();
        let visible = model.batches.iter().filter(|(offset, batch)| {
            let header = Header::parse(batch).unwrap();
            let last_offset = *offset + i64::from(header.last_offset_delta);
            // The log start may be inside of a batch of the open transaction.
            let is_before = from < stable && **offset < stable;
            last_offset >= from && is_before && !header.is_control()
        });
        let (committed, aborted): (Vec<i64>, Vec<i64>) = visible
            .map(|(offset, _)| *offset)
            .partition(|offset| !model.is_aborted(*offset));
        assert_eq!(
            found, committed,
            "partition {partition} from {from}, stable {stable}"
        );
        self.totals.skipped += aborted.len() as u64;
    }

    /// By time, the answer must be that of a scan.
    fn look_up_times(&mut self, log: &PartitionLog, partition: usize) {
        let now = self.machine.now.load(Ordering::Relaxed);
        let timestamp = now - self.chance.random_range(0..3000);
        let log_start = log.log_start();
        let scanned = self.models[partition].batches.values().find_map(|batch| {
            let header = Header::parse(batch).unwrap();
            (header.max_timestamp >= timestamp && header.last_offset() >= log_start)
                .then_some((header.base_offset.max(log_start), header.max_timestamp))
        });
        assert_eq!(
            log.offset_for_time(timestamp).unwrap(),
            scanned,
            "partition {partition}, time {timestamp}"
        );
    }

    fn trim(&mut self) {
        let partition = self.chance.random_range(0..self.models.len());
        let to = self.chance.random_range(0..=self.models[partition].end);
        let outcome = self.log(partition).delete_before(to).map(|_log_start| ());
        self.after_trim(partition, to, outcome.is_ok());
    }

    fn retain(&mut self) {
        let partition = self.chance.random_range(0..self.models.len());
        let keep_from = self.chance.random_range(0..=self.models[partition].end);
        let log = self.log(partition);
        let before = log.log_start();
        let keep_from = keep_from.min(self.models[partition].stable_end(before));
        let now = self.machine.now.load(Ordering::Relaxed) + self.chance.random_range(0..2000);
        match log.apply_retention(now, keep_from) {
            Ok(removed) => {
                assert!(
                    log.log_start() <= keep_from.max(before),
                    "retention deleted what somebody has to read"
                );
                assert_eq!(removed.records as i64, log.log_start() - before);
                self.after_trim(partition, log.log_start(), true);
            }
            Err(_) => self.after_trim(partition, keep_from, false),
        }
    }

    fn after_trim(&mut self, partition: usize, to: i64, answered: bool) {
        let log_start = self.log(partition).log_start();
        let model = &mut self.models[partition];
        model.log_start_max = model.log_start_max.max(to);
        if answered {
            self.totals.trims += 1;
            assert!(log_start >= to);
        }
        model.log_start = log_start;
        model.forget_trimmed();
    }

    fn restart(&mut self) {
        let logs = self.logs.take().unwrap();
        let may_be_clean = match self.chance.random_range(0..4) {
            0 => {
                // After an error the mark may be there or not; if it is, all before it is done.
                let _either_way = logs.close();
                true
            }
            _ => false,
        };
        drop(logs);
        self.machine.disk.set_capacity(None);
        let crashes_before = self.totals.crashes;
        if self.chance.random_bool(0.7) {
            self.crash();
        } else {
            // The process was killed; the machine, and what its kernel remembers, goes on.
            self.machine.disk.heal();
        }
        while self.chance.random_bool(0.3) {
            // Power fails again in the middle of the recovery. What it showed must not be gone afterwards.
            self.machine
                .disk
                .stop_after(self.chance.random_range(0..40));
            drop(self.machine.try_open());
            self.crash();
        }
        let logs = self.machine.open();
        for entry in self.machine.disk.list(Path::new("/queue/t-0")).unwrap() {
            self.totals.rolls += u64::from(entry.name.ends_with(".log"));
        }
        self.logs = Some(logs);
        let lost_power = self.totals.crashes > crashes_before;
        for partition in 0..self.models.len() {
            if lost_power && !self.flush_comes_first() {
                self.take_losses(partition);
            }
            self.compare_after_restart(partition, may_be_clean);
        }
    }

    fn crash(&mut self) {
        self.totals.crashes += 1;
        self.machine.disk.crash();
    }

    /// What was not synced may be gone, from some batch on and with all behind it.
    fn take_losses(&mut self, partition: usize) {
        let log = self.log(partition);
        let end = log.high_watermark();
        let model = &mut self.models[partition];
        assert!(
            end >= model.synced && end >= log.log_start(),
            "partition {partition}: {end} < {}",
            model.synced
        );
        if end >= model.end {
            return;
        }
        assert_eq!(
            log.epoch_end(model.epoch).map(|(_, ends)| ends),
            Some(end),
            "partition {partition}: its readers are told"
        );
        self.totals.lost += model.batches.split_off(&end).len() as u64;
        model.end = end;
        model.transactions.retain(|lost| lost.first_offset < end);
        model.log_start_max = model.log_start_max.min(end);
        // Their sequences are not in the log any more: like real ones they start anew under another id.
        for producer in self
            .producers
            .iter_mut()
            .filter(|producer| producer.partition == partition)
        {
            *producer = Producer {
                id: producer.id + PRODUCERS as i64,
                partition,
                sequence: 0,
                current: None,
                last_acked: None,
                transactional: producer.transactional,
                is_open: false,
                ending: None,
            };
        }
    }

    fn compare_after_restart(&mut self, partition: usize, may_be_clean: bool) {
        let log = self.log(partition);
        assert_eq!(log.failure(), None, "partition {partition} is refused");
        let found = self.machine.read_all(&log, log.log_start()).unwrap();
        let model = &mut self.models[partition];
        assert!(
            (model.log_start..=model.log_start_max).contains(&log.log_start()),
            "partition {partition}: log start"
        );
        assert!(
            log.high_watermark() >= model.end,
            "partition {partition}: {} < {}",
            log.high_watermark(),
            model.end
        );
        assert!(
            log.leader_epoch() >= model.epoch + i32::from(!may_be_clean),
            "partition {partition}: epoch"
        );
        model.epoch = log.leader_epoch();
        model.log_start = log.log_start();
        model.log_start_max = log.log_start();
        model.forget_trimmed();
        let mut expected = model.batches.clone().into_iter();
        let mut unique = HashSet::new();
        for (header, bytes) in &found {
            let offset = header.base_offset;
            let bytes = without_epoch(bytes, offset);
            assert!(
                header.producer_id < 0
                    || header.is_control()
                    || unique.insert((header.producer_id, header.base_sequence)),
                "twice in partition {partition}"
            );
            match expected.next() {
                Some(known) => assert_eq!(known, (offset, bytes), "partition {partition}"),
                None => {
                    assert_eq!(offset, model.end, "partition {partition}");
                    let sent = without_epoch(&bytes, 0);
                    let place = model
                        .unanswered
                        .iter()
                        .position(|unanswered| *unanswered == sent);
                    model
                        .unanswered
                        .remove(place.expect("a batch that nobody sent"));
                    model.end = header.next_offset();
                    model.insert(offset, bytes);
                    self.totals.found_unanswered += 1;
                }
            }
        }
        assert_eq!(
            expected.next(),
            None,
            "partition {partition}: an acknowledged batch is gone"
        );
        assert_eq!(log.high_watermark(), model.end, "partition {partition}");
        // What was not found now can never turn up any more, and what was found is synced.
        model.unanswered.clear();
        model.synced = model.end;
    }
}

impl Model {
    fn insert(&mut self, offset: i64, batch: Bytes) {
        let header = Header::parse(&batch).unwrap();
        let open = self
            .transactions
            .iter_mut()
            .find(|open| open.producer_id == header.producer_id && open.end.is_none());
        if header.is_control() {
            let outcome = marker::read(&header, &batch).unwrap().outcome;
            open.expect("a marker without a transaction was stored").end = Some((offset, outcome));
        } else if header.is_transactional() && open.is_none() {
            self.transactions.push(Transaction {
                producer_id: header.producer_id,
                first_offset: offset,
                end: None,
            });
        }
        self.batches.insert(offset, batch);
    }

    fn stable_end(&self, log_start: i64) -> i64 {
        let open = self.transactions.iter().filter(|open| open.end.is_none());
        open.map(|open| open.first_offset.max(log_start))
            .min()
            .unwrap_or(self.end)
    }

    /// Whether the batch at this offset belongs to a transaction that was aborted.
    fn is_aborted(&self, offset: i64) -> bool {
        let header = Header::parse(&self.batches[&offset]).unwrap();
        header.is_transactional()
            && self.transactions.iter().any(|transaction| {
                transaction.producer_id == header.producer_id
                    && transaction.first_offset <= offset
                    && transaction
                        .end
                        .is_some_and(|(end, outcome)| offset < end && outcome == Outcome::Abort)
            })
    }

    fn forget_trimmed(&mut self) {
        let log_start = self.log_start;
        self.batches
            .retain(|_, batch| Header::parse(batch).unwrap().last_offset() >= log_start);
    }
}

/// For comparing: the leader epoch is the log's to choose, and where the transaction of a marker began.
fn without_epoch(batch: &Bytes, base_offset: i64) -> Bytes {
    let mut bytes = batch.to_vec();
    if Header::parse(batch).unwrap().is_control() {
        marker::complete(&mut bytes, -1);
    }
    place(&mut bytes, base_offset, 0);
    bytes.into()
}
