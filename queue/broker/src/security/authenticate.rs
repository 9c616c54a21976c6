//! The conversation in which a client proves who it is, before its first real request.
//!
//! ```text
//! ApiVersions?  SaslHandshake(mechanism)  then, by its version:
//!   1: SaslAuthenticate(token) answered by SaslAuthenticate, with error 58 and words if it does not fit
//!   0: tokens as bare frames, and the end of the connection if they do not fit
//! ```
//! Anything else ends the connection. So does every failure, after [`REFUSAL_DELAY`], which makes guessing slow.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    RequestKind, ResponseKind, SaslAuthenticateResponse, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use super::admit::{AdmissionError, Admissions};
use super::listener::Sasl;
use super::principal::Principal;
use super::sasl::{Exchange, Mechanism, SaslError, Step};
use crate::api;
use crate::limits::{ADMISSION_REQUESTS_MAX, REFUSAL_DELAY, STRANGERS_FRAME_BYTES_MAX};
use crate::metrics as names;
use crate::wire::codec::{self, Decoded, Tag};
use crate::wire::frame::{self, Body};

/// How far a client has come.
enum Stage {
    /// No mechanism chosen yet.
    Open,
    /// Tokens come in SaslAuthenticate requests.
    Wrapped(Mechanism, Exchange),
    /// Tokens come as bare frames.
    Bare(Mechanism, Exchange),
}

/// Talks with the client until it has proved who it is.
pub(super) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    admissions: &Admissions,
    sasl: &Sasl,
    stream: &mut S,
) -> Result<Principal, AdmissionError> {
    let mut conversation = Conversation {
        admissions,
        sasl,
        stream,
        stage: Stage::Open,
    };
    for _ in 0..ADMISSION_REQUESTS_MAX {
        if let Some(user) = conversation.hear().await? {
            return Ok(sasl.principal(&user));
        }
    }
    Err(AdmissionError::TooMuch)
}

struct Conversation<'a, S> {
    admissions: &'a Admissions,
    sasl: &'a Sasl,
    stream: &'a mut S,
    stage: Stage,
}

/// How one token was taken.
struct Taken {
    answer: Vec<u8>,
    user: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    /// Hears one frame and answers it; returns the user once it is proved.
    async fn hear(&mut self) -> Result<Option<String>, AdmissionError> {
        if let Stage::Bare(mechanism, exchange) = &mut self.stage {
            let token = read(self.stream, 0).await?;
            let taken = take(self.admissions, self.sasl, *mechanism, exchange, &token).await;
            // There is no frame for "no": what follows is the end.
            let taken = taken.map_err(|error| refused(*mechanism, error));
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tokio::time::sleep(REFUSAL_DELAY).await;
                    return Err(error);
                }
            };
            let mut frame = BytesMut::with_capacity(4 + taken.answer.len());
            frame.put_u32(taken.answer.len() as u32);
            frame.put_slice(&taken.answer);
            write(self.stream, &frame).await?;
            return Ok(taken.user);
        }
        let frame = read(self.stream, frame::FRAME_BYTES_MIN).await?;
        match codec::decode(frame)? {
            Decoded::FutureApiVersions { correlation_id } => {
                let answer = codec::encode_future_api_versions(correlation_id)?;
                write(self.stream, &answer).await?;
                Ok(None)
            }
            Decoded::Request { tag, body, .. } => self.answer(tag, *body).await,
        }
    }

    async fn answer(
        &mut self,
        tag: Tag,
        request: RequestKind,
    ) -> Result<Option<String>, AdmissionError> {
        match request {
            RequestKind::ApiVersions(_) => {
                self.tell(tag, api::api_versions()).await?;
                Ok(None)
            }
            RequestKind::SaslHandshake(request) => {
                self.choose(tag, &request.mechanism).await?;
                Ok(None)
            }
            RequestKind::SaslAuthenticate(request) => self.prove(tag, &request.auth_bytes).await,
            _ => Err(AdmissionError::Unauthenticated { key: tag.key }),
        }
    }

    async fn choose(&mut self, tag: Tag, name: &StrBytes) -> Result<(), AdmissionError> {
        let offered = self.sasl.mechanisms();
        let chosen = name.parse().ok().filter(|name| offered.contains(name));
        let response = SaslHandshakeResponse::default().with_mechanisms(
            offered
                .iter()
                .map(|mechanism| StrBytes::from_static_str(mechanism.name()))
                .collect(),
        );
        let is_open = matches!(self.stage, Stage::Open);
        let (Some(mechanism), true) = (chosen, is_open) else {
            let (code, error) = match is_open {
                true => (
                    ResponseError::UnsupportedSaslMechanism,
                    AdmissionError::Mechanism,
                ),
                false => (ResponseError::IllegalSaslState, AdmissionError::Order),
            };
            self.tell(tag, response.with_error_code(code.code()))
                .await?;
            return Err(error);
        };
        self.tell(tag, response).await?;
        let exchange = Exchange::new(mechanism);
        self.stage = match tag.version {
            0 => Stage::Bare(mechanism, exchange),
            _ => Stage::Wrapped(mechanism, exchange),
        };
        Ok(())
    }

    async fn prove(&mut self, tag: Tag, token: &[u8]) -> Result<Option<String>, AdmissionError> {
        let response = SaslAuthenticateResponse::default();
        let Stage::Wrapped(mechanism, exchange) = &mut self.stage else {
            let code = ResponseError::IllegalSaslState.code();
            let message = StrBytes::from_static_str("a SaslHandshake has to come first");
            let response = response.with_error_code(code);
            self.tell(tag, response.with_error_message(Some(message)))
                .await?;
            return Err(AdmissionError::Order);
        };
        let mechanism = *mechanism;
        match take(self.admissions, self.sasl, mechanism, exchange, token).await {
            Ok(taken) => {
                self.tell(tag, response.with_auth_bytes(Bytes::from(taken.answer)))
                    .await?;
                Ok(taken.user)
            }
            Err(error) => {
                tokio::time::sleep(REFUSAL_DELAY).await;
                let code = ResponseError::SaslAuthenticationFailed.code();
                let message = format!("authentication by {mechanism} failed: {error}");
                let response = response.with_error_code(code);
                let message = StrBytes::from_string(message);
                self.tell(tag, response.with_error_message(Some(message)))
                    .await?;
                Err(refused(mechanism, error))
            }
        }
    }

    async fn tell(
        &mut self,
        tag: Tag,
        response: impl Into<ResponseKind>,
    ) -> Result<(), AdmissionError> {
        let frame = codec::encode(tag, &response.into())?;
        write(self.stream, &frame).await
    }
}

