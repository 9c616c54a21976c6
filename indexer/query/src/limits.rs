//! How large a query may be. The limits keep the cost of one query a matter of the data that it
//! reads, never of the text that was sent.

/// A query's text. Longer ones are generated, and are better sent as several.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Nested parentheses and negations: each costs a stack frame of the parser (about 400 bytes) and
/// of every walk over the AST, far below a 2 MiB thread stack.
pub const DEPTH_MAX: usize = 64;

/// Clauses of one query: 1,024 × the dearest clause (a regex) is bounded by `REGEXES_MAX`.
pub const CLAUSES_MAX: usize = 1024;

/// Regexes of one query. Each may take `REGEX_PROGRAM_BYTES_MAX` once and
/// `REGEX_CACHE_BYTES_MAX` a thread: 16 × 3 MiB = 48 MiB at worst.
pub const REGEXES_MAX: usize = 16;

/// Pattern text of one regex.
pub const REGEX_BYTES_MAX: usize = 4 * 1024;

/// Compiled size of one regex: a thousand-character class repeated a hundred times still fits.
pub const REGEX_PROGRAM_BYTES_MAX: usize = 1 << 20;

/// Lazy DFA cache of one regex.
pub const REGEX_CACHE_BYTES_MAX: usize = 2 << 20;

/// Nesting inside one regex.
pub const REGEX_DEPTH_MAX: u32 = 100;

/// Pieces of one wildcard pattern; matching costs pieces × characters at worst.
pub const GLOB_PIECES_MAX: usize = 512;

/// Words of one phrase: each is a posting list with positions held open.
pub const WORDS_MAX: usize = 256;

/// Pipes of one query, and columns of one `sort`: beyond, it was generated, and wrongly.
pub const PIPES_MAX: usize = 16;

/// Aggregates of one `stats`. Together with `STATE_BYTES_MAX`: the state of a single group has at
/// most 16 × 2 MiB (a value in every power of two, of both signs) and always fits.
pub const AGGREGATES_MAX: usize = 16;

/// Keys of one `stats … by`.
pub const GROUP_KEYS_MAX: usize = 8;

/// Groups that one `stats` keeps: more than anyone reads, few enough to send as one answer.
pub const GROUPS_MAX: usize = 10_000;

/// Memory of one `stats`: 10,000 groups with exact quantiles of 512 values each are 41 MB.
pub const STATE_BYTES_MAX: usize = 64 << 20;

/// Values of a group that are kept as they are for quantiles: 4 KiB, what eight octaves of buckets take.
pub const RAW_VALUES_MAX: usize = 512;

/// Hashes of a group that are kept to count distinct values: 64 KiB.
pub const DISTINCT_HASHES_MAX: usize = 4096;

/// A column's name.
pub const NAME_BYTES_MAX: usize = 256;
