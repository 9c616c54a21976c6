//! kcat (librdkafka 2.0) and rdkafka (2.12) against listeners that ask: what is right gets through, and what is wrong
//! is told by its name.

use std::path::Path;
use std::time::Duration;

use logboom_broker::{
    AccessRules, Acl, ClientCertificates, Config, ListenerConfig, Mechanism, Operation, SaslConfig,
    TlsFiles,
};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::common::pki::Pki;
use crate::common::{Running, config, kcat, kcat_ok, start_secured};
use crate::sasl::add_user;

async fn start_sasl_ssl(dir: &Path, pki: &Pki) -> Running {
    add_user(dir, "alice", "wonder,land=");
    let listener = ListenerConfig {
        advertised: Some(("localhost".to_owned(), 0)),
        tls: Some(pki.server(ClientCertificates::NotAsked)),
        sasl: Some(SaslConfig {
            mechanisms: Mechanism::ALL.to_vec(),
            plain_without_tls: false,
        }),
    };
    start_secured(config(dir), listener).await
}

fn settings(pki: &Pki, mechanism: &str, password: &str) -> Vec<(&'static str, String)> {
    vec![
        ("broker.address.family", "v4".to_owned()),
        ("security.protocol", "sasl_ssl".to_owned()),
        ("ssl.ca.location", pki.ca.display().to_string()),
        ("sasl.mechanisms", mechanism.to_owned()),
        ("sasl.username", "alice".to_owned()),
        ("sasl.password", password.to_owned()),
        ("ssl.endpoint.identification.algorithm", "https".to_owned()),
    ]
}

