//! Hands an answer with whole traces to its connection, and takes it back from a client that does not read.
//!
//! A body is asked for more only while its client reads, so it cannot watch for one that does not. The answer and
//! its turn are a task's, which the body owns: that waits for each chunk to be taken, and for all of them, no longer
//! than it has patience. Then answer and turn are gone, and the body ends with an error whenever it is asked again.

use axum::body::{Body, Bytes};
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::limits::JAEGER_CHUNK_BYTES;
use crate::run::Patience;

#[derive(Debug, thiserror::Error)]
#[error("the client did not read its answer: {sent} of {bytes} bytes were taken")]
struct Unread {
    sent: usize,
    bytes: usize,
}

pub(super) fn body(answer: Vec<u8>, turn: OwnedSemaphorePermit, patience: Patience) -> Body {
    let (chunks, taken) = mpsc::channel(1);
    let sending = tokio::spawn(send(turn, answer, chunks, patience));
    let state = Some((taken, AbortOnDropHandle::new(sending)));
    Body::from_stream(stream::unfold(state, |state| async {
        let (mut taken, sending) = state?;
        if let Some(chunk) = taken.recv().await {
            return Some((Ok::<Bytes, axum::BoxError>(chunk), Some((taken, sending))));
        }
        // An answer that is cut short must not look like a whole one, which it would where it is compressed.
        match sending.await {
            Ok(Ok(())) => None,
            Ok(Err(unread)) => Some((Err(unread.into()), None)),
            Err(panic) => Some((Err(panic.into()), None)),
        }
    }))
}

/// The turn is given back after the answer is dropped.
async fn send(
    _turn: OwnedSemaphorePermit,
    answer: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
    patience: Patience,
) -> Result<(), Unread> {
    let last = Instant::now() + patience.answer;
    for (at, chunk) in answer.chunks(JAEGER_CHUNK_BYTES).enumerate() {
        let until = last.min(Instant::now() + patience.chunk);
        match timeout_at(until, chunks.reserve()).await {
            // A copy: a slice would keep the whole answer for as long as the connection has one.
            Ok(Ok(room)) => room.send(Bytes::copy_from_slice(chunk)),
            // Nobody is left to send to.
            Ok(Err(_)) => return Ok(()),
            Err(_) => {
                let unread = Unread {
                    sent: at * JAEGER_CHUNK_BYTES,
                    bytes: answer.len(),
                };
                tracing::warn!(error = %unread, "answer in jaeger's form was given up");
                return Err(unread);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt;
    use tokio::sync::Semaphore;
    use tokio::time::{Duration, sleep};

    use super::*;

    const CHUNKS: usize = 8;

    fn patience(chunk: u64, answer: u64) -> Patience {
        Patience {
            chunk: Duration::from_secs(chunk),
            answer: Duration::from_secs(answer),
            ..Patience::default()
        }
    }

    fn answer(turns: &Arc<Semaphore>, patience: Patience) -> Body {
        let turn = Arc::clone(turns).try_acquire_owned().unwrap();
        body(vec![b'x'; CHUNKS * JAEGER_CHUNK_BYTES], turn, patience)
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_when_the_whole_answer_is_taken_or_nobody_wants_it() {
        let turns = Arc::new(Semaphore::new(1));
        let body = answer(&turns, patience(1, 60));
        assert_eq!(turns.available_permits(), 0);
        let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(sent.len(), CHUNKS * JAEGER_CHUNK_BYTES);
        assert!(sent.iter().all(|byte| *byte == b'x'));
        assert_eq!(turns.available_permits(), 1);
        drop(answer(&turns, patience(1, 60)));
        // A task that was aborted ends when it is next looked at.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(turns.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_asked_for_gives_its_turn_back_and_fails() {
        let turns = Arc::new(Semaphore::new(1));
        let mut chunks = answer(&turns, patience(1, 60)).into_data_stream();
        sleep(Duration::from_millis(900)).await;
        assert_eq!(
            chunks.next().await.unwrap().unwrap().len(),
            JAEGER_CHUNK_BYTES
        );
        sleep(Duration::from_millis(900)).await;
        assert_eq!(turns.available_permits(), 0, "a chunk was taken meanwhile");
        sleep(Duration::from_millis(200)).await;
        assert_eq!(turns.available_permits(), 1);
        // The chunk that waits, and then the reason.
        chunks.next().await.unwrap().unwrap();
        let error = chunks.next().await.unwrap().unwrap_err().to_string();
        assert!(error.contains("131072 of 524288 bytes"), "{error}");
        assert!(chunks.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_asked_for_ever_so_slowly_does_too() {
        let turns = Arc::new(Semaphore::new(1));
        let mut chunks = answer(&turns, patience(10, 30)).into_data_stream();
        let mut taken = 0;
        while chunks.next().await.unwrap().is_ok() {
            taken += 1;
            sleep(Duration::from_secs(9)).await;
        }
        assert!((3..CHUNKS).contains(&taken), "{taken}");
        assert_eq!(turns.available_permits(), 1);
    }
}
