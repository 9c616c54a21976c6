//! Bounds the log lines about what is refused: whoever is refused can ask again, as often as they like.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::REFUSALS_TOLD_EVERY;

/// When a refusal was told last.
#[derive(Default)]
pub(crate) struct Refusals {
    told: Mutex<Option<Instant>>,
}

impl Refusals {
    /// Whether this one is to be told.
    pub(crate) fn may_tell(&self) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|at| now.duration_since(at) >= REFUSALS_TOLD_EVERY);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}
