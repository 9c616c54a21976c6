//! `logboom queue dump`: the batches of segment files, or the records of a partition over the wire.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use logboom_broker::log::{self, Dumped, DumpedBatch};
use logboom_client::{Admin, RawRecord, TopicInfo};
use serde_json::{Value, json};

use super::{queue, text};
use crate::cli::DumpArgs;

/// Records that wait to be printed; reading waits beyond that.
const PENDING_RECORDS_MAX: usize = 256;

pub(crate) async fn dump(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let path = Path::new(&args.what);
    let dumped = if path.exists() {
        files(&mut out, path, args)
    } else {
        partition(&mut out, args).await
    };
    dumped.and_then(|()| Ok(out.flush()?)).or_else(|error| {
        // `head` has seen enough.
        let is_closed = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        if is_closed { Ok(()) } else { Err(error) }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn files(out: &mut impl Write, path: &Path, args: &DumpArgs) -> anyhow::Result<()> {
    let mut left = args.limit;
    let mut outcome = Ok(());
    log::dump(path, args.from.unwrap_or(0), &mut |dumped| {
        outcome = match dumped {
            Dumped::Batch(_) if left == 0 => return false,
            Dumped::Batch(batch) => {
                left -= 1;
                print_batch(out, &batch, args)
            }
            Dumped::End(end) => {
                // For people: to a program the end is the end.
                eprintln!(
                    "{}: byte {}: {}, next offset {}",
                    end.path.display(),
                    end.position,
                    end.what,
                    end.next_offset
                );
                Ok(())
            }
        };
        outcome.is_ok()
    })?;
    outcome
}

fn print_batch(out: &mut impl Write, batch: &DumpedBatch, args: &DumpArgs) -> anyhow::Result<()> {
    let header = &batch.header;
    let mut row = json!({
        "file": batch.path.display().to_string(),
        "position": batch.position,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset(),
        "records": header.count,
        "bytes": header.total_bytes,
        "compression": header.compression(),
        "timestamp_type": if header.is_stamped() { "LogAppendTime" } else { "CreateTime" },
        "max_timestamp": header.max_timestamp,
        "leader_epoch": header.leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "attributes": header.attributes,
    });
    let records = if args.records { batch.records()? } else { None };
    if args.at.json {
        if let Some(records) = &records {
            let rows = records.iter().map(|record| {
                json!({
                    "offset": record.offset,
                    "timestamp": record.timestamp_ms,
                    "key": record.key.as_deref().map(bytes),
                    "value": record.value.as_deref().map(bytes),
                })
            });
            row["content"] = rows.collect();
        }
        writeln!(out, "{row}")?;
        return Ok(());
    }
    writeln!(
        out,
        "offsets {}–{}  byte {}  {} bytes  {}  {}  epoch {}  producer {}/{} from {}",
        header.base_offset,
        header.last_offset(),
        batch.position,
        header.total_bytes,
        header.compression(),
        time(Some(header.max_timestamp)),
        header.leader_epoch,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    )?;
    for record in records.iter().flatten() {
        let shown = shown(record.key.as_deref(), record.value.as_deref());
        writeln!(
            out,
            "  {} {} {shown}",
            record.offset,
            time(Some(record.timestamp_ms))
        )?;
    }
    if args.records && records.is_none() {
        writeln!(
            out,
            "  {} records, compressed; dump the partition over the wire to see them",
            header.count
        )?;
    }
    Ok(())
}

async fn partition(out: &mut impl Write, args: &DumpArgs) -> anyhow::Result<()> {
    let Some((topic, number)) = parse_partition(&args.what) else {
        bail!(
            "`{}` is no file, no directory, and no partition; write e.g. `logs/0`",
            args.what
        );
    };
    let admin = Admin::new(&queue::client(&args.at)?)?;
    let topics = admin.topics().await?;
    let is_there = |found: &TopicInfo| found.name == topic && found.partitions.contains(&number);
    if !topics.iter().any(is_there) {
        bail!("there is no partition `{}`", args.what);
    }
    let partition = (topic.to_owned(), number);
    let ends = admin.ends(vec![partition.clone()]).await?;
    let (start, end) = *ends
        .get(&partition)
        .with_context(|| format!("the queue does not tell where `{}` ends", args.what))?;
    let from = args.from.unwrap_or(start);
    if from < start || from > end {
        bail!(
            "offset {from} is not in `{}`; it has {start} to {end}",
            args.what
        );
    }
    let to = from.saturating_add(i64::try_from(args.limit)?).min(end);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(PENDING_RECORDS_MAX);
    let reading = admin.records(topic, number, from, to, move |record| {
        // Nobody listens any more: enough was seen.
        sender.blocking_send(record).is_ok()
    });
    let printing = async {
        while let Some(record) = receiver.recv().await {
            print_record(out, &record, args.at.json)?;
        }
        drop(receiver);
        Ok::<(), std::io::Error>(())
    };
    let (read, printed) = tokio::join!(reading, printing);
    printed?;
    Ok(read?)
}

/// `topic/number`
fn parse_partition(text: &str) -> Option<(&str, i32)> {
    let (topic, number) = text.rsplit_once('/')?;
    Some((topic, number.parse().ok().filter(|number| *number >= 0)?))
}

fn print_record(out: &mut impl Write, record: &RawRecord, as_json: bool) -> std::io::Result<()> {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_deref().map_or(Value::Null, bytes)));
    if as_json {
        let row = json!({
            "offset": record.offset,
            "timestamp": record.timestamp_ms,
            "key": record.key.as_deref().map(bytes),
            "headers": headers.map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "value": record.value.as_deref().map(bytes),
        });
        return writeln!(out, "{row}");
    }
    let shown = shown(record.key.as_deref(), record.value.as_deref());
    writeln!(
        out,
        "{} {} {shown}",
        record.offset,
        time(record.timestamp_ms)
    )
}

fn shown(key: Option<&[u8]>, value: Option<&[u8]>) -> String {
    let plain = |bytes: &[u8]| text::escaped(&String::from_utf8_lossy(bytes));
    let key = key.map(|key| format!("{}: ", plain(key)));
    let value = value.map_or_else(|| "(null)".to_owned(), plain);
    format!("{}{value}", key.unwrap_or_default())
}

fn time(ms: Option<i64>) -> String {
    ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "–".to_owned(), |time| time.to_string())
}

