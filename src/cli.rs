//! What may be typed, and which part answers it.
//!
//! This file knows words and flags only: a flag is turned into an override of the
//! configuration and the rest is [`compose`](crate::compose)'s or
//! [`terminal`](crate::terminal)'s work.

use std::io::IsTerminal;
#[cfg(feature = "server")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
#[cfg(feature = "server")]
use anyhow::ensure;
use clap::{Args, Parser, Subcommand};
#[cfg(feature = "server")]
use logboom_client::Security;

use crate::compose::{self, Role};
use crate::config::{Config, Overrides};
#[cfg(feature = "server")]
use crate::config::{MirrorConfig, validate_mirror};
use crate::telemetry::Telemetry;
use crate::terminal;

/// Logs, traces and alerts in one binary: tail files, receive OpenTelemetry, keep every line exactly
/// once, search it and be alerted within half a second.
#[derive(Parser)]
#[command(name = "logboom", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine in one process: agent, OTLP receivers, queue, indexer, alerting and web page
    #[cfg(feature = "server")]
    Up(UpArgs),
    /// Tail files on this host, receive OTLP where told to, and ship all into the queue
    Agent(RoleArgs),
    /// The built-in partitioned queue; any Kafka client can talk to it. With a command: look at a queue
    #[cfg(feature = "server")]
    Queue(QueueArgs),
    /// Copy topics from one Kafka cluster to another, in order and resumable; two of them make both ways
    #[cfg(feature = "server")]
    Mirror(MirrorArgs),
    /// Consume the queue into searchable splits
    #[cfg(feature = "server")]
    Indexer(RoleArgs),
    /// Evaluate rules on the stream and deliver webhooks
    #[cfg(feature = "server")]
    Alerting(RoleArgs),
    /// The web page and the HTTP API
    #[cfg(feature = "server")]
    Ui(RoleArgs),
    /// Search lines and spans from the terminal, newest first
    Search(SearchArgs),
    /// Follow what matches, as it arrives
    Tail(TailArgs),
    /// Alert rules as code
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Look through a data directory without changing it, and exit with an error if anything is damaged
    ///
    /// Queue: every batch of every segment (length, checksum, offsets without a gap), indexes against the batches,
    /// the state of partitions, topics and producer ids, the journal of committed offsets. Index: the database's own
    /// integrity, and of every split that it opens, the checksum of each file and the number of events. Not looked at:
    /// the agent's and alerting's state. Works on a copy, and beside running parts, whose files it may meet in motion.
    #[cfg(feature = "server")]
    Verify {
        /// The directory that `--data` or `data:` names, or the queue's or the indexer's own
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Validate a configuration file and say which key is wrong and what is allowed
    Check(RoleArgs),
}

