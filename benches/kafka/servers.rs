//! The two servers of one comparison, on the same disk.

use tempfile::TempDir;

use crate::node::Kafka;
use crate::process::{self, Process};

/// When both acknowledge a record.
pub(crate) struct Durability {
    pub(crate) title: &'static str,
    /// Of `queue.flush`.
    flush: &'static str,
    /// Of Kafka's `server.properties`.
    settings: &'static [(&'static str, &'static str)],
}

pub(crate) const DURABILITIES: [Durability; 2] = [
    Durability {
        title: "synced before the ack: flush group; log.flush.interval.messages=1",
        flush: "group",
        settings: &[("log.flush.interval.messages", "1")],
    },
    Durability {
        title: "synced by the system, some time: flush os; Kafka's default",
        flush: "os",
        settings: &[],
    },
];

pub(crate) struct Servers {
    logboom: Process,
    kafka: Kafka,
    /// logboom's first.
    pub(crate) addresses: [String; 2],
    _directory: TempDir,
}

impl Servers {
    pub(crate) fn start(durability: &Durability) -> Servers {
        let directory = tempfile::Builder::new()
            .prefix("logboom-bench")
            .tempdir_in("target")
            .unwrap();
        let address = format!("127.0.0.1:{}", process::free_port());
        let config = directory.path().join("logboom.yaml");
        let text = format!(
            "version: 1\ndata: data\nqueue: {{listen: '{address}', flush: {}, disk_free_min: 1MiB}}\nui: {{listen: '127.0.0.1:0'}}\n",
            durability.flush
        );
        std::fs::write(&config, text).unwrap();
        let mut command = process::command(&["queue", "--config", config.to_str().unwrap()]);
        command.env_remove("LOGBOOM_QUEUE_LISTEN");
        let logboom = Process::start(command, &directory.path().join("queue.log"));
        let kafka = Kafka::start_server(directory.path(), durability.settings);
        Servers {
            addresses: [address, kafka.bootstrap()],
            logboom,
            kafka,
            _directory: directory,
        }
    }

    pub(crate) fn peak_rss_mib(&self) -> [u64; 2] {
        [self.logboom.id(), self.kafka.id()].map(|id| process::peak_rss_bytes(id) >> 20)
    }
}
