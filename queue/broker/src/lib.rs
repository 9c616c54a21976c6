//! The built-in queue: a Kafka-wire broker on one data directory.
//!
//! `session` reads frames, `wire` bounds and decodes them, `api` answers them out of `topics`, `groups`, `offsets`,
//! `transactions` and `log`. An acknowledged record is on disk; a consumer sees synced records only. The crate knows nothing of
//! what the records mean.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod broker;
mod config;
mod error;
mod groups;
mod lag;
pub mod limits;
pub mod log;
mod metrics;
mod node;
mod offsets;
mod producer_ids;
mod retention;
mod session;
mod status;
mod stored;
mod topics;
mod transactions;
mod verify;
mod wire;

pub use broker::Broker;
pub use config::Config;
pub use error::Error;
pub use status::{GroupStatus, PartitionStatus, Status, StatusHandle};
pub use verify::{Verified, verify};

/// Decodes any bytes as one frame. For the fuzz targets and their property tests: it returns, whatever comes in.
#[doc(hidden)]
pub fn fuzz_decode(frame: &[u8]) {
    let _refused = wire::codec::decode(bytes::Bytes::copy_from_slice(frame)).is_err();
}

/// Decodes any bytes as the body of every request in every version, behind a header that is right.
#[doc(hidden)]
pub fn fuzz_decode_body(body: &[u8]) {
    for shape in wire::shape::SHAPES {
        for version in shape.min..=shape.max {
            let mut frame = Vec::with_capacity(body.len() + 11);
            frame.extend((shape.key as i16).to_be_bytes());
            frame.extend(version.to_be_bytes());
            frame.extend([0, 0, 0, 1]);
            // No client id, and in flexible headers no tagged fields.
            frame.extend((-1i16).to_be_bytes());
            if shape.key.request_header_version(version) >= 2 {
                frame.push(0);
            }
            frame.extend(body);
            fuzz_decode(&frame);
        }
    }
}
