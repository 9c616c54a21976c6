//! Any bytes as an OTLP request in protobuf: the first byte picks the signal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom_event::otlp::Signal;

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;

fuzz_target!(|data: &[u8]| {
    let Some((signal, data)) = data.split_first() else {
        return;
    };
    let signal = [Signal::Logs, Signal::Spans][usize::from(signal % 2)];
    bodies::otlp_protobuf(data, signal);
});
