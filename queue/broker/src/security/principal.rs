//! Whom a connection speaks for.

use std::fmt;
use std::sync::Arc;

use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A name as Kafka writes it: `User:agent`, `User:CN=agent,O=Example`, `User:ANONYMOUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    name: Arc<str>,
    /// No name gives this away: whoever has it came over the listener of this process's own parts.
    is_own: bool,
}

impl Principal {
    /// Whoever comes over a listener that asks nobody.
    pub(crate) fn anonymous() -> Principal {
        Principal::user("ANONYMOUS")
    }

    pub(crate) fn user(name: &str) -> Principal {
        Principal {
            name: format!("User:{name}").into(),
            is_own: false,
        }
    }

    /// Another part of this process, which may do everything.
    pub(crate) fn own() -> Principal {
        Principal {
            is_own: true,
            ..Principal::user("logboom")
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The subject of a certificate that has been verified, most specific part first (RFC 4514), as Java prints it.
    /// `None`: rustls took what x509-cert does not, or it has no subject; such a client has no name.
    pub(crate) fn of_certificate(der: &[u8]) -> Option<Principal> {
        let certificate = Certificate::from_der(der).ok()?;
        let subject = certificate.tbs_certificate().subject();
        (!subject.is_empty()).then(|| Principal::user(&subject.to_string()))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(subject: DistinguishedName) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_subject_is_printed_as_java_does_with_nothing_that_a_name_could_pretend() {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CountryName, "DE");
        subject.push(DnType::OrganizationName, "Example, Inc");
        subject.push(DnType::CommonName, "agent,O=admins");
        let principal = Principal::of_certificate(&certificate(subject)).unwrap();
        assert_eq!(
            principal.to_string(),
            r"User:CN=agent\,O\=admins,O=Example\, Inc,C=DE".replace(r"\=", "=")
        );
    }

    #[test]
    fn what_has_no_subject_has_no_name() {
        let nameless = certificate(DistinguishedName::new());
        assert_eq!(Principal::of_certificate(&nameless), None);
        assert_eq!(Principal::of_certificate(&nameless[1..]), None);
    }
}
