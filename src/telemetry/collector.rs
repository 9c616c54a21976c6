//! The way to the collector: requests of the SDK's threads, made on our runtime, and a line now and then when they fail.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use prost::Message;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::limits::{COMPLAINT_INTERVAL, REQUEST_TIMEOUT};

/// Made once for spans and metrics, so that both complain as one.
#[derive(Debug)]
pub(super) struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    url: String,
    told: Mutex<Told>,
}

/// What was said about the collector.
#[derive(Debug, Default)]
struct Told {
    /// Requests that failed since one succeeded, or since a line about them.
    failed: u64,
    is_away: bool,
    complained_at: Option<Instant>,
    refusal: bool,
}

/// `Export{Trace,Metrics}ServiceResponse`: the two are the same in protobuf.
#[derive(Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

impl Collector {
    /// Must be called inside the runtime.
    pub(super) fn new(url: &str, own: bool) -> reqwest::Result<Collector> {
        let mut http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("logboom/", env!("CARGO_PKG_VERSION")));
        if own {
            http = http.no_proxy();
        }
        Ok(Collector {
            http: http.build()?,
            runtime: Handle::current(),
            url: url.to_owned(),
            told: Mutex::default(),
        })
    }

    fn note(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(response) if response.status().is_success() => {
                if told.returned() {
                    info!(collector = self.url, "own telemetry is sent again");
                }
                if let Some(refused) = refused(response.body())
                    && !std::mem::replace(&mut told.refusal, true)
                {
                    warn!(
                        collector = self.url,
                        rejected = refused.rejected,
                        reason = refused.message,
                        "`telemetry.otlp`: a part of our own telemetry is not taken; this is said once"
                    );
                }
            }
            failed => {
                let Some(requests) = told.failed(Instant::now()) else {
                    return;
                };
                let error = match failed {
                    Ok(response) => format!("it answers {}", response.status()),
                    // reqwest says "error sending request", and why only in its sources.
                    Err(error) => anyhow::Chain::new(&**error)
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(": "),
                };
                warn!(
                    collector = self.url,
                    requests,
                    error,
                    "`telemetry.otlp`: own spans and metrics cannot be sent and are dropped; nothing else is affected"
                );
            }
        }
    }
}

impl Told {
    /// How many failed, if it is time to say so.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        self.failed += 1;
        if self
            .complained_at
            .is_some_and(|at| now.duration_since(at) < COMPLAINT_INTERVAL)
        {
            return None;
        }
        (self.complained_at, self.is_away) = (Some(now), true);
        Some(std::mem::take(&mut self.failed))
    }

    /// Whether a complaint is to be taken back.
    fn returned(&mut self) -> bool {
        self.failed = 0;
        std::mem::take(&mut self.is_away)
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        // The calling thread is the SDK's own and has no reactor.
        let sending = self
            .runtime
            .spawn(async move { http.send_bytes(request).await });
        let outcome = sending.await.unwrap_or_else(|error| Err(error.into()));
        self.note(&outcome);
        outcome
    }
}

fn refused(body: &Bytes) -> Option<PartialSuccess> {
    let answer = Answer::decode(body.clone()).ok()?;
    answer
        .partial_success
        .filter(|partial| partial.rejected > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_collector_is_complained_of_once_in_a_while_and_taken_back() {
        let (mut told, start) = (Told::default(), Instant::now());
        assert!(!told.returned(), "it was never away");
        assert_eq!(told.failed(start), Some(1));
        for second in 1..60 {
            assert_eq!(
                told.failed(start + std::time::Duration::from_secs(second)),
                None
            );
        }
        assert_eq!(told.failed(start + COMPLAINT_INTERVAL), Some(60));
        assert!(told.returned());
        assert!(!told.returned());
    }

    #[test]
    fn only_an_answer_that_rejects_something_is_a_refusal() {
        let rejected = Answer {
            partial_success: Some(PartialSuccess {
                rejected: 3,
                message: "metrics are not kept here".to_owned(),
            }),
        };
        let refusal = refused(&rejected.encode_to_vec().into()).unwrap();
        assert_eq!(
            (refusal.rejected, &*refusal.message),
            (3, "metrics are not kept here")
        );
        // The collector of OpenTelemetry answers a success with an empty `partial_success`.
        for taken in [&b""[..], &[0x0a, 0x00], b"{}", &[0xff; 9]] {
            assert!(refused(&Bytes::copy_from_slice(taken)).is_none());
        }
    }
}
