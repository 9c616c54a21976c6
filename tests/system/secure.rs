//! A queue that asks who comes: its own parts get in, an agent with a password does, and others are told why not.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{self, Process};

/// `logboom queue users add` with the password on the standard input, as a script would.
fn add_user(config: &Path, name: &str, password: &str) {
    let config = config.to_str().unwrap();
    let mut command = process::command(&["queue", "users", "add", name, "--config", config]);
    command.env_remove("LOGBOOM_QUEUE_LISTEN");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Started by a configuration file that says where the queue listens; whoever does not get in is never ready.
fn start(directory: &Path, role: &str, name: &str, config: &str, gets_in: bool) -> Process {
    let file = directory.join(format!("{name}.yaml"));
    std::fs::write(&file, config).unwrap();
    let mut command: Command = process::command(&[role, "--config", file.to_str().unwrap()]);
    command.env_remove("LOGBOOM_QUEUE_LISTEN");
    let log = directory.join(format!("{name}.log"));
    match gets_in {
        true => Process::start(command, &log),
        false => Process::spawn(command, &log),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_and_an_agent_get_in_and_a_stranger_reads_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let up = "version: 1\ndata: up\nqueue:\n  listeners: [{listen: '127.0.0.1:0', protocol: SASL_PLAINTEXT}]\n  \
              acls: [{principal: User:agent-*, allow: [write, create], topics: ['*']}]\n\
              agent: {tail: [{glob: [HERE/up.txt], service: up}]}\n";
    std::fs::write(here.join("up.txt"), "one of up\n").unwrap();
    let server = start(
        here,
        "up",
        "up",
        &up.replace("HERE", here.to_str().unwrap()),
        true,
    );
    process::wait_for_total(server.url(), "service:up", 1, Duration::from_secs(30)).await;

    let ports = process::get(server.url(), "ports", &[]).await.unwrap();
    let queue = ports["kafka"].as_str().unwrap();
    add_user(&here.join("up.yaml"), "agent-1", "of agent 1");
    let file_mode = {
        use std::os::unix::fs::PermissionsExt;
        let users = std::fs::metadata(here.join("up/queue/users")).unwrap();
        users.permissions().mode() & 0o777
    };
    assert_eq!(file_mode, 0o600);

    let agent = |name: &str, password: &str, gets_in: bool| {
        std::fs::write(here.join(format!("{name}.password")), password).unwrap();
        std::fs::write(here.join(format!("{name}.txt")), format!("one of {name}\n")).unwrap();
        let config = format!(
            "version: 1\ndata: {name}\nqueue: {{address: '{queue}', sasl: {{username: agent-1, password_file: {name}.password}}}}\n\
             agent: {{tail: [{{glob: ['{}/{name}.txt'], service: {name}}}]}}\n",
            here.display()
        );
        start(here, "agent", name, &config, gets_in)
    };
    let stranger = agent("stranger", "a guess", false);
    let known = agent("known", "of agent 1", true);
    process::wait_for_total(server.url(), "service:known", 1, Duration::from_secs(30)).await;
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while !stranger
        .log_tail()
        .contains("correct `queue.sasl.username`")
    {
        assert!(
            std::time::Instant::now() < patience,
            "{}",
            stranger.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        process::total(server.url(), "service:stranger").await,
        Some(0)
    );
    assert!(known.terminate().success());
    assert!(server.terminate().success());
}
