//! `logboom queue users add|remove|list`: who may log in to the built-in queue.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use logboom_broker::UsersFile;
use logboom_disk::RealDisk;
use rustix::fs::Mode;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::{UsersAt, UsersCommand};
use crate::config::{Config, Overrides};

/// A password and its line end fit by far.
const INPUT_BYTES_MAX: u64 = 4096;

pub(crate) fn users(command: &UsersCommand) -> anyhow::Result<ExitCode> {
    let (UsersCommand::Add { at, .. }
    | UsersCommand::Remove { at, .. }
    | UsersCommand::List { at }) = command;
    let path = path(at)?;
    let file = UsersFile::new(&RealDisk, path.clone());
    // Keys are nobody's business but the queue's.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    match command {
        UsersCommand::Add { name, .. } => {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)
                    .with_context(|| format!("cannot create `{}`", directory.display()))?;
            }
            let is_new = file.add(name, &password()?)?;
            let done = if is_new {
                "added"
            } else {
                "has a new password"
            };
            println!(
                "user `{name}` {done}; a running queue knows within seconds ({})",
                path.display()
            );
        }
        UsersCommand::Remove { name, .. } => {
            file.remove(name)?;
            println!("user `{name}` removed; connections that are logged in stay until they end");
        }
        UsersCommand::List { .. } => {
            for name in file.names()? {
                println!("{name}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(at: &UsersAt) -> anyhow::Result<std::path::PathBuf> {
    let overrides = Overrides {
        data: at.data.clone(),
        ..Overrides::default()
    };
    let environment = |name: &str| std::env::var(name).ok();
    let config = Config::load(at.config.as_deref(), environment, overrides)?;
    Ok(config.queue.serve.users_file)
}

/// One line of the standard input; on a terminal asked for, and not shown.
fn password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let mut line = String::new();
    if stdin.is_terminal() {
        eprint!("password: ");
        std::io::stderr().flush()?;
        let _silence = Silence::begin(&stdin)?;
        stdin.lock().take(INPUT_BYTES_MAX).read_line(&mut line)?;
        eprintln!();
    } else {
        stdin.lock().take(INPUT_BYTES_MAX).read_line(&mut line)?;
    }
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!(
            "no password on the standard input; e.g. `openssl rand -hex 24 | tee alice.password | logboom queue users add alice …`"
        );
    }
    Ok(password.to_owned())
}

/// The terminal does not show what is typed, until dropped.
struct Silence<'a> {
    terminal: &'a std::io::Stdin,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn begin(terminal: &'a std::io::Stdin) -> anyhow::Result<Silence<'a>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.terminal, OptionalActions::Flush, &self.before) {
            tracing::warn!(%error, "the terminal may show nothing of what is typed; `stty echo` helps");
        }
    }
}
