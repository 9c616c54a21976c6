//! SASL by hand: both handshakes, every refusal with its code, and what may be said before.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use logboom_broker::{Config, ListenerConfig, Mechanism, SaslConfig, UsersFile};
use logboom_disk::RealDisk;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::wire::Wire;
use crate::common::{Running, config, start_secured};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// All mechanisms without TLS, so that everything can be seen; users `alice` and `bob`.
async fn start_sasl(dir: &std::path::Path) -> Running {
    add_user(dir, "alice", "wonderland");
    add_user(dir, "bob", "builder");
    let config = Config {
        reload_interval: Duration::from_millis(20),
        ..config(dir)
    };
    let sasl = SaslConfig {
        mechanisms: Mechanism::ALL.to_vec(),
        plain_without_tls: true,
    };
    let listener = ListenerConfig {
        sasl: Some(sasl),
        ..ListenerConfig::default()
    };
    start_secured(config, listener).await
}

pub(crate) fn add_user(dir: &std::path::Path, name: &str, password: &str) {
    let file = UsersFile::new(&RealDisk, dir.join("users"));
    file.add(name, password).unwrap();
}

async fn handshake(wire: &mut Wire, version: i16, mechanism: &str) -> SaslHandshakeResponse {
    let mechanism = StrBytes::from_string(mechanism.to_owned());
    let request = SaslHandshakeRequest::default().with_mechanism(mechanism);
    match wire.call(ApiKey::SaslHandshake, version, request).await {
        ResponseKind::SaslHandshake(response) => response,
        other => panic!("{other:?}"),
    }
}

async fn authenticate(wire: &mut Wire, token: impl Into<Bytes>) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(token.into());
    match wire.call(ApiKey::SaslAuthenticate, 2, request).await {
        ResponseKind::SaslAuthenticate(response) => response,
        other => panic!("{other:?}"),
    }
}

/// PLAIN to its end, whichever that is.
async fn log_in(broker: &Running, token: &'static str) -> (Wire, SaslAuthenticateResponse) {
    let mut wire = Wire::connect(broker.address).await;
    assert_eq!(handshake(&mut wire, 1, "PLAIN").await.error_code, 0);
    let answer = authenticate(&mut wire, token).await;
    (wire, answer)
}

async fn lists_topics(wire: &mut Wire) -> bool {
    let request = MetadataRequest::default().with_topics(None);
    let answer = wire.call(ApiKey::Metadata, 12, request).await;
    matches!(answer, ResponseKind::Metadata(_))
}

fn mac(key: &[u8], data: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

/// The last message of SCRAM-SHA-256 for a first one of `n,,n=<user>,r=abc`.
fn scram_last(user: &str, server_first: &[u8], password: &str) -> String {
    let server_first = std::str::from_utf8(server_first).unwrap();
    let field = |at: usize| &server_first.split(',').nth(at).unwrap()[2..];
    let salt = BASE64.decode(field(1)).unwrap();
    let mut salted = [0; 32];
    let iterations = field(2).parse().unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let client_key = mac(&salted, "Client Key");
    let without_proof = format!("c=biws,r={}", field(0));
    let said = format!("n={user},r=abc,{server_first},{without_proof}");
    let signature = mac(&Sha256::digest(&client_key), &said);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

#[tokio::test]
async fn the_right_password_lets_in_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    let (mut wire, answer) = log_in(&broker, "\0alice\0wonderland").await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 0));
    assert!(lists_topics(&mut wire).await);

    let mut words = Vec::new();
    for token in ["\0alice\0builder", "\0carol\0wonderland"] {
        let (wire, answer) = log_in(&broker, token).await;
        assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
        words.push(answer.error_message.unwrap().to_string());
        wire.expect_closed().await;
    }
    assert_eq!(words[0], words[1], "an unknown user is told the same");
    assert!(
        words[0].contains("wrong user name or password"),
        "{}",
        words[0]
    );
    assert!(lists_topics(&mut wire).await, "who is in stays in");
    broker.stop().await;
}

