//! Tests of the whole indexer without a queue: records are fed, the process "dies" anywhere, and is
//! opened again from its directory.

mod crash;
mod housekeeping;
pub(crate) mod machine;
mod searching;
mod speed;
mod traces;
