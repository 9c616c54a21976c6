use super::*;

pub(super) fn parse(text: &str) -> anyhow::Result<Config> {
    resolve(
        raw::RawConfig::parse(text)?,
        &BTreeMap::new(),
        Overrides::default(),
        Path::new("/etc/logboom"),
    )
}

pub(super) fn message(text: &str) -> String {
    format!("{:#}", parse(text).expect_err("the configuration is wrong"))
}

#[test]
fn an_unknown_key_is_refused_and_names_the_nearest_known_one() {
    let message = message("version: 1\nqueue:\n  lisen: 127.0.0.1:9092\n");
    assert!(
        message.contains("unknown key `lisen` in `queue`"),
        "{message}"
    );
    assert!(message.contains("did you mean `listen`?"), "{message}");
    assert!(message.contains("line 3"), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn a_wrong_value_names_its_key_and_what_would_be_right() {
    for (text, key, right) in [
        (
            "version: 1\nqueue: {retention: soon}",
            "queue.retention",
            "`24h`",
        ),
        (
            "version: 1\nqueue: {segment_bytes: 3}",
            "queue.segment_bytes",
            "`16MiB`",
        ),
        (
            "version: 1\nqueue: {partitions: 0}",
            "queue.partitions",
            "1 to 1000",
        ),
        (
            "version: 1\nqueue: {flush: sometimes}",
            "queue.flush",
            "always, group, interval, os",
        ),
        (
            "version: 1\nqueue: {flush: interval, flush_interval: 2h}",
            "queue.flush_interval",
            "`1ms` to `1h`",
        ),
        (
            "version: 1\nqueue: {flush: os, flush_interval: 1s}",
            "queue.flush_interval",
            "`queue.flush: interval` only",
        ),
        (
            "version: 1\nmirrors: [{from: 'a:1', to: 'b:1', topics: x}, {from: 'a:1', topics: x}]",
            "mirrors[1].to",
            "kafka.example.net:9092",
        ),
        (
            "version: 1\nmirrors: [{from: 'a:1,b', to: 'c:1', topics: x}]",
            "mirrors[0].from",
            "no host and port",
        ),
        (
            "version: 1\nmirrors: [{from: 'a:1', to: 'a:1', topics: x}]",
            "mirrors[0].to",
            "not copied to itself",
        ),
        (
            "version: 1\nmirrors: [{from: 'a:1', to: 'b:1', topics: 'x('}]",
            "mirrors[0].topics",
            "regular expression",
        ),
        (
            "version: 1\nmirrors: [{name: m, from: 'a:1', to: 'b:1', topics: x}, {name: m, from: 'b:1', to: 'a:1', topics: x}]",
            "mirrors[1].name",
            "a name of its own",
        ),
        (
            "version: 1\nui: {listen: everywhere}",
            "ui.listen",
            "an IP address and a port",
        ),
        (
            "version: 1\nagent: {tail: [{glob: [/a], timezone: Mars/Base}]}",
            "agent.tail[0]",
            "`Europe/Berlin`",
        ),
        (
            "version: 1\nagent: {tail: [{service: web}]}",
            "agent.tail[0]",
            "`glob` is missing",
        ),
        (
            "version: 1\nreceive: {otlp: {grpc: 4317}}",
            "receive.otlp.grpc",
            "an IP address and a port",
        ),
        (
            "version: 1\nreceive: {otlp: {token: 'two words'}}",
            "receive.otlp.token",
            "no spaces",
        ),
        (
            "version: 1\ntelemetry: {otlp: collector}",
            "telemetry.otlp",
            "`http://collector.example.net:4318`",
        ),
        (
            "version: 1\ntelemetry: {otlp: 'grpc://collector:4317'}",
            "telemetry.otlp",
            "OTLP over HTTP",
        ),
        (
            "version: 1\ntelemetry: {otlp: 'http://collector:4317'}",
            "telemetry.otlp",
            "its port is 4318",
        ),
        (
            "version: 1\ntelemetry: {otlp: 'http://collector:4318/v1/traces'}",
            "telemetry.otlp",
            "without `/v1/…`",
        ),
        (
            "version: 1\ntelemetry: {otlp: 'http://me:secret@collector:4318'}",
            "telemetry.otlp",
            "`telemetry.token`",
        ),
        (
            "version: 1\ntelemetry: {otlp: self}\nreceive: {otlp: {http: off}}",
            "telemetry.otlp",
            "`receive.otlp.http`",
        ),
        (
            "version: 1\ntelemetry: {token: ''}",
            "telemetry.token",
            "openssl rand",
        ),
        (
            "version: 1\ntelemetry: {every: 10ms}",
            "telemetry.every",
            "`1s` to `1h`",
        ),
        ("queue: {}", "version", "`version: 1`"),
        ("version: 2", "version: 2", "`version: 1`"),
    ] {
        let message = message(text);
        assert!(
            message.contains(key) && message.contains(right),
            "{text} gives {message}"
        );
        assert!(!message.contains('\n'), "{text} gives {message}");
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "version: 1\ndata: from-file\nui: {listen: 127.0.0.1:1}";
    let environment = BTreeMap::from([
        ("data", ("LOGBOOM_DATA", "/from/environment".to_owned())),
        ("ui.listen", ("LOGBOOM_LISTEN", "127.0.0.1:2".to_owned())),
    ]);
    let raw = || raw::RawConfig::parse(file).unwrap();
    let only_file = resolve(
        raw(),
        &BTreeMap::new(),
        Overrides::default(),
        Path::new("/etc/logboom"),
    )
    .unwrap();
    assert_eq!(only_file.data, Path::new("/etc/logboom/from-file"));
    let with_environment =
        resolve(raw(), &environment, Overrides::default(), Path::new("/")).unwrap();
    assert_eq!(with_environment.data, Path::new("/from/environment"));
    assert_eq!(with_environment.ui.listen.port(), 2);
    let flags = Overrides {
        data: Some("/from/flag".into()),
        listen: Some(([127, 0, 0, 1], 3).into()),
        tail: vec![],
    };
    let with_flags = resolve(raw(), &environment, flags, Path::new("/")).unwrap();
    assert_eq!(with_flags.data, Path::new("/from/flag"));
    assert_eq!(with_flags.ui.listen.port(), 3);
}

#[test]
fn a_wrong_environment_variable_is_named_itself() {
    let environment =
        BTreeMap::from([("queue.listen", ("LOGBOOM_QUEUE_LISTEN", "nine".to_owned()))]);
    let error = resolve(
        raw::RawConfig::default(),
        &environment,
        Overrides::default(),
        Path::new("/"),
    )
    .expect_err("`nine` is no address");
    assert!(
        error.to_string().contains("LOGBOOM_QUEUE_LISTEN"),
        "{error}"
    );
}

#[test]
fn clients_follow_the_queues_own_listener_when_no_address_is_given() {
    let config = parse("version: 1\nqueue: {listen: 0.0.0.0:19092}").unwrap();
    assert_eq!(config.queue.address, "127.0.0.1:19092");
}

#[test]
fn every_example_configuration_is_valid_and_the_misspelt_one_is_not() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        Config::load(Some(&path), |_| None, Overrides::default())
            .unwrap_or_else(|error| panic!("{error:#}"));
        seen += 1;
    }
    assert_eq!(
        seen, 8,
        "one example for `up`, for each of the six roles, and for a queue that asks who comes"
    );
    let typo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/typo.yaml");
    let error =
        Config::load(Some(&typo), |_| None, Overrides::default()).expect_err("it has a typo");
    assert!(
        format!("{error:#}").contains("did you mean `retention`?"),
        "{error:#}"
    );
}

#[test]
#[cfg(feature = "server")]
fn the_example_rules_are_valid() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/rules");
    let loaded = logboom_alerting::rules::load(&[rules]).unwrap();
    assert_eq!(loaded.rules.len(), 4);
}

