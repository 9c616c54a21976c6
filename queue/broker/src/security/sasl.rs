//! The SASL mechanisms as one exchange of tokens: PLAIN, and SCRAM with either hash. No sockets, no waiting.

use std::fmt;
use std::str::FromStr;

use super::scram::{self, Challenge, Found, Hash, ScramError};
use crate::limits::PASSWORD_BYTES_MAX;

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password as they are: over TLS only, unless the settings insist.
    Plain,
    /// A proof that the password is known, without showing it (RFC 7677).
    ScramSha256,
    /// The same with the longer hash.
    ScramSha512,
}

impl Mechanism {
    /// All, the best first: the order in which clients are told of them.
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
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a mechanism that is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mechanism; there are `SCRAM-SHA-512`, `SCRAM-SHA-256` and `PLAIN`")]
pub struct UnknownMechanism(String);

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Mechanism, UnknownMechanism> {
        let known = Mechanism::ALL
            .into_iter()
            .find(|known| known.name() == name);
        known.ok_or_else(|| UnknownMechanism(name.to_owned()))
    }
}

/// What is said to a client that could not prove itself: the same whatever was wrong with name or password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslError {
    #[error("PLAIN message is malformed")]
    Malformed,
    #[error("one user cannot act for another")]
    ActsForAnother,
    #[error("the exchange is over")]
    Over,
    #[error(transparent)]
    Scram(#[from] ScramError),
}

impl SaslError {
    /// What a PLAIN client is told whose password is not right.
    pub(crate) const REFUSED: SaslError = SaslError::Scram(ScramError::Refused);
}

/// What a client's token has led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The client has to answer this.
    Challenge(Vec<u8>),
    /// The client is this user, and is told this.
    Proved { user: String, last_word: Vec<u8> },
    /// The client claims to be this user by this password, which takes a while to check: see [`Keys::are_of`](scram::Keys::are_of).
    Claimed { user: String, password: Vec<u8> },
}

/// One client's proving itself.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    Scram(Hash),
    Challenged(Box<Challenge>),
    Over,
}

impl Exchange {
    pub(crate) fn new(mechanism: Mechanism) -> Exchange {
        match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::ScramSha256 => Exchange::Scram(Hash::Sha256),
            Mechanism::ScramSha512 => Exchange::Scram(Hash::Sha512),
        }
    }

    /// Takes the client's next token. `find` looks a user up; `nonce` is fresh and random.
    pub(crate) fn step(
        &mut self,
        token: &[u8],
        find: impl FnOnce(&str, Hash) -> Found,
        nonce: &str,
    ) -> Result<Step, SaslError> {
        match std::mem::replace(self, Exchange::Over) {
            Exchange::Plain => plain(token),
            Exchange::Scram(hash) => {
                let first = scram::client_first(token)?;
                let found = find(&first.user, hash);
                let (challenge, answer) = Challenge::new(hash, first, found, nonce);
                *self = Exchange::Challenged(Box::new(challenge));
                Ok(Step::Challenge(answer))
            }
            Exchange::Challenged(challenge) => {
                let (user, last_word) = challenge.finish(token)?;
                Ok(Step::Proved { user, last_word })
            }
            Exchange::Over => Err(SaslError::Over),
        }
    }
}

/// `[acts for] NUL name NUL password` (RFC 4616).
fn plain(token: &[u8]) -> Result<Step, SaslError> {
    let text = std::str::from_utf8(token).map_err(|_| SaslError::Malformed)?;
    let fields: Vec<&str> = text.split('\0').collect();
    let [acts_for, user, password] = fields[..] else {
        return Err(SaslError::Malformed);
    };
    if user.is_empty() || !(1..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        return Err(SaslError::Malformed);
    }
    if !acts_for.is_empty() && acts_for != user {
        return Err(SaslError::ActsForAnother);
    }
    Ok(Step::Claimed {
        user: user.to_owned(),
        password: password.as_bytes().to_vec(),
    })
}

/// Any bytes as tokens of every mechanism: it returns, whatever comes in.
pub(crate) fn fuzz(first: &[u8], second: &[u8]) {
    for mechanism in Mechanism::ALL {
        let mut exchange = Exchange::new(mechanism);
        for token in [first, second, second] {
            let nobody = |_: &str, hash: Hash| Found {
                keys: scram::Keys {
                    iterations: 4096,
                    salt: vec![1; 16],
                    stored_key: vec![2; hash.bytes()],
                    server_key: vec![3; hash.bytes()],
                },
                is_user: true,
            };
            match exchange.step(token, nobody, "nonce") {
                Ok(Step::Proved { .. }) => {
                    panic!("somebody knows a key whose hash is nothing but twos")
                }
                Ok(Step::Challenge(_) | Step::Claimed { .. }) | Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_takes_name_and_password_and_nothing_that_is_not_both() {
        let step = |token: &[u8]| {
            Exchange::Plain.step(token, |_, _| unreachable!("not before the check"), "")
        };
        let claimed = |user: &str, password: &str| {
            Ok(Step::Claimed {
                user: user.to_owned(),
                password: password.as_bytes().to_vec(),
            })
        };
        assert_eq!(step(b"\0me\0secret"), claimed("me", "secret"));
        assert_eq!(step(b"me\0me\0s=,"), claimed("me", "s=,"));
        assert_eq!(step(b"you\0me\0secret"), Err(SaslError::ActsForAnother));
        for malformed in [
            &b""[..],
            b"me",
            b"\0me",
            b"\0me\0",
            b"\0\0x",
            b"\0me\0x\0",
            b"\0\xff\0x",
        ] {
            assert_eq!(step(malformed), Err(SaslError::Malformed), "{malformed:?}");
        }
        let long = format!("\0me\0{}", "x".repeat(PASSWORD_BYTES_MAX + 1));
        assert_eq!(step(long.as_bytes()), Err(SaslError::Malformed));
    }

    #[test]
    fn an_exchange_that_is_over_takes_nothing_more() {
        let mut exchange = Exchange::new(Mechanism::Plain);
        let nobody = |_: &str, _| unreachable!("PLAIN looks nobody up");
        exchange.step(b"\0me\0secret", nobody, "").unwrap();
        assert_eq!(
            exchange.step(b"\0me\0secret", nobody, ""),
            Err(SaslError::Over)
        );
    }

    fn token() -> impl Strategy<Value = Vec<u8>> {
        let field = prop_oneof![
            "[a-zA-Z0-9=,]{0,8}",
            "(2C|3D|=|,|n=|r=|a=|c=biws|p=|y|n|\0){0,6}"
        ];
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            proptest::collection::vec(field, 0..8).prop_map(|fields| fields.concat().into_bytes()),
            "n,(a=[a-z]{0,3})?,n=[a-z=,23CD]{0,8},r=[ -~]{0,30}".prop_map(String::into_bytes),
            "c=biws,r=xnonce,p=[A-Za-z0-9+/]{40,44}={0,2}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn no_token_panics_or_gets_in(first in token(), second in token()) {
            fuzz(&first, &second);
            fuzz(b"n,,n=u,r=x", &second);
        }
    }
}
