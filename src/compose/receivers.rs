//! The receivers' sockets, and whether there are any.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;

use super::{client, listen};
use crate::config::{Config, Listen, ReceiveConfig};
use crate::supervise::Supervisor;

#[derive(Default)]
pub(super) struct Receivers {
    bound: Vec<Bound>,
}

struct Bound {
    transport: Transport,
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Grpc,
    Http,
}

impl Transport {
    fn key(self) -> &'static str {
        match self {
            Transport::Grpc => "receive.otlp.grpc",
            Transport::Http => "receive.otlp.http",
        }
    }

    /// As `/api/v1/ports` calls it.
    fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "otlp_grpc",
            Transport::Http => "otlp_http",
        }
    }
}

/// For `up`: receivers are on unless told otherwise. One whose default port is taken, perhaps by a collector
/// that was there first, is left out and said so; a newcomer's first start must not fail over it.
#[cfg(feature = "server")]
pub(super) async fn bind(config: &ReceiveConfig) -> anyhow::Result<Receivers> {
    let mut receivers = Receivers::default();
    for (transport, wanted) in wishes(config) {
        match wanted {
            Listen::Off => {}
            Listen::At(address) => {
                receivers.add(transport, listen(transport.key(), address).await?)?
            }
            Listen::Default(address) => match TcpListener::bind(address).await {
                Ok(listener) => receivers.add(transport, listener)?,
                Err(error) => tracing::warn!(
                    %address, %error,
                    "OTLP is not received here: free the port, or set `{}` to another address or to `off`",
                    transport.key()
                ),
            },
        }
    }
    Ok(receivers)
}

/// For an agent: receivers are on where they are configured.
pub(super) async fn bind_configured(config: &ReceiveConfig) -> anyhow::Result<Receivers> {
    let mut receivers = Receivers::default();
    for (transport, wanted) in wishes(config) {
        if let Some(address) = wanted.configured() {
            receivers.add(transport, listen(transport.key(), address).await?)?;
        }
    }
    Ok(receivers)
}

fn wishes(config: &ReceiveConfig) -> [(Transport, Listen); 2] {
    [
        (Transport::Grpc, config.grpc),
        (Transport::Http, config.http),
    ]
}

impl Receivers {
    fn add(&mut self, transport: Transport, listener: TcpListener) -> anyhow::Result<()> {
        let address = listener.local_addr().context(transport.key())?;
        self.bound.push(Bound {
            transport,
            listener,
            address,
        });
        Ok(())
    }

    /// Where OTLP over HTTP is received.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        let http = |bound: &&Bound| bound.transport == Transport::Http;
        self.bound.iter().find(http).map(|bound| bound.address)
    }

    /// What each listens on, by the name of its port.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let bound = self.bound.iter();
        bound
            .map(|bound| (bound.transport.name(), bound.address))
            .collect()
    }

    /// Starts to receive. Nothing waits for it to be ready: until the queue is reached, senders are told to
    /// come again.
    pub(super) fn start(self, config: &Config, supervisor: &mut Supervisor) {
        if self.bound.is_empty() {
            return;
        }
        let (mut grpc, mut http) = (None, None);
        for bound in self.bound {
            match bound.transport {
                Transport::Grpc => grpc = Some(bound.listener),
                Transport::Http => http = Some(bound.listener),
            }
        }
        let receive = logboom_agent::receive::Config {
            token: config.receive.token.clone(),
            partitions: config.queue.partitions,
            ..logboom_agent::receive::Config::new(client(config, "receive"))
        };
        supervisor.start("receive", |ready, stop| {
            logboom_agent::receive::run(receive, grpc, http, ready, stop)
        });
    }
}
