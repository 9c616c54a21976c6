//! The query language: text → AST ([`parse_in`]), AST → text (`Display`), and what an AST means:
//! which events ([`matches()`]), and which table of them ([`table()`], where the query has pipes).
//!
//! `matches` is the oracle of the whole system: alert filters and live tail call it, and the index
//! answers exactly what it would say (`indexer/search` verifies with it wherever the index alone
//! cannot decide). For that the index borrows this crate's notions of a value's text
//! ([`value::visit`]), of a word sequence ([`Words`]), of a wildcard ([`Glob`]) and of what a
//! regex cannot match without ([`Pattern::hint`]). Tables have one state for both ([`Aggregation`]).
//!
//! This crate knows nothing of tantivy, of files, or of the wall clock: there are no relative
//! times in a filter, those belong to the request's time range.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ast;
mod clause;
mod display;
mod duration;
mod error;
mod eval;
mod field;
mod glob;
mod groups;
mod hint;
pub mod limits;
mod name;
mod near;
mod number;
mod parse;
mod pattern;
mod pipe;
mod scan;
mod span_clause;
mod span_field;
mod stage;
mod stats;
mod table;
mod time;
pub mod value;
mod words;

pub use ast::{Clause, Exact, Expr, Query, Range, SPANS, Signal, Test};
pub use error::QueryError;
pub use eval::{matches, matches_with_id, raw_verdict};
pub use field::Field;
pub use glob::{Glob, Piece};
pub use hint::Hint;
pub use number::Number;
pub use parse::{parse, parse_in};
pub use pattern::Pattern;
pub use pipe::{Aggregate, Function, Group, GroupKey, Pipe, Quantile, SortKey, Stats};
pub use span_field::{KINDS, STATUSES, SpanField, kind_name, status_name};
pub use table::{Aggregation, Cell, Quantiles, Slot, Table, Unit, cell, table};
pub use words::{WordTest, Words};
