//! Clients that stop reading, over real sockets: what they hold comes back, and the end of the server does not wait.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use logboom_ui::Patience;
use logboom_ui::limits::{JAEGER_READS_MAX, JAEGER_WAIT_MAX};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::server::{Indexer, Server, span_hit, start_with};

const LARGE: &str = "0af7651916cd43dd8448eb211c80319c";
const SMALL: &str = "1af7651916cd43dd8448eb211c80319c";
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(500);
/// A server's socket takes up to 4 MiB of an answer, whoever reads it.
const LARGE_BYTES: usize = 12 << 20;

/// A server that waits for nobody's end but where a test says so.
fn patient() -> Patience {
    Patience {
        stall: LONG,
        chunk: LONG,
        answer: LONG,
        stop: LONG,
    }
}

async fn start(patience: Patience) -> Server {
    let indexer = Arc::new(Indexer::default());
    let large = |span| {
        let mut span = span_hit(LARGE, span);
        span["attributes"]["body"] = json!("x".repeat(1 << 20));
        span
    };
    let spans = (1..=LARGE_BYTES as u64 >> 20).map(large);
    *indexer.hits.lock().unwrap() = spans.chain([span_hit(SMALL, 1)]).collect();
    start_with(indexer, patience).await
}

/// Asks, and reads nothing but the answer's first byte.
async fn ask(server: &Server, path: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut client = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'H');
    client
}

/// What is left of the answer until the connection ends.
async fn rest(mut client: TcpStream) -> usize {
    let mut bytes = vec![0; 64 << 10];
    let mut read = 0;
    loop {
        match timeout(Duration::from_secs(10), client.read(&mut bytes)).await {
            Ok(Ok(0)) => return read,
            Ok(Ok(more)) => read += more,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return read,
            other => panic!("after {read} bytes: {other:?}"),
        }
    }
}

#[tokio::test]
async fn clients_that_do_not_read_give_their_turn_to_the_next() {
    let server = start(Patience {
        chunk: SHORT,
        ..patient()
    })
    .await;
    let path = format!("/api/traces/{LARGE}");
    let clients = (0..JAEGER_READS_MAX).map(|_| ask(&server, &path));
    let clients = futures::future::join_all(clients).await;
    let path = format!("/api/traces/{SMALL}");
    let next = timeout(JAEGER_WAIT_MAX, server.get(&path)).await.unwrap();
    assert_eq!(next.status(), 200);
    tokio::time::sleep(3 * SHORT).await;
    // Nobody is told that an answer is whole which is not.
    for client in clients {
        let read = rest(client).await;
        assert!(read < LARGE_BYTES, "{read}");
    }
}

#[tokio::test]
async fn a_connection_ends_whose_client_takes_nothing() {
    let server = start(Patience {
        stall: SHORT,
        ..patient()
    })
    .await;
    for path in [
        format!("/api/traces/{LARGE}"),
        "/api/v1/search?full=1&limit=100".to_owned(),
    ] {
        let client = ask(&server, &path).await;
        tokio::time::sleep(3 * SHORT).await;
        let read = rest(client).await;
        assert!(read < LARGE_BYTES, "{path}: {read}");
    }
    // One that is silent, but owes nothing, is left alone.
    let mut client = ask(&server, "/healthz").await;
    tokio::time::sleep(3 * SHORT).await;
    client
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("200 OK").count(), 2, "{answers}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_clients_that_do_not_read() {
    let server = start(Patience {
        stop: Duration::from_secs(3),
        ..patient()
    })
    .await;
    let unread = ask(&server, &format!("/api/traces/{LARGE}")).await;
    // It never says what it wants.
    let address = server.url.strip_prefix("http://").unwrap();
    let mut unsaid = TcpStream::connect(address).await.unwrap();
    unsaid.write_all(b"GET /healthz HT").await.unwrap();
    let other = ask(&server, &format!("/api/traces/{LARGE}")).await;
    server.stop.cancel();
    // Whoever reads gets all of it.
    assert!(rest(other).await > LARGE_BYTES);
    let ended = timeout(Duration::from_secs(10), server.ui).await;
    ended.expect("it waits").unwrap().unwrap();
    drop((unread, unsaid));
}
