//! Text → AST: recursive descent over [`Scanner`], `NOT` before `AND` (also implied by white
//! space) before `OR`. Never panics, never reads a clause as less than it says: what cannot be
//! honoured is an error at its column.

use std::ops::Range;

use crate::ast::{Expr, Query, SPANS, Signal};
use crate::error::QueryError;
use crate::field::{EXISTS, Field, INDEX};
use crate::limits;
use crate::scan::Scanner;

/// Parses a query that names its index, or is of logs. White space alone matches everything, as `*` does.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    parse_in(text, None)
}

/// Parses a query of this index, unless it names another.
pub fn parse_in(text: &str, default_index: Option<&str>) -> Result<Query, QueryError> {
    if text.len() > limits::QUERY_BYTES_MAX {
        let message = format!(
            "the query has {} bytes; {} are allowed",
            text.len(),
            limits::QUERY_BYTES_MAX
        );
        return Err(QueryError {
            message,
            span: 0..0,
        });
    }
    // `index:` may come last, after clauses whose meaning it decides.
    let mut parser = Parser::new(text, Signal::Logs);
    let expr = parser.filter();
    let index = parser.index.as_ref().map(|(name, _)| name.as_str());
    if index.or(default_index) == Some(SPANS) {
        parser = Parser::new(text, Signal::Spans);
        let expr = parser.filter()?;
        return parser.rest(expr);
    }
    parser.rest(expr?)
}

/// `index:` chooses where to search, so it must hold for the whole query.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Top,
    Inside,
}

