//! A broker in this process on a port of its own, and the few ways in which the tests talk to it.
#![allow(dead_code)] // Every test binary uses its own part.

pub(crate) mod pki;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use logboom_broker::{Broker, Config, Listener, ListenerConfig, Listeners, StatusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) status: StatusHandle,
    stop: CancellationToken,
    task: JoinHandle<Result<(), logboom_broker::Error>>,
}

/// Settings for tests: small, and not shy of a nearly full disk.
pub(crate) fn config(dir: &Path) -> Config {
    Config {
        disk_free_min_bytes: 0,
        ..Config::new(dir)
    }
}

pub(crate) async fn start(config: Config) -> Running {
    start_on(config, "127.0.0.1:0").await
}

pub(crate) async fn start_on(config: Config, address: &str) -> Running {
    let listener = TcpListener::bind(address).await.expect("port is free");
    let address = listener.local_addr().unwrap();
    start_with(config, listener, address).await
}

/// A broker whose only listener asks what `listener` says.
pub(crate) async fn start_secured(config: Config, listener: ListenerConfig) -> Running {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener::open(socket, listener).expect("listener opens");
    start_with(config, vec![listener], address).await
}

/// A broker on these listeners; `address` is where the tests look for it.
pub(crate) async fn start_with(
    config: Config,
    listener: impl Into<Listeners>,
    address: SocketAddr,
) -> Running {
    let broker = Broker::open(config).await.expect("broker opens");
    let status = broker.status();
    let stop = CancellationToken::new();
    let (ready, mut is_ready) = watch::channel(false);
    let task = tokio::spawn(broker.run(listener.into(), ready, stop.clone()));
    is_ready
        .wait_for(|ready| *ready)
        .await
        .expect("broker gets ready");
    Running {
        address,
        status,
        stop,
        task,
    }
}

impl Running {
    pub(crate) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        ended
            .expect("broker stops in time")
            .expect("broker does not panic")
            .expect("broker stops well");
    }

    /// Sum of the ends of a topic's partitions.
    pub(crate) fn records(&self, topic: &str) -> i64 {
        self.status
            .get()
            .partitions
            .iter()
            .filter(|row| row.topic == topic)
            .map(|row| row.end)
            .sum()
    }
}

fn kcat_command(bootstrap: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command.arg("-b").arg(bootstrap).args(arguments);
    command
}

/// Runs kcat to its end with `input` on its standard input.
pub(crate) async fn kcat(bootstrap: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = tokio::process::Command::from(kcat_command(bootstrap, arguments));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("kcat cannot be started ({error}): install the Debian package `kcat`")
    });
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        // kcat -C does not read it.
        let _unread = stdin.write_all(&input).await;
    });
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    feeding.await.unwrap();
    output.expect("kcat ends in time").unwrap()
}

/// Like [`kcat`], and it must succeed: returns its standard output.
pub(crate) async fn kcat_ok(bootstrap: &str, arguments: &[&str], input: &[u8]) -> String {
    let output = kcat(bootstrap, arguments, input).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "kcat {arguments:?}: {}: {errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// kcat in the background, with its output in a file.
pub(crate) fn kcat_start(
    bootstrap: &str,
    arguments: &[&str],
    output: &Path,
) -> std::process::Child {
    kcat_command(bootstrap, arguments)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("kcat cannot be started ({error}): install the Debian package `kcat`")
        })
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < patience, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
