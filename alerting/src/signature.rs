//! The signature of a request by Standard Webhooks 1.0: HMAC-SHA256 over `{id}.{timestamp}.{body}`.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The decoded key of a receiver.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

/// Why a secret is none. Does not quote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret must be `whsec_` followed by base64 of 24 to 64 random bytes; make one with: echo whsec_$(head -c 32 /dev/urandom | base64)"
)]
pub(crate) struct BadSecret;

impl Secret {
    pub(crate) fn parse(text: &str) -> Result<Secret, BadSecret> {
        let key = STANDARD
            .decode(text.strip_prefix("whsec_").ok_or(BadSecret)?)
            .map_err(|_| BadSecret)?;
        if !(24..=64).contains(&key.len()) {
            return Err(BadSecret);
        }
        Ok(Secret(key))
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_is_reproduced() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            secret.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1614265330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        for text in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_????",
            "whsec_c2hvcnQ=",
        ] {
            assert_eq!(Secret::parse(text).err(), Some(BadSecret), "{text}");
        }
    }
}
