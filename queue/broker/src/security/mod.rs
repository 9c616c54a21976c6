//! Who may connect, and who they are.
//!
//! A [`Listener`] says how a connection is secured (TLS by rustls, or not) and how a client proves who it is (SASL, a
//! client certificate, or not at all). [`admit`] takes a fresh connection through both, within a time and a number of
//! its own, and what comes out is a stream and a [`Principal`]. Until then nothing but ApiVersions and SASL is answered.
//!
//! Files that the settings name are looked at again while the broker runs ([`reload`]): what can be used replaces what
//! was there, for connections from then on; what cannot is told loudly and changes nothing.

mod admit;
mod authenticate;
mod listener;
mod principal;
mod refusals;
mod reload;
mod sasl;
mod scram;
mod tls;
mod users;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use listener::{Credential, Listener, ListenerConfig, Listeners, SaslConfig};
pub use sasl::{Mechanism, UnknownMechanism};
pub use tls::{ClientCertificates, TlsFiles};
pub use users::{UsersError, UsersFile};

pub(crate) use admit::{AdmissionError, Admissions, Admitted, admit};
pub(crate) use authenticate::{authenticate_again, handshake_again};
pub(crate) use listener::Terms;
pub(crate) use principal::Principal;
pub(crate) use refusals::Refusals;
pub(crate) use reload::run as reload;
pub(crate) use sasl::fuzz as fuzz_sasl;
pub(crate) use users::Users;

/// Random bytes as text without comma, for nonces and passwords.
fn printable(random: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}
