//! One connection: frames in, answers out, in order.
//!
//! Reading and answering run side by side in one task. Produce requests that follow each other are started in the
//! order in which they came and then wait together, so that a pipelining producer fills one group commit; any other
//! request (and a Produce that creates its topic) begins when everything before it has been answered. What a connection has in flight is bounded in
//! requests and bytes, and a full pipeline stops reading. When the client has closed its side, or the broker stops,
//! what was read is still answered, only without waiting for more records or members.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use kafka_protocol::messages::{ApiKey, RequestKind};
use kafka_protocol::protocol::StrBytes;
use metrics::{counter, histogram};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Call};
use crate::limits::{
    IN_FLIGHT_BYTES_PER_CONNECTION_MAX, PIPELINED_REQUESTS_MAX, SMALL_FRAME_BYTES_MAX,
    WRITE_TIMEOUT,
};
use crate::metrics as names;
use crate::node::{Node, Peer};
use crate::security::AdmissionError;
use crate::wire::codec::{self, DecodeError, Decoded, EncodeError, Tag};
use crate::wire::frame::{self, Body, FrameError};

/// Enough for the small requests that make up most of the traffic; larger ones bypass it.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Why a connection ended otherwise than by the client's closing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("client sent nothing for `{0:?}`")]
    Idle(Duration),
    #[error("client did not take an answer within `{WRITE_TIMEOUT:?}`")]
    SlowReader,
    #[error("write failed: {0}")]
    Write(io::Error),
}

impl SessionError {
    /// For the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            SessionError::Admission(error) => error.reason(),
            SessionError::Frame(FrameError::Length { .. }) => "frame_length",
            SessionError::Frame(FrameError::Slow { .. }) => "slow_request",
            SessionError::Frame(_) | SessionError::Write(_) => "network",
            SessionError::Decode(_) => "bad_request",
            SessionError::Encode(_) => "bad_answer",
            SessionError::Idle(_) => "idle",
            SessionError::SlowReader => "slow_reader",
        }
    }
}

/// A decoded request and the memory that its frame takes.
struct Incoming {
    decoded: Decoded,
    _memory: Memory,
}

/// Released when the request has been answered.
struct Memory {
    _of_connection: OwnedSemaphorePermit,
    _of_node: Option<OwnedSemaphorePermit>,
}

/// Serves one connection to its end.
pub(crate) async fn serve<R, W>(
    node: Arc<Node>,
    peer: Peer,
    reader: R,
    writer: W,
    stop: CancellationToken,
) -> Result<(), SessionError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (sender, receiver) = mpsc::channel(PIPELINED_REQUESTS_MAX);
    let closing = peer.closing.clone();
    let reading = async {
        let outcome = tokio::select! {
            outcome = read_requests(&node, reader, sender) => outcome,
            () = stop.cancelled() => Ok(()),
        };
        closing.cancel();
        outcome
    };
    let answering = answer_requests(&node, &peer, receiver, writer);
    tokio::pin!(reading, answering);
    tokio::select! {
        // When answers cannot be written there is nobody left to read from.
        answered = &mut answering => answered,
        read = &mut reading => answering.await.and(read),
    }
}

/// Returns `Ok` when the client has closed its side between two frames.
async fn read_requests(
    node: &Node,
    reader: impl AsyncRead + Unpin,
    sender: mpsc::Sender<Incoming>,
) -> Result<(), SessionError> {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
    let budget = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_PER_CONNECTION_MAX));
    let idle = node.config.idle_timeout;
    loop {
        let length = match timeout(
            idle,
            frame::read_length(&mut reader, node.config.max_frame_bytes),
        )
        .await
        {
            Err(_) => return Err(SessionError::Idle(idle)),
            Ok(length) => length?,
        };
        let Some(length) = length else { return Ok(()) };
        let (body, memory) = read_body(node, &budget, &mut reader, length).await?;
        let decoded = codec::decode(body)?;
        if sender
            .send(Incoming {
                decoded,
                _memory: memory,
            })
            .await
            .is_err()
        {
            return Ok(());
        }
    }
}