pub(crate) struct Parser<'a> {
    pub(crate) scan: Scanner<'a>,
    pub(crate) signal: Signal,
    depth: usize,
    clauses: usize,
    pub(crate) regexes: usize,
    pub(crate) index: Option<(String, Range<usize>)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, signal: Signal) -> Parser<'a> {
        Parser {
            scan: Scanner { text, at: 0 },
            signal,
            depth: 0,
            clauses: 0,
            regexes: 0,
            index: None,
        }
    }

    fn filter(&mut self) -> Result<Expr, QueryError> {
        self.scan.skip_space();
        let expr = if self.scan.peek().is_none_or(|c| c == '|') {
            Expr::All
        } else {
            self.any(Place::Top, None)?
        };
        self.scan.skip_space();
        if self.scan.peek() == Some(')') {
            let at = self.scan.at;
            return Err(self.error(at..at + 1, "closes nothing; remove it or add the `(`"));
        }
        Ok(expr)
    }

    /// What follows the filter.
    fn rest(mut self, expr: Expr) -> Result<Query, QueryError> {
        let pipes_from = self.scan.at;
        let pipes = self.pipes()?;
        Ok(Query {
            expr,
            index: self.index.map(|(name, _)| name),
            signal: self.signal,
            pipes,
            pipes_from,
            text: self.scan.text.to_owned(),
        })
    }

    /// `group`: the field of `field:( … )`, which bare words inside it belong to.
    fn any(&mut self, place: Place, group: Option<&Field>) -> Result<Expr, QueryError> {
        let mut branches = vec![self.all(place, group)?];
        loop {
            self.scan.skip_space();
            let Some(keyword) = self.scan.eat_keyword("OR") else {
                break;
            };
            self.need_operand(&keyword, "OR")?;
            if let (Place::Top, Some((_, span))) = (place, self.index.clone()) {
                return Err(self.misplaced_index(span));
            }
            branches.push(self.all(Place::Inside, group)?);
        }
        Ok(if branches.len() == 1 {
            branches.remove(0)
        } else {
            Expr::Or(branches)
        })
    }

    fn all(&mut self, place: Place, group: Option<&Field>) -> Result<Expr, QueryError> {
        let mut parts = Vec::new();
        let mut indexes = 0;
        loop {
            self.scan.skip_space();
            let first = parts.is_empty() && indexes == 0;
            if let Some(keyword) = self.scan.eat_keyword("AND") {
                if first {
                    return Err(self.error(
                        keyword,
                        "has nothing on its left; quote it to search for the word",
                    ));
                }
                self.need_operand(&keyword, "AND")?;
            } else if !first
                && (matches!(self.scan.peek(), None | Some(')' | '|'))
                    || self.scan.at_keyword("OR"))
            {
                break;
            }
            if self.scan.rest().is_empty() {
                break;
            }
            match self.unary(place, group)? {
                Some(expr) => parts.push(expr),
                None => indexes += 1,
            }
        }
        Ok(match parts.len() {
            0 => Expr::All,
            1 => parts.remove(0),
            _ => Expr::And(parts),
        })
    }

    /// `None` for `index:NAME`, which is no part of the expression.
    fn unary(&mut self, place: Place, group: Option<&Field>) -> Result<Option<Expr>, QueryError> {
        self.scan.skip_space();
        let from = self.scan.at;
        if let Some(keyword) = self.scan.eat_keyword("NOT") {
            self.need_operand(&keyword, "NOT")?;
        } else if self.scan.eat('-') {
            if self.scan.at_boundary() {
                return Err(self.error(
                    from..from + 1,
                    "negates nothing; write `-word` without a space, or quote it",
                ));
            }
        } else {
            return self.primary(place, group);
        }
        self.descend(from)?;
        let inner = self.unary(Place::Inside, group)?;
        self.depth -= 1;
        Ok(inner.map(|inner| Expr::Not(Box::new(inner))))
    }

    fn primary(&mut self, place: Place, group: Option<&Field>) -> Result<Option<Expr>, QueryError> {
        let from = self.scan.at;
        match self.scan.peek() {
            Some('(') => return self.group(group).map(Some),
            Some(')' | '|') => {
                return Err(self.error(
                    from..from + 1,
                    "stands where a clause should; write one before it",
                ));
            }
            Some('O') => {
                if let Some(keyword) = self.scan.eat_keyword("OR") {
                    return Err(self.error(
                        keyword,
                        "has nothing on its left; quote it to search for the word",
                    ));
                }
            }
            _ => {}
        }
        self.clauses += 1;
        if self.clauses > limits::CLAUSES_MAX {
            let complaint = format!(
                "is one clause too many; {} are allowed",
                limits::CLAUSES_MAX
            );
            return Err(self.error(from..from, &complaint));
        }
        match self.scan.field_name() {
            None => self
                .value(group.cloned().unwrap_or(Field::Raw), group.is_some(), from)
                .map(Some),
            Some(name) if name == INDEX => self.index(place, from).map(|()| None),
            Some(name) if name == EXISTS => self.exists(from).map(Some),
            Some(name) => {
                self.need_value(&name, from)?;
                let field = self.field(&name, from)?;
                if self.scan.peek() == Some('(') {
                    return self.group(Some(&field)).map(Some);
                }
                self.value(field, true, from).map(Some)
            }
        }
    }

    fn group(&mut self, field: Option<&Field>) -> Result<Expr, QueryError> {
        let open = self.scan.at;
        self.scan.bump();
        self.descend(open)?;
        self.scan.skip_space();
        if self.scan.peek() == Some(')') {
            return Err(self.error(
                open..self.scan.at + 1,
                "is empty; write a clause between the parentheses",
            ));
        }
        if self.scan.peek().is_none() {
            return Err(self.error(open..open + 1, "is never closed; add `)`"));
        }
        let inner = self.any(Place::Inside, field)?;
        self.scan.skip_space();
        if self.scan.peek() == Some('|') {
            let at = self.scan.at;
            return Err(self.error(
                at..at + 1,
                "stands inside parentheses; close them before it, or quote it if it is part of a text",
            ));
        }
        if !self.scan.eat(')') {
            return Err(self.error(open..open + 1, "is never closed; add `)`"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    fn descend(&mut self, at: usize) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > limits::DEPTH_MAX {
            let complaint = format!(
                "nests deeper than {} levels; flatten the query",
                limits::DEPTH_MAX
            );
            return Err(self.error(at..at + 1, &complaint));
        }
        Ok(())
    }

    fn need_operand(&mut self, keyword: &Range<usize>, name: &str) -> Result<(), QueryError> {
        self.scan.skip_space();
        if self.scan.peek().is_none_or(|c| matches!(c, ')' | '|')) {
            let complaint = format!(
                "has nothing on its right; write a clause there, or quote it to search for the word `{name}`"
            );
            return Err(self.error(keyword.clone(), &complaint));
        }
        Ok(())
    }

    pub(crate) fn closed_quote(&mut self, from: usize) -> Result<String, QueryError> {
        match self.scan.quoted() {
            Some(text) => Ok(text),
            None => Err(self.error(
                from..self.scan.text.len(),
                "has an opening `\"` without a closing one; add it, or write `\\\"`",
            )),
        }
    }

    pub(crate) fn error(&self, span: Range<usize>, complaint: &str) -> QueryError {
        if span.is_empty() {
            return QueryError::missing(
                self.scan.text,
                span.start,
                &format!("what stands {complaint}"),
            );
        }
        QueryError::at(self.scan.text, span, complaint)
    }
}
