//! Any bytes as the body of every request in every version, behind a header that is right: reaches the guard and
//! the codec at once. `cargo +nightly fuzz run decode_body`; the same body runs as a property test in `wire::tests`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    logboom_broker::fuzz::decode_body(bytes);
});