/// A frame larger than the whole of the connection's share takes all of it and so comes alone. What all connections
/// share is taken only for a frame of which something large has arrived: a length is quickly claimed.
async fn read_body(
    node: &Node,
    of_connection: &Arc<Semaphore>,
    reader: &mut (impl AsyncRead + Unpin),
    length: usize,
) -> Result<(Bytes, Memory), SessionError> {
    const NEVER_CLOSED: &str = "budgets are never closed";
    let share = length.min(IN_FLIGHT_BYTES_PER_CONNECTION_MAX) as u32;
    let of_connection = of_connection
        .clone()
        .acquire_many_owned(share)
        .await
        .expect(NEVER_CLOSED);
    let mut body = Body::new(length);
    body.read_start(reader).await?;
    let of_node = if length <= SMALL_FRAME_BYTES_MAX {
        None
    } else {
        Some(
            node.frame_budget
                .clone()
                .acquire_many_owned(length as u32)
                .await
                .expect(NEVER_CLOSED),
        )
    };
    let body = body.read_rest(reader).await?;
    let memory = Memory {
        _of_connection: of_connection,
        _of_node: of_node,
    };
    Ok((body, memory))
}

/// An encoded answer, if there is to be one, and the budget that its content holds.
struct Outgoing {
    frame: Option<Bytes>,
    _permit: Option<OwnedSemaphorePermit>,
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Outgoing, SessionError>> + Send + 'a>>;

async fn answer_requests(
    node: &Node,
    peer: &Peer,
    mut receiver: mpsc::Receiver<Incoming>,
    mut writer: impl AsyncWrite + Unpin,
) -> Result<(), SessionError> {
    let mut pipeline: FuturesOrdered<Answering<'_>> = FuturesOrdered::new();
    // What cannot start before the pipeline is empty.
    let mut waiting: Option<Incoming> = None;
    loop {
        if pipeline.is_empty()
            && let Some(request) = waiting.take()
        {
            let outgoing = answer(node, peer, request).await?;
            write(&mut writer, outgoing).await?;
            continue;
        }
        let may_take = waiting.is_none() && pipeline.len() < PIPELINED_REQUESTS_MAX;
        tokio::select! {
            biased;
            Some(outgoing) = pipeline.next(), if !pipeline.is_empty() => write(&mut writer, outgoing?).await?,
            request = receiver.recv(), if may_take => match request {
                Some(request) if may_overlap(node, &request.decoded) => {
                    let mut answering: Answering<'_> = Box::pin(answer(node, peer, request));
                    // The first poll hands the batches to the log: in the order of the requests.
                    match futures::poll!(&mut answering) {
                        std::task::Poll::Ready(outgoing) => {
                            pipeline.push_back(Box::pin(std::future::ready(outgoing)));
                        }
                        std::task::Poll::Pending => pipeline.push_back(answering),
                    }
                }
                Some(request) => waiting = Some(request),
                None if pipeline.is_empty() => break,
                None => {
                    while let Some(outgoing) = pipeline.next().await {
                        write(&mut writer, outgoing?).await?;
                    }
                    break;
                }
            },
        }
    }
    // The client may have gone already; all its answers are written either way.
    let _best_effort = timeout(WRITE_TIMEOUT, writer.shutdown()).await;
    Ok(())
}

fn may_overlap(node: &Node, decoded: &Decoded) -> bool {
    matches!(decoded, Decoded::Request { body, .. } if api::may_overlap(node, body))
}

async fn answer(node: &Node, peer: &Peer, incoming: Incoming) -> Result<Outgoing, SessionError> {
    let Incoming { decoded, _memory } = incoming;
    let (tag, client_id, body) = match decoded {
        Decoded::Request {
            tag,
            client_id,
            body,
        } => (tag, client_id, *body),
        Decoded::FutureApiVersions { correlation_id } => {
            let frame = Some(codec::encode_future_api_versions(correlation_id)?);
            return Ok(Outgoing {
                frame,
                _permit: None,
            });
        }
    };
    answer_decoded(node, peer, tag, client_id, body).await
}

async fn answer_decoded(
    node: &Node,
    peer: &Peer,
    tag: Tag,
    client_id: Option<StrBytes>,
    body: RequestKind,
) -> Result<Outgoing, SessionError> {
    let begun = Instant::now();
    let client_id = client_id.unwrap_or_default();
    let call = Call {
        node,
        peer,
        version: tag.version,
        client_id: &client_id,
    };
    let answer = api::answer(call, body).await;
    let api = api_name(tag.key);
    counter!(names::REQUESTS, "api" => api).increment(1);
    histogram!(names::REQUEST_SECONDS, "api" => api).record(begun.elapsed().as_secs_f64());
    let frame = match answer.response {
        Some(response) => Some(codec::encode(tag, &response)?),
        None => None,
    };
    Ok(Outgoing {
        frame,
        _permit: answer.permit,
    })
}

/// The name of an API as metrics show it.
fn api_name(key: ApiKey) -> &'static str {
    match key {
        ApiKey::Produce => "produce",
        ApiKey::Fetch => "fetch",
        ApiKey::ListOffsets => "list_offsets",
        ApiKey::Metadata => "metadata",
        ApiKey::ApiVersions => "api_versions",
        ApiKey::OffsetCommit => "offset_commit",
        ApiKey::OffsetFetch => "offset_fetch",
        ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::Heartbeat | ApiKey::LeaveGroup => "group",
        _ => "admin",
    }
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: Outgoing,
) -> Result<(), SessionError> {
    let Some(frame) = outgoing.frame else {
        return Ok(());
    };
    let writing = async {
        writer.write_all(&frame).await?;
        // TLS has taken it by now, and may not have passed it on.
        writer.flush().await
    };
    timeout(WRITE_TIMEOUT, writing)
        .await
        .map_err(|_| SessionError::SlowReader)?
        .map_err(SessionError::Write)
}

