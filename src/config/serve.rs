//! What the built-in queue listens on, and what it asks there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use logboom_broker::{
    AccessRules, Acl, ClientCertificates, ListenerConfig, Mechanism, Pattern, SaslConfig, TlsFiles,
};

use super::raw::{RawAcl, RawListener, RawListenerTls};
use super::{Named, absolute, address, host_and_port};

/// The side of the queue that its clients see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServeConfig {
    /// At least one.
    pub(crate) listeners: Vec<Served>,
    pub(crate) access: AccessRules,
    /// Names and SCRAM keys, written by `logboom queue users`.
    pub(crate) users_file: PathBuf,
}

/// One listener.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    /// What an error calls it by.
    pub(crate) key: String,
    pub(crate) listen: SocketAddr,
    pub(crate) terms: ListenerConfig,
}

impl ServeConfig {
    /// Whether somebody who just connects may be refused anything.
    pub(crate) fn asks(&self) -> bool {
        let asks = |served: &Served| served.terms.tls.is_some() || served.terms.sasl.is_some();
        self.listeners.iter().any(asks) || self.access != AccessRules::default()
    }
}

/// Paths are meant from where the file is.
pub(super) fn listener(
    index: usize,
    raw: RawListener,
    relative_to: &Path,
) -> anyhow::Result<Served> {
    let key = format!("queue.listeners[{index}]");
    let (has_tls, has_sasl) = match raw.protocol.as_deref().unwrap_or("PLAINTEXT") {
        "PLAINTEXT" => (false, false),
        "SSL" => (true, false),
        "SASL_PLAINTEXT" => (false, true),
        "SASL_SSL" => (true, true),
        other => bail!(
            "`{key}.protocol`: `{other}` is not known; allowed are `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` and `SASL_SSL`"
        ),
    };
    let listen = raw
        .listen
        .with_context(|| format!("`{key}.listen` is missing; write e.g. `listen: 0.0.0.0:9093`"))?;
    let listen = address(&Named {
        name: format!("{key}.listen"),
        value: listen,
    })?;
    let tls = match (raw.tls, has_tls) {
        (Some(tls), true) => Some(server_tls(&key, tls, relative_to)?),
        (None, true) => bail!(
            "`{key}.tls` is missing; write `tls: {{cert: queue.pem, key: queue.key}}`, or a protocol without SSL"
        ),
        (Some(_), false) => bail!("`{key}.tls` is for the protocols `SSL` and `SASL_SSL` only"),
        (None, false) => None,
    };
    let sasl = has_sasl
        .then(|| {
            sasl(
                &key,
                raw.mechanisms.as_deref(),
                raw.plain_without_tls,
                has_tls,
            )
        })
        .transpose()?;
    if !has_sasl && (raw.mechanisms.is_some() || raw.plain_without_tls.is_some()) {
        bail!(
            "`{key}`: `mechanisms` and `plain_without_tls` are for the protocols `SASL_PLAINTEXT` and `SASL_SSL` only"
        );
    }
    let advertised = raw
        .advertised
        .map(|text| host_and_port(&format!("{key}.advertised"), &text))
        .transpose()?;
    Ok(Served {
        key: format!("{key}.listen"),
        listen,
        terms: ListenerConfig {
            advertised,
            tls,
            sasl,
        },
    })
}

fn server_tls(key: &str, tls: RawListenerTls, relative_to: &Path) -> anyhow::Result<TlsFiles> {
    let path = |path: PathBuf| absolute(&relative_to.join(path));
    let needed = |name: &str, found: Option<PathBuf>| {
        let found = found.with_context(|| format!("`{key}.tls.{name}` is missing"));
        found.and_then(path)
    };
    let clients = match (tls.client_auth.as_deref(), tls.client_ca) {
        (None, None) => ClientCertificates::NotAsked,
        (None | Some("required"), Some(ca)) => ClientCertificates::Required(path(ca)?),
        (Some("optional"), Some(ca)) => ClientCertificates::Optional(path(ca)?),
        (Some(other), _) if !matches!(other, "required" | "optional") => bail!(
            "`{key}.tls.client_auth`: `{other}` is not known; allowed are `required` and `optional`"
        ),
        (Some(_), None) => {
            bail!("`{key}.tls.client_ca` is missing; it is whose certificates clients are to show")
        }
        (Some(_), Some(_)) => unreachable!("the other two were told apart above"),
    };
    Ok(TlsFiles {
        cert: needed("cert", tls.cert)?,
        key: needed("key", tls.key)?,
        clients,
    })
}

