//! The `logboom` binary: the exit code, and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod compose;
mod config;
mod supervise;
mod telemetry;
mod terminal;

use std::process::ExitCode;

// The pipeline allocates in one task and frees in another all day long; the
// system allocator answers that with arenas that never shrink.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("logboom: {error:#}");
            ExitCode::FAILURE
        }
    }
}
