//! The sixteen loghub samples, each of whose 2,000 lines must be read right.
//!
//! The figures were computed from the raw files by other means (a script that splits each system's lines on
//! blanks), not by this crate. Arrival is 2026-01-01T00:00Z and the zone UTC.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use logboom_event::{Event, Record, TimestampFrom};
use serde_json::{Value, json};

const ARRIVAL_MS: i64 = 1_767_225_600_000;

struct Sample {
    system: &'static str,
    first_ns: i64,
    last_ns: i64,
    /// How often a line is older than the one before.
    steps_back: usize,
    /// Of every time in file order: h = 31 h + t, wrapping.
    times_hash: u64,
    levels: &'static [(&'static str, usize)],
}

const SAMPLES: [Sample; 16] = [
    Sample {
        system: "Android",
        first_ns: 1_742_228_018_811_000_000,
        last_ns: 1_742_228_169_141_000_000,
        steps_back: 0,
        times_hash: 14_821_828_212_783_632_704,
        levels: &[
            ("debug", 650),
            ("error", 3),
            ("info", 920),
            ("trace", 257),
            ("warn", 170),
        ],
    },
    Sample {
        system: "Apache",
        first_ns: 1_133_671_664_000_000_000,
        last_ns: 1_133_810_157_000_000_000,
        steps_back: 33,
        times_hash: 12_397_809_714_775_440_896,
        levels: &[("error", 595), ("info", 1405)],
    },
    // The epoch column wins: the local text of the first line says 15:42:50.
    Sample {
        system: "BGL",
        first_ns: 1_117_838_570_000_000_000,
        last_ns: 1_136_301_189_000_000_000,
        steps_back: 0,
        times_hash: 10_108_011_516_050_066_944,
        levels: &[("error", 48), ("fatal", 347), ("info", 1597), ("warn", 8)],
    },
    Sample {
        system: "HDFS",
        first_ns: 1_226_262_975_000_000_000,
        last_ns: 1_226_398_817_000_000_000,
        steps_back: 0,
        times_hash: 2_606_355_330_747_859_456,
        levels: &[("info", 1920), ("warn", 80)],
    },
    Sample {
        system: "HPC",
        first_ns: 1_077_804_742_000_000_000,
        last_ns: 1_134_671_139_000_000_000,
        steps_back: 1113,
        times_hash: 3_552_694_396_657_557_504,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "Hadoop",
        first_ns: 1_445_191_307_978_000_000,
        last_ns: 1_445_191_855_202_000_000,
        steps_back: 0,
        times_hash: 13_026_056_663_735_987_008,
        levels: &[("error", 150), ("fatal", 2), ("info", 1040), ("warn", 808)],
    },
    Sample {
        system: "HealthApp",
        first_ns: 1_514_067_329_606_000_000,
        last_ns: 1_514_077_355_789_000_000,
        steps_back: 0,
        times_hash: 15_175_630_559_546_074_816,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "Linux",
        first_ns: 1_749_914_161_000_000_000,
        last_ns: 1_753_627_320_000_000_000,
        steps_back: 3,
        times_hash: 10_472_114_776_903_770_624,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "Mac",
        first_ns: 1_751_360_455_000_000_000,
        last_ns: 1_751_962_246_000_000_000,
        steps_back: 1,
        times_hash: 16_811_078_722_764_814_848,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "OpenSSH",
        first_ns: 1_765_349_746_000_000_000,
        last_ns: 1_765_364_685_000_000_000,
        steps_back: 0,
        times_hash: 16_560_110_427_863_269_888,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "OpenStack",
        first_ns: 1_494_892_800_008_000_000,
        last_ns: 1_494_893_687_687_000_000,
        steps_back: 0,
        times_hash: 8_674_309_795_295_218_368,
        levels: &[("info", 1969), ("warn", 31)],
    },
    // From October to July within one year, because neither may lie more than a day ahead.
    Sample {
        system: "Proxifier",
        first_ns: 1_761_842_946_000_000_000,
        last_ns: 1_753_611_822_000_000_000,
        steps_back: 1,
        times_hash: 3_474_647_435_672_683_520,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "Spark",
        first_ns: 1_497_039_040_000_000_000,
        last_ns: 1_497_039_071_000_000_000,
        steps_back: 0,
        times_hash: 16_347_173_421_236_451_328,
        levels: &[("info", 2000)],
    },
    Sample {
        system: "Thunderbird",
        first_ns: 1_131_566_461_000_000_000,
        last_ns: 1_131_567_332_000_000_000,
        steps_back: 0,
        times_hash: 889_815_926_059_724_288,
        levels: &[("none", 2000)],
    },
    Sample {
        system: "Windows",
        first_ns: 1_475_037_030_000_000_000,
        last_ns: 1_475_114_680_000_000_000,
        steps_back: 0,
        times_hash: 2_507_445_713_517_556_736,
        levels: &[("info", 2000)],
    },
    Sample {
        system: "Zookeeper",
        first_ns: 1_438_191_704_747_000_000,
        last_ns: 1_439_230_354_004_000_000,
        steps_back: 2,
        times_hash: 1_690_302_501_844_205_312,
        levels: &[("error", 13), ("info", 669), ("warn", 1318)],
    },
];

