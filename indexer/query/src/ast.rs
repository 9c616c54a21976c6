//! The AST. Two ASTs are equal when they mean the same text; where a clause stood is not compared.

use std::ops::{Bound, Range as Span};

use logboom_event::token::fold;
use logboom_event::{EventId, Level};

use crate::field::Field;
use crate::glob::Glob;
use crate::number::Number;
use crate::pattern::Pattern;
use crate::pipe::Pipe;
use crate::words::Words;

/// The index whose queries are of spans.
pub const SPANS: &str = "spans";

/// What a query's events are: it decides which names and units its clauses know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Logs,
    Spans,
}

/// A parsed query: a filter, and perhaps what makes a table of its events.
#[derive(Debug, Clone)]
pub struct Query {
    pub expr: Expr,
    /// The index that `index:NAME` selected.
    pub index: Option<String>,
    pub signal: Signal,
    /// Empty when the events themselves are asked for.
    pub pipes: Vec<Pipe>,
    /// Where they begin in the text.
    pub(crate) pipes_from: usize,
    /// As it was typed.
    pub text: String,
}

impl PartialEq for Query {
    fn eq(&self, other: &Query) -> bool {
        self.expr == other.expr
            && self.index == other.index
            && self.signal == other.signal
            && self.pipes == other.pipes
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `*`, or an empty query.
    All,
    /// Two or more.
    And(Vec<Expr>),
    /// Two or more.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Clause(Clause),
}

/// One test of one field.
#[derive(Debug, Clone)]
pub struct Clause {
    pub field: Field,
    pub test: Test,
    /// Where it stands in the query's text, in bytes.
    pub span: Span<usize>,
}

impl PartialEq for Clause {
    fn eq(&self, other: &Clause) -> bool {
        self.field == other.field && self.test == other.test
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Only on text fields.
    Words(Words),
    /// The whole value, without case.
    Exact(Exact),
    /// The whole value, without case.
    Glob(Glob),
    Range(Range),
    /// Both ends included.
    Level {
        low: Level,
        high: Level,
    },
    /// `[from, until)` in nanoseconds.
    Time {
        from: Option<i64>,
        until: Option<i64>,
    },
    /// Anywhere in the text or value, with case unless it says `(?i)`.
    Regex(Pattern),
    Id(EventId),
    Exists,
}

impl Test {
    /// Does a value whose folded text is `text` pass? `None` when the text cannot tell.
    /// The index asks this of its terms, the oracle of an event's values.
    pub fn accepts_folded(&self, text: &str) -> Option<bool> {
        match self {
            Test::Exact(exact) => Some(exact.texts().any(|wanted| wanted == text)),
            Test::Glob(glob) => Some(glob.matches(text)),
            Test::Range(range) => Some(range.accepts(text)),
            Test::Exists => Some(true),
            Test::Words(_)
            | Test::Level { .. }
            | Test::Time { .. }
            | Test::Regex(_)
            | Test::Id(_) => None,
        }
    }
}

/// A whole value. A number equals every spelling of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    text: String,
    /// The number's canonical text, where that is another one.
    canonical: Option<String>,
}

impl Exact {
    pub(crate) fn new(text: &str) -> Exact {
        let text = fold(text).into_owned();
        let canonical = Number::parse(&text).map(|number| number.to_string());
        let canonical = canonical.filter(|canonical| *canonical != text);
        Exact { text, canonical }
    }

    /// The folded texts that a value may have.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.canonical.as_deref())
    }
}

/// Numbers compare with numbers, and with texts that are one; texts compare as folded texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    Number {
        low: Bound<Number>,
        high: Bound<Number>,
    },
    Text {
        low: Bound<String>,
        high: Bound<String>,
    },
}

impl Range {
    fn accepts(&self, text: &str) -> bool {
        match self {
            Range::Number { low, high } => {
                let Some(value) = Number::parse(text) else {
                    return false;
                };
                let above = match low {
                    Bound::Included(low) => value.compare(*low).is_ge(),
                    Bound::Excluded(low) => value.compare(*low).is_gt(),
                    Bound::Unbounded => true,
                };
                let below = match high {
                    Bound::Included(high) => value.compare(*high).is_le(),
                    Bound::Excluded(high) => value.compare(*high).is_lt(),
                    Bound::Unbounded => true,
                };
                above && below
            }
            Range::Text { low, high } => {
                std::ops::RangeBounds::<str>::contains(&(as_str(low), as_str(high)), text)
            }
        }
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(text) => Bound::Included(text),
        Bound::Excluded(text) => Bound::Excluded(text),
        Bound::Unbounded => Bound::Unbounded,
    }
}
