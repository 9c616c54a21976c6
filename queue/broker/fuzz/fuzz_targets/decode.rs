//! Any bytes as one frame: `cargo +nightly fuzz run decode`. The same body runs as a property test in `wire::tests`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    logboom_broker::fuzz::decode(bytes);
});