fn kcat_settings(settings: &[(&'static str, String)]) -> Vec<String> {
    let set = |(key, value): &(&str, String)| ["-X".to_owned(), format!("{key}={value}")];
    settings.iter().flat_map(set).collect()
}

async fn kcat_with(bootstrap: &str, settings: &[String], arguments: &[&str]) -> String {
    let settings = settings.iter().map(String::as_str);
    let all: Vec<&str> = settings.chain(arguments.iter().copied()).collect();
    kcat_ok(bootstrap, &all, b"a line\n").await
}

fn bootstrap(broker: &Running) -> String {
    format!("localhost:{}", broker.address.port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcat_and_rdkafka_produce_and_consume_with_every_mechanism() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let broker = start_sasl_ssl(dir.path(), &pki).await;
    let bootstrap = bootstrap(&broker);
    for mechanism in Mechanism::ALL.map(Mechanism::name) {
        let settings = settings(&pki, mechanism, "wonder,land=");
        let producer: FutureProducer = client(&bootstrap, &settings).create().unwrap();
        let record = FutureRecord::<(), _>::to(mechanism)
            .payload("of rdkafka")
            .partition(0);
        producer
            .send(record, Duration::from_secs(20))
            .await
            .unwrap();

        let settings = kcat_settings(&settings);
        kcat_with(&bootstrap, &settings, &["-P", "-t", mechanism, "-p", "0"]).await;
        let consume = [
            "-C",
            "-t",
            mechanism,
            "-p",
            "0",
            "-o",
            "beginning",
            "-e",
            "-q",
        ];
        let read = kcat_with(&bootstrap, &settings, &consume).await;
        assert_eq!(read, "of rdkafka\na line\n", "{mechanism}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_topic_is_told_as_such_and_an_allowed_one_works() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    add_user(dir.path(), "alice", "wonder,land=");
    let listener = ListenerConfig {
        advertised: Some(("localhost".to_owned(), 0)),
        tls: Some(pki.server(ClientCertificates::NotAsked)),
        sasl: Some(SaslConfig {
            mechanisms: vec![Mechanism::ScramSha512],
            plain_without_tls: false,
        }),
    };
    let acl = Acl {
        principal: "User:al*".parse().unwrap(),
        allow: vec![Operation::Read, Operation::Write, Operation::Create],
        topics: vec!["logs*".parse().unwrap()],
        groups: vec!["g".parse().unwrap()],
        transactional_ids: Vec::new(),
        cluster: false,
    };
    let config = Config {
        access: AccessRules {
            super_users: Vec::new(),
            acls: vec![acl],
        },
        ..config(dir.path())
    };
    let broker = start_secured(config, listener).await;
    let bootstrap = bootstrap(&broker);
    let settings = kcat_settings(&settings(&pki, "SCRAM-SHA-512", "wonder,land="));
    kcat_with(&bootstrap, &settings, &["-P", "-t", "logs.web", "-p", "0"]).await;
    let consume = [
        "-C",
        "-t",
        "logs.web",
        "-p",
        "0",
        "-o",
        "beginning",
        "-e",
        "-q",
    ];
    assert_eq!(kcat_with(&bootstrap, &settings, &consume).await, "a line\n");
    // By a group, which takes all of it: finding, joining, fetching, committing.
    let group = ["-G", "g", "-o", "beginning", "-c", "1", "-q", "logs.web"];
    let group = [&["-X", "auto.offset.reset=earliest"][..], &group].concat();
    assert_eq!(kcat_with(&bootstrap, &settings, &group).await, "a line\n");

    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let refused = async |arguments: &[&str]| {
        let arguments = [&settings[..], arguments].concat();
        let output = kcat(&bootstrap, &arguments, b"a line\n").await;
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for arguments in [
        &["-P", "-t", "secret", "-p", "0"][..],
        &["-C", "-t", "secret", "-p", "0", "-e"],
    ] {
        let errors = refused(arguments).await;
        assert!(errors.contains("Topic authorization failed"), "{errors}");
    }
    let errors = refused(&["-G", "h", "-c", "1", "logs.web"]).await;
    assert!(
        errors.contains("not allowed to describe the group"),
        "{errors}"
    );
    let listing = kcat_with(
        &bootstrap,
        &settings.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        &["-L"],
    )
    .await;
    assert!(
        listing.contains("logs.web") && !listing.contains("secret"),
        "{listing}"
    );
    assert_eq!(broker.records("secret"), 0);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcat_comes_with_a_client_certificate() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let listener = ListenerConfig {
        advertised: Some(("localhost".to_owned(), 0)),
        tls: Some(pki.server(ClientCertificates::Required(pki.ca.clone()))),
        sasl: None,
    };
    let broker = start_secured(config(dir.path()), listener).await;
    let pair = pki.issue("agent", &[]);
    let mut settings = vec![
        ("security.protocol", "ssl".to_owned()),
        ("ssl.ca.location", pki.ca.display().to_string()),
    ];
    let bootstrap = bootstrap(&broker);
    let without: Vec<String> = kcat_settings(&settings);
    let mut arguments: Vec<&str> = without.iter().map(String::as_str).collect();
    arguments.extend(["-L", "-m", "3"]);
    let refused = kcat(&bootstrap, &arguments, b"").await;
    assert!(!refused.status.success(), "{refused:?}");

    settings.push(("ssl.certificate.location", pair.cert.display().to_string()));
    settings.push(("ssl.key.location", pair.key.display().to_string()));
    let listing = kcat_with(&bootstrap, &kcat_settings(&settings), &["-L"]).await;
    assert!(listing.contains("broker 1 at localhost"), "{listing}");
    broker.stop().await;
}

fn client(bootstrap: &str, settings: &[(&'static str, String)]) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap);
    for (key, value) in settings {
        client.set(*key, value);
    }
    client
}

/// Collects what librdkafka complains about.
#[derive(Default, Clone)]
struct Complaints(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl ClientContext for Complaints {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.lock().unwrap().push(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Complaints {}

/// What a client with these settings is told instead of metadata.
async fn complaint(bootstrap: String, settings: Vec<(&'static str, String)>, about: &'static str) {
    let asking = tokio::task::spawn_blocking(move || {
        let complaints = Complaints::default();
        let consumer: BaseConsumer<Complaints> = client(&bootstrap, &settings)
            .create_with_context(complaints.clone())
            .unwrap();
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let answer = consumer.fetch_metadata(None, Duration::from_millis(200));
            assert!(answer.is_err(), "it was let in");
            // What is polled is an error without words; these come to `error` on the way.
            drop(consumer.poll(Duration::ZERO));
            let told = complaints.0.lock().unwrap().clone();
            if told.iter().any(|line| line.contains(about)) {
                break;
            }
            assert!(
                std::time::Instant::now() < patience,
                "`{about}` is not in {told:?}"
            );
        }
    });
    asking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_host_name_or_authority_is_told_by_its_name() {
    let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let broker = start_sasl_ssl(dir.path(), &pki).await;
    let by_name = bootstrap(&broker);
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let settings = settings(&pki, mechanism, "wrong");
        complaint(by_name.clone(), settings, "wrong user name or password").await;
    }
    let others = Pki::new();
    let stranger = settings(&others, "PLAIN", "wonder,land=");
    not_trusted(&by_name, &stranger).await;
    broker.stop().await;

    // The right authority, and another host's certificate.
    let pair = pki.issue("queue", &["queue.example"]);
    let listener = ListenerConfig {
        tls: Some(TlsFiles {
            cert: pair.cert,
            key: pair.key,
            clients: ClientCertificates::NotAsked,
        }),
        ..ListenerConfig::default()
    };
    let broker = start_secured(config(dir.path()), listener).await;
    let mut settings = settings(&pki, "PLAIN", "");
    settings[1].1 = "ssl".to_owned();
    not_trusted(&bootstrap(&broker), &settings).await;
    broker.stop().await;
}

/// kcat does not talk to whom it cannot verify, and says so.
async fn not_trusted(bootstrap: &str, settings: &[(&'static str, String)]) {
    let settings = kcat_settings(settings);
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    arguments.extend(["-L", "-m", "3"]);
    let output = kcat(bootstrap, &arguments, b"").await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    assert!(errors.contains("certificate verify failed"), "{errors}");
}