#[cfg(feature = "server")]
#[derive(Args)]
struct UpArgs {
    /// Directory for everything that must survive a restart [default: ./logboom-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Files to tail, e.g. --tail '/var/log/**/*.log' (may be given more than once)
    #[arg(long, value_name = "GLOB")]
    tail: Vec<String>,
    /// Address of the web page and the HTTP API [default: 127.0.0.1:7480]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Args)]
struct RoleArgs {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[cfg(feature = "server")]
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct QueueArgs {
    #[command(flatten)]
    role: Option<RoleArgs>,
    #[command(subcommand)]
    look: Option<QueueCommand>,
}

#[cfg(feature = "server")]
#[derive(Subcommand)]
enum QueueCommand {
    /// Topics with their partitions, records and own settings; with names, a row a partition
    Topics {
        #[arg(value_name = "TOPIC")]
        names: Vec<String>,
        #[command(flatten)]
        at: QueueAt,
    },
    /// Consumer groups with their members and how far they are behind; with names, a row a member
    Groups {
        #[arg(value_name = "GROUP")]
        names: Vec<String>,
        #[command(flatten)]
        at: QueueAt,
    },
    /// The offsets that groups have committed, with lag, and what retention took before it was read
    Offsets {
        #[arg(value_name = "GROUP")]
        names: Vec<String>,
        #[command(flatten)]
        at: QueueAt,
    },
    /// The records of a partition, or the batches of segment files, read only
    Dump(DumpArgs),
    /// Who may log in to the built-in queue
    #[command(subcommand)]
    Users(UsersCommand),
}

/// Which queue to look at.
#[cfg(feature = "server")]
#[derive(Args)]
pub(crate) struct QueueAt {
    /// Address of the queue [default: that of the configuration, else 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) queue: Option<String>,
    /// Configuration file (YAML) that says where the queue is
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "server")]
#[derive(Args)]
pub(crate) struct DumpArgs {
    /// A partition as TOPIC/NUMBER, a segment file (`….log`), or a partition's directory
    #[arg(value_name = "PARTITION|PATH")]
    pub(crate) what: String,
    /// Where to begin [default: the first offset]
    #[arg(long, value_name = "OFFSET")]
    pub(crate) from: Option<i64>,
    /// How many at most: records of a partition, batches of files
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Of files: also the records of batches that are not compressed
    #[arg(long)]
    pub(crate) records: bool,
    #[command(flatten)]
    pub(crate) at: QueueAt,
}

#[cfg(feature = "server")]
#[derive(Subcommand)]
pub(crate) enum UsersCommand {
    /// Add a user, or give one a new password: one line on the standard input, of which only SCRAM keys are kept
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Remove a user; connections that are logged in stay until they end
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: UsersAt,
    },
    /// Print all names
    List {
        #[command(flatten)]
        at: UsersAt,
    },
}

/// Whose users: `queue.users` of the configuration, else `queue/users` in the data directory.
#[cfg(feature = "server")]
#[derive(Args)]
pub(crate) struct UsersAt {
    /// Configuration file (YAML) of the queue
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of the queue, as given to `up`
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Either what `mirrors` of a file says, or one mirror by flags.
#[cfg(feature = "server")]
#[derive(Args)]
struct MirrorArgs {
    /// Configuration file (YAML) with `mirrors`
    #[arg(long, value_name = "FILE", required_unless_present = "from")]
    config: Option<PathBuf>,
    /// The cluster to copy from: host:port, comma separated
    #[arg(long, value_name = "ADDR", requires_all = ["to", "topics"])]
    from: Option<String>,
    /// The cluster to copy to
    #[arg(long, value_name = "ADDR", requires = "from")]
    to: Option<String>,
    /// Regular expression that a topic's whole name must match, e.g. 'logs|otlp_.*'
    #[arg(long, value_name = "RE", requires = "from")]
    topics: Option<String>,
    /// End when everything is copied that the source held at the start; 0 is returned only then
    #[arg(long)]
    once: bool,
}

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// The query, e.g. 'level:error "connection refused"'; `*` is everything;
    /// 'index:spans status:error | stats count() by service' counts spans
    pub(crate) query: String,
    /// Start of the time range: RFC 3339, epoch, or relative such as `15m` or `now-2h` [default: all time]
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// End of the time range, exclusive
    #[arg(long, value_name = "T")]
    pub(crate) to: Option<String>,
    /// How many lines at most; 0 prints the total only
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct TailArgs {
    /// The query; `*` is everything
    #[arg(default_value = "*")]
    pub(crate) query: String,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct ServerArgs {
    /// Address of the logboom server
    #[arg(
        long,
        value_name = "URL",
        env = "LOGBOOM_URL",
        default_value = "http://127.0.0.1:7480"
    )]
    pub(crate) url: String,
}

