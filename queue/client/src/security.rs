//! How the queue is talked to when it asks who comes: TLS and SASL, as librdkafka does them on OpenSSL.

use std::fmt;
use std::path::PathBuf;

use rdkafka::config::ClientConfig as Settings;

/// What the queue's listener asks for. By default, nothing: plain TCP and no login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
}

/// Whom to trust, and what to show. The name in the certificate has to be the one in the address, always: librdkafka
/// knows no other name to expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities in PEM. `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate chain and private key in PEM, where the queue wants to see one.
    pub pair: Option<(PathBuf, PathBuf)>,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: Password,
}

/// How the password is shown to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub const ALL: [Mechanism; 3] = [
        Mechanism::ScramSha512,
        Mechanism::ScramSha256,
        Mechanism::Plain,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// By its registered name.
    pub fn named(name: &str) -> Option<Mechanism> {
        Mechanism::ALL
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// A secret that does not end up in a log line.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Security {
    pub(crate) fn apply(&self, settings: &mut Settings) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        settings.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            settings.set("ssl.endpoint.identification.algorithm", "https");
            if let Some(ca) = &tls.ca {
                settings.set("ssl.ca.location", ca.to_string_lossy());
            }
            if let Some((cert, key)) = &tls.pair {
                settings.set("ssl.certificate.location", cert.to_string_lossy());
                settings.set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(sasl) = &self.sasl {
            settings.set("sasl.mechanisms", sasl.mechanism.name());
            settings.set("sasl.username", &sasl.username);
            settings.set("sasl.password", &sasl.password.0);
        }
    }

    /// Whether a line of librdkafka says that we were not let in, or could not trust who we met.
    pub(crate) fn is_about(message: &str) -> bool {
        ["SSL handshake failed", "SASL", "broker certificate"]
            .iter()
            .any(|words| message.contains(words))
    }

    /// What to do when the queue does not let us in, by what librdkafka says about it.
    pub(crate) fn remedy(&self, reason: &str) -> String {
        let says = |part: &str| reason.contains(part);
        if says("certificate verify failed") {
            let ca = self.tls.as_ref().and_then(|tls| tls.ca.as_ref());
            let ca = ca.map_or_else(
                || "the system's authorities (`queue.tls.ca` names another)".to_owned(),
                |ca| format!("`{}` (`queue.tls.ca`)", ca.display()),
            );
            return format!(
                "its certificate is not of {ca}, or not for the host name in `queue.address`, or not valid now"
            );
        }
        if says("certificate required")
            || says("unexpected message")
            || says("bad certificate")
            || says("unknown ca")
        {
            return "it wants a certificate that it knows: set `queue.tls.cert` and `queue.tls.key` to one of its client CA".to_owned();
        }
        if says("wrong user name or password") || says("invalid credentials") {
            return "correct `queue.sasl.username` or what `queue.sasl.password_file` holds"
                .to_owned();
        }
        if says("mechanism") {
            return "set `queue.sasl.mechanism` to one that it offers".to_owned();
        }
        if says("wrong version number") || says("packet length") {
            return "it does not speak TLS at this address: correct `queue.address`, or take `queue.tls` out".to_owned();
        }
        "compare `queue.tls` and `queue.sasl` with what its listener asks for".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_debug_output() {
        let sasl = Sasl {
            mechanism: Mechanism::Plain,
            username: "alice".to_owned(),
            password: Password("wonderland".to_owned()),
        };
        assert!(!format!("{sasl:?}").contains("wonderland"));
    }

    #[test]
    fn what_is_set_becomes_librdkafkas_settings() {
        let protocol = |security: Security| {
            let mut settings = Settings::new();
            security.apply(&mut settings);
            settings.get("security.protocol").unwrap().to_owned()
        };
        let tls = Some(Tls::default());
        let sasl = Some(Sasl {
            mechanism: Mechanism::ScramSha256,
            username: "a".to_owned(),
            password: Password("b".to_owned()),
        });
        let both = Security {
            tls: tls.clone(),
            sasl: sasl.clone(),
        };
        assert_eq!(protocol(both), "sasl_ssl");
        assert_eq!(protocol(Security { tls, sasl: None }), "ssl");
        assert_eq!(protocol(Security { tls: None, sasl }), "sasl_plaintext");
        assert_eq!(protocol(Security::default()), "plaintext");
    }
}
