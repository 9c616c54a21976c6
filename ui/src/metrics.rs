//! Names of the metrics that this crate records.

/// Requests to the API by `route` and `status`.
pub const HTTP_REQUESTS_TOTAL: &str = "logboom_ui_http_requests_total";

/// Time until an API answer's headers were ready, by `route`.
pub const HTTP_REQUEST_SECONDS: &str = "logboom_ui_http_request_seconds";

/// Live tails that are open now.
pub const TAILS_OPEN: &str = "logboom_ui_tails_open";

/// Lines that live tails missed because their reader was too slow.
pub const TAIL_DROPPED_TOTAL: &str = "logboom_ui_tail_dropped_total";
