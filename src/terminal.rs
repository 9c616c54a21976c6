//! `logboom search`, `tail`, `rules check`, `queue topics|groups|offsets|dump` and `verify`: the commands that a person types.
//!
//! Searches speak the public HTTP API and know nothing of how it is answered; looks at the queue speak its protocol.

#[cfg(feature = "server")]
mod dump;
#[cfg(feature = "server")]
mod queue;
mod text;
#[cfg(feature = "server")]
mod users;
#[cfg(feature = "server")]
mod verify;

use std::io::{BufWriter, Write};
#[cfg(feature = "server")]
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use futures::StreamExt;
use serde_json::Value;

use crate::cli::{SearchArgs, ServerArgs, TailArgs};
#[cfg(feature = "server")]
pub(crate) use dump::dump;
#[cfg(feature = "server")]
pub(crate) use queue::{groups, offsets, topics};
#[cfg(feature = "server")]
pub(crate) use users::users;
#[cfg(feature = "server")]
pub(crate) use verify::verify;

/// Lines asked for in one request; more are fetched page by page.
const PAGE: usize = 1000;

/// Prints the lines that match, newest first, and how many there are.
pub(crate) async fn search(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut printed, mut cursor) = (0, None::<String>);
    loop {
        let limit = (args.limit - printed).min(PAGE);
        let mut request = vec![
            ("q", args.query.clone()),
            ("limit", limit.to_string()),
            ("full", "1".to_owned()),
        ];
        request.extend(args.from.clone().map(|from| ("from", from)));
        request.extend(args.to.clone().map(|to| ("to", to)));
        request.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let response = client
            .get(api(&args.server, "search"))
            .query(&request)
            .send()
            .await;
        let answer: Value = accepted(response, &args.server, &args.query)
            .await?
            .json()
            .await
            .context("the answer is no JSON")?;

        if let Some(table) = answer.get("table").filter(|table| !table.is_null()) {
            return print_table(&mut out, table, &answer, args.json);
        }
        let hits = answer["hits"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for hit in hits {
            if !print(&mut out, hit, args.json)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
        printed += hits.len();
        let next = answer["next"]
            .as_str()
            .filter(|_| printed < args.limit && !hits.is_empty());
        let Some(next) = next else {
            out.flush().or_else(ignore_closed_pipe)?;
            eprintln!("{}", summary(&answer, printed));
            return Ok(ExitCode::SUCCESS);
        };
        cursor = Some(next.to_owned());
    }
}

fn summary(answer: &Value, printed: usize) -> String {
    let took = answer["took_ms"].as_u64().unwrap_or_default();
    match answer["total"].as_u64() {
        Some(total) => format!("{printed} of {total} matches ({took} ms)"),
        None => format!(
            "{printed} matches shown; the answer is incomplete, narrow the time range ({took} ms)"
        ),
    }
}

/// Prints a table, or its rows as one JSON object a line.
fn print_rows(out: &mut impl Write, table: &Value, json: bool) -> std::io::Result<()> {
    let written = if json {
        text::objects(table).try_for_each(|row| writeln!(out, "{row}"))
    } else {
        out.write_all(text::table(table).as_bytes())
    };
    written
        .and_then(|()| out.flush())
        .or_else(ignore_closed_pipe)
}

/// Prints the answer of a query with pipes, and what it leaves out.
fn print_table(
    out: &mut impl Write,
    table: &Value,
    answer: &Value,
    json: bool,
) -> anyhow::Result<ExitCode> {
    print_rows(out, table, json).context("cannot write to the standard output")?;
    for note in table["notes"].as_array().into_iter().flatten() {
        eprintln!("{}", note.as_str().unwrap_or_default());
    }
    let rows = table["rows"].as_array().map_or(0, Vec::len);
    let whole = answer["complete"] == true && table["complete"] != false;
    let took = answer["took_ms"].as_u64().unwrap_or_default();
    eprintln!(
        "{rows} rows{} ({took} ms)",
        if whole {
            ""
        } else {
            "; the answer is incomplete, narrow the time range"
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// Prints events as they arrive, until interrupted.
pub(crate) async fn tail(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let response = reqwest::Client::new()
        .get(api(&args.server, "tail"))
        .query(&[("q", &args.query)])
        .send()
        .await;
    let mut chunks = accepted(response, &args.server, &args.query)
        .await?
        .bytes_stream();
    let mut out = std::io::stdout().lock();
    let mut pending = Vec::new();
    while let Some(chunk) = chunks.next().await {
        pending.extend_from_slice(&chunk.context("the connection to the server broke off")?);
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = pending.drain(..end + 2).collect();
            if !print_tail_event(&mut out, &String::from_utf8_lossy(&event), args.json)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    bail!("the server closed the stream; run the command again once it is back")
}

/// One server-sent event: `hits`, `dropped`, `failed` or `end`. `Ok(false)` once nobody reads on.
fn print_tail_event(out: &mut impl Write, event: &str, json: bool) -> anyhow::Result<bool> {
    let field = |name: &str| {
        let mut lines = event.lines();
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim_start)
    };
    let (Some(name), Some(data)) = (field("event:"), field("data:")) else {
        return Ok(true);
    };
    let data: Value =
        serde_json::from_str(data).context("the stream holds something that is no JSON")?;
    match name {
        "hits" => {
            for hit in data.as_array().into_iter().flatten() {
                if !print(out, hit, json)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        "dropped" => {
            eprintln!(
                "{} events were not shown: this terminal is slower than the stream",
                data["dropped"]
            );
            Ok(true)
        }
        "failed" => bail!(
            "{}",
            data["error"]["message"]
                .as_str()
                .unwrap_or("the stream failed")
        ),
        _ => Ok(true),
    }
}

/// Prints one hit. `Ok(false)` when the reader, such as `head`, has gone.
fn print(out: &mut impl Write, hit: &Value, json: bool) -> anyhow::Result<bool> {
    let written = if json {
        writeln!(out, "{hit}")
    } else {
        writeln!(out, "{}", text::line(hit))
    };
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to the standard output"),
    }
}

fn ignore_closed_pipe(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

fn api(server: &ServerArgs, what: &str) -> String {
    format!("{}/api/v1/{what}", server.url.trim_end_matches('/'))
}

/// Turns a refused request into the server's own words, with a caret under the part they are about.
async fn accepted(
    response: reqwest::Result<reqwest::Response>,
    server: &ServerArgs,
    query: &str,
) -> anyhow::Result<reqwest::Response> {
    let response = response.map_err(|error| {
        let reason = if error.is_connect() {
            "nothing answers there"
        } else {
            "the request failed"
        };
        anyhow!(
            "cannot reach logboom at `{}`: {reason}; start it with `logboom up` or give --url",
            server.url
        )
    })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    let Some(message) = answer["error"]["message"].as_str() else {
        bail!("the server at `{}` answered {status}", server.url);
    };
    match (
        answer["error"]["from"].as_u64(),
        answer["error"]["to"].as_u64(),
    ) {
        (Some(from), Some(to)) => bail!("{message}\n  {query}\n  {}", caret(query, from, to)),
        _ => bail!("{message}"),
    }
}

/// Spaces and carets that stand under the bytes `[from, to)` of `query`.
fn caret(query: &str, from: u64, to: u64) -> String {
    let columns = |end: u64| {
        query
            .char_indices()
            .take_while(|(at, _)| (*at as u64) < end)
            .count()
    };
    let (start, end) = (columns(from), columns(to));
    format!(
        "{}{}",
        " ".repeat(start),
        "^".repeat(end.saturating_sub(start).max(1))
    )
}

#[cfg(feature = "server")]
/// Loads rule files and prints what is wrong with them.
pub(crate) fn check_rules(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let rules = logboom_alerting::rules::load(files)?;
    println!("{} rules are valid", rules.rules.len());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_counts_characters_not_bytes() {
        assert_eq!(
            caret(
                "日志 level:",
                "日志 ".len() as u64,
                "日志 level:".len() as u64
            ),
            "   ^^^^^^"
        );
        assert_eq!(caret("x", 1, 1), " ^");
    }

    #[test]
    fn an_incomplete_answer_is_never_called_a_total() {
        let answer = serde_json::json!({"total": null, "complete": false, "took_ms": 5});
        assert!(summary(&answer, 3).contains("incomplete"));
    }

    #[test]
    fn a_tail_event_prints_its_line_and_a_drop_does_not_look_like_one() {
        let mut out = Vec::new();
        let hit = "event: hits\ndata: [{\"timestamp\":\"t\",\"level\":\"info\",\"source\":\"/a\",\"raw\":\"hello\"}]\n\n";
        assert!(print_tail_event(&mut out, hit, false).unwrap());
        assert!(
            print_tail_event(&mut out, "event: dropped\ndata: {\"dropped\":5}\n\n", false).unwrap()
        );
        assert!(print_tail_event(&mut out, ": keep-alive\n\n", false).unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), "t info  /a hello\n");
    }
}
