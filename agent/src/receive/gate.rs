//! Who may come in, and how many at once.
//!
//! Nothing here waits: a request that finds no room is refused at once, and its sender waits instead. So
//! requests that hold a part of the room and want more cannot block each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;
use crate::metrics;

/// The door of all receivers of a node.
pub(crate) struct Gate {
    token: Option<String>,
    requests: Arc<Semaphore>,
    requests_max: usize,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// A request that is inside, with the bytes that it holds. Dropping it makes room.
pub(crate) struct Flight {
    _request: OwnedSemaphorePermit,
    held: usize,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Gate {
    pub(crate) fn new(token: Option<String>, requests_max: usize, bytes_max: usize) -> Gate {
        Gate {
            token,
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            bytes: Arc::new(AtomicUsize::new(0)),
            bytes_max,
        }
    }

    /// Checks `authorization: Bearer …`, in a time that tells nothing about the token but its length.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let header = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoToken)?;
        let shown = match header.as_bytes().split_at_checked(7) {
            Some((scheme, shown)) if scheme.eq_ignore_ascii_case(b"bearer ") => shown,
            _ => return Err(Refusal::NoToken),
        };
        match bool::from(shown.trim_ascii().ct_eq(token.as_bytes())) {
            true => Ok(()),
            false => Err(Refusal::WrongToken),
        }
    }

    pub(crate) fn enter(&self) -> Result<Flight, Refusal> {
        let request = Arc::clone(&self.requests).try_acquire_owned();
        let request = request.map_err(|_| Refusal::Busy {
            what: "requests",
            max: self.requests_max,
        })?;
        Ok(Flight {
            _request: request,
            held: 0,
            bytes: Arc::clone(&self.bytes),
            bytes_max: self.bytes_max,
        })
    }
}

impl Flight {
    pub(crate) fn grow(&mut self, by: usize) -> Result<(), Refusal> {
        let grown = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
                bytes
                    .checked_add(by)
                    .filter(|bytes| *bytes <= self.bytes_max)
            });
        if grown.is_err() {
            return Err(Refusal::Busy {
                what: "bytes in flight",
                max: self.bytes_max,
            });
        }
        self.held += by;
        ::metrics::gauge!(metrics::OTLP_IN_FLIGHT_BYTES).increment(by as f64);
        Ok(())
    }

    /// Counts `held` bytes from now on, whatever it was before.
    pub(crate) fn hold(&mut self, held: usize) -> Result<(), Refusal> {
        self.grow(held.saturating_sub(self.held))?;
        self.shrink_to(held);
        Ok(())
    }

    fn shrink_to(&mut self, held: usize) {
        let by = self.held.saturating_sub(held);
        self.held -= by;
        self.bytes.fetch_sub(by, Ordering::Relaxed);
        ::metrics::gauge!(metrics::OTLP_IN_FLIGHT_BYTES).decrement(by as f64);
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_opens() {
        let gate = Gate::new(Some("s3cret".into()), 1, 1);
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "] {
            gate.check(&headers(good)).unwrap();
        }
        for bad in ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "Bearer S3CRET"] {
            let refusal = gate.check(&headers(bad)).unwrap_err();
            assert!(matches!(refusal, Refusal::WrongToken), "{bad}");
        }
        for none in ["Basic s3cret", "s3cret", ""] {
            let refusal = gate.check(&headers(none)).unwrap_err();
            assert!(matches!(refusal, Refusal::NoToken), "{none}");
        }
        assert!(matches!(
            gate.check(&HeaderMap::new()),
            Err(Refusal::NoToken)
        ));
        Gate::new(None, 1, 1).check(&HeaderMap::new()).unwrap();
    }

    #[test]
    fn room_comes_back_when_a_flight_ends() {
        let gate = Gate::new(None, 2, 100);
        let mut one = gate.enter().unwrap();
        let mut two = gate.enter().unwrap();
        assert!(matches!(gate.enter(), Err(Refusal::Busy { max: 2, .. })));
        one.grow(60).unwrap();
        two.grow(40).unwrap();
        assert!(matches!(two.grow(1), Err(Refusal::Busy { max: 100, .. })));
        one.hold(50).unwrap();
        assert!(one.hold(70).is_err());
        two.grow(10).unwrap();
        drop(one);
        assert_eq!(two.held(), 50);
        gate.enter().unwrap().grow(50).unwrap();
        two.grow(50).unwrap();
        assert!(two.grow(usize::MAX).is_err());
    }
}
