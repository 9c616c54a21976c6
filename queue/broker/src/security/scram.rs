//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the server's side, without channel binding as in Kafka.
//!
//! The password never comes here: the client proves that it could compute a key of which only a hash is kept. What has
//! no user is carried to the end with keys that nobody has, so that it takes as long and reads the same.
//! Names and passwords are taken as the bytes that they are: Kafka's clients do not prepare them either (SASLprep).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// The hash of a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(data).to_vec(),
            Hash::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    pub(crate) fn mac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        const ANY_KEY: &str = "HMAC takes keys of every length";
        match self {
            Hash::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_KEY);
                mac.chain_update(data).finalize().into_bytes().to_vec()
            }
            Hash::Sha512 => {
                let mac = Hmac::<Sha512>::new_from_slice(key).expect(ANY_KEY);
                mac.chain_update(data).finalize().into_bytes().to_vec()
            }
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut salted = vec![0; self.bytes()];
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

/// What is kept of a password: enough to recognise who knows it, not enough to pass for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

impl Keys {
    pub(crate) fn new(hash: Hash, password: &[u8], salt: Vec<u8>, iterations: u32) -> Keys {
        let salted = hash.salted(password, &salt, iterations);
        Keys {
            iterations,
            salt,
            stored_key: hash.digest(&hash.mac(&salted, b"Client Key")),
            server_key: hash.mac(&salted, b"Server Key"),
        }
    }

    /// Whether these keys are of this password. Takes its time: not for an async thread.
    pub(crate) fn are_of(&self, hash: Hash, password: &[u8]) -> bool {
        let given = Keys::new(hash, password, self.salt.clone(), self.iterations);
        given.stored_key.ct_eq(&self.stored_key).into()
    }
}

/// Keys, and whether they are somebody's.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) keys: Keys,
    pub(crate) is_user: bool,
}

/// A message that is not what RFC 5802 says, or asks for what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("SCRAM message is malformed")]
    Malformed,
    #[error("channel binding is not supported")]
    ChannelBinding,
    #[error("one user cannot act for another")]
    ActsForAnother,
    #[error("delegation tokens are not supported")]
    Extension,
    #[error("wrong user name or password")]
    Refused,
}

/// What the client has said first, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    /// What the client has to repeat in its last message.
    gs2_header: &'a str,
    bare: &'a str,
    pub(crate) user: String,
    nonce: &'a str,
}

/// Takes the client's first message apart.
pub(crate) fn client_first(message: &[u8]) -> Result<ClientFirst<'_>, ScramError> {
    use ScramError::Malformed;
    let text = std::str::from_utf8(message).map_err(|_| Malformed)?;
    let (flag, rest) = text.split_once(',').ok_or(Malformed)?;
    match flag {
        "n" | "y" => {}
        flag if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
        _ => return Err(Malformed),
    }
    let (acts_for, bare) = rest.split_once(',').ok_or(Malformed)?;
    let gs2_header = &text[..text.len() - bare.len()];
    let mut fields = bare.split(',');
    let user = fields.next().and_then(|field| field.strip_prefix("n="));
    let user = user.and_then(plain_name).ok_or(Malformed)?;
    let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
    let nonce = nonce.filter(|nonce| is_nonce(nonce)).ok_or(Malformed)?;
    // Kafka's delegation tokens come as an extension; ignoring it would take the token's id for a user.
    if fields.any(|field| field.starts_with("tokenauth=")) {
        return Err(ScramError::Extension);
    }
    match acts_for {
        "" => {}
        acts_for => {
            let name = acts_for.strip_prefix("a=").and_then(plain_name);
            if name.ok_or(Malformed)? != user {
                return Err(ScramError::ActsForAnother);
            }
        }
    }
    Ok(ClientFirst {
        gs2_header,
        bare,
        user,
        nonce,
    })
}

/// A `saslname` without its escapes.
fn plain_name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| matches!(byte, 0x21..=0x7e))
}

/// An exchange after the server has answered the first message.
#[derive(Debug)]
pub(crate) struct Challenge {
    hash: Hash,
    user: String,
    found: Found,
    /// Base64 of the header that channel binding would be about.
    channel: String,
    client_nonce: String,
    /// The client's and ours.
    nonce: String,
    /// `client-first-bare,server-first,`, to which the end of the last message is added.
    said: String,
}

impl Challenge {
    /// Answers the first message. `server_nonce` is to be random printable characters without comma, fresh each time.
    pub(crate) fn new(
        hash: Hash,
        first: ClientFirst<'_>,
        found: Found,
        server_nonce: &str,
    ) -> (Challenge, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", first.nonce);
        let salt = BASE64.encode(&found.keys.salt);
        let answer = format!("r={nonce},s={salt},i={}", found.keys.iterations);
        let challenge = Challenge {
            hash,
            user: first.user,
            found,
            channel: BASE64.encode(first.gs2_header),
            client_nonce: first.nonce.to_owned(),
            nonce,
            said: format!("{},{answer},", first.bare),
        };
        (challenge, answer.into_bytes())
    }

    /// librdkafka before 2.8 says its own part twice (confluentinc/librdkafka#4895), and Kafka lets it. What counts is that
    /// it ends with ours, which is new at each exchange: the proof is over the message as it came.
    fn is_nonce(&self, nonce: &str) -> bool {
        let once = nonce.strip_prefix(&self.client_nonce).unwrap_or_default();
        nonce == self.nonce || once == self.nonce
    }