fn refused(mechanism: Mechanism, error: SaslError) -> AdmissionError {
    counter!(names::LOGINS_REFUSED, "mechanism" => mechanism.name()).increment(1);
    debug!(%mechanism, %error, "login refused");
    AdmissionError::Refused { mechanism, error }
}

/// Takes a token, and checks a password if it brings one.
async fn take(
    admissions: &Admissions,
    sasl: &Sasl,
    mechanism: Mechanism,
    exchange: &mut Exchange,
    token: &[u8],
) -> Result<Taken, SaslError> {
    let users = sasl.users(admissions.users());
    let nonce: [u8; 18] = rand::random();
    let nonce = super::printable(&nonce);
    match exchange.step(token, |name, hash| users.find(name, hash), &nonce)? {
        Step::Challenge(answer) => Ok(Taken { answer, user: None }),
        Step::Proved { user, last_word } => Ok(Taken {
            answer: last_word,
            user: Some(user),
        }),
        Step::Claimed { user, password } => {
            debug_assert_eq!(mechanism, Mechanism::Plain);
            match admissions.is_password_of(users, &user, password).await {
                true => Ok(Taken {
                    answer: Vec::new(),
                    user: Some(user),
                }),
                false => Err(SaslError::REFUSED),
            }
        }
    }
}

/// One frame of at least `bytes_min`. A client that leaves without a proof is no error of anybody's.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_min: usize,
) -> Result<Bytes, AdmissionError> {
    let allowed = bytes_min..=STRANGERS_FRAME_BYTES_MAX;
    let Some(length) = frame::read_length_within(stream, allowed).await? else {
        return Err(AdmissionError::Left);
    };
    let mut body = Body::new(length);
    body.read_start(stream).await?;
    Ok(body.read_rest(stream).await?)
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), AdmissionError> {
    let written = async {
        stream.write_all(frame).await?;
        stream.flush().await
    };
    written.await.map_err(AdmissionError::Write)
}

/// What is left of an API once a client is known.
pub(crate) fn handshake_again() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code())
}

/// As [`handshake_again`]. Sessions end with their connection, so nobody is ever asked to prove itself again.
pub(crate) fn authenticate_again() -> SaslAuthenticateResponse {
    let message = StrBytes::from_static_str("this connection needs no SASL, or is past it");
    SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::IllegalSaslState.code())
        .with_error_message(Some(message))
}
