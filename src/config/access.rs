//! Who gets into the queue: what its listeners ask (`queue.listeners`, `queue.acls`), and how our own clients answer
//! (`queue.tls`, `queue.sasl`, and the like for both ends of a mirror).

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use logboom_client::{Mechanism, Password, Sasl, Security, Tls};

use super::raw::{RawClientSasl, RawClientTls};

/// A password file is a word and a line end; more is another file.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// How a client gets in: `queue.` is how agent, indexer and alerting do. Paths are meant from where the file is.
pub(super) fn client(
    prefix: &str,
    tls: Option<RawClientTls>,
    sasl: Option<RawClientSasl>,
    relative_to: &Path,
) -> anyhow::Result<Security> {
    let tls = tls.map(|tls| client_tls(&format!("{prefix}tls"), tls, relative_to));
    let sasl = sasl.map(|sasl| client_sasl(&format!("{prefix}sasl"), sasl, relative_to));
    Ok(Security {
        tls: tls.transpose()?,
        sasl: sasl.transpose()?,
    })
}

fn client_tls(name: &str, tls: RawClientTls, relative_to: &Path) -> anyhow::Result<Tls> {
    let path = |key: &str, path: PathBuf| readable(&format!("{name}.{key}"), &path, relative_to);
    let pair = match (tls.cert, tls.key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((path("cert", cert)?, path("key", key)?)),
        (Some(_), None) => bail!("`{name}.key` is missing; it is the key of `{name}.cert`"),
        (None, Some(_)) => bail!("`{name}.cert` is missing; it is what `{name}.key` is of"),
    };
    let ca = tls.ca.map(|ca| path("ca", ca)).transpose()?;
    Ok(Tls { ca, pair })
}

fn client_sasl(name: &str, sasl: RawClientSasl, relative_to: &Path) -> anyhow::Result<Sasl> {
    let mechanism = match sasl.mechanism.as_deref() {
        None => Mechanism::ScramSha512,
        Some(asked) => Mechanism::named(asked).ok_or_else(|| {
            let known = Mechanism::ALL
                .map(|known| format!("`{}`", known.name()))
                .join(", ");
            anyhow!("`{name}.mechanism`: `{asked}` is not known; allowed are {known}")
        })?,
    };
    let username = sasl
        .username
        .filter(|name| !name.is_empty())
        .with_context(|| format!("`{name}.username` is missing"))?;
    let key = format!("{name}.password_file");
    let file = sasl
        .password_file
        .with_context(|| format!("`{key}` is missing; the password does not stand in this file"))?;
    let file = readable(&key, &file, relative_to)?;
    Ok(Sasl {
        mechanism,
        username,
        password: Password(password(&key, &file)?),
    })
}

fn password(key: &str, file: &Path) -> anyhow::Result<String> {
    let about = || format!("`{key}`: `{}`", file.display());
    if std::fs::metadata(file).with_context(about)?.len() > PASSWORD_BYTES_MAX {
        bail!(
            "{} is larger than {PASSWORD_BYTES_MAX} bytes and no password",
            about()
        );
    }
    let text = std::fs::read_to_string(file).with_context(about)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        bail!("{} is to hold one line, the password", about());
    }
    Ok(password.to_owned())
}

/// Said now, and by its key: later it would be a line of a library's.
fn readable(key: &str, path: &Path, relative_to: &Path) -> anyhow::Result<PathBuf> {
    let path = super::absolute(&relative_to.join(path))?;
    std::fs::File::open(&path)
        .with_context(|| format!("`{key}`: cannot read `{}`", path.display()))?;
    Ok(path)
}
