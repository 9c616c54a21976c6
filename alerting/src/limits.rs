//! The numbers of this crate and why they are what they are.

use std::time::Duration;

/// Size of one rule file: 1 MiB is some five thousand rules.
pub const RULE_FILE_BYTES_MAX: u64 = 1 << 20;

/// Rules of one process: the matcher is measured up to here (facts/alerting.md §3).
pub const RULES_MAX: usize = 10_000;

/// A pattern longer than this is generated, and by mistake.
pub const PATTERN_BYTES_MAX: usize = 8 * 1024;

/// Compiled size of one pattern: 1,000 rules at the cap are 1 GiB, at the usual 10 KiB 10 MiB.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;

/// Highest `threshold.count`. A firing group keeps about this many times, 16 bytes each.
pub const COUNT_MAX: u32 = 100_000;

/// A window, `for`, or `keep_firing_for` is at most this long; longer spans belong to queries.
pub const WITHIN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Window of a rule that only has a `regex`.
pub const WITHIN_DEFAULT: Duration = Duration::from_secs(60);

/// Fields in one `group_by`.
pub const GROUP_BY_MAX: usize = 8;

/// Bytes of one group value; a longer one is cut, so that a key is at most 2 KiB.
pub const GROUP_VALUE_BYTES_MAX: usize = 256;

/// Groups of one rule; past it an overflow alert fires and the least recent quiet groups are
/// dropped. 10,000 groups of a few times and a key are some 5 MiB a rule.
pub const GROUPS_MAX: usize = 10_000;

/// How many of the groups go when the cap is hit, so that the search for them is rare.
pub const GROUPS_EVICTED: usize = GROUPS_MAX / 10;

/// Run-length coded times of one group: 64 Ki × 16 bytes = 1 MiB. Only a group that stays below its
/// count can get there (a firing one is pruned), so it takes a count over 32 Ki, or a backfill that
/// runs for days; then the oldest half goes, counted in a metric.
pub const WINDOW_RUNS_MAX: usize = 1 << 16;

/// Slices of a window of values: their counts are all that is kept, 16 bytes each, so that a group is
/// 2 KiB however much comes, and the window's edge is sharp to less than a hundredth of its length.
pub const VALUE_SLICES: i64 = 120;

/// Slices of one group. Only what is out of order by hours, or loaded from old files, has more than two
/// windows of them; then the oldest half goes, counted in a metric.
pub const VALUE_SLICES_MAX: usize = 16 * VALUE_SLICES as usize;

/// Bytes of a span's operation and service in a quoted span.
pub const SPAN_NAME_BYTES_MAX: usize = 256;

/// Resolved episodes of one group that are remembered, to know late lines that belong to them.
pub const EPISODES_MAX: usize = 256;

/// A resolved episode is remembered at least this long after its last line arrived.
pub const RESOLVED_KEEP: Duration = Duration::from_secs(600);

/// Sources that one episode names; past it, it waits for the named ones only.
pub const EPISODE_SOURCES_MAX: usize = 64;

/// Source clocks kept; 100,000 × ~80 bytes = 8 MiB. The longest silent go first.
pub const SOURCES_MAX: usize = 100_000;

/// A silent source's clock is forgotten after this.
pub const SOURCE_KEEP: Duration = Duration::from_secs(24 * 3600);

/// Lines quoted in a notification, and bytes of each. Every group keeps its last ones, since the line
/// that fires is not the only one of interest: 10,000 groups × 3 × 200 bytes are 6 MB, at most 30.
pub const SAMPLES_MAX: usize = 3;
pub const SAMPLE_BYTES_MAX: usize = 1024;

/// A timestamp later than its arrival by more than this is taken for a wrong clock.
pub const FUTURE_MAX: Duration = Duration::from_secs(60);

/// How long after a timestamped line the lines without one still belong to its time (stack traces).
pub const CARRY_MAX: Duration = Duration::from_secs(10);

/// See [`crate::Timing`]. Agents send within milliseconds; five seconds ride out a pause of theirs.
pub const IDLE_LIVE: Duration = Duration::from_secs(5);
/// A backfill that stops for less than this (an agent restarts) goes on where it was.
pub const IDLE_BACKFILL: Duration = Duration::from_secs(30);
/// A line older than this on arrival belongs to a backfill.
pub const LIVE_MAX: Duration = Duration::from_secs(60);

/// At most this much is read again after a crash.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Records of one step: bounds the time between two commits (a step takes some 10 ms).
pub const STEP_RECORDS_MAX: usize = 2_000;
pub const STEP_BYTES_MAX: usize = 4 << 20;

/// Pause before a full or locked database is tried again.
pub const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// At start the pause doubles up to this: nothing is read meanwhile, so nobody waits for it.
pub const DATABASE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pause before a consumer that failed is replaced; doubles up to the second while that fails too.
pub const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often topics are asked for partitions that they did not have before. The answer lists every
/// topic of the cluster, so not with every tick; lines in a new partition wait for it.
pub const PARTITIONS_INTERVAL: Duration = Duration::from_secs(10);

/// How often the clock of silent sources is moved, and how long a read waits for records.
pub const TICK: Duration = Duration::from_millis(250);

/// How often groups, episodes and clocks that no longer matter are dropped.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How often offsets are committed to the broker: shows lag, and frees log space.
pub const LAG_INTERVAL: Duration = Duration::from_secs(2);

/// 0, 1 s, 5 s, then ever longer: 13 tries in about 32 hours.
pub const RETRY_SCHEDULE: [Duration; 13] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(4 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(16 * 3600),
];

/// A receiver may ask for more patience with `Retry-After`, up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
pub const WEBHOOK_TIMEOUT_MIN: Duration = Duration::from_millis(100);
pub const WEBHOOK_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Requests in flight to one receiver; each is another alert.
pub const DELIVERIES_PER_RECEIVER: usize = 8;

/// How often the notifications that wait are counted, for a metric; by an index, so it costs little.
pub const OUTBOX_COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// How much of a receiver's answer is read to show why it refused.
pub const ANSWER_BYTES_MAX: usize = 512;

/// After a stop was asked for, due notifications are tried for this long; the rest stay in the outbox.
pub const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Delivered notifications and history rows older than this are deleted.
pub const HISTORY_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Rule files are small; reading them is cheap.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Lines kept to learn which literals are rare.
pub const SAMPLE_LINES: usize = 2_048;

/// Marks of a source are dropped when it was silent for this long; longer than queues keep records.
pub const MARKS_KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
