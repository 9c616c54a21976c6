//! The client of the internal HTTP port: the only way that other parts reach the indexer, in one process
//! as in several.

use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio_util::{
    codec::{FramedRead, LinesCodec, LinesCodecError},
    io::StreamReader,
};

use crate::{
    limits,
    search::{Hit, SearchRequest, SearchResponse},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than the indexer itself allows, so that its own answer is the one that counts.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(
    limits::SEARCH_TIME_MAX.as_secs() + limits::SEARCH_QUEUE_WAIT.as_secs() + 5,
);
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
/// A hit holds a line, its message and its attributes: three times a line of 8 MiB at most.
const TAIL_LINE_BYTES_MAX: usize = 32 << 20;

/// An indexer somewhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Remote {
    base: Url,
    client: reqwest::Client,
}

/// What a live tail says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TailItem {
    Hit(Box<Hit>),
    /// So many events were missed because the reader was slow.
    Dropped(u64),
}

/// Why the indexer gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("`{url}` is not the address of an indexer; `http://host:7481` is the form")]
    Address { url: String },
    #[error("cannot set up a client: {0}")]
    Client(#[source] reqwest::Error),
    #[error("the indexer at `{url}` does not answer ({source}); is it running and reachable?")]
    Unreachable { url: Url, source: reqwest::Error },
    /// The query cannot be honoured; the span is in bytes of its text.
    #[error("{message}")]
    Query {
        message: String,
        from: usize,
        to: usize,
    },
    /// The request is wrong elsewhere: a cursor of another query, an unknown index.
    #[error("{message}")]
    Request { message: String },
    #[error("{message}")]
    Busy { message: String },
    #[error("the indexer at `{url}` failed: {message}")]
    Failed { url: Url, message: String },
    #[error("the indexer at `{url}` sent what cannot be read ({problem}); is it the same version?")]
    Garbled { url: Url, problem: String },
}

#[derive(Deserialize)]
struct Failure {
    error: FailureText,
}

#[derive(Deserialize)]
struct FailureText {
    message: String,
    from: Option<usize>,
    to: Option<usize>,
}

impl Remote {
    /// `base_url` is `http://host:port`.
    pub fn new(base_url: &str) -> Result<Remote, RemoteError> {
        let address = || RemoteError::Address {
            url: base_url.to_owned(),
        };
        let base = Url::parse(base_url).map_err(|_| address())?;
        if base.host().is_none() || base.scheme() != "http" {
            return Err(address());
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(RemoteError::Client)?;
        Ok(Remote { base, client })
    }

    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, RemoteError> {
        self.ask("search", request).await
    }

    /// Asks what may take a search's time.
    pub(crate) async fn ask<A: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        question: &impl Serialize,
    ) -> Result<A, RemoteError> {
        let post = self
            .client
            .post(self.url(name))
            .timeout(SEARCH_TIMEOUT)
            .json(question);
        self.body(self.send(post).await?).await
    }

    /// Everything that matches from now on, until the stream is dropped.
    pub async fn tail(
        &self,
        query: &str,
    ) -> Result<impl Stream<Item = Result<TailItem, RemoteError>> + Send + use<>, RemoteError> {
        self.tail_in(None, query).await
    }

    /// As [`Remote::tail`], of an index that the query need not name.
    pub async fn tail_in(
        &self,
        index: Option<&str>,
        query: &str,
    ) -> Result<impl Stream<Item = Result<TailItem, RemoteError>> + Send + use<>, RemoteError> {
        let mut parameters = vec![("q", query)];
        parameters.extend(index.map(|index| ("index", index)));
        let response = self
            .send(self.client.get(self.url("tail")).query(&parameters))
            .await?;
        let bytes = StreamReader::new(response.bytes_stream().map_err(std::io::Error::other));
        let url = self.base.clone();
        let lines = FramedRead::new(bytes, LinesCodec::new_with_max_length(TAIL_LINE_BYTES_MAX));
        Ok(lines.map(move |line| {
            let garbled = |problem: String| RemoteError::Garbled {
                url: url.clone(),
                problem,
            };
            match line {
                Ok(line) => serde_json::from_str(&line).map_err(|error| garbled(error.to_string())),
                Err(LinesCodecError::MaxLineLengthExceeded) => {
                    Err(garbled("a line without end".to_owned()))
                }
                Err(LinesCodecError::Io(error)) => Err(RemoteError::Failed {
                    url: url.clone(),
                    message: format!("the live tail broke off: {error}"),
                }),
            }
        }))
    }

    /// Agents, partitions and the indexer's own state.
    pub async fn pipeline(&self) -> Result<serde_json::Value, RemoteError> {
        self.body(
            self.send(
                self.client
                    .get(self.url("pipeline"))
                    .timeout(STATUS_TIMEOUT),
            )
            .await?,
        )
        .await
    }

    fn url(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/internal/v1/{name}"));
        url
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, RemoteError> {
        let response = request
            .send()
            .await
            .map_err(|source| self.unreachable(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let Ok(Failure { error }) = serde_json::from_str(&text) else {
            return Err(RemoteError::Failed {
                url: self.base.clone(),
                message: format!("status {status}"),
            });
        };
        let FailureText { message, from, to } = error;
        Err(match (status, from, to) {
            (StatusCode::BAD_REQUEST, Some(from), Some(to)) => {
                RemoteError::Query { message, from, to }
            }
            (StatusCode::BAD_REQUEST, ..) => RemoteError::Request { message },
            (StatusCode::SERVICE_UNAVAILABLE, ..) => RemoteError::Busy { message },
            _ => RemoteError::Failed {
                url: self.base.clone(),
                message,
            },
        })
    }

    async fn body<T: serde::de::DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<T, RemoteError> {
        let bytes = response
            .bytes()
            .await
            .map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&bytes).map_err(|error| RemoteError::Garbled {
            url: self.base.clone(),
            problem: error.to_string(),
        })
    }

    fn unreachable(&self, source: reqwest::Error) -> RemoteError {
        RemoteError::Unreachable {
            url: self.base.clone(),
            source: source.without_url(),
        }
    }
}