#[cfg(test)]
mod tests {
    use logboom_disk::SimDisk;
    use tokio::io::DuplexStream;

    use super::*;
    use crate::limits::{FRAME_BYTES_MAX, IN_FLIGHT_BYTES_MAX};
    use crate::node::testing;

    /// A client that claims the largest frame and sends so much of it, and its session.
    async fn claim(
        node: &Arc<Node>,
        bytes: usize,
    ) -> (
        DuplexStream,
        tokio::task::JoinHandle<Result<(), SessionError>>,
    ) {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(server);
        let stop = CancellationToken::new();
        let session = serve(node.clone(), testing::peer(), reader, writer, stop);
        let session = tokio::spawn(session);
        let length = (FRAME_BYTES_MAX as u32).to_be_bytes();
        client.write_all(&length).await.unwrap();
        client.write_all(&vec![0; bytes]).await.unwrap();
        // Time passes only when everybody waits.
        tokio::time::sleep(Duration::from_secs(1)).await;
        (client, session)
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_does_not_arrive_keeps_no_memory_from_others() {
        let node = Arc::new(testing::node(SimDisk::new(0)));
        let left = || node.frame_budget.available_permits();
        let (_claims, _waits) = claim(&node, SMALL_FRAME_BYTES_MAX - 1).await;
        assert_eq!(left(), IN_FLIGHT_BYTES_MAX);
        let (_stalls, session) = claim(&node, 2 * SMALL_FRAME_BYTES_MAX).await;
        assert_eq!(left(), IN_FLIGHT_BYTES_MAX - FRAME_BYTES_MAX);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(left(), IN_FLIGHT_BYTES_MAX);
        let error = session.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), "slow_request");
    }
}
