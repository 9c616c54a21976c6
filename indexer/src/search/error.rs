//! Why a search has no answer. Every message is for the person who asked.

use logboom_query::QueryError;
use thiserror::Error;

use super::stored::StoredError;

#[derive(Debug, Error)]
pub enum SearchError {
    /// The query's text is at fault; carries the place.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Another part of the request is at fault.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An answer without anything in it would say that there is nothing.
    #[error(
        "the time ended before all of the index was looked at, and nothing was found until then; try again"
    )]
    OutOfTime,
    /// The index is.
    #[error("the index cannot be read")]
    Index(#[from] IndexError),
}

#[derive(Debug, Error)]
pub enum RequestError {
    #[error("`limit` is {found}; it can be 0 to {max}")]
    Limit { found: usize, max: usize },
    #[error("`histogram` asks for {found} buckets; it can be 1 to {max}")]
    Buckets { found: usize, max: usize },
    #[error("`cursor` is not one that a search with this order has given; start again without it")]
    Cursor,
    #[error("no index `{name}`; there is {known}")]
    UnknownIndex { name: String, known: String },
    #[error("the query says `index:{query}`, the request `{request}`; a search reads one index")]
    TwoIndexes { query: String, request: String },
    #[error("`from` is not before `to`")]
    EmptyRange,
    #[error("`limit` is {found}; a list of traces can have 1 to {max}")]
    Traces { found: usize, max: usize },
    #[error("`{0}` is no trace id; these are 32 hex digits, not all zero")]
    TraceId(String),
    #[error("`{0}` is no span id; these are 16 hex digits, not all zero")]
    SpanId(String),
    #[error("`step` is {found} ns; it is 1 or more")]
    Step { found: i64 },
    #[error("the range has {found} steps; at most {max} can be shown, so make `step` longer")]
    Steps { found: i128, max: i64 },
}

#[derive(Debug, Error)]
pub enum IndexError {
    #[error("a split or hot segment cannot be searched")]
    Tantivy(#[from] tantivy::TantivyError),
    #[error("a stored record cannot be read")]
    Stored(#[from] StoredError),
}

impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> SearchError {
        SearchError::Index(error.into())
    }
}

impl From<StoredError> for SearchError {
    fn from(error: StoredError) -> SearchError {
        SearchError::Index(error.into())
    }
}
