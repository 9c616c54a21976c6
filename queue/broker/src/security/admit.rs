//! From a fresh connection to a stream and a name, or to its end.
//!
//! Strangers are bounded by themselves: in number, so that they cannot take the places of those who are known, and in
//! time, from the first byte to the last proof. Where nothing is asked, there are no strangers.

use std::io;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::authenticate::authenticate;
use super::listener::Terms;
use super::principal::Principal;
use super::sasl::{Mechanism, SaslError};
use super::scram::Hash;
use super::tls::Tls;
use super::users::Users;
use crate::limits::{ADMISSION_TIMEOUT, PASSWORD_CHECKS_MAX, STRANGERS_MAX};
use crate::wire::codec::{DecodeError, EncodeError};
use crate::wire::frame::FrameError;

/// Why a connection was not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error("`{STRANGERS_MAX}` connections that have not said yet who they are were there already")]
    TooMany,
    #[error("client did not say within `{ADMISSION_TIMEOUT:?}` who it is")]
    Slow,
    #[error("client went on talking without saying who it is")]
    TooMuch,
    #[error("client left without saying who it is")]
    Left,
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("the client's certificate has no subject to know it by")]
    Nameless,
    #[error("client asked for a SASL mechanism that is not served")]
    Mechanism,
    #[error("SASL messages in the wrong order")]
    Order,
    #[error("login by {mechanism} refused: {error}")]
    Refused {
        mechanism: Mechanism,
        error: SaslError,
    },
    #[error("{key:?} from a client that has not logged in: does it know that it should?")]
    Unauthenticated { key: ApiKey },
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("write failed: {0}")]
    Write(#[source] io::Error),
}

impl AdmissionError {
    /// For the metric.
    pub(crate) fn reason(&self) -> &'static str {
        use AdmissionError::*;
        match self {
            TooMany => "too_many_strangers",
            Slow => "slow_handshake",
            Tls(_) | Nameless => "tls",
            Mechanism | Order | Refused { .. } | Unauthenticated { .. } | TooMuch => {
                "authentication"
            }
            Left | Frame(FrameError::Torn | FrameError::Io(_)) | Write(_) => "network",
            Frame(_) | Decode(_) => "bad_request",
            Encode(_) => "bad_answer",
        }
    }

    /// Whether an operator wants to read of it: somebody, or something misconfigured, tries to get in.
    pub(crate) fn is_telling(&self) -> bool {
        !matches!(self.reason(), "network" | "bad_answer")
    }
}

/// The users, and the places for connections that have not said who they are.
pub(crate) struct Admissions {
    users: Users,
    strangers: Arc<Semaphore>,
    password_checks: Arc<Semaphore>,
}

impl Admissions {
    pub(crate) fn new(users: Users) -> Admissions {
        Admissions {
            users,
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
        }
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, AdmissionError> {
        let place = self.strangers.clone().try_acquire_owned();
        place.map_err(|_| AdmissionError::TooMany)
    }

    /// Takes as long for a user who does not exist.
    pub(super) async fn is_password_of(
        &self,
        users: &Users,
        name: &str,
        password: Vec<u8>,
    ) -> bool {
        let found = users.find(name, Hash::Sha256);
        let turn = self.password_checks.clone().acquire_owned().await;
        let checking = tokio::task::spawn_blocking(move || {
            // Goes on when the client has given up, and so keeps its turn.
            let _turn = turn;
            found.keys.are_of(Hash::Sha256, &password) && found.is_user
        });
        match checking.await {
            Ok(is_right) => is_right,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// A connection that may be served.
pub(crate) enum Admitted {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Takes a connection through what its listener asks.
pub(crate) async fn admit(
    admissions: &Admissions,
    terms: &Terms,
    stream: TcpStream,
) -> Result<(Admitted, Principal), AdmissionError> {
    if !terms.ask() {
        return Ok((Admitted::Plain(stream), Principal::anonymous()));
    }
    let _place = admissions.place()?;
    timeout(ADMISSION_TIMEOUT, ask(admissions, terms, stream))
        .await
        .unwrap_or(Err(AdmissionError::Slow))
}

async fn ask(
    admissions: &Admissions,
    terms: &Terms,
    mut stream: TcpStream,
) -> Result<(Admitted, Principal), AdmissionError> {
    let Some(tls) = &terms.tls else {
        let principal = match &terms.sasl {
            None => Principal::anonymous(),
            Some(sasl) => authenticate(admissions, sasl, &mut stream).await?,
        };
        return Ok((Admitted::Plain(stream), principal));
    };
    let mut stream = secure(tls, stream).await?;
    // As in Kafka: who logs in is whom it logs in as, whatever certificate it had to show on the way.
    let principal = match &terms.sasl {
        None => shown(stream.get_ref().1)?,
        Some(sasl) => authenticate(admissions, sasl, &mut stream).await?,
    };
    Ok((Admitted::Tls(Box::new(stream)), principal))
}

async fn secure(tls: &Tls, stream: TcpStream) -> Result<TlsStream<TcpStream>, AdmissionError> {
    let secured = tls.acceptor().accept(stream).await;
    secured.map_err(AdmissionError::Tls)
}

/// Whom the certificate names, which rustls has verified. Not to be asked for one, or to have none where that is
/// allowed, is to be nobody; to have one that names nobody is an error, since it may be meant to.
fn shown(connection: &ServerConnection) -> Result<Principal, AdmissionError> {
    let certificate = connection
        .peer_certificates()
        .and_then(|chain| chain.first());
    match certificate {
        None => Ok(Principal::anonymous()),
        Some(certificate) => Principal::of_certificate(certificate).ok_or(AdmissionError::Nameless),
    }
}
