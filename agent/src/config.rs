//! What the agent is told. Resolved and validated by the binary; nothing is read from elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use logboom_client::{ClientConfig, Format};

use crate::limits;

/// The agent's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Holds the journal and the lock; belongs to this agent alone.
    pub data_dir: PathBuf,
    pub queue: ClientConfig,
    /// Where lines go.
    pub topic: String,
    /// How many partitions the topic gets when it is not there yet.
    pub partitions: u32,
    /// Where the agent's own state goes every two seconds.
    pub status_topic: String,
    /// Name of this host in `lb.host`; the host name when empty.
    pub host: String,
    pub tails: Vec<TailConfig>,
    /// Longer lines are cut, flagged with their true length, and counted.
    pub line_bytes_max: usize,
    /// A last line without a newline is shipped after its file was quiet for this long.
    pub idle_flush: Duration,
    /// Files held open at once; others are opened when they change.
    pub open_files_max: usize,
    /// At most one batch in this time is traced on its way.
    pub trace_every: Duration,
}

/// One group of files.
#[derive(Debug, Clone)]
pub struct TailConfig {
    /// Shell patterns with `*`, `?`, `[…]`, `{a,b}` and `**` for any number of folders.
    pub globs: Vec<String>,
    pub exclude: Vec<String>,
    pub format: Format,
    pub service: Option<String>,
    /// IANA name of the zone for times without one.
    pub timezone: Option<String>,
    pub read_from: ReadFrom,
}

/// Where reading starts in files that exist when an agent without state starts. Files that appear
/// later are always read from their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    #[default]
    Beginning,
    End,
}

impl Config {
    /// Defaults for everything but where to keep state, where the queue is, and what to tail.
    pub fn new(data_dir: PathBuf, queue: ClientConfig, tails: Vec<TailConfig>) -> Config {
        Config {
            data_dir,
            queue,
            topic: "logs".to_owned(),
            partitions: 4,
            status_topic: "_logboom_agents".to_owned(),
            host: String::new(),
            tails,
            line_bytes_max: limits::LINE_BYTES_MAX,
            idle_flush: limits::IDLE_FLUSH,
            open_files_max: limits::OPEN_FILES_MAX,
            trace_every: limits::TRACE_EVERY,
        }
    }
}

impl TailConfig {
    /// These files, whole, with everything else detected.
    pub fn new(globs: Vec<String>) -> TailConfig {
        TailConfig {
            globs,
            exclude: Vec::new(),
            format: Format::Auto,
            service: None,
            timezone: None,
            read_from: ReadFrom::Beginning,
        }
    }
}