#[cfg(feature = "server")]
#[derive(Subcommand)]
enum RulesCommand {
    /// Read rule files and say what is wrong with them
    Check {
        /// Rule files, or directories of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Parses the command line and runs what it asks for.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let command = Cli::parse().command;
    let environment = |name: &str| std::env::var(name).ok();
    match command {
        #[cfg(feature = "server")]
        Command::Up(args) => {
            let overrides = Overrides {
                data: args.data,
                listen: args.listen,
                tail: args.tail,
            };
            let config = Config::load(args.config.as_deref(), environment, overrides)?;
            serve(Role::Up, config)
        }
        Command::Agent(args) => serve_role(Role::Agent, &args),
        #[cfg(feature = "server")]
        Command::Queue(QueueArgs {
            look: Some(command),
            ..
        }) => look_at_queue(command),
        #[cfg(feature = "server")]
        Command::Queue(QueueArgs { role, .. }) => {
            let role = role.context("`logboom queue` needs --config FILE, or a command")?;
            serve_role(Role::Queue, &role)
        }
        #[cfg(feature = "server")]
        Command::Mirror(args) => mirror(args),
        #[cfg(feature = "server")]
        Command::Indexer(args) => serve_role(Role::Indexer, &args),
        #[cfg(feature = "server")]
        Command::Alerting(args) => serve_role(Role::Alerting, &args),
        #[cfg(feature = "server")]
        Command::Ui(args) => serve_role(Role::Ui, &args),
        Command::Search(args) => runtime()?.block_on(terminal::search(&args)),
        Command::Tail(args) => runtime()?.block_on(terminal::tail(&args)),
        #[cfg(feature = "server")]
        Command::Rules(RulesCommand::Check { files }) => terminal::check_rules(&files),
        #[cfg(feature = "server")]
        Command::Verify { data } => runtime()?.block_on(terminal::verify(&data)),
        Command::Check(args) => {
            Config::load(Some(&args.config), environment, Overrides::default())?;
            println!("{}: valid", args.config.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(feature = "server")]
fn look_at_queue(command: QueueCommand) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match command {
        QueueCommand::Topics { names, at } => runtime.block_on(terminal::topics(&names, &at)),
        QueueCommand::Groups { names, at } => runtime.block_on(terminal::groups(&names, &at)),
        QueueCommand::Offsets { names, at } => runtime.block_on(terminal::offsets(&names, &at)),
        QueueCommand::Dump(args) => runtime.block_on(terminal::dump(&args)),
        QueueCommand::Users(command) => terminal::users(&command),
    }
}

fn serve_role(role: Role, args: &RoleArgs) -> anyhow::Result<ExitCode> {
    let environment = |name: &str| std::env::var(name).ok();
    serve(
        role,
        Config::load(Some(&args.config), environment, Overrides::default())?,
    )
}

#[cfg(feature = "server")]
fn mirror(args: MirrorArgs) -> anyhow::Result<ExitCode> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut config = Config::load(args.config.as_deref(), environment, Overrides::default())?;
    if let (Some(from), Some(to), Some(topics)) = (args.from, args.to, args.topics) {
        let name = "mirror".to_owned();
        let mirror = MirrorConfig {
            name,
            from,
            // Flags have no secrets; a cluster that asks who comes is for `mirrors` of a file.
            from_security: Security::default(),
            to,
            to_security: Security::default(),
            topics,
        };
        validate_mirror(&mirror, |key| format!("--{key}"))?;
        config.mirrors = vec![mirror];
    }
    ensure!(
        !config.mirrors.is_empty(),
        "there is nothing to mirror: add `mirrors` to the configuration file, or give --from, --to and --topics"
    );
    if !args.once {
        return serve(Role::Mirror, config);
    }
    let colour = std::io::stderr().is_terminal();
    let telemetry = Telemetry::install(&config, Role::Mirror.name(), colour);
    runtime()?.block_on(compose::mirror_once(config, telemetry))?;
    Ok(ExitCode::SUCCESS)
}

fn serve(role: Role, config: Config) -> anyhow::Result<ExitCode> {
    let colour = std::io::stderr().is_terminal();
    let telemetry = Telemetry::install(&config, role.name(), colour);
    raise_open_file_limit();
    runtime()?.block_on(compose::run(role, config, telemetry))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Segments, splits and tailed files are all open files; the soft limit of many
/// systems (1,024) is meant for programs that use `select`, which we do not.
fn raise_open_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files to its maximum");
    }
}
