//! The queue's sockets, and the one by which `up` reaches its own queue when that asks who comes.

use std::net::SocketAddr;

use anyhow::Context;
use logboom_broker::{Listener, ListenerConfig};
use logboom_client::{Mechanism, Password, Sasl, Security};
use tokio::net::TcpListener;

use super::{Role, listen};
use crate::config::{Config, ServeConfig, connectable};

/// Bound, and not opened yet: sockets of all parts come first.
pub(super) struct QueueListeners {
    bound: Vec<(TcpListener, ListenerConfig)>,
    /// For this process's own parts.
    own: Option<TcpListener>,
}

pub(super) async fn bind(role: Role, serve: &ServeConfig) -> anyhow::Result<QueueListeners> {
    let mut bound = Vec::with_capacity(serve.listeners.len());
    for served in &serve.listeners {
        let socket = listen(&served.key, served.listen).await?;
        bound.push((socket, served.terms.clone()));
    }
    let own = match role == Role::Up && serve.asks() {
        true => Some(listen("queue", SocketAddr::from(([127, 0, 0, 1], 0))).await?),
        false => None,
    };
    Ok(QueueListeners { bound, own })
}

impl QueueListeners {
    /// Where they listen now, in the order of the configuration.
    pub(super) fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let addresses = self
            .bound
            .iter()
            .map(|(socket, _)| Ok(socket.local_addr()?));
        addresses.collect()
    }

    /// Opens them, and tells the clients of this process how to get in.
    pub(super) fn open(self, role: Role, config: &mut Config) -> anyhow::Result<Vec<Listener>> {
        let addresses = self.addresses()?;
        let mut listeners = Vec::with_capacity(self.bound.len() + 1);
        for ((socket, terms), served) in self.bound.into_iter().zip(&config.queue.serve.listeners) {
            let listener = Listener::open(socket, terms);
            listeners.push(listener.with_context(|| format!("`{}`", served.key))?);
        }
        if let Some(socket) = self.own {
            config.queue.address = socket.local_addr()?.to_string();
            let (listener, credential) = Listener::own(socket);
            listeners.push(listener);
            config.queue.security = Security {
                tls: None,
                sasl: Some(Sasl {
                    mechanism: Mechanism::ScramSha256,
                    username: credential.username,
                    password: Password(credential.password),
                }),
            };
        } else if role == Role::Up {
            config.queue.address = connectable(addresses[0]).to_string();
            config.queue.security = Security::default();
        }
        Ok(listeners)
    }
}
