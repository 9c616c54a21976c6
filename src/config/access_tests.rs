//! Who gets into the queue, as configurations say it.

use super::tests::{message, parse};

#[cfg(feature = "server")]
#[test]
fn listeners_rules_and_users_are_resolved() {
    use logboom_broker::{ClientCertificates, Mechanism};
    let text = "
version: 1
data: /var/lib/logboom
queue:
  listeners:
    - listen: 127.0.0.1:9092
    - {listen: 0.0.0.0:9093, protocol: SASL_SSL, advertised: 'q.example:9093', tls: {cert: c.pem, key: /k.pem}}
    - {listen: 0.0.0.0:9094, protocol: SASL_PLAINTEXT}
    - {listen: 0.0.0.0:9095, protocol: SSL, tls: {cert: c.pem, key: k.pem, client_ca: ca.pem, client_auth: optional}}
  super_users: [User:root]
  acls: [{principal: User:a*, allow: [write], topics: ['logs*']}]
";
    let queue = parse(text).unwrap().queue;
    assert_eq!(queue.address, "127.0.0.1:9092", "the first is ours");
    let serve = queue.serve;
    assert!(serve.asks());
    assert_eq!(
        serve.users_file,
        std::path::Path::new("/var/lib/logboom/queue/users")
    );
    let [plain, both, sasl, tls] = &serve.listeners[..] else {
        panic!("{serve:?}")
    };
    assert_eq!(plain.terms, Default::default());
    assert_eq!(both.terms.advertised, Some(("q.example".to_owned(), 9093)));
    let files = both.terms.tls.as_ref().unwrap();
    assert_eq!(files.cert, std::path::Path::new("/etc/logboom/c.pem"));
    assert_eq!(files.key, std::path::Path::new("/k.pem"));
    assert_eq!(both.terms.sasl.as_ref().unwrap().mechanisms, Mechanism::ALL);
    let without_plain = [Mechanism::ScramSha512, Mechanism::ScramSha256];
    assert_eq!(sasl.terms.sasl.as_ref().unwrap().mechanisms, without_plain);
    let clients = &tls.terms.tls.as_ref().unwrap().clients;
    assert_eq!(
        clients,
        &ClientCertificates::Optional("/etc/logboom/ca.pem".into())
    );
    assert_eq!(serve.access.acls.len(), 1);
    assert!(!parse("version: 1").unwrap().queue.serve.asks());
}

#[cfg(feature = "server")]
#[test]
fn a_listener_or_rule_that_means_nothing_is_refused_with_its_key() {
    let tls = "tls: {cert: c, key: k}";
    for (queue, key, right) in [
        (
            "listeners: [{protocol: SSL}]",
            "queue.listeners[0].listen",
            "is missing",
        ),
        (
            "listeners: [{listen: '0.0.0.0:1', protocol: TLS}]",
            "queue.listeners[0].protocol",
            "`SASL_SSL`",
        ),
        (
            "listeners: [{listen: '0.0.0.0:1', protocol: SSL}]",
            "queue.listeners[0].tls",
            "is missing",
        ),
        (
            format!("listeners: [{{listen: '0.0.0.0:1', {tls}}}]").as_str(),
            "queue.listeners[0].tls",
            "`SSL` and `SASL_SSL` only",
        ),
        (
            "listeners: [{listen: '0.0.0.0:1', mechanisms: [PLAIN]}]",
            "queue.listeners[0]",
            "`SASL_SSL` only",
        ),
        (
            "listeners: [{listen: '0.0.0.0:1', protocol: SASL_PLAINTEXT, mechanisms: [PLAIN]}]",
            "queue.listeners[0].mechanisms",
            "plain_without_tls: true",
        ),
        (
            "listeners: [{listen: '0.0.0.0:1', protocol: SASL_PLAINTEXT, mechanisms: [GSSAPI]}]",
            "queue.listeners[0].mechanisms",
            "`SCRAM-SHA-512`",
        ),
        (
            "{listen: '0.0.0.0:1', listeners: [{listen: '0.0.0.0:1'}]}",
            "queue.listen",
            "beside `queue.listeners`",
        ),
        (
            "acls: [{allow: [read], topics: [a]}]",
            "queue.acls[0].principal",
            "`User:agent-*`",
        ),
        (
            "acls: [{principal: bob, allow: [read], topics: [a]}]",
            "queue.acls[0].principal",
            "`User:bob`",
        ),
        (
            "acls: [{principal: User:bob, allow: [reed], topics: [a]}]",
            "queue.acls[0].allow",
            "`read`",
        ),
        (
            "acls: [{principal: User:bob, topics: [a]}]",
            "queue.acls[0].allow",
            "is missing",
        ),
        (
            "acls: [{principal: User:bob, allow: [read]}]",
            "queue.acls[0]",
            "about nothing",
        ),
        (
            "acls: [{principal: User:bob, allow: [read], topics: ['a*b']}]",
            "queue.acls[0].topics",
            "at its end",
        ),
        ("super_users: [bob]", "queue.super_users", "`User:bob`"),
    ] {
        let queue = if queue.starts_with('{') {
            queue.to_owned()
        } else {
            format!("{{{queue}}}")
        };
        let message = message(&format!("version: 1\nqueue: {queue}"));
        assert!(message.contains(&format!("`{key}")), "{queue}: {message}");
        assert!(message.contains(right), "{queue}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_clients_password_comes_from_a_file_and_what_cannot_be_read_is_named() {
    use logboom_client::{Mechanism, Password};
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let sasl = format!(
        "version: 1\nqueue: {{sasl: {{username: agent, password_file: '{}'}}}}",
        file.display()
    );
    assert!(
        message(&sasl).contains("`queue.sasl.password_file`: cannot read"),
        "{}",
        message(&sasl)
    );
    for (text, right) in [("", "one line"), ("a\nb\n", "one line")] {
        std::fs::write(&file, text).unwrap();
        assert!(message(&sasl).contains(right), "{}", message(&sasl));
    }
    std::fs::write(&file, "secret\n").unwrap();
    let sasl = parse(&sasl).unwrap().queue.security.sasl.unwrap();
    assert_eq!(sasl.mechanism, Mechanism::ScramSha512);
    assert_eq!(sasl.password, Password("secret".to_owned()));

    for (queue, key) in [
        ("sasl: {username: a}", "queue.sasl.password_file"),
        ("sasl: {password_file: a}", "queue.sasl.username"),
        ("sasl: {mechanism: GSSAPI}", "queue.sasl.mechanism"),
        ("tls: {ca: /nowhere/ca.pem}", "queue.tls.ca"),
        ("tls: {cert: /dev/null}", "queue.tls.key"),
        ("tls: {key: /dev/null}", "queue.tls.cert"),
    ] {
        let message = message(&format!("version: 1\nqueue: {{{queue}}}"));
        assert!(message.contains(&format!("`{key}`")), "{queue}: {message}");
    }
}
