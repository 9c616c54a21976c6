//! Damage to the files of a partition, and the starts after it: `cargo +nightly fuzz run recovery`. The same body runs as a property test in
//! `fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    logboom_broker::fuzz::recover(bytes);
});
