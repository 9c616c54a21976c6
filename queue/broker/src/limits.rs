//! Every maximum of the broker in one place, with the arithmetic that chose it.

use std::time::Duration;

/// Largest request frame. Java's default `socket.request.max.bytes`; a producer's largest request is
/// its batch limit times the partitions it fills at once, for ours 16 MiB.
pub const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Largest record batch: 16 lines of the agent's 1 MiB maximum in one batch, before compression.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Connections at a time. Each costs a task and a few KiB while idle; with [`PARTITIONS_MAX`] files that is 11 Ki
/// descriptors, far from the usual hard limit of 524,288 to which the binary raises the soft one.
pub const CONNECTIONS_MAX: usize = 2560;

/// Requests of one connection that are being served or whose answers wait to be written.
/// librdkafka pipelines up to 5 produce requests; admin tools far fewer.
pub const PIPELINED_REQUESTS_MAX: usize = 16;

/// Bytes of request frames that one connection may have in flight (a single larger frame is let through alone).
pub const IN_FLIGHT_BYTES_PER_CONNECTION_MAX: usize = 32 * 1024 * 1024;

/// Bytes of request frames in flight over all connections: with `FRAME_BYTES_MAX` the smallest value that
/// lets the largest frame in, plus room so that small requests pass beside it.
pub const IN_FLIGHT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Elements (array entries, tagged fields) that one request may carry. A group of 200 members with 4,096
/// partitions, or a Metadata for 4,096 topics, fits; a decoded element costs at most ~200 bytes, so 64 Ki
/// elements stay below 13 MiB whatever the frame says.
pub const REQUEST_ELEMENTS_MAX: usize = 64 * 1024;

/// Bytes that one Fetch answer carries at most, whatever the client asks for: as much as the largest batch, so
/// that the answer and its encoded copy stay within 32 MiB. The client comes back for the rest.
pub const FETCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of Fetch answers that all connections together hold in memory before they are written.
/// Four of the largest answers at a time; who comes after waits, or gets less.
pub const FETCH_BYTES_IN_FLIGHT_MAX: usize = 64 * 1024 * 1024;

/// Aborted transactions named in one Fetch answer, over all its partitions, unless more overlap in its first batch (at
/// most `TRANSACTIONS_OPEN_MAX` can): 16 bytes each are 256 KiB. What has more is given out in more answers.
pub const FETCH_ABORTED_MAX: usize = 16 * 1024;

/// Longest long poll of a Fetch, whatever the client asks for.
pub const FETCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// Idle time after which a connection is closed (Kafka's `connections.max.idle.ms`).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Time within which a frame must arrive in full once its length has been read. What a large frame (see
/// [`SMALL_FRAME_BYTES_MAX`]) takes to get its share of memory does not count.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// How far a large frame may fall behind an even pace over [`FRAME_TIMEOUT`], since it keeps memory from others: more
/// than a retransmission or two take, and little to wait for who is next.
pub const FRAME_GRACE: Duration = Duration::from_secs(5);

/// Time within which an answer must be taken by the client.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop waits for requests that were already accepted.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Topics: all partitions may be of topics of their own.
pub const TOPICS_MAX: usize = PARTITIONS_MAX;

/// Partitions of one topic.
pub const PARTITIONS_PER_TOPIC_MAX: u32 = 1024;

/// Partitions over all topics. Each keeps one file open, and while it is idle 64 KiB of disk and a few KiB of memory:
/// `examples/many_idle.rs` measures it.
pub const PARTITIONS_MAX: usize = 8192;

/// Longest topic name (Kafka's own bound, so that names travel both ways).
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Groups kept, alive or with offsets only.
pub const GROUPS_MAX: usize = 4096;

/// Members of one group.
pub const GROUP_MEMBERS_MAX: usize = 1024;

/// Longest group id, member id, instance id, client id, protocol type.
pub const GROUP_ID_BYTES_MAX: usize = 1024;

/// Protocols that one member may offer. Consumers offer one to four.
pub const MEMBER_PROTOCOLS_MAX: usize = 64;

/// Names and metadata of one member's protocols.
pub const MEMBER_METADATA_BYTES_MAX: usize = 1024 * 1024;

