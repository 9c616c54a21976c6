//! Bounds of a mirror. Its memory is what the client fetches ahead (8 MiB) and holds for the target's ack (32 MiB,
//! `logboom_client::limits`), and what is named here.

use std::time::Duration;

/// Records taken from the source at once.
pub const ROUND_RECORDS: usize = 4096;

/// Bytes of them: half of what is fetched ahead, so that fetching goes on meanwhile.
pub const ROUND_BYTES: usize = 4 << 20;

/// Rounds that wait for the target's acks. The producer's buffer is full long before, unless records are tiny.
pub const ROUNDS_MAX: usize = 32;

/// How long an idle source is waited for before the loop looks around.
pub const RECEIVE_WAIT: Duration = Duration::from_millis(200);

/// How often progress is committed at the source. It bounds what a start has to read of the target.
pub const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How often topics are looked for unless told otherwise. A new topic waits this long; one metadata request each.
pub const REFRESH: Duration = Duration::from_secs(5);

/// How far back in a partition of the target a start looks for the last copy when no progress is committed. At about
/// 500,000 records/s this takes two seconds a partition, once.
pub const TAIL_RECORDS_MAX: i64 = 1_000_000;

/// A start that has read nothing of an end for this long begins anew.
pub const READ_PATIENCE: Duration = Duration::from_secs(30);

/// How long a stop waits for acks of what was handed over. What is later is found in the target by the next start.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// Pause after a failed session: the first, doubled up to the second.
pub const RETRY_FIRST: Duration = Duration::from_millis(500);
pub const RETRY_MAX: Duration = Duration::from_secs(10);

/// How long a life waits before it reads how far the one before it came: requests of a process that was killed may still
/// lie in the target's sockets. A target takes them within milliseconds unless its disk stands still.
pub const SETTLE: Duration = Duration::from_millis(500);

/// How long `Until::Drained` waits for its clusters to answer at the start. A command tells rather than waits.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a partition rests whose record the target refuses. Somebody may raise the target's limit.
pub const REFUSED_REST: Duration = Duration::from_secs(60);

/// Clusters that a record may pass. More is a loop of clusters that change their ids.
pub const HOPS_MAX: usize = 16;

/// Bytes of a cluster's id. Kafka's own have 22, ours 36.
pub const CLUSTER_ID_BYTES_MAX: usize = 128;
