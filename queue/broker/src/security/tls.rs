//! TLS 1.2 and 1.3 by rustls: certificate, key and client CA from PEM files, exchanged while connections go on.
//!
//! The provider is aws-lc-rs, which the HTTP client brings in anyway. A connection keeps what it began with; a reload is
//! for those that come after. There are no revocation lists: a client certificate is taken back by an access rule, or by
//! another CA.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use crate::error::Error;
use crate::limits::PEM_BYTES_MAX;

/// What a TLS listener shows, and what it asks to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain in PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key in PEM (PKCS #8, PKCS #1 or SEC1), not encrypted.
    pub key: PathBuf,
    /// Whether clients show a certificate, too.
    pub clients: ClientCertificates,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    NotAsked,
    /// They may: who does has to be known to this CA (PEM), who does not is `User:ANONYMOUS`.
    Optional(PathBuf),
    /// They must, of this CA (PEM).
    Required(PathBuf),
}

impl ClientCertificates {
    fn ca(&self) -> Option<&Path> {
        match self {
            ClientCertificates::NotAsked => None,
            ClientCertificates::Optional(ca) | ClientCertificates::Required(ca) => Some(ca),
        }
    }
}

/// The TLS side of a listener as it stands now.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    /// Of the contents that were tried last, good or bad, so that each is tried and told once.
    tried: Mutex<[u8; 32]>,
}

/// What stands in the files.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files, which all have to be good.
    pub(crate) fn open(files: TlsFiles) -> Result<Tls, Error> {
        let contents = read(&files)?;
        let config = server_config(&files, &contents)?;
        Ok(Tls {
            tried: Mutex::new(contents.digest()),
            current: RwLock::new(Arc::new(config)),
            files,
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(current.clone())
    }

    /// Takes what is new in the files. Reads them, so it belongs on a blocking thread. What cannot be used leaves
    /// everything as it was; a pair of which one half has been written yet is such a case, and good at the next look.
    pub(crate) fn reload(&self) {
        let cert = self.files.cert.display();
        let contents = match read(&self.files) {
            Ok(contents) => contents,
            // May last for as long as an operator sleeps: it is told when it begins.
            Err(error) => {
                if self.is_new(Sha256::digest(error.to_string()).into()) {
                    error!(%error, "TLS files cannot be read: the certificate from before is used on");
                }
                return;
            }
        };
        if !self.is_new(contents.digest()) {
            return;
        }
        match server_config(&self.files, &contents) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                info!(certificate = %cert, "TLS files have changed and are used for new connections");
            }
            Err(error) => {
                error!(%error, "changed TLS files cannot be used: the certificate from before is used on");
            }
        }
    }

    fn is_new(&self, digest: [u8; 32]) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *tried, digest) != digest
    }
}

impl Contents {
    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let parts = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        for part in parts.into_iter().flatten() {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

fn read(files: &TlsFiles) -> Result<Contents, Error> {
    Ok(Contents {
        cert: read_pem(&files.cert)?,
        key: read_pem(&files.key)?,
        client_ca: files.clients.ca().map(read_pem).transpose()?,
    })
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unusable(path, error))?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        let problem = format!("it is larger than {PEM_BYTES_MAX} bytes");
        return Err(unusable(path, problem));
    }
    Ok(bytes)
}

fn server_config(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, Error> {
    let chain = certificates(&files.cert, &contents.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
        let problem =
            "it holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`), or an encrypted one";
        unusable(&files.key, problem)
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&files.cert, error))?;
    let builder = match &contents.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(client_verifier(&files.clients, ca)?),
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let problem = format!(
                    "the key in `{}` is not that of the certificate",
                    files.key.display()
                );
                unusable(&files.cert, problem)
            }
            error => unusable(&files.cert, error),
        })
}

fn client_verifier(
    clients: &ClientCertificates,
    pem: &[u8],
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let path = clients.ca().expect("its content has been read");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(path, error))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let builder = match clients {
        ClientCertificates::Required(_) => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| unusable(path, error))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))?;
    if chain.is_empty() {
        let problem = "it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)";
        return Err(unusable(path, problem));
    }
    Ok(chain)
}

fn unusable(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Tls {
        path: path.to_owned(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn write_pair(dir: &Path) -> TlsFiles {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
            clients: ClientCertificates::NotAsked,
        };
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        files
    }

    fn current(tls: &Tls) -> Arc<ServerConfig> {
        tls.current.read().unwrap().clone()
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let files = write_pair(dir.path());
        Tls::open(files.clone()).unwrap();
        let refused = |files: &TlsFiles| Tls::open(files.clone()).unwrap_err().to_string();

        let other = tempfile::tempdir().unwrap();
        let mixed = TlsFiles {
            key: write_pair(other.path()).key,
            ..files.clone()
        };
        assert!(refused(&mixed).contains("is not that of the certificate"));
        let swapped = TlsFiles {
            cert: files.key.clone(),
            ..files.clone()
        };
        assert!(refused(&swapped).contains("holds no certificate"));
        let no_key = TlsFiles {
            key: files.cert.clone(),
            ..files.clone()
        };
        assert!(refused(&no_key).contains("holds no private key"));
        let missing = TlsFiles {
            clients: ClientCertificates::Required(dir.path().join("ca.pem")),
            ..files.clone()
        };
        assert!(
            refused(&missing).contains("ca.pem"),
            "{}",
            refused(&missing)
        );
    }

    #[test]
    fn what_is_new_and_good_is_taken_and_what_is_bad_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::open(write_pair(dir.path())).unwrap();
        let first = current(&tls);
        tls.reload();
        assert!(Arc::ptr_eq(&first, &current(&tls)), "nothing was new");

        let key = std::fs::read(&tls.files.key).unwrap();
        write_pair(dir.path());
        let new_key = std::fs::read(&tls.files.key).unwrap();
        // As if the certificate had been written, and its key not yet.
        std::fs::write(&tls.files.key, key).unwrap();
        tls.reload();
        assert!(Arc::ptr_eq(&first, &current(&tls)), "half a pair");
        std::fs::remove_file(&tls.files.key).unwrap();
        tls.reload();
        assert!(Arc::ptr_eq(&first, &current(&tls)), "no key at all");
        std::fs::write(&tls.files.key, new_key).unwrap();
        tls.reload();
        assert!(!Arc::ptr_eq(&first, &current(&tls)), "a new pair");
    }
}
