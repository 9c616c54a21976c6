//! Who may connect, who they are, and what they may do.
//!
//! A [`Listener`] says how a connection is secured (TLS by rustls, or not) and how a client proves who it is (SASL, a
//! client certificate, or not at all). [`admit`] takes a fresh connection through both, within a time and a number of
//! its own, and what comes out is a stream and a [`Principal`]. Until then nothing but ApiVersions and SASL is answered.
//!
//! Every API asks with [`Call::may`](crate::api::Call::may) before it does something: which operation it needs is one table
//! (`rights`), who has it are the rules of the settings ([`AccessRules`]).
//!
//! Files that the settings name are looked at again while the broker runs ([`reload`]): what can be used replaces what
//! was there, for connections from then on; what cannot is told loudly and changes nothing.

mod acl;
mod admit;
mod authenticate;
mod listener;
mod principal;
mod refusals;
mod reload;
pub(crate) mod rights;
mod sasl;
mod scram;
mod tls;
mod users;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use acl::{AccessRules, Acl, BadPattern, Operation, Pattern, UnknownOperation};
pub use listener::{Credential, Listener, ListenerConfig, Listeners, SaslConfig};
pub use sasl::{Mechanism, UnknownMechanism};
pub use tls::{ClientCertificates, TlsFiles};
pub use users::{UsersError, UsersFile};

pub(crate) use acl::{Resource, ResourceKind};
pub(crate) use admit::{AdmissionError, Admissions, Admitted, admit};
pub(crate) use authenticate::{authenticate_again, handshake_again};
pub(crate) use listener::Terms;
pub(crate) use principal::Principal;
pub(crate) use refusals::Refusals;
pub(crate) use reload::run as reload;
pub(crate) use rights::needed;
pub(crate) use sasl::fuzz as fuzz_sasl;
pub(crate) use users::Users;

/// Random bytes as text without comma, for nonces and passwords.
fn printable(random: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}
