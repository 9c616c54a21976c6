//! Files that break tailers: none of them stops anything or costs more memory than the bound.

use std::io::Write;
use std::time::Duration;

use crate::process::{self, Process};

const RSS_MAX: u64 = 300 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_line_nuls_many_files_and_a_deleted_one_stay_within_memory() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let up = Process::up(
        &directory.path().join("data"),
        &["--tail", &format!("{}/*.log", logs.display())],
    );
    let url = up.url().to_owned();

    let mut huge = std::fs::File::create(logs.join("huge.log")).unwrap();
    huge.write_all("before the huge line\n".as_bytes()).unwrap();
    for _ in 0..50 {
        huge.write_all(&"logboom ".repeat((1 << 20) / 8).into_bytes())
            .unwrap();
    }
    huge.write_all("\nafter the huge line\n".as_bytes())
        .unwrap();
    std::fs::write(logs.join("nul.log"), vec![0_u8; 5 << 20]).unwrap();
    for number in 0..1000 {
        std::fs::write(
            logs.join(format!("many-{number}.log")),
            format!("manyfiles number {number}\n"),
        )
        .unwrap();
    }
    let doomed = logs.join("doomed.log");
    let mut content = String::new();
    for number in 0..100_000 {
        content.push_str(&format!("doomed line {number}\n"));
    }
    std::fs::write(&doomed, content).unwrap();
    // Deleted while it is read: what the agent holds open is read to its end.
    loop {
        let read = process::total(&url, "doomed").await.unwrap_or_default();
        if read > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(&doomed).unwrap();

    let wait = Duration::from_secs(90);
    process::wait_for_total(&url, "doomed", 100_000, wait).await;
    process::wait_for_total(&url, "manyfiles", 1000, wait).await;
    process::wait_for_total(&url, "\"before the huge line\"", 1, wait).await;
    process::wait_for_total(&url, "\"after the huge line\"", 1, wait).await;
    let cut = process::get(
        &url,
        "search",
        &[("q", "source:*huge.log AND logboom"), ("limit", "10")],
    )
    .await
    .unwrap();
    assert_eq!(cut["total"], 1, "the huge line is one line, cut");
    assert_eq!(cut["hits"][0]["truncated_from"], 50 << 20);

    let mut after = std::fs::File::create(logs.join("fresh.log")).unwrap();
    after.write_all(b"still alive\n").unwrap();
    process::wait_for_total(&url, "\"still alive\"", 1, Duration::from_secs(10)).await;
    let peak = up.peak_rss_bytes();
    println!("peak resident set: {} MiB", peak >> 20);
    assert!(peak < RSS_MAX, "{} MiB", peak >> 20);
    assert!(up.terminate().success());
}