    /// Judges the client's last message: the user that it proves to be, and what proves the server to the client.
    pub(crate) fn finish(self, message: &[u8]) -> Result<(String, Vec<u8>), ScramError> {
        use ScramError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed)?;
        let proof = BASE64.decode(proof).map_err(|_| Malformed)?;
        let mut fields = without_proof.split(',');
        let channel = fields.next().and_then(|field| field.strip_prefix("c="));
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if channel != Some(&self.channel) || !nonce.is_some_and(|nonce| self.is_nonce(nonce)) {
            return Err(Malformed);
        }
        let Found { keys, is_user } = &self.found;
        let said = format!("{}{without_proof}", self.said);
        let signature = self.hash.mac(&keys.stored_key, said.as_bytes());
        if proof.len() != signature.len() {
            return Err(Malformed);
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let fits = self.hash.digest(&client_key).ct_eq(&keys.stored_key);
        if !bool::from(fits) || !is_user {
            return Err(ScramError::Refused);
        }
        let verifier = BASE64.encode(self.hash.mac(&keys.server_key, said.as_bytes()));
        Ok((self.user, format!("v={verifier}").into_bytes()))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A client that can be made to err.

    use super::*;

    pub(crate) const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";

    /// The last message of a client that knows `password` and was told `server_first`.
    pub(crate) fn last(hash: Hash, first: &str, server_first: &[u8], password: &str) -> String {
        let server_first = std::str::from_utf8(server_first).unwrap();
        let field = |at: usize| &server_first.split(',').nth(at).unwrap()[2..];
        let salt = BASE64.decode(field(1)).unwrap();
        let salted = hash.salted(password.as_bytes(), &salt, field(2).parse().unwrap());
        let client_key = hash.mac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={}", field(0));
        let said = format!("{},{server_first},{without_proof}", &first[3..]);
        let signature = hash.mac(&hash.digest(&client_key), said.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        format!("{without_proof},p={}", BASE64.encode(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{FIRST, last};
    use super::*;

    fn found(hash: Hash, is_user: bool) -> Found {
        Found {
            keys: Keys::new(hash, b"pencil", b"salt of 16 bytes".to_vec(), 4096),
            is_user,
        }
    }

    #[test]
    fn the_example_of_rfc_7677_is_answered_to_the_letter() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let found = Found {
            keys: Keys::new(Hash::Sha256, b"pencil", salt, 4096),
            is_user: true,
        };
        let first = client_first(FIRST.as_bytes()).unwrap();
        assert_eq!(first.user, "user");
        let (challenge, answer) =
            Challenge::new(Hash::Sha256, first, found, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let (user, answer) = challenge
            .finish(
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            )
            .unwrap();
        assert_eq!(user, "user");
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn the_password_decides_and_who_is_unknown_is_refused_with_the_right_one_too() {
        for hash in [Hash::Sha256, Hash::Sha512] {
            for (is_user, password, is_admitted) in [
                (true, "pencil", true),
                (true, "Pencil", false),
                (false, "pencil", false),
            ] {
                let first = client_first(FIRST.as_bytes()).unwrap();
                let (challenge, answer) =
                    Challenge::new(hash, first, found(hash, is_user), "server");
                let last = last(hash, FIRST, &answer, password);
                let finished = challenge.finish(last.as_bytes());
                match is_admitted {
                    true => assert_eq!(finished.unwrap().0, "user"),
                    false => assert_eq!(finished.unwrap_err(), ScramError::Refused),
                }
            }
            assert!(found(hash, true).keys.are_of(hash, b"pencil"));
            assert!(!found(hash, true).keys.are_of(hash, b"pencil "));
        }
    }

    #[test]
    fn names_are_unescaped_and_first_messages_that_are_not_such_are_refused() {
        use ScramError::*;
        let user = |message: &str| client_first(message.as_bytes()).map(|first| first.user);
        assert_eq!(user("n,,n=a=2Cb=3D=3D,r=x").unwrap(), "a,b==");
        assert_eq!(user("y,a=me,n=me,r=x,ext=1").unwrap(), "me");
        for (message, error) in [
            ("", Malformed),
            ("n", Malformed),
            ("n,,", Malformed),
            ("n,,n=,r=x", Malformed),
            ("n,,n=a", Malformed),
            ("n,,n=a,r=", Malformed),
            ("n,,n=a,r=x y", Malformed),
            ("n,,n=a=2,r=x", Malformed),
            ("n,,n=a=2D,r=x", Malformed),
            ("n,,n=a=é,r=x", Malformed),
            ("x,,n=a,r=x", Malformed),
            ("n,me,n=me,r=x", Malformed),
            ("n,a=you,n=me,r=x", ActsForAnother),
            ("p=tls-unique,,n=a,r=x", ChannelBinding),
            ("n,,n=a,r=x,tokenauth=true", Extension),
        ] {
            assert_eq!(user(message), Err(error), "{message}");
        }
    }

    #[test]
    fn a_last_message_of_another_exchange_or_with_a_byte_changed_is_refused() {
        let hash = Hash::Sha256;
        let challenge = |nonce| {
            let first = client_first(FIRST.as_bytes()).unwrap();
            Challenge::new(hash, first, found(hash, true), nonce)
        };
        let (_, answer) = challenge("one");
        let good = last(hash, FIRST, &answer, "pencil").into_bytes();
        assert!(challenge("one").0.finish(&good).is_ok());
        assert_eq!(
            challenge("two").0.finish(&good).unwrap_err(),
            ScramError::Malformed
        );
        // All but the last bits of base64, which may stand for nothing and are refused for that.
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(challenge("one").0.finish(&changed).is_err(), "byte {at}");
            assert!(
                challenge("one").0.finish(&good[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
