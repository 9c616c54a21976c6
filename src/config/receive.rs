//! Where other programs send logs and spans to: OTLP over gRPC and HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::bail;

use super::{Named, address};

/// The ports that OpenTelemetry's own documentation names.
const GRPC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReceiveConfig {
    pub(crate) grpc: Listen,
    pub(crate) http: Listen,
    /// What senders have to show as `Authorization: Bearer …`.
    pub(crate) token: Option<String>,
}

/// Whether a receiver listens, and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nobody said anything. `up` listens there unless somebody else does; a role does not listen.
    Default(SocketAddr),
    Off,
    At(SocketAddr),
}

/// The values as written, each under the name that an error calls it by.
pub(super) fn resolve(
    grpc: Option<Named>,
    http: Option<Named>,
    token: Option<Named>,
) -> anyhow::Result<ReceiveConfig> {
    Ok(ReceiveConfig {
        grpc: listen(grpc, GRPC)?,
        http: listen(http, HTTP)?,
        token: self::token(token)?,
    })
}

/// What may stand in an `Authorization` header.
pub(super) fn token(named: Option<Named>) -> anyhow::Result<Option<String>> {
    match named {
        Some(token)
            if token.value.is_empty()
                || !token.value.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            bail!(
                "`{}`: a token has letters, digits and signs, and no spaces; make one with: openssl rand -hex 32",
                token.name
            )
        }
        named => Ok(named.map(|token| token.value)),
    }
}

fn listen(named: Option<Named>, default: SocketAddr) -> anyhow::Result<Listen> {
    match named {
        None => Ok(Listen::Default(default)),
        Some(named) if named.value == "off" => Ok(Listen::Off),
        Some(named) => Ok(Listen::At(address(&named)?)),
    }
}

impl Listen {
    /// For a process that only listens where it was told to.
    pub(crate) fn configured(self) -> Option<SocketAddr> {
        match self {
            Listen::At(address) => Some(address),
            Listen::Default(_) | Listen::Off => None,
        }
    }
}
