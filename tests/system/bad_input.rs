//! What goes wrong on an operator's side: one line that names the thing and the
//! remedy, a non-zero exit code where it ends the process, and nothing accepted is lost.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::process::{self, Process};

fn output(args: &[&str]) -> Output {
    process::command(args).output().unwrap()
}

/// The single line on stderr of a command that must have failed.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it succeeded: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "not one line: {text}");
    text
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn an_unknown_configuration_key_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("logboom.yaml");
    std::fs::write(&config, "version: 1\nindexes: {logs: {retension: 3d}}\n").unwrap();
    let output = output(&[
        "up",
        "--config",
        config.to_str().unwrap(),
        "--data",
        directory.path().to_str().unwrap(),
    ]);
    assert_says(
        &refusal(&output),
        &["logboom.yaml", "`retension`", "did you mean `retention`?"],
    );
}

#[test]
fn a_bad_regex_in_a_rule_ends_the_start_and_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.yaml");
    std::fs::write(
        &rules,
        "version: 1\nrules: [{name: broken, regex: 'fail(ed', receivers: []}]\n",
    )
    .unwrap();
    let checked = output(&["rules", "check", rules.to_str().unwrap()]);
    assert_says(
        &refusal(&checked),
        &["rules.yaml", "rules[0].regex", "fail(ed", "unclosed group"],
    );

    let config = directory.path().join("logboom.yaml");
    std::fs::write(&config, "version: 1\nalerting: {rules: [rules.yaml]}\n").unwrap();
    let data = directory.path().join("data");
    let started = output(&[
        "up",
        "--config",
        config.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ]);
    let text = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!started.status.success(), "{text}");
    assert_says(&text, &["rules.yaml", "rules[0].regex", "unclosed group"]);
}

