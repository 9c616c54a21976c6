//! A socket that clients connect to, and what is asked of those who do.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::principal::Principal;
use super::sasl::Mechanism;
use super::tls::{Tls, TlsFiles};
use super::users::Users;
use crate::error::Error;

/// What one listener asks of its clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerConfig {
    /// What its clients are told to connect to. `None`: what the broker's [`Config`](crate::Config) says.
    pub advertised: Option<(String, u16)>,
    /// `None`: plain TCP.
    pub tls: Option<TlsFiles>,
    /// `None`: nobody has to log in.
    pub sasl: Option<SaslConfig>,
}

/// How clients log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslConfig {
    /// The mechanisms to choose from, in the order in which clients are told of them.
    pub mechanisms: Vec<Mechanism>,
    /// Whether passwords may come in PLAIN without TLS, where everybody on the way can read them.
    pub plain_without_tls: bool,
}

/// What this process itself logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Name of the user.
    pub username: String,
    /// Random, made at this start.
    pub password: String,
}

/// A bound socket whose files have been read.
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) terms: Arc<Terms>,
}

/// What a connection has to know of its listener: not the socket, which closes before the last connection does.
#[derive(Default)]
pub(crate) struct Terms {
    pub(crate) advertised: Option<(String, u16)>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) sasl: Option<Sasl>,
}

/// How one logs in, and as whom.
pub(crate) struct Sasl {
    mechanisms: Vec<Mechanism>,
    /// The only user of this listener, instead of the broker's.
    own: Option<Users>,
}

impl Listener {
    /// Reads the files that the settings name.
    pub fn open(socket: TcpListener, config: ListenerConfig) -> Result<Listener, Error> {
        let sasl = config.sasl.map(|sasl| check(sasl, config.tls.is_some()));
        let terms = Terms {
            advertised: config.advertised,
            tls: config.tls.map(Tls::open).transpose()?.map(Arc::new),
            sasl: sasl.transpose()?,
        };
        Ok(Listener {
            socket,
            terms: Arc::new(terms),
        })
    }

    /// A listener for the other parts of this process, who may do everything. Others on this machine can connect to it
    /// as well, and get nowhere without the password, which is in no file and no environment. It is proved by SCRAM, so
    /// it does not cross the socket either.
    pub fn own(socket: TcpListener) -> (Listener, Credential) {
        let credential = Credential {
            username: OWN_USER.to_owned(),
            password: super::printable(&rand::random::<[u8; 32]>()),
        };
        let sasl = Sasl {
            mechanisms: vec![Mechanism::ScramSha256],
            own: Some(Users::only(&credential.username, &credential.password)),
        };
        let terms = Terms {
            sasl: Some(sasl),
            ..Terms::default()
        };
        let listener = Listener {
            socket,
            terms: Arc::new(terms),
        };
        (listener, credential)
    }
}

const OWN_USER: &str = "logboom";

fn check(sasl: SaslConfig, has_tls: bool) -> Result<Sasl, Error> {
    let refuse = |problem: &str| {
        Err(Error::Setting {
            key: "sasl",
            problem: problem.to_owned(),
        })
    };
    if sasl.mechanisms.is_empty() {
        return refuse("at least one mechanism is needed");
    }
    let shows_passwords = sasl.mechanisms.contains(&Mechanism::Plain) && !has_tls;
    if shows_passwords && !sasl.plain_without_tls {
        return refuse(
            "`PLAIN` without TLS shows passwords to everybody on the way; use SCRAM or TLS",
        );
    }
    Ok(Sasl {
        mechanisms: sasl.mechanisms,
        own: None,
    })
}

impl Sasl {
    pub(crate) fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// Those who may log in here; `users` are the broker's.
    pub(crate) fn users<'a>(&'a self, users: &'a Users) -> &'a Users {
        self.own.as_ref().unwrap_or(users)
    }

    pub(crate) fn principal(&self, user: &str) -> Principal {
        match self.own {
            Some(_) => Principal::own(),
            None => Principal::user(user),
        }
    }
}

impl Terms {
    /// Whether a client has something to prove, or to agree on, before its first request is answered.
    pub(crate) fn ask(&self) -> bool {
        self.tls.is_some() || self.sasl.is_some()
    }

    /// As Kafka calls it.
    pub(crate) fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}

/// The sockets that a broker serves: several, or a single one that asks nothing.
pub struct Listeners(pub(crate) Vec<Listener>);

impl From<Vec<Listener>> for Listeners {
    fn from(listeners: Vec<Listener>) -> Listeners {
        Listeners(listeners)
    }
}

impl From<TcpListener> for Listeners {
    fn from(socket: TcpListener) -> Listeners {
        Listeners(vec![Listener {
            socket,
            terms: Arc::default(),
        }])
    }
}