/// Text as it is, anything else as `{"hex": …}`: nothing is lost on the way through JSON.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn records_are_dumped_over_the_wire_from_an_offset_on() {
        use crate::terminal::queue::tests::with_queue;
        with_queue(async |at, _admin| {
            let mut args = DumpArgs {
                what: "logs/1".to_owned(),
                from: Some(2),
                limit: 2,
                records: false,
                at,
            };
            let mut out = Vec::new();
            partition(&mut out, &args).await.unwrap();
            let told = String::from_utf8(out).unwrap();
            let lines: Vec<&str> = told.lines().collect();
            assert_eq!(lines.len(), 2, "{told}");
            assert!(
                lines[0].starts_with("2 ") && lines[0].ends_with("k: line 2"),
                "{told}"
            );
            for (what, from, words) in [
                ("logs/9", None, "no partition `logs/9`"),
                ("logs/1", Some(6), "it has 0 to 5"),
                ("nothing", None, "no file"),
            ] {
                args.what = what.to_owned();
                args.from = from;
                let error = partition(&mut Vec::new(), &args).await.unwrap_err();
                assert!(error.to_string().contains(words), "{error}");
            }
        })
        .await;
    }

    #[test]
    fn a_partition_is_a_topic_and_a_number() {
        assert_eq!(parse_partition("logs/3"), Some(("logs", 3)));
        for bad in ["logs", "logs/", "logs/x", "logs/-1", "/tmp/x.log"] {
            assert_eq!(parse_partition(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_record_is_one_line_and_json_loses_no_byte() {
        let record = RawRecord {
            topic: "logs".into(),
            partition: 1,
            offset: 7,
            timestamp_ms: Some(0),
            key: None,
            value: Some(b"two\nlines".as_slice().into()),
            headers: vec![("lb.src".to_owned(), Some(vec![0xff, 0].into()))],
        };
        let printed = |as_json| {
            let mut out = Vec::new();
            print_record(&mut out, &record, as_json).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(false), "7 1970-01-01T00:00:00Z two\\nlines\n");
        let row: Value = serde_json::from_str(&printed(true)).unwrap();
        assert_eq!(row["value"], "two\nlines");
        assert_eq!(row["headers"], json!([["lb.src", {"hex": "ff00"}]]));
    }
}
