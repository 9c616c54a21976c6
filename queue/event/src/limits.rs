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

/// Longest OTLP request that is looked at. A receiver or broker refuses far smaller ones; this keeps 32-bit lengths of
/// items right whoever calls.
pub const OTLP_REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Log records or spans of one OTLP request. Real ones take 100 bytes and more, and collectors send 8,192 at a time;
/// an empty one takes 2, and 4 MiB of those would be two million events.
pub const OTLP_ITEMS_MAX: usize = 100_000;

/// Messages below a log record or span that are looked into. A level of an attribute is three of them
/// (list, pair, value), and [`ATTRIBUTE_DEPTH_MAX`] levels lie below an event or link: 16 × 3 + 4, rounded up.
pub const OTLP_DEPTH_MAX: usize = 64;

/// Bytes by which cutting a request into its items may make it longer, because each repeats its resource and
/// scope: 64 MiB are 8,192 items of 8 KiB; SDKs write 1 KiB. Beyond it, whole attributes are dropped and counted.
pub const OTLP_SHARED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Shared bytes that every item keeps however many there are: names and what a resource mostly has.
/// 1 KiB × [`OTLP_ITEMS_MAX`] = 100 MiB.
pub const OTLP_SHARED_BYTES_MIN: usize = 1024;

/// Of [`ATTRIBUTES_MAX`], how many a resource and scope may take together. Detectors of hosts, containers and clouds
/// together write some 60, and a command line's arguments are entries too.
pub const OTLP_SHARED_ATTRIBUTES_MAX: usize = 250;

/// Events kept of one span; SDKs stop at 128 unless told otherwise.
pub const SPAN_EVENTS_MAX: usize = 1_000;

/// Links kept of one span; SDKs stop at 128 unless told otherwise. A batch consumer links each message.
pub const SPAN_LINKS_MAX: usize = 1_000;

/// Entries kept of the attributes of all events of a span, of those of its links, and of a structured body: at some
/// 100 bytes each, 1 MiB of empty elements is held to the same size in memory.
pub const OTLP_NESTED_ENTRIES_MAX: usize = 10_000;