#[tokio::test]
async fn scram_goes_through_both_handshakes() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    for (user, password, is_admitted) in [
        ("alice", "wonderland", true),
        ("alice", "builder", false),
        ("carol", "wonderland", false),
    ] {
        let first = format!("n,,n={user},r=abc");
        let mut wire = Wire::connect(broker.address).await;
        handshake(&mut wire, 1, "SCRAM-SHA-256").await;
        let challenge = authenticate(&mut wire, first.clone()).await;
        assert_eq!(challenge.error_code, 0);
        let last = scram_last(user, &challenge.auth_bytes, password);
        let answer = authenticate(&mut wire, last).await;
        if is_admitted {
            assert!(answer.auth_bytes.starts_with(b"v="), "{answer:?}");
            assert!(lists_topics(&mut wire).await);
        } else {
            assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
            wire.expect_closed().await;
        }

        let mut wire = Wire::connect(broker.address).await;
        handshake(&mut wire, 0, "SCRAM-SHA-256").await;
        send_token(&mut wire, first.as_bytes()).await;
        let challenge = wire.receive_bytes().await;
        send_token(&mut wire, scram_last(user, &challenge, password).as_bytes()).await;
        if is_admitted {
            assert!(wire.receive_bytes().await.starts_with(b"v="));
            assert!(lists_topics(&mut wire).await);
        } else {
            wire.expect_closed().await;
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn plain_tokens_as_bare_frames_are_answered_with_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    let mut wire = Wire::connect(broker.address).await;
    assert_eq!(handshake(&mut wire, 0, "PLAIN").await.error_code, 0);
    send_token(&mut wire, b"\0bob\0builder").await;
    assert_eq!(wire.stream.read_u32().await.unwrap(), 0);
    assert!(lists_topics(&mut wire).await);

    let mut wire = Wire::connect(broker.address).await;
    handshake(&mut wire, 0, "PLAIN").await;
    send_token(&mut wire, b"\0bob\0b").await;
    wire.expect_closed().await;
    broker.stop().await;
}

async fn send_token(wire: &mut Wire, token: &[u8]) {
    wire.stream.write_u32(token.len() as u32).await.unwrap();
    wire.stream.write_all(token).await.unwrap();
}

#[tokio::test]
async fn an_unknown_mechanism_is_answered_with_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    let mut wire = Wire::connect(broker.address).await;
    let answer = handshake(&mut wire, 1, "GSSAPI").await;
    assert_eq!(answer.error_code, UNSUPPORTED_SASL_MECHANISM);
    let names: Vec<&str> = answer.mechanisms.iter().map(|name| &**name).collect();
    assert_eq!(names, ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]);
    wire.expect_closed().await;
    broker.stop().await;
}

#[tokio::test]
async fn messages_in_the_wrong_order_are_an_illegal_state() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    // A token before a mechanism.
    let mut wire = Wire::connect(broker.address).await;
    let answer = authenticate(&mut wire, "\0alice\0wonderland").await;
    assert_eq!(answer.error_code, ILLEGAL_SASL_STATE);
    wire.expect_closed().await;
    // A mechanism after a mechanism.
    let mut wire = Wire::connect(broker.address).await;
    handshake(&mut wire, 1, "PLAIN").await;
    let answer = handshake(&mut wire, 1, "PLAIN").await;
    assert_eq!(answer.error_code, ILLEGAL_SASL_STATE);
    wire.expect_closed().await;
    // Both again once it is over: an answer, and the connection stays.
    let (mut wire, _) = log_in(&broker, "\0alice\0wonderland").await;
    assert_eq!(
        handshake(&mut wire, 1, "PLAIN").await.error_code,
        ILLEGAL_SASL_STATE
    );
    let answer = authenticate(&mut wire, "\0bob\0builder").await;
    assert_eq!(answer.error_code, ILLEGAL_SASL_STATE);
    assert!(lists_topics(&mut wire).await);
    broker.stop().await;
}

#[tokio::test]
async fn strangers_are_told_versions_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    let mut wire = Wire::connect(broker.address).await;
    for version in 0..=4 {
        let request = ApiVersionsRequest::default();
        let ResponseKind::ApiVersions(answer) =
            wire.call(ApiKey::ApiVersions, version, request).await
        else {
            panic!()
        };
        let has = |key: ApiKey| answer.api_keys.iter().any(|row| row.api_key == key as i16);
        assert!(has(ApiKey::SaslHandshake) && has(ApiKey::SaslAuthenticate));
    }
    let request = MetadataRequest::default().with_topics(None);
    wire.send(ApiKey::Metadata, 12, request).await;
    wire.expect_closed().await;

    // A frame that one who is known may send.
    let mut wire = Wire::connect(broker.address).await;
    wire.stream.write_u32(64 * 1024 + 1).await.unwrap();
    wire.expect_closed().await;

    // Versions for ever.
    let mut wire = Wire::connect(broker.address).await;
    for _ in 0..16 {
        wire.call(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
            .await;
    }
    wire.expect_closed().await;
    broker.stop().await;
}

#[tokio::test]
async fn users_who_come_and_go_are_known_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_sasl(dir.path()).await;
    let settles = async |token: &'static str, expected: i16| {
        let patience = tokio::time::Instant::now() + Duration::from_secs(20);
        while log_in(&broker, token).await.1.error_code != expected {
            assert!(
                tokio::time::Instant::now() < patience,
                "never: {token:?} {expected}"
            );
        }
    };
    settles("\0dave\0new", SASL_AUTHENTICATION_FAILED).await;
    add_user(dir.path(), "dave", "new");
    settles("\0dave\0new", 0).await;
    let file = UsersFile::new(&RealDisk, dir.path().join("users"));
    file.remove("dave").unwrap();
    settles("\0dave\0new", SASL_AUTHENTICATION_FAILED).await;
    broker.stop().await;
}
