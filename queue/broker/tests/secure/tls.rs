//! TLS by hand: versions, client certificates, strangers, and certificates that change.

use std::time::Duration;

use kafka_protocol::messages::*;
use logboom_broker::{ClientCertificates, Config, Listener, ListenerConfig, TlsFiles};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::common::pki::{Pki, certificates};
use crate::common::wire::Wire;
use crate::common::{Running, config, start_secured, start_with};

async fn start_tls(dir: &std::path::Path, tls: TlsFiles) -> Running {
    let config = Config {
        reload_interval: Duration::from_millis(20),
        ..config(dir)
    };
    let listener = ListenerConfig {
        tls: Some(tls),
        ..ListenerConfig::default()
    };
    start_secured(config, listener).await
}

async fn api_versions<S>(wire: &mut Wire<S>) -> bool
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let answer = wire
        .call(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
        .await;
    matches!(answer, ResponseKind::ApiVersions(answer) if answer.error_code == 0)
}

/// A refusal of TLS 1.3 comes after the client's side of the handshake: what it reads next tells.
async fn is_refused(pki: &Pki, broker: &Running, pair: Option<&crate::common::pki::Pair>) -> bool {
    match pki.connect(broker.address, pair).await {
        Err(_) => true,
        Ok(mut stream) => stream.read_u8().await.is_err(),
    }
}

#[tokio::test]
async fn requests_are_answered_over_tls_and_plain_ones_are_not() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let broker = start_tls(dir.path(), pki.server(ClientCertificates::NotAsked)).await;
    let mut wire = Wire::over(pki.connect(broker.address, None).await.unwrap());
    assert!(api_versions(&mut wire).await);

    let mut plain = Wire::connect(broker.address).await;
    plain
        .send(ApiKey::ApiVersions, 3, ApiVersionsRequest::default())
        .await;
    let mut answer = Vec::new();
    let _ended = plain.stream.read_to_end(&mut answer).await;
    // An alert of TLS, if anything: record type 21.
    assert!(
        answer.first().is_none_or(|first| *first == 21),
        "{answer:?}"
    );
    assert!(api_versions(&mut wire).await, "others are not disturbed");
    broker.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_verified() {
    let (dir, pki, others) = (tempfile::tempdir().unwrap(), Pki::new(), Pki::new());
    let (known, unknown) = (pki.issue("agent", &[]), others.issue("agent", &[]));

    let required = pki.server(ClientCertificates::Required(pki.ca.clone()));
    let broker = start_tls(dir.path(), required).await;
    let stream = pki.connect(broker.address, Some(&known)).await.unwrap();
    assert!(api_versions(&mut Wire::over(stream)).await);
    assert!(is_refused(&pki, &broker, None).await);
    assert!(is_refused(&pki, &broker, Some(&unknown)).await);
    broker.stop().await;

    let optional = pki.server(ClientCertificates::Optional(pki.ca.clone()));
    let broker = start_tls(dir.path(), optional).await;
    for pair in [Some(&known), None] {
        let stream = pki.connect(broker.address, pair).await.unwrap();
        assert!(api_versions(&mut Wire::over(stream)).await);
    }
    assert!(is_refused(&pki, &broker, Some(&unknown)).await);
    broker.stop().await;
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let files = pki.server(ClientCertificates::NotAsked);
    let broker = start_tls(dir.path(), files.clone()).await;
    let mut old = Wire::over(pki.connect(broker.address, None).await.unwrap());
    assert!(api_versions(&mut old).await);

    // Bad ones first: they change nothing.
    let good = std::fs::read(&files.cert).unwrap();
    std::fs::write(&files.cert, "not a certificate").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(pki.connect(broker.address, None).await.is_ok());
    std::fs::write(&files.cert, &good).unwrap();

    pki.server(ClientCertificates::NotAsked);
    let new = certificates(&files.cert);
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let stream = pki.connect(broker.address, None).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        if shown == new {
            break;
        }
        assert!(tokio::time::Instant::now() < patience, "never shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(api_versions(&mut old).await);
    broker.stop().await;
}

#[tokio::test]
async fn several_listeners_advertise_an_address_each() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let (plain, socket) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let (plain_at, secured_at) = (plain.local_addr().unwrap(), socket.local_addr().unwrap());
    let secured = ListenerConfig {
        advertised: Some(("queue.example".to_owned(), 9093)),
        tls: Some(pki.server(ClientCertificates::NotAsked)),
        ..ListenerConfig::default()
    };
    let listeners = vec![
        Listener::open(plain, ListenerConfig::default()).unwrap(),
        Listener::open(socket, secured).unwrap(),
    ];
    let broker = start_with(config(dir.path()), listeners, plain_at).await;
    let request = || MetadataRequest::default().with_topics(None);
    let advertised = |answer: ResponseKind| match answer {
        ResponseKind::Metadata(answer) => {
            (answer.brokers[0].host.to_string(), answer.brokers[0].port)
        }
        other => panic!("{other:?}"),
    };
    let mut plain = Wire::connect(plain_at).await;
    let answer = plain.call(ApiKey::Metadata, 12, request()).await;
    let own = (plain_at.ip().to_string(), i32::from(plain_at.port()));
    assert_eq!(advertised(answer), own);
    let mut secured = Wire::over(pki.connect(secured_at, None).await.unwrap());
    let answer = secured.call(ApiKey::Metadata, 12, request()).await;
    assert_eq!(advertised(answer), ("queue.example".to_owned(), 9093));
    broker.stop().await;
}

#[tokio::test]
async fn strangers_are_bounded_and_leave_room_for_those_who_are_known() {
    use logboom_broker::limits::STRANGERS_MAX;
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let broker = start_tls(dir.path(), pki.server(ClientCertificates::NotAsked)).await;
    let mut known = Wire::over(pki.connect(broker.address, None).await.unwrap());
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS_MAX {
        strangers.push(TcpStream::connect(broker.address).await.unwrap());
    }
    // One more is closed at once; those before it are let be.
    let mut refused = TcpStream::connect(broker.address).await.unwrap();
    assert!(matches!(refused.read(&mut [0]).await, Ok(0) | Err(_)));
    assert!(api_versions(&mut known).await);
    drop(strangers);
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while pki.connect(broker.address, None).await.is_err() {
        assert!(tokio::time::Instant::now() < patience, "never let in again");
    }
    broker.stop().await;
}