#[test]
fn receivers_listen_by_default_where_told_or_not_at_all() {
    let resolved = |text: &str| {
        resolve(
            raw::RawConfig::parse(text).unwrap(),
            &BTreeMap::new(),
            Overrides::default(),
            Path::new("/"),
        )
        .unwrap()
        .receive
    };
    let unsaid = resolved("version: 1");
    assert_eq!(unsaid.grpc, Listen::Default(([127, 0, 0, 1], 4317).into()));
    assert_eq!(unsaid.http.configured(), None);
    let said =
        resolved("version: 1\nreceive: {otlp: {grpc: off, http: '0.0.0.0:4318', token: s3cret}}");
    assert_eq!(said.grpc, Listen::Off);
    assert_eq!(said.http.configured(), Some(([0, 0, 0, 0], 4318).into()));
    assert_eq!(said.token.as_deref(), Some("s3cret"));
}

#[test]
fn telemetry_goes_where_it_is_sent_or_nowhere() {
    let telemetry = |text: &str| parse(text).unwrap().telemetry;
    assert_eq!(telemetry("version: 1").otlp, None);
    let elsewhere = telemetry(
        "version: 1\ntelemetry: {otlp: 'http://[::1]:4318/otlp/', every: 1m}\nreceive: {otlp: {token: ours}}",
    );
    assert_eq!(
        elsewhere.otlp,
        Some(Target::At("http://[::1]:4318/otlp".to_owned()))
    );
    assert_eq!(elsewhere.every, Duration::from_secs(60));
    assert_eq!(
        elsewhere.token, None,
        "our own token is nobody else's business"
    );
    let own = telemetry("version: 1\ntelemetry: {otlp: self}\nreceive: {otlp: {token: ours}}");
    assert_eq!(own.otlp, Some(Target::Own));
    assert_eq!(own.token.as_deref(), Some("ours"));
}
