//! Which clusters are copied to which, and what of them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{anyhow, bail};
use logboom_client::Security;

use super::raw::RawMirror;
use super::{access, host_and_port};

/// One direction between two clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MirrorConfig {
    /// Told in logs and metrics.
    pub(crate) name: String,
    /// `host:port`, comma separated.
    pub(crate) from: String,
    pub(crate) from_security: Security,
    pub(crate) to: String,
    pub(crate) to_security: Security,
    /// A regular expression; a build with the agent alone does not look into it.
    pub(crate) topics: String,
}

pub(super) fn resolve(
    mirrors: Vec<RawMirror>,
    relative_to: &Path,
) -> anyhow::Result<Vec<MirrorConfig>> {
    let mut names = BTreeSet::new();
    let numbered = mirrors.into_iter().enumerate();
    numbered
        .map(|(index, raw)| {
            let key = |key: &str| format!("mirrors[{index}].{key}");
            let given = |name: &str, value: Option<String>, example: &str| {
                value.ok_or_else(|| anyhow!("`{}` is missing; write e.g. `{example}`", key(name)))
            };
            let mirror = MirrorConfig {
                name: raw.name.unwrap_or_else(|| (index + 1).to_string()),
                from: given("from", raw.from, "queue.example.net:9092")?,
                from_security: access::client(
                    &key("from_"),
                    raw.from_tls,
                    raw.from_sasl,
                    relative_to,
                )?,
                to: given("to", raw.to, "kafka.example.net:9092")?,
                to_security: access::client(&key("to_"), raw.to_tls, raw.to_sasl, relative_to)?,
                topics: given("topics", raw.topics, "logs|otlp_.*")?,
            };
            validate(&mirror, key)?;
            if !names.insert(mirror.name.clone()) {
                bail!(
                    "`{}`: another mirror is called `{}`; give each a name of its own",
                    key("name"),
                    mirror.name
                );
            }
            Ok(mirror)
        })
        .collect()
}

/// `key` says what an error calls a value.
pub(crate) fn validate(mirror: &MirrorConfig, key: impl Fn(&str) -> String) -> anyhow::Result<()> {
    for (name, addresses) in [("from", &mirror.from), ("to", &mirror.to)] {
        for address in addresses.split(',') {
            host_and_port(&key(name), address.trim())?;
        }
    }
    if mirror.from == mirror.to {
        bail!(
            "`{}`: `{}` is where it comes from; a cluster is not copied to itself",
            key("to"),
            mirror.to
        );
    }
    #[cfg(feature = "server")]
    if let Err(error) = mirror.topics.parse::<logboom_mirror::TopicPattern>() {
        bail!("`{}`: {error}", key("topics"));
    }
    Ok(())
}
