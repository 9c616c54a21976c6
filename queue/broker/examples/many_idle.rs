//! What thousands of idle partitions and connections cost: disk, memory, descriptors, and the time to start and stop.
//!
//! `cargo run --release -p logboom-broker --example many_idle -- [DIR] [PARTITIONS] [CONNECTIONS]` (5,000 and 2,000)
//!
//! Creates the partitions over the wire, 100 a topic, sends one record to each, opens the connections, and starts again
//! twice, after a stop and after a crash. Needs as many descriptors as partitions, and two a connection, since both ends
//! are in this process: `ulimit -n 20000` first.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use logboom_broker::{Broker, Config, StatusHandle};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

const PARTITIONS_PER_TOPIC: usize = 100;
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (partitions, connections): (usize, usize) = (number(5000)?, number(2000)?);
    let dir = parent.join(format!("many_idle.{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let outcome = measure(&dir, partitions, connections).await;
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn measure(dir: &Path, partitions: usize, connections: usize) -> Result<(), Failure> {
    let broker = start(dir).await?;
    told("empty", dir, &broker)?;
    let topics = partitions.div_ceil(PARTITIONS_PER_TOPIC);
    let since = Instant::now();
    create(broker.address, topics).await?;
    println!("{partitions} partitions created in {:.1?}", since.elapsed());
    told("created", dir, &broker)?;

    let since = Instant::now();
    send(broker.address, topics).await?;
    println!("a record to each in {:.1?}", since.elapsed());
    told("written", dir, &broker)?;

    let since = Instant::now();
    let clients = connect(broker.address, connections).await?;
    println!(
        "{connections} connections, each answered, in {:.1?}",
        since.elapsed()
    );
    told("connected", dir, &broker)?;
    let since = Instant::now();
    send(broker.address, topics).await?;
    println!("a record to each beside them in {:.1?}", since.elapsed());
    drop(clients);

    stop(broker).await?;
    let broker = start(dir).await?;
    told("started after a stop", dir, &broker)?;
    stop(broker).await?;
    // What a crash leaves: no mark of a clean end. So every partition is looked at, and its epoch raised.
    std::fs::remove_file(dir.join("log/clean"))?;
    let broker = start(dir).await?;
    told("started after a crash", dir, &broker)?;
    stop(broker).await
}

struct Running {
    address: SocketAddr,
    status: StatusHandle,
    stop: CancellationToken,
    task: JoinHandle<Result<(), logboom_broker::Error>>,
}

async fn start(dir: &Path) -> Result<Running, Failure> {
    let since = Instant::now();
    let broker = Broker::open(Config {
        disk_free_min_bytes: 0,
        ..Config::new(dir)
    })
    .await?;
    println!("opened in {:.1?}", since.elapsed());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (status, stop) = (broker.status(), CancellationToken::new());
    let (ready, _) = watch::channel(false);
    let task = tokio::spawn(broker.run(listener, ready, stop.clone()));
    Ok(Running {
        address,
        status,
        stop,
        task,
    })
}

async fn stop(broker: Running) -> Result<(), Failure> {
    let since = Instant::now();
    broker.stop.cancel();
    broker.task.await??;
    println!("stopped in {:.1?}", since.elapsed());
    Ok(())
}

async fn create(address: SocketAddr, topics: usize) -> Result<(), Failure> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .create()?;
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE));
    for number in 0..topics {
        let name = format!("idle-{number}");
        let count = PARTITIONS_PER_TOPIC as i32;
        let topic = NewTopic::new(&name, count, TopicReplication::Fixed(1));
        for outcome in admin.create_topics([&topic], &options).await? {
            outcome.map_err(|(name, code)| format!("`{name}`: {code}"))?;
        }
    }
    Ok(())
}

async fn send(address: SocketAddr, topics: usize) -> Result<(), Failure> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .create()?;
    let names: Vec<String> = (0..topics).map(|number| format!("idle-{number}")).collect();
    let mut sends = Vec::new();
    for name in &names {
        for partition in 0..PARTITIONS_PER_TOPIC as i32 {
            let record: FutureRecord<'_, (), _> =
                FutureRecord::to(name).partition(partition).payload("x");
            sends.push(producer.send(record, PATIENCE));
        }
    }
    for sent in futures::future::join_all(sends).await {
        sent.map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    Ok(())
}

/// Connections that have been served once and say no more.
async fn connect(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>, Failure> {
    let mut request = BytesMut::new();
    request.put_i32(10);
    // ApiVersions 0, correlation 1, no client id.
    request.put_slice(&[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(&request).await?;
        let length = client.read_i32().await?;
        let mut answer = vec![0; usize::try_from(length)?];
        client.read_exact(&mut answer).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// Of this process, which is broker and clients.
fn told(when: &str, dir: &Path, broker: &Running) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let files = std::fs::read_dir("/proc/self/fd")?.count();
    let seen = broker.status.get();
    println!(
        "{when}: {} partitions, {} connections, RSS {}, {files} descriptors, {:.1} MB on the disk",
        seen.partitions.len(),
        seen.connections,
        rss.trim(),
        blocks(dir)? as f64 * 512.0 / 1e6,
    );
    Ok(())
}

/// Allocated, which is what counts: reserved space is in files that look no larger.
fn blocks(path: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path)?;
    let mut sum = metadata.blocks();
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            sum += blocks(&entry?.path())?;
        }
    }
    Ok(sum)
}
