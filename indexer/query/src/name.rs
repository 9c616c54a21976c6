//! The name before a colon: a field, `index` or `_exists_`, and what must follow it.

use std::ops::Range;

use crate::ast::{Clause, Expr, Signal, Test};
use crate::error::QueryError;
use crate::field::{EXISTS, Field, INDEX};
use crate::glob::Piece;
use crate::parse::{Parser, Place};
use crate::span_field::SpanField;

impl Parser<'_> {
    pub(crate) fn index(&mut self, place: Place, from: usize) -> Result<(), QueryError> {
        self.need_value(INDEX, from)?;
        let name = if self.scan.eat('"') {
            self.closed_quote(from)?
        } else {
            let start = self.scan.at;
            let _ = self.scan.word();
            self.scan.text[start..self.scan.at].to_owned()
        };
        let span = from..self.scan.at;
        if place == Place::Inside {
            return Err(self.misplaced_index(span));
        }
        match &self.index {
            Some((other, _)) if *other != name => {
                let complaint = format!("is a second index beside `{other}`; a query searches one");
                Err(self.error(span, &complaint))
            }
            _ => {
                self.index = Some((name, span));
                Ok(())
            }
        }
    }

    pub(crate) fn misplaced_index(&self, span: Range<usize>) -> QueryError {
        self.error(
            span,
            "chooses the index of the whole query; write it outside of `OR`, `NOT` and parentheses",
        )
    }

    pub(crate) fn exists(&mut self, from: usize) -> Result<Expr, QueryError> {
        self.need_value(EXISTS, from)?;
        let name: Option<String> = if self.scan.eat('"') {
            Some(self.closed_quote(from)?)
        } else {
            let pieces = self.scan.word();
            pieces
                .iter()
                .map(|piece| {
                    if let Piece::Char(c) = piece {
                        Some(*c)
                    } else {
                        None
                    }
                })
                .collect()
        };
        let span = from..self.scan.at;
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(self.error(
                span,
                "needs one field's name; write e.g. `_exists_:trace_id`",
            ));
        };
        let field = self.field(&name, from)?;
        Ok(existence(field, span))
    }

    /// The field of a name that stands from `from` to here.
    pub(crate) fn field(&self, name: &str, from: usize) -> Result<Field, QueryError> {
        let field = Field::from_name(name, self.signal);
        let complaint = match (&field, self.signal) {
            (Field::Level, Signal::Spans) => {
                "asks for a level, which spans do not have; write `status:error`, or `attributes.level` for the attribute"
            }
            (Field::Attribute(_), Signal::Spans) if name == "events" => {
                "names no value of a span's events; write `events.name`, or `events.` and an attribute"
            }
            (Field::Attribute(_), Signal::Spans) if name == "links" => {
                "names no value of a span's links; write `links.trace_id` or `links.span_id`"
            }
            _ => return Ok(field),
        };
        Err(self.error(from..self.scan.at, complaint))
    }

    pub(crate) fn need_value(&mut self, name: &str, from: usize) -> Result<(), QueryError> {
        if !self.scan.at_boundary() {
            return Ok(());
        }
        let example = match Field::from_name(name, self.signal) {
            Field::Level => "level:error".to_owned(),
            Field::Timestamp => "timestamp:>=2026-01-31".to_owned(),
            Field::Span(SpanField::Duration) => "duration:>500ms".to_owned(),
            Field::Span(SpanField::Status) => "status:error".to_owned(),
            Field::Span(SpanField::Kind) => "kind:server".to_owned(),
            _ if name == EXISTS => "_exists_:trace_id".to_owned(),
            _ if name == INDEX => "index:logs".to_owned(),
            _ => format!("{name}:value"),
        };
        let complaint = format!(
            "has no value; write e.g. `{example}` without a space, or quote it to search for the text"
        );
        Err(self.error(from..self.scan.at, &complaint))
    }
}

/// Every event has these; the others may lack a value.
pub(crate) fn existence(field: Field, span: Range<usize>) -> Expr {
    match field {
        Field::Raw | Field::Body | Field::Timestamp | Field::Id => Expr::All,
        field => Expr::Clause(Clause {
            field,
            test: Test::Exists,
            span,
        }),
    }
}
