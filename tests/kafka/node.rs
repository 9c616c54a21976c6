//! Apache Kafka as one KRaft node on free loopback ports: started, waited for, killed by its id.
//!
//! `deploy/kafka` has fetched it. The data lies in a temporary directory and goes with the node. Shared by the tests
//! of the broker and of the whole system, so it needs nothing but the standard library and `tempfile`.
#![allow(dead_code)] // Every test binary uses its own part.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between looking for a free port and listening on it, another process may take it.
const STARTS_MAX: usize = 3;
/// Small and quick to start: the tests send it little.
const JVM: [&str; 4] = [
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dlog4j2.level=WARN",
];

/// As Kafka's own scripts start a broker.
const JVM_OF_A_SERVER: [&str; 7] = [
    "-Xmx1G",
    "-Xms1G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Dlog4j2.level=WARN",
];

pub(crate) struct Kafka {
    child: Child,
    jvm: &'static [&'static str],
    pub(crate) address: SocketAddr,
    directory: tempfile::TempDir,
}

/// A JVM with Kafka's jars: the broker, its tools, the Java client.
pub(crate) fn java() -> Command {
    jvm(&JVM)
}

fn jvm(options: &[&str]) -> Command {
    let jars = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("tests/kafka/lib"))
        .find(|folder| folder.join("pom.xml").exists())
        .expect("Apache Kafka is in tests/kafka/lib: run deploy/kafka");
    let mut command = Command::new("java");
    command.args(options).arg("-cp").arg(jars.join("*"));
    command
}

impl Kafka {
    /// A node with the settings of a test on top of those that make one node enough.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Kafka {
        Kafka::start_in(&std::env::temp_dir(), &JVM, settings)
    }

    /// A node as it would serve, with its data below `parent`.
    pub(crate) fn start_server(parent: &Path, settings: &[(&str, &str)]) -> Kafka {
        Kafka::start_in(parent, &JVM_OF_A_SERVER, settings)
    }

    fn start_in(parent: &Path, jvm: &'static [&'static str], settings: &[(&str, &str)]) -> Kafka {
        for _ in 1..STARTS_MAX {
            if let Ok(kafka) = Kafka::try_start(parent, jvm, settings) {
                return kafka;
            }
        }
        Kafka::try_start(parent, jvm, settings)
            .unwrap_or_else(|log| panic!("Kafka does not start:\n{log}"))
    }

    /// `Err` is what it wrote before it ended.
    fn try_start(
        parent: &Path,
        jvm: &'static [&'static str],
        settings: &[(&str, &str)],
    ) -> Result<Kafka, String> {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let (address, controller) = (free_address(), free_address());
        let data = directory.path().join("data");
        let mut lines = format!(
            "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
             advertised.listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.bootstrap.servers={controller}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             offsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
            data.display()
        );
        for (name, value) in settings {
            lines.push_str(&format!("{name}={value}\n"));
        }
        let properties = directory.path().join("server.properties");
        std::fs::write(&properties, lines).unwrap();

        let formatted = java()
            .args(["kafka.tools.StorageTool", "format", "--standalone"])
            // Any 16 bytes in base64 name a cluster.
            .args(["--cluster-id", "bG9nYm9vbS10ZXN0czEyMw", "--config"])
            .arg(&properties)
            .output()
            .unwrap_or_else(|error| panic!("java cannot be started ({error}): install Java 17"));
        assert!(
            formatted.status.success(),
            "the storage is not formatted: {}",
            String::from_utf8_lossy(&formatted.stderr)
        );
        let log = directory.path().join("kafka.log");
        let child = spawn(jvm, &properties, &log);
        let mut kafka = Kafka {
            child,
            jvm,
            address,
            directory,
        };
        kafka.wait_until_ready()?;
        Ok(kafka)
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and a new process on the same ports and data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(
            self.jvm,
            &self.directory.path().join("server.properties"),
            &self.log(),
        );
        if let Err(log) = self.wait_until_ready() {
            panic!("Kafka does not come back:\n{log}");
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("kafka.log")
    }

    /// It takes requests only once it has joined its own cluster.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if answers(self.address) {
                return Ok(());
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(std::fs::read_to_string(self.log()).unwrap_or_default())
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(options: &[&str], properties: &Path, log: &Path) -> Child {
    let output = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    jvm(options)
        .arg("kafka.Kafka")
        .arg(properties)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Whether ApiVersions, in its first version, gets an answer.
fn answers(address: SocketAddr) -> bool {
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let asked = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&REQUEST)?;
        stream.read_exact(&mut [0; 8])
    };
    asked().is_ok()
}