/// The events of a sample, as an agent would ship its lines.
fn events(system: &str) -> Vec<Event> {
    let folder = std::env::var_os("LOGBOOM_SAMPLES").expect(
        "set LOGBOOM_SAMPLES to a folder with the loghub 2k samples (https://github.com/logpai/loghub)",
    );
    let path = PathBuf::from(folder).join(format!("{system}_2k.log"));
    let file = Bytes::from(std::fs::read(&path).unwrap());
    let lines = file
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let record = |line: &[u8]| Record {
        topic: Arc::from("logs"),
        partition: 0,
        offset: 0,
        timestamp_ms: ARRIVAL_MS,
        encoding: logboom_event::Encoding::Line,
        key: None,
        value: file.slice_ref(line),
        origin: None,
        headers: Vec::new(),
    };
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| Event::parse(&record(line))).collect()
}

#[test]
fn every_loghub_line_has_its_own_time_and_level() {
    for sample in SAMPLES {
        let system = sample.system;
        let events = events(system);
        assert_eq!(events.len(), 2_000, "{system}");
        for event in &events {
            let line = event.raw_text();
            assert_eq!(
                event.timestamp_from,
                TimestampFrom::Line,
                "{system}: {line}"
            );
            assert!(
                !event.parse_failed && !event.body().is_empty(),
                "{system}: {line}"
            );
        }
        let times: Vec<i64> = events.iter().map(|event| event.timestamp_ns).collect();
        assert_eq!(times[0], sample.first_ns, "{system}");
        assert_eq!(times[1_999], sample.last_ns, "{system}");
        let steps_back = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert_eq!(steps_back, sample.steps_back, "{system}");
        let hash = times.iter().fold(0u64, |hash, &time| {
            hash.wrapping_mul(31).wrapping_add(time as u64)
        });
        assert_eq!(hash, sample.times_hash, "{system}");

        let mut levels = BTreeMap::new();
        for event in &events {
            let level = event.level.map_or("none", |level| level.as_str());
            *levels.entry(level).or_insert(0) += 1;
        }
        assert_eq!(levels, sample.levels.iter().copied().collect(), "{system}");
    }
}

#[test]
fn loghub_proxifier_goes_from_october_back_to_july() {
    let events = events("Proxifier");
    let back = events
        .windows(2)
        .find(|pair| pair[1].timestamp_ns < pair[0].timestamp_ns)
        .unwrap();
    assert!(
        back[0].raw.starts_with(b"[10.30 "),
        "{}",
        back[0].raw_text()
    );
    assert!(
        back[1].raw.starts_with(b"[07.26 "),
        "{}",
        back[1].raw_text()
    );
}

