//! Single promises of the log, one damage or fault at a time. Random mixtures are in `model_tests`.

mod faults;
mod flush;
mod records;
mod recovery;
mod retention;
mod topics;
mod transactions;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use logboom_disk::Disk;

use crate::log::segment;
use crate::log::testing::{BatchBuilder, Machine, append_one};
use crate::log::{Logs, PartitionLog};

const FILE_MAX: usize = 64 << 20;

fn plain(byte: u8, len: usize) -> Bytes {
    BatchBuilder::new(&[vec![byte; len]]).build()
}

fn offsets(machine: &Machine, log: &PartitionLog) -> Vec<i64> {
    machine
        .read_all(log, log.log_start())
        .unwrap()
        .iter()
        .map(|(header, _)| header.base_offset)
        .collect()
}

/// A machine with one partition, large segments, and no thread in the way.
fn one_partition(segment_bytes: u64) -> (Machine, Logs, Arc<PartitionLog>) {
    let mut machine = Machine::new(1);
    machine.config.segment_bytes = segment_bytes;
    let logs = machine.open();
    let log = logs.create("t", 0).unwrap();
    (machine, logs, log)
}

/// Several closed segments, and where the first of them ends.
fn closed_segments() -> (Machine, Vec<i64>) {
    let (machine, logs, log) = one_partition(8 << 10);
    for byte in 0..30 {
        append_one(&log, plain(byte, 1000)).unwrap();
    }
    drop(logs);
    let names = machine.disk.list(Path::new("/queue/t-0")).unwrap();
    let bases: Vec<i64> = names
        .iter()
        .filter_map(|entry| segment::base_of(&entry.name))
        .collect();
    assert!(bases.len() > 3, "{bases:?}");
    (machine, bases)
}
