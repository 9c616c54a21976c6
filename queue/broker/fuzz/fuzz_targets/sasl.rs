//! Any bytes as the two tokens of every SASL mechanism: `cargo +nightly fuzz run sasl`. The same body runs as a property
//! test in `security::sasl`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|tokens: (&[u8], &[u8])| {
    logboom_broker::fuzz::sasl(tokens.0, tokens.1);
});
