//! Where logboom's own spans and metrics go.

use std::time::Duration;

use anyhow::bail;

use super::receive::{self, Listen, ReceiveConfig};
use super::{Named, raw};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TelemetryConfig {
    /// Nothing is exported without it.
    pub(crate) otlp: Option<Target>,
    /// Shown there as `Authorization: Bearer …`.
    pub(crate) token: Option<String>,
    /// At most one batch of an agent in this time becomes a trace.
    pub(crate) every: Duration,
}

/// A receiver of OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one that `receive.otlp.http` configures.
    Own,
    /// What `/v1/traces` is appended to.
    At(String),
}

/// The values as written, each under the name that an error calls it by.
pub(super) fn resolve(
    otlp: Option<Named>,
    token: Option<Named>,
    every: Option<raw::Period>,
    receive: &ReceiveConfig,
) -> anyhow::Result<TelemetryConfig> {
    let every = every.map_or(Duration::from_secs(1), |period| period.0);
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&every) {
        bail!("`telemetry.every`: {every:?} is out of range; allowed are `1s` to `1h`");
    }
    let otlp = otlp.map(|otlp| target(&otlp, receive)).transpose()?;
    let token = receive::token(token)?;
    Ok(TelemetryConfig {
        token: match otlp {
            Some(Target::Own) => token.or_else(|| receive.token.clone()),
            _ => token,
        },
        otlp,
        every,
    })
}

fn target(otlp: &Named, receive: &ReceiveConfig) -> anyhow::Result<Target> {
    let Named { name, value } = otlp;
    if value == "self" {
        if receive.http == Listen::Off {
            bail!(
                "`{name}`: `self` is the receiver at `receive.otlp.http`, which is `off`; give it an address, or another \
                 target here"
            );
        }
        return Ok(Target::Own);
    }
    let url = match reqwest::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => bail!(
            "`{name}`: `{value}` is no receiver of OTLP over HTTP; write e.g. `http://collector.example.net:4318`, or `self`"
        ),
    };
    let has_more = url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        bail!(
            "`{name}`: only scheme, host, port and path are taken of an address; a token is `telemetry.token`"
        );
    }
    if url.port() == Some(4317) {
        bail!(
            "`{name}`: `{value}` is where gRPC is spoken by custom, and logboom sends over HTTP; its port is 4318"
        );
    }
    if url.path().contains("/v1/") {
        bail!("`{name}`: write `{value}` without `/v1/…`, which is appended for each signal");
    }
    if url.scheme() == "https" && cfg!(not(feature = "server")) {
        bail!(
            "`{name}`: this build has the agent alone and no TLS; send over `http://` to a collector on this host, or take \
             the full build"
        );
    }
    Ok(Target::At(url.as_str().trim_end_matches('/').to_owned()))
}