#[test]
fn a_port_in_use_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&[
        "up",
        "--data",
        directory.path().to_str().unwrap(),
        "--listen",
        &address,
    ]);
    let port = taken.local_addr().unwrap().port().to_string();
    assert_says(
        &refusal(&output),
        &["`ui.listen`", &port, "in use", "another port"],
    );
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let first = Process::up(&data, &[]);
    let output = output(&["up", "--data", data.to_str().unwrap()]);
    assert_says(
        &refusal(&output),
        &[data.to_str().unwrap(), "in use", "logboom up"],
    );
    assert!(first.terminate().success());
    assert!(
        Process::up(&data, &[]).terminate().success(),
        "and after its end the directory is free"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_query_is_answered_with_its_column() {
    let directory = tempfile::tempdir().unwrap();
    let up = Process::up(&directory.path().join("data"), &[]);
    let url = up.url().to_owned();
    let answer = tokio::task::spawn_blocking(move || output(&["search", "level:", "--url", &url]))
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(!answer.status.success(), "{text}");
    assert_says(&text, &["`level:`", "column 1", "level:error", "^^^^^^"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_named() {
    let port = process::free_port();
    let url = format!("http://127.0.0.1:{port}");
    let answer = tokio::task::spawn_blocking(move || output(&["search", "*", "--url", &url]))
        .await
        .unwrap();
    assert_says(
        &refusal(&answer),
        &[&port.to_string(), "logboom up", "--url"],
    );
}

#[test]
fn an_unreachable_queue_is_named_with_its_cause_once() {
    let queue = format!("127.0.0.1:{}", process::free_port());
    let text = refusal(&output(&["queue", "topics", "--queue", &queue]));
    assert_says(&text, &[&queue, "is it running and reachable?"]);
    assert_eq!(text.matches("BrokerTransportFailure").count(), 1, "{text}");
}

/// As root every file is readable, so the process runs under another user's id then.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_is_named_and_the_others_are_shipped() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (secret, plain) = (
        directory.path().join("secret.log"),
        directory.path().join("plain.log"),
    );
    std::fs::write(&secret, "not for us\n").unwrap();
    std::fs::write(&plain, "for everybody\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let data = directory.path().join("data");
    let glob = format!("{}/*.log", directory.path().display());
    let up = Process::start(
        unprivileged(
            directory.path(),
            &["up", "--data", data.to_str().unwrap(), "--tail", &glob],
        ),
        &data.with_extension("stderr"),
    );

    process::wait_for_total(up.url(), "*", 1, Duration::from_secs(20)).await;
    let log = up.log_tail();
    let line = log
        .lines()
        .find(|line| line.contains("secret.log"))
        .unwrap_or_else(|| panic!("not named in: {log}"));
    assert_says(line, &["Permission denied", "uid", "group"]);
    // Once it can be read it is, without a restart.
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    process::wait_for_total(up.url(), "*", 2, Duration::from_secs(30)).await;
    assert!(up.terminate().success());
}

fn unprivileged(directory: &Path, args: &[&str]) -> Command {
    let plain = process::command(args);
    if !rustix::process::geteuid().is_root() {
        return plain;
    }
    // The binary may lie where only root can look.
    let binary = directory.join("logboom-binary");
    std::fs::copy(plain.get_program(), &binary).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(binary)
        .args(args);
    for (name, value) in plain
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        command.env(name, value);
    }
    command
}

/// A file system of 64 MiB that is unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> SmallDisk {
        std::fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at)
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "cannot mount a small tmpfs: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        SmallDisk(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: the process under test may still be going away.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_as_root_loses_nothing_and_goes_on_by_itself() {
    const LINES: u64 = 60_000;
    let directory = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&directory.path().join("disk"));
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1_u8; 40 << 20]).unwrap();
    let config = directory.path().join("logboom.yaml");
    std::fs::write(&config, "version: 1\nqueue: {segment_bytes: 16MiB, disk_free_min: 2MiB}\nindexes: {logs: {hot_age_max: 2s}}\n").unwrap();
    let log = directory.path().join("app.log");
    let mut up = Process::up(
        &disk.0.join("data"),
        &[
            "--config",
            config.to_str().unwrap(),
            "--tail",
            log.to_str().unwrap(),
        ],
    );

    // 60 MB that do not compress, into 24 MiB of space.
    let mut random = rand::rngs::SmallRng::from_rng(&mut rand::rng());
    let mut file = std::io::BufWriter::new(std::fs::File::create(&log).unwrap());
    for number in 0..LINES {
        writeln!(file, "{number} {}", noise(&mut random, 700)).unwrap();
    }
    file.flush().unwrap();

    let deadline = Instant::now() + Duration::from_secs(60);
    let named = loop {
        let log = up.log_tail();
        let of_note = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        if let Some(line) = log
            .lines()
            .filter(of_note)
            .find(|line| line.contains("space") || line.contains("full"))
        {
            break line.to_owned();
        }
        assert!(
            Instant::now() < deadline,
            "a full disk was never named: {log}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_says(&named, &["free"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let url = up.url().to_owned();
    let answer = process::get(&url, "search", &[("q", "*"), ("limit", "1")]).await;
    let Some(answer) = answer else {
        panic!(
            "a full disk stopped searching; process: {:?}; log: {}",
            up.ended(),
            up.log_tail()
        );
    };
    assert!(
        answer["total"].as_u64().unwrap() < LINES,
        "the disk was never full"
    );

    let grown = Command::new("mount")
        .args(["-o", "remount,size=600m"])
        .arg(&disk.0)
        .status()
        .unwrap();
    assert!(grown.success());
    process::wait_for_total(&url, "*", LINES, Duration::from_secs(120)).await;
    assert!(up.terminate().success());
}

fn noise(random: &mut impl rand::Rng, characters: usize) -> String {
    use rand::RngExt;
    (0..characters)
        .map(|_| char::from(random.random_range(b'!'..=b'~')))
        .collect()
}

use rand::SeedableRng;
