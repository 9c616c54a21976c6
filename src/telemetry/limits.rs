//! Bounds of what is exported, with the arithmetic that chose them.

use std::time::Duration;

/// Spans that wait for the collector, about 1 KiB each: a publish at thirty agents ends a thousand at once. More are dropped.
pub(super) const SPANS_WAITING_MAX: usize = 4_096;
/// Of one request.
pub(super) const SPANS_SENT_MAX: usize = 512;
/// How long a span waits for company.
pub(super) const SPANS_DELAY: Duration = Duration::from_secs(1);

/// OpenTelemetry's own interval for metrics.
pub(super) const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// Of a whole request: a collector that hangs costs a batch of spans, and no part notices.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What a stop waits for the last spans and metrics to arrive; the process has 15 s.
pub(super) const STOP_WAIT: Duration = Duration::from_secs(2);

/// One line about an unreachable collector per this long.
pub(super) const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
