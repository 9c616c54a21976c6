//! Any bytes as a line, in any format: the first byte picks the format, the next eight the arrival.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use logboom_event::Format;

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;

static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let formats = bodies::FORMATS.iter();
    formats.map(|text| text.parse().expect("the formats are valid")).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((format, data)) = data.split_first() else {
        return;
    };
    let Some((arrival, line)) = data.split_first_chunk() else {
        return;
    };
    let format = FORMATS[usize::from(*format) % FORMATS.len()].clone();
    bodies::parse(line, format, i64::from_le_bytes(*arrival));
});
