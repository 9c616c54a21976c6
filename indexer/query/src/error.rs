//! What is wrong with a query, where, and what would be right.

use std::ops::Range;

use thiserror::Error;

/// A query that cannot be honoured. The message names the clause, its column and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct QueryError {
    /// One line for the user.
    pub message: String,
    /// The clause at fault, in bytes of the query text.
    pub span: Range<usize>,
}

impl QueryError {
    /// ``"`{clause}` at column {n} {complaint}"``; the clause is quoted from the text itself.
    pub(crate) fn at(text: &str, span: Range<usize>, complaint: &str) -> QueryError {
        let clause = excerpt(&text[span.clone()]);
        let column = column(text, span.start);
        QueryError {
            message: format!("`{clause}` at column {column} {complaint}"),
            span,
        }
    }

    /// A complaint about a place where nothing stands.
    pub(crate) fn missing(text: &str, offset: usize, complaint: &str) -> QueryError {
        let column = column(text, offset);
        QueryError {
            message: format!("{complaint} at column {column}"),
            span: offset..offset,
        }
    }
}

/// Columns are counted in characters from 1, as an editor shows them.
pub(crate) fn column(text: &str, offset: usize) -> usize {
    text.char_indices()
        .take_while(|(at, _)| *at < offset)
        .count()
        + 1
}

fn excerpt(clause: &str) -> String {
    const CHARS_MAX: usize = 60;
    if clause.chars().count() <= CHARS_MAX {
        return clause.to_owned();
    }
    let mut short: String = clause.chars().take(CHARS_MAX).collect();
    short.push('…');
    short
}
