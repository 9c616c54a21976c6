//! Any bytes as a record batch of a producer: `cargo +nightly fuzz run batch`. The same body runs as a property test in
//! `fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    logboom_broker::fuzz::batch(bytes);
});
