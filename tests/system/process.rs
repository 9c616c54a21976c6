//! A logboom process under test: started, waited for, killed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Killed by id when dropped.
pub(crate) struct Process {
    child: Child,
    /// What the ready line says after its colon.
    pub(crate) ready: String,
    log: PathBuf,
}

/// Variables that say where a process listens.
pub(crate) const PORTS: [&str; 5] = [
    "LOGBOOM_LISTEN",
    "LOGBOOM_QUEUE_LISTEN",
    "LOGBOOM_INDEXER_LISTEN",
    "LOGBOOM_OTLP_GRPC",
    "LOGBOOM_OTLP_HTTP",
];

/// All of its ports are free ones.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logboom"));
    command.args(args).env_remove("LOGBOOM_LOG");
    for port in PORTS {
        command.env(port, "127.0.0.1:0");
    }
    command
}

impl Process {
    /// Starts a process and waits for its ready line; its own log goes to `log`, appended.
    pub(crate) fn start(command: Command, log: &Path) -> Process {
        let mut process = Process::spawn(command, log);
        let stdout = process.child.stdout.take().unwrap();
        let (lines, first_line) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let ready = first_line.recv_timeout(READY_WITHIN).unwrap_or_else(|_| {
            let status = process.child.try_wait();
            panic!("no ready line ({status:?}); its log:\n{}", tail_of(log));
        });
        process.ready = ready
            .split_once(" is ready: ")
            .unwrap_or_else(|| panic!("not a ready line: {ready}"))
            .1
            .to_owned();
        process
    }

    /// Starts one that is not to become ready.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Process {
        let stderr = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Process {
            child,
            ready: String::new(),
            log: log.to_owned(),
        }
    }

    /// `logboom up` on `data`, all ports free ones.
    pub(crate) fn up(data: &Path, more: &[&str]) -> Process {
        let mut args = vec!["up", "--data", data.to_str().unwrap()];
        args.extend_from_slice(more);
        Process::start(command(&args), &data.with_extension("log"))
    }

    /// The web address of `up` or `ui`.
    pub(crate) fn url(&self) -> &str {
        self.ready.split(' ').next().unwrap()
    }

    pub(crate) fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what became of it.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Largest resident set so far, in bytes.
    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        peak_rss_bytes(self.id())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn log_tail(&self) -> String {
        tail_of(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Largest resident set of a process so far, in bytes.
pub(crate) fn peak_rss_bytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

fn tail_of(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A port that was free a moment ago, for a server that must come back on the same one.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// GET of the public API; `None` when it does not answer 200.
pub(crate) async fn get(url: &str, path: &str, query: &[(&str, &str)]) -> Option<Value> {
    let response = reqwest::Client::new()
        .get(format!("{url}/api/v1/{path}"))
        .query(query)
        .timeout(Duration::from_secs(20))
        .send()
        .await
        .inspect_err(|error| println!("{path} does not answer: {error}"))
        .ok()?;
    if !response.status().is_success() {
        println!("{path} answers {}", response.status());
        return None;
    }
    response.json().await.ok()
}

/// How many lines match, once the server answers with an exact number.
pub(crate) async fn total(url: &str, query: &str) -> Option<u64> {
    get(url, "search", &[("q", query), ("limit", "0")]).await?["total"].as_u64()
}

/// Waits until exactly `expected` lines match; more than that is a failure at once.
pub(crate) async fn wait_for_total(url: &str, query: &str, expected: u64, within: Duration) {
    let deadline = Instant::now() + within;
    let mut last = None;
    while Instant::now() < deadline {
        last = total(url, query).await.or(last);
        match last {
            Some(found) if found == expected => return,
            Some(found) if found > expected => {
                panic!("{found} lines match `{query}`, there are only {expected}")
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("{last:?} lines match `{query}` after {within:?}, expected {expected}");
}

/// Every hit of a query, page by page.
pub(crate) async fn all_hits(url: &str, query: &str) -> Vec<Value> {
    let mut hits = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut request = vec![("q", query), ("limit", "1000"), ("full", "1")];
        if !cursor.is_empty() {
            request.push(("cursor", &cursor));
        }
        let answer = get(url, "search", &request)
            .await
            .expect("the search answers");
        assert_eq!(answer["complete"], true);
        hits.extend(answer["hits"].as_array().unwrap().iter().cloned());
        match answer["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return hits,
        }
    }
}
