//! The seam behind which the queue is; its other side is memory, in tests.

use std::time::Duration;

use super::sort::Parcel;

/// Keeps parcels.
pub(crate) trait Store: Send + Sync + 'static {
    /// Waits a bounded time. `Ok`: all parcels are durable except those returned, which will never be taken.
    /// `Err`: any of them may be.
    fn store(
        &self,
        parcels: &[Parcel],
    ) -> impl Future<Output = Result<Vec<Refused>, Unstored>> + Send;
}

/// A parcel that will never be taken as it is.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// Place among those handed over.
    pub(crate) parcel: usize,
    pub(crate) error: String,
}

/// Why it is not known that all parcels are durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unstored {
    #[error("the queue was not reached yet")]
    NotReached,
    #[error("the queue did not answer within {} s", patience.as_secs_f32())]
    Late { patience: Duration },
    #[error(transparent)]
    Failed(#[from] logboom_client::Error),
    #[error("what is rejected for ever could not be kept: {error}")]
    Letter { error: String },
    #[error("a thread that sorts requests ended")]
    Thread,
}
