//! Every bound of the crate, with the arithmetic that chose it.

/// Keys and array elements kept of one line, nested ones included; the rest stays in the raw line.
/// A 1 MiB line of `"a":1,` would otherwise become 170,000 map entries.
pub const ATTRIBUTES_MAX: usize = 1_000;

/// Levels of nesting kept of a JSON line. Real events stay below 8; the indexer recurses over this.
pub const ATTRIBUTE_DEPTH_MAX: usize = 16;

/// Longest attribute name kept, in bytes: four times what people write, and short enough for an index term.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;

/// Longest value of one `lb.*` header. `PATH_MAX` is 4,096 and a regex format is the only thing longer.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Longest pattern of a `regex:` format; it travels in a header of every record.
pub const REGEX_BYTES_MAX: usize = 8 * 1024;

/// Compiled size of a format's regex. The `regex` crate's default is 10 MiB, which a server that keeps
/// 64 formats of strangers could not afford.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Formats that one consumer keeps compiled: 64 × 2 MiB (program and lazy DFA) at the very worst.
pub const FORMATS_MAX: usize = 64;

/// Weight of the contexts that one consumer remembers: some 20,000 sources of ordinary paths.
pub const CONTEXT_CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest name of a thread, logger, program or node that is taken for one. The samples' longest, a
/// Hadoop thread, has 170 bytes; the bound keeps the search for a bracket's end off long messages.
pub const NAME_BYTES_MAX: usize = 256;
