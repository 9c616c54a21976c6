//! How fast a file becomes acked records, with everything durable: agent and queue in this process.
//!
//!     cargo run --release -p logboom-agent --example ship_speed -- [MB] [DIR]

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use logboom_agent::{Config, TailConfig};
use logboom_client::{Admin, ClientConfig};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let megabytes: u64 = arguments.next().map_or(Ok(500), |text| text.parse())?;
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("logboom-ship-speed-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let outcome = measure(&dir, megabytes * 1_000_000).await;
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn measure(dir: &std::path::Path, bytes: u64) -> Result<(), Box<dyn Error>> {
    let lines = generate(&dir.join("speed.log"), bytes)?;
    let mut config = logboom_broker::Config::new(dir.join("queue"));
    config.disk_free_min_bytes = 0;
    let broker = logboom_broker::Broker::open(config).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let queue = ClientConfig::new(listener.local_addr()?.to_string(), "speed");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(broker.run(listener, watch::channel(false).0, stop.clone()));

    let admin = Admin::new(&queue)?;
    let partitions = admin.ensure_topic("logs", 4).await?;
    let tail = TailConfig::new(vec![format!("{}/*.log", dir.display())]);
    let (cpu_before, started) = (cpu_seconds(), Instant::now());
    let agent_stop = CancellationToken::new();
    let config = Config::new(dir.join("agent"), queue, vec![tail]);
    let agent = tokio::spawn(logboom_agent::run(
        config,
        watch::channel(false).0,
        agent_stop.clone(),
    ));
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut arrived = 0;
        for partition in 0..partitions {
            arrived += admin.watermarks("logs", partition as i32).await?.1 as u64;
        }
        if arrived >= lines {
            break;
        }
    }
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    agent_stop.cancel();
    agent.await??;
    stop.cancel();
    serving.await??;
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{megabytes:.0} MB, {lines} lines: {took:.2} s = {:.0} MB/s = {:.0} lines/s; \
         agent and queue together {cpu:.2} CPU-seconds = {:.0} MB per CPU-second",
        megabytes / took,
        lines as f64 / took,
        megabytes / cpu
    );
    Ok(())
}

/// Lines like those of a web service, about 174 bytes each.
fn generate(path: &std::path::Path, bytes: u64) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let (mut written, mut lines) = (0, 0u64);
    while written < bytes {
        let line = format!(
            "time=2026-11-25T00:00:{:02}.{:06}Z level=info service=checkout trace={:032x} \
             msg=\"order placed\" user={} amount={}.{:02} path=/api/v1/orders/{}\n",
            lines / 1_000_000 % 60,
            lines % 1_000_000,
            u128::from(lines).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            lines * 7919 % 100_003,
            lines % 1000,
            lines % 100,
            lines
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        lines += 1;
    }
    out.into_inner()?.sync_all()?;
    Ok(lines)
}

/// User and system time of this process and all its threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; fields 14 and 15 are counted from behind it.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}
