//! Bounds of the receivers, with the arithmetic that chose them.

use std::time::Duration;

/// Defaults of [`super::Limits`].
///
/// Bytes of a body as it comes: the OpenTelemetry Collector takes 4 MiB over gRPC and 20 MiB over HTTP.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes of a body unpacked. 100,000 items (the most that are taken) of 335 bytes.
pub const UNPACKED_BYTES_MAX: usize = 32 << 20;
/// Bytes of all bodies and of what became of them, until the queue has acked them. One request of the largest size
/// holds 80 MiB while it is read (packed 16, as JSON 32, in protobuf 32), and 96 MiB while its body and its
/// records (`SORTED_BYTES_MAX`) are there at once: less would refuse it for ever.
pub const IN_FLIGHT_BYTES_MAX: usize = 96 << 20;
/// Requests at once. At 3 ms for one ack of the queue, 128 are 40,000 requests a second.
pub const REQUESTS_MAX: usize = 128;
/// Connections at once. Each may hold [`WINDOW_BYTES`] that nobody has read yet.
pub const CONNECTIONS_MAX: usize = 512;
/// Until the first request of a connection, and for its headers over HTTP/1.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// For a whole body. Senders give up after 10 s (SDKs) or 30 s (the Collector).
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// For the queue's acks. Just as long as the shortest patience of senders, so that they hear why.
pub const PATIENCE: Duration = Duration::from_secs(9);

/// Bytes read at once of a connection over HTTP/1, and the most that its headers may have.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// Bytes of the headers of one request over HTTP/2; SDKs send some hundred.
pub(crate) const HEADER_BYTES_MAX: usize = 16 << 10;
/// Bytes that a peer of HTTP/2 may send before they are read. 256 KiB at 1 ms of round trip are 256 MB/s;
/// times [`CONNECTIONS_MAX`] 128 MiB at the worst.
pub(crate) const WINDOW_BYTES: u32 = 256 << 10;
/// Requests at once on one connection of HTTP/2.
pub(crate) const STREAMS_MAX: u32 = 100;
/// A peer of HTTP/2 that went away without a word is noticed within twice this.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How much of the rest of a refused body is read so that an HTTP/1 sender, who is still
/// writing, gets to read the answer.
pub(crate) const DRAIN_BYTES_MAX: usize = 32 << 20;
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Where bytes unpacked are counted and the end is looked for.
pub(crate) const UNPACK_STEP_BYTES: usize = 64 << 10;
/// Memory that a zstd frame may ask for at once (2^25 = 32 MiB): what a body may unpack to.
pub(crate) const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// Bytes of one record: half of the 1 MiB that Apache Kafka takes without being told to take more.
pub const RECORD_BYTES: usize = 512 << 10;
/// Bytes of a record with a single item that cannot be split: what the client takes, less its framing.
pub const ITEM_BYTES_MAX: usize = logboom_client::limits::RECORD_BYTES_MAX - (64 << 10);
/// Bytes of a resource and a scope. Each record repeats them, so larger ones would multiply: at an eighth
/// of [`RECORD_BYTES`] they cost a seventh more. SDKs write 1 KiB.
pub const SHARED_BYTES_MAX: usize = 64 << 10;
/// Bytes of all records made of one request. Each partition repeats the resources of its items.
pub(crate) const SORTED_BYTES_MAX: usize = 2 * UNPACKED_BYTES_MAX;

/// Bytes of JSON of one rejected item in the dead-letter topic.
pub const REJECTED_BYTES_MAX: usize = 64 << 10;
/// Rejected items of one request that are kept, each as a record; the rest is only counted.
pub const REJECTED_ITEMS_MAX: usize = 1_000;
/// Bytes of rejected items of one request that are looked at to keep them.
pub(crate) const REJECTED_SOURCE_BYTES_MAX: usize = 32 << 20;
/// Bytes of dead letters of one request.
pub(crate) const LETTERS_BYTES_MAX: usize = 8 << 20;

/// What a sender is told to wait: a request is done after some milliseconds, an outage is not.
pub(crate) const RETRY_BUSY: Duration = Duration::from_secs(1);
pub(crate) const RETRY_UNSTORED: Duration = Duration::from_secs(3);

/// Between two tries to create the topics.
pub(crate) const TOPICS_RETRY: Duration = Duration::from_millis(500);
/// Between two tries to accept while descriptors are used up.
pub(crate) const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long a stop waits for requests under way: longer than [`PATIENCE`], shorter than the 15 s of the binary.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(12);
/// One line about a queue that does not take requests per this long.
pub(crate) const COMPLAINTS: Duration = Duration::from_secs(10);
/// Producers that were given up and wait for their last user.
pub(crate) const RETIRED_MAX: usize = 2;