#[test]
fn the_first_loghub_line_of_each_system_says_what_it_says() {
    type Said = (
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        Value,
        &'static str,
    );
    let cases: [Said; 16] = [
        (
            "Android",
            None,
            None,
            json!({"pid": 1702, "thread_id": 2395, "logger": "WindowManager"}),
            "printFreezingDisplayLogsopening app",
        ),
        ("Apache", None, None, json!({}), "workerEnv.init() ok"),
        (
            "BGL",
            Some("R02-M1-N0-C:J12-U11"),
            None,
            json!({"type": "RAS", "component": "KERNEL"}),
            "instruction cache parity error corrected",
        ),
        (
            "HDFS",
            None,
            None,
            json!({"pid": 148, "logger": "dfs.DataNode$PacketResponder"}),
            "PacketResponder 1 for block",
        ),
        (
            "HPC",
            Some("node-246"),
            None,
            json!({"id": 134681, "component": "unix.hw", "state": "state_change.unavailable", "flag": 1}),
            "Component State Change: ",
        ),
        (
            "Hadoop",
            None,
            None,
            json!({"thread": "main", "logger": "org.apache.hadoop.mapreduce.v2.app.MRAppMaster"}),
            "Created MRAppMaster for",
        ),
        (
            "HealthApp",
            None,
            None,
            json!({"logger": "Step_LSC", "pid": 30002312}),
            "onStandStepChanged 3579",
        ),
        (
            "Linux",
            Some("combo"),
            Some("sshd"),
            json!({"program": "sshd(pam_unix)", "pid": 19939}),
            "authentication failure; logname= uid=0",
        ),
        (
            "Mac",
            Some("calvisitor-10-105-160-95"),
            Some("kernel"),
            json!({"program": "kernel", "pid": 0}),
            "IOThunderboltSwitch<0>(0x0)::listenerCallback",
        ),
        (
            "OpenSSH",
            Some("LabSZ"),
            Some("sshd"),
            json!({"program": "sshd", "pid": 24200}),
            "reverse mapping checking getaddrinfo",
        ),
        (
            "OpenStack",
            None,
            None,
            json!({"pid": 25746, "logger": "nova.osapi_compute.wsgi.server", "request_id": "req-38101a0b-2096-447d-96ea-a692162415ae"}),
            "10.11.10.1 \"GET /v2/",
        ),
        (
            "Proxifier",
            None,
            None,
            json!({}),
            "chrome.exe - proxy.cse.cuhk.edu.hk:5070 open",
        ),
        (
            "Spark",
            None,
            None,
            json!({"logger": "executor.CoarseGrainedExecutorBackend"}),
            "Registered signal handlers for",
        ),
        (
            "Thunderbird",
            Some("dn228"),
            Some("crond"),
            json!({"program": "crond(pam_unix)", "pid": 2915}),
            "session closed for user root",
        ),
        (
            "Windows",
            None,
            None,
            json!({"logger": "CBS"}),
            "Loaded Servicing Stack v6.1.7601.23505",
        ),
        (
            "Zookeeper",
            None,
            None,
            json!({"thread": "QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181", "logger": "FastLeaderElection", "line": 774}),
            "Notification time out: 3200",
        ),
    ];
    for (system, host, service, attributes, body) in cases {
        let event = events(system).swap_remove(0);
        assert_eq!(event.host.as_deref(), host, "{system}");
        assert_eq!(event.service.as_deref(), service, "{system}");
        assert_eq!(
            Value::Object(event.attributes.clone()),
            attributes,
            "{system}"
        );
        assert!(event.body().starts_with(body), "{system}: {}", event.body());
    }
}

#[test]
fn every_loghub_line_of_a_system_with_loggers_has_one() {
    for system in [
        "Android",
        "HDFS",
        "Hadoop",
        "HealthApp",
        "OpenStack",
        "Spark",
        "Windows",
        "Zookeeper",
    ] {
        let events = events(system);
        let without: Vec<_> = events
            .iter()
            .filter(|event| !event.attributes.contains_key("logger"))
            .collect();
        assert!(
            without.is_empty(),
            "{system}: {} lines, {:?}",
            without.len(),
            without[0].raw_text()
        );
    }
    for system in ["BGL", "HPC", "Linux", "Mac", "OpenSSH", "Thunderbird"] {
        let events = events(system);
        let without = events.iter().filter(|event| event.host.is_none()).count();
        assert_eq!(without, 0, "{system}");
    }
}