fn sasl(
    key: &str,
    names: Option<&[String]>,
    plain_without_tls: Option<bool>,
    has_tls: bool,
) -> anyhow::Result<SaslConfig> {
    let plain_without_tls = plain_without_tls.unwrap_or(false);
    let mechanisms = match names {
        Some([]) => bail!("`{key}.mechanisms` is empty; leave it out, or name one"),
        Some(names) => names
            .iter()
            .map(|name| {
                name.parse()
                    .map_err(|error| anyhow!("`{key}.mechanisms`: {error}"))
            })
            .collect::<anyhow::Result<_>>()?,
        None => Mechanism::ALL
            .into_iter()
            .filter(|mechanism| has_tls || plain_without_tls || *mechanism != Mechanism::Plain)
            .collect::<Vec<_>>(),
    };
    if mechanisms.contains(&Mechanism::Plain) && !has_tls && !plain_without_tls {
        bail!(
            "`{key}.mechanisms`: `PLAIN` without TLS shows passwords to everybody on the way; take SCRAM or `SASL_SSL`, or \
             insist with `plain_without_tls: true`"
        );
    }
    Ok(SaslConfig {
        mechanisms,
        plain_without_tls,
    })
}

pub(super) fn access(super_users: &[String], acls: Vec<RawAcl>) -> anyhow::Result<AccessRules> {
    let acls = acls
        .into_iter()
        .enumerate()
        .map(|(index, acl)| rule(index, acl));
    Ok(AccessRules {
        super_users: patterns("queue.super_users", super_users)?,
        acls: acls.collect::<anyhow::Result<_>>()?,
    })
}

fn rule(index: usize, raw: RawAcl) -> anyhow::Result<Acl> {
    let key = format!("queue.acls[{index}]");
    let principal = raw
        .principal
        .with_context(|| format!("`{key}.principal` is missing; write e.g. `User:agent-*`"))?;
    let allow = raw.allow.iter().map(|name| {
        let operation = name.parse();
        operation.map_err(|error| anyhow!("`{key}.allow`: {error}"))
    });
    let allow: Vec<_> = allow.collect::<anyhow::Result<_>>()?;
    if allow.is_empty() {
        bail!(
            "`{key}.allow` is missing; write e.g. `allow: [read]`. What no rule allows is refused"
        );
    }
    let of = |name: &str, texts: &[String]| patterns(&format!("{key}.{name}"), texts);
    let acl = Acl {
        principal: principals(&format!("{key}.principal"), &principal)?,
        allow,
        topics: of("topics", &raw.topics)?,
        groups: of("groups", &raw.groups)?,
        transactional_ids: of("transactional_ids", &raw.transactional_ids)?,
        cluster: raw.cluster,
    };
    let is_about_nothing = acl.topics.is_empty()
        && acl.groups.is_empty()
        && acl.transactional_ids.is_empty()
        && !acl.cluster;
    if is_about_nothing {
        bail!(
            "`{key}` is about nothing; write `topics`, `groups`, `transactional_ids` or `cluster: true`"
        );
    }
    Ok(acl)
}

fn patterns(key: &str, texts: &[String]) -> anyhow::Result<Vec<Pattern>> {
    let is_of_users = key == "queue.super_users";
    let patterns = texts.iter().map(|text| match is_of_users {
        true => principals(key, text),
        false => text.parse().map_err(|error| anyhow!("`{key}`: {error}")),
    });
    patterns.collect()
}

/// A name without `User:` would match nobody, ever.
fn principals(key: &str, text: &str) -> anyhow::Result<Pattern> {
    if !text.starts_with("User:") {
        bail!(
            "`{key}`: `{text}` is no principal; write `User:{text}`, or `User:CN=…` for a certificate's subject"
        );
    }
    text.parse().map_err(|error| anyhow!("`{key}`: {error}"))
}