/// What the members of one group say about themselves, and what its leader assigns: each is one answer or one request,
/// and 16 KiB for each of `GROUP_MEMBERS_MAX`.
pub const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The same over all groups: four of the largest at a time, or 4,096 of 32 KiB.
pub const GROUPS_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Metadata string that may be committed beside an offset (Kafka's `offset.metadata.max.bytes`).
pub const OFFSET_METADATA_BYTES_MAX: usize = 4096;

/// Offsets kept over all groups: 64 Ki rows of ~200 bytes are 13 MiB.
pub const OFFSETS_MAX: usize = 64 * 1024;

/// Bytes of all those rows with their groups, topics and metadata: in memory, in a snapshot, and in the answer to an
/// OffsetFetch for everything. Without it the longest names and metadata would make 300 MiB.
pub const OFFSETS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Pairs of group and topic with metrics of their own; the others share one. Four series each: 4,000 lines of a scrape.
pub const LAG_SERIES_MAX: usize = 1000;

/// Records whose time is looked up on the disk in one round over all groups: at 20 µs each from the page cache 80 ms of a
/// blocking thread. Groups beyond it are told without an age.
pub const LAG_LOOKUPS_MAX: usize = 4096;

/// Session timeout that a group member may ask for.
pub const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(1000);
/// See [`SESSION_TIMEOUT_MIN`]; Kafka's `group.max.session.timeout.ms`.
pub const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(1800);

/// Journal size past which the offset store writes a snapshot and starts again, unless the last one was more than half
/// as large: then past twice that one.
pub const OFFSETS_COMPACT_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// The largest journal of offsets: a snapshot of `OFFSETS_BYTES_MAX`, as much again to grow, and as much again while
/// the disk has no room for the next snapshot.
pub const OFFSETS_JOURNAL_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Transactional ids remembered: one for each instance of a transactional application, which uses it again. Past it the
/// one that was silent longest makes way for a new one.
pub const TRANSACTIONAL_IDS_MAX: usize = 10_000;

/// How long an id that makes way has been silent at least: the producer of a younger one may be between two transactions,
/// and would not survive. Until then the new id is refused.
pub const TRANSACTIONAL_ID_SILENCE_MIN: Duration = Duration::from_secs(3600);

/// Longest transactional id, as of a group.
pub const TRANSACTIONAL_ID_BYTES_MAX: usize = GROUP_ID_BYTES_MAX;

/// Time after which a transactional id without a transaction is forgotten (Kafka's `transactional.id.expiration.ms`).
pub const TRANSACTIONAL_ID_SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Transactions open at a time: one a connection.
pub const TRANSACTIONS_OPEN_MAX: usize = CONNECTIONS_MAX;

/// Partitions of one transaction: all that there can be.
pub const TRANSACTION_PARTITIONS_MAX: usize = PARTITIONS_MAX;

/// Groups for which one transaction commits offsets. Applications have one.
pub const TRANSACTION_GROUPS_MAX: usize = 64;

/// What all transactional ids take with their partitions: 10,000 idle ones take 3 MiB, and 1,024 open ones of 30 KiB fit.
pub const TRANSACTIONS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest time that a transaction may stay open, and with it hold back readers (Kafka's `transaction.max.timeout.ms`).
pub const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// One transaction in the journal: 4,096 topics of the longest names and 64 groups are 1.2 MiB.
pub const TRANSACTION_RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Journal size past which transactions are written anew, as `OFFSETS_COMPACT_BYTES_MIN`.
pub const TRANSACTIONS_COMPACT_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// The largest journal of transactions, as `OFFSETS_JOURNAL_BYTES_MAX`.
pub const TRANSACTIONS_JOURNAL_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Producer ids handed out from one durable reservation: one sync per thousand producers, and at most a
/// thousand of 2^63 ids are skipped by a crash.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// Connections that have not said yet who they are, over all listeners that ask: a restart of a hundred agents at once
/// fits, and a flood of strangers leaves seven eighths of `CONNECTIONS_MAX` to those who are known. Who comes when all
/// are taken is closed at once, counted, and comes again by itself.
pub const STRANGERS_MAX: usize = 128;

/// Time that a stranger has for TLS and SASL together: ten round trips around the world and a slow password check.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(15);

/// Frame of a stranger. SCRAM's messages are a few hundred bytes; Kafka's own bound is 512 KiB, for Kerberos tickets.
pub const STRANGERS_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Frames that a stranger may send: ApiVersions twice, a handshake and two tokens are five.
pub const ADMISSION_REQUESTS_MAX: usize = 16;

/// What an answer to a wrong password waits for: a stranger's place tries twice a second, all 128 of them 256 times.
pub const REFUSAL_DELAY: Duration = Duration::from_millis(500);

/// Passwords of PLAIN that are checked at a time: each takes a thread for about 10 ms.
pub const PASSWORD_CHECKS_MAX: usize = 2;

/// Lines a second about refused logins and requests; the metrics count them all.
pub const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(1);

/// Rounds of PBKDF2 for new passwords: the most that Apache Kafka takes (so that keys can move there), four times RFC
/// 7677's least. It is what a stolen file costs its reader a try, and what a client pays at each connection: about 8 ms
/// of librdkafka's time. Passwords that are long and random are the better defence.
pub const SCRAM_ITERATIONS: u32 = 16_384;

/// Rounds that a stored key may have been made with.
pub const SCRAM_ITERATIONS_MIN: u32 = 4096;
/// See [`SCRAM_ITERATIONS_MIN`]: PLAIN pays for them here.
pub const SCRAM_ITERATIONS_MAX: u32 = 100_000;

/// Salt of a key.
pub const SCRAM_SALT_BYTES: usize = 16;

/// Users in the file: 700 bytes each.
pub const USERS_MAX: usize = 4096;

/// Name of a user.
pub const USER_NAME_BYTES_MAX: usize = 249;

/// A password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Certificates, keys and CAs in one PEM file: the list of all public CAs is 220 KiB.
pub const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// How often the files that the settings name are looked at for changes: a new user can log in before the operator has
/// typed the next command.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Frames up to this size, and so much of each larger one that waits for its share, do not count against
/// `IN_FLIGHT_BYTES_MAX`, so that heartbeats and commits pass while large frames wait for their turn. One a connection
/// is 160 MiB at `CONNECTIONS_MAX`. A client that pipelines has up to 33 of them in flight (twice
/// `PIPELINED_REQUESTS_MAX` and the one that is read), 2 MiB; all clients at once could make it 5 GiB.
pub const SMALL_FRAME_BYTES_MAX: usize = 64 * 1024;
