//! `logboom verify`: looks through a data directory without changing anything, and says what is damaged.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

/// Damages that were told.
struct Report<W> {
    out: W,
    damages: usize,
}

impl<W: Write> Report<W> {
    fn damage(&mut self, path: &Path, position: Option<u64>, reason: &str) -> std::io::Result<()> {
        self.damages += 1;
        let position = position
            .map(|at| format!(" at byte {at}"))
            .unwrap_or_default();
        writeln!(self.out, "DAMAGED {}{position}: {reason}", path.display())
    }

    fn note(&mut self, text: &str) -> std::io::Result<()> {
        writeln!(self.out, "note: {text}")
    }
}

pub(crate) async fn verify(data: &Path) -> anyhow::Result<ExitCode> {
    let damages = examine(data, std::io::stdout().lock()).await?;
    Ok(if damages == 0 {
        println!("no damage found");
        ExitCode::SUCCESS
    } else {
        eprintln!("{damages} damaged; nothing was changed");
        ExitCode::FAILURE
    })
}

async fn examine(data: &Path, out: impl Write) -> anyhow::Result<usize> {
    let queue = [data.join("queue"), data.to_path_buf()]
        .into_iter()
        .find(|dir| dir.join("log").is_dir());
    let indexer = [data.join("indexer"), data.to_path_buf()]
        .into_iter()
        .find(|dir| dir.join("metastore.db").is_file());
    if queue.is_none() && indexer.is_none() {
        bail!(
            "`{}` holds neither a queue (`queue/log`) nor an index (`indexer/metastore.db`); give the directory that `--data` or `data:` names",
            data.display()
        );
    }
    let mut report = Report { out, damages: 0 };
    if let Some(dir) = queue {
        verify_queue(&dir, &mut report)?;
    }
    if let Some(dir) = indexer {
        verify_index(&dir, &mut report).await?;
    }
    Ok(report.damages)
}

fn verify_queue(dir: &Path, report: &mut Report<impl Write>) -> anyhow::Result<()> {
    let mut written = Ok(());
    let found = logboom_broker::verify(dir, |partition| {
        if written.is_ok() {
            written = print_partition(report, partition);
        }
    })
    .with_context(|| format!("cannot look through the queue in `{}`", dir.display()))?;
    written?;
    if let Some(holder) = &found.holder {
        report.note(&format!(
            "{holder} is running on it: files may have changed while they were read"
        ))?;
    }
    for note in &found.notes {
        report.note(note)?;
    }
    for damage in &found.damages {
        report.damage(&damage.path, Some(damage.position), &damage.reason)?;
    }
    Ok(())
}

fn print_partition(
    report: &mut Report<impl Write>,
    partition: &logboom_broker::log::Examined,
) -> std::io::Result<()> {
    let (start, end) = partition.offsets;
    writeln!(
        report.out,
        "{}/{}: {} segments, {} batches, {} bytes, offsets {start} to {end}{}",
        partition.topic,
        partition.partition,
        partition.segments,
        partition.batches,
        partition.bytes,
        if partition.damages.is_empty() {
            ""
        } else {
            ", damaged"
        },
    )?;
    for note in &partition.notes {
        report.note(&format!(
            "{}/{}: {note}",
            partition.topic, partition.partition
        ))?;
    }
    Ok(())
}

async fn verify_index(dir: &Path, report: &mut Report<impl Write>) -> anyhow::Result<()> {
    let found = logboom_indexer::verify(dir)
        .await
        .with_context(|| format!("cannot look through the index in `{}`", dir.display()))?;
    writeln!(
        report.out,
        "index: {} splits, {} events",
        found.splits, found.docs
    )?;
    for (path, reason) in &found.damages {
        report.damage(path, None, reason)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_queue_is_looked_through_whether_it_stands_alone_or_beside_others() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("queue");
        let config = logboom_broker::Config::new(&queue);
        let broker = logboom_broker::Broker::open(config).await.unwrap();
        let mut out = Vec::new();
        assert_eq!(examine(dir.path(), &mut out).await.unwrap(), 0);
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("is running on it"), "{told}");
        drop(broker);
        std::fs::write(queue.join("topics"), "no such thing\n").unwrap();
        let mut out = Vec::new();
        assert_eq!(examine(&queue, &mut out).await.unwrap(), 1);
        let told = String::from_utf8(out).unwrap();
        assert!(
            told.contains("DAMAGED") && told.contains("/topics at byte 0"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_directory_with_nothing_to_look_through_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = examine(dir.path(), Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("neither a queue"), "{error}");
    }
}
