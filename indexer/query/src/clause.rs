//! One clause: what stands after the colon (or alone), made into the test that its field can take.

use std::ops::{Bound, Range as Span};

use logboom_event::token::{Kind, fold, kind};
use logboom_event::{EventId, Level};

use crate::ast::{Clause, Exact, Expr, Range, Test};
use crate::error::QueryError;
use crate::field::Field;
use crate::glob::{Glob, Piece};
use crate::limits;
use crate::name::existence;
use crate::number::Number;
use crate::parse::Parser;
use crate::pattern::Pattern;
use crate::span_clause::chosen;
use crate::span_field::SpanField;
use crate::time;
use crate::words::{Words, fold_pieces};

/// One end of a range, as written.
pub(crate) struct End {
    pub(crate) text: String,
    /// Quotes make a text of a number.
    quoted: bool,
}

impl Parser<'_> {
    /// A value of `field`; `named` when the field was written, so that operators may follow.
    pub(crate) fn value(
        &mut self,
        field: Field,
        named: bool,
        from: usize,
    ) -> Result<Expr, QueryError> {
        match self.scan.peek() {
            Some('"') => {
                self.scan.bump();
                let text = self.closed_quote(from)?;
                let pieces = if field.is_text() {
                    phrase_pieces(&text)
                } else {
                    text.chars().map(Piece::Char).collect()
                };
                return self.literal(field, pieces, from);
            }
            Some('/') => {
                if let Some(pattern) = self.scan.regex() {
                    return self.regex(field, pattern, from);
                }
            }
            Some('[' | '{') if named => return self.range(field, from),
            Some('>' | '<') if named => return self.comparison(field, from),
            _ => {}
        }
        let pieces = self.scan.word();
        if pieces.iter().all(|piece| *piece == Piece::Many) {
            let span = from..self.scan.at;
            return Ok(if named {
                existence(field, span)
            } else {
                Expr::All
            });
        }
        self.literal(field, pieces, from)
    }

    /// Words, a whole value or a wildcard, as the field takes it.
    fn literal(
        &mut self,
        field: Field,
        pieces: Vec<Piece>,
        from: usize,
    ) -> Result<Expr, QueryError> {
        let span = from..self.scan.at;
        if pieces.len() > limits::GLOB_PIECES_MAX && has_wildcard(&pieces) {
            let complaint = format!(
                "is a wildcard pattern of {} characters; {} are allowed",
                pieces.len(),
                limits::GLOB_PIECES_MAX
            );
            return Err(self.error(span, &complaint));
        }
        let text: Option<String> = pieces
            .iter()
            .map(|piece| {
                if let Piece::Char(c) = piece {
                    Some(*c)
                } else {
                    None
                }
            })
            .collect();
        let test = match (&field, text) {
            (Field::Raw | Field::Body, _) => self.words(pieces, &span)?,
            (Field::Level, Some(text)) => {
                let level = self.level(&text, &span)?;
                Test::Level {
                    low: level,
                    high: level,
                }
            }
            (Field::Timestamp, Some(text)) => {
                let time = self.time(&text, &span)?;
                Test::Time {
                    from: Some(time.from),
                    until: Some(time.until),
                }
            }
            (Field::Timestamp | Field::Id, None) => {
                return Err(self.error(
                    span,
                    "cannot take a wildcard; write a range, or a whole value",
                ));
            }
            (Field::Id, Some(text)) => match text.parse::<EventId>() {
                Ok(id) => Test::Id(id),
                Err(_) => {
                    return Err(self.error(
                        span,
                        "is no event id; copy one from a hit, e.g. `id:0-3-1042-0`",
                    ));
                }
            },
            (Field::Span(own), Some(text)) => self.own_value(own, &text, &span)?,
            (_, Some(text)) => Test::Exact(Exact::new(&text)),
            (field, None) => {
                let glob = Glob::new(fold_pieces(&pieces));
                self.can_match(field, &span, |choice| glob.matches(choice))?;
                Test::Glob(glob)
            }
        };
        Ok(Expr::Clause(Clause { field, test, span }))
    }

    fn words(&self, pieces: Vec<Piece>, span: &Span<usize>) -> Result<Test, QueryError> {
        let Some(words) = Words::new(pieces) else {
            let complaint = match &self.scan.text[span.clone()] {
                "&&" => "is not an operator; write `AND`",
                _ => "has no letter or digit to search for; use a regex, e.g. `/-->/`",
            };
            return Err(self.error(span.clone(), complaint));
        };
        if words.tests().len() > limits::WORDS_MAX {
            let complaint = format!(
                "has {} words in sequence; {} are allowed",
                words.tests().len(),
                limits::WORDS_MAX
            );
            return Err(self.error(span.clone(), &complaint));
        }
        Ok(Test::Words(words))
    }

    fn regex(
        &mut self,
        field: Field,
        pattern: Span<usize>,
        from: usize,
    ) -> Result<Expr, QueryError> {
        let span = from..self.scan.at;
        if matches!(field, Field::Timestamp | Field::Id) {
            return Err(self.error(span, "cannot take a regex; write a range, or a whole value"));
        }
        self.regexes += 1;
        if self.regexes > limits::REGEXES_MAX {
            let complaint = format!("is one regex too many; {} are allowed", limits::REGEXES_MAX);
            return Err(self.error(span, &complaint));
        }
        match Pattern::new(&self.scan.text[pattern.clone()]) {
            Ok(pattern) => {
                self.can_match(&field, &span, |choice| pattern.is_match(choice))?;
                Ok(Expr::Clause(Clause {
                    field,
                    test: Test::Regex(pattern),
                    span,
                }))
            }
            Err(error) => {
                let mut refused = self.error(span, &error.complaint);
                if let Some(offset) = error.offset {
                    let column = crate::error::column(self.scan.text, pattern.start + offset);
                    refused.message.push_str(&format!(" (column {column})"));
                }
                Err(refused)
            }
        }
    }

    /// `>=N`, `>N`, `<=N`, `<N`
    fn comparison(&mut self, field: Field, from: usize) -> Result<Expr, QueryError> {
        let greater = self.scan.bump() == Some('>');
        let inclusive = self.scan.eat('=');
        let end = self.range_end(from, &[])?;
        let bound = if inclusive {
            Bound::Included(end)
        } else {
            Bound::Excluded(end)
        };
        let (low, high) = if greater {
            (bound, Bound::Unbounded)
        } else {
            (Bound::Unbounded, bound)
        };
        self.between(field, low, high, from)
    }

    /// `[low TO high]`; a brace excludes its end, `*` leaves it open.
    fn range(&mut self, field: Field, from: usize) -> Result<Expr, QueryError> {
        let low_excluded = self.scan.bump() == Some('{');
        self.scan.skip_space();
        let low = self.range_end(from, &[']', '}'])?;
        self.scan.skip_space();
        if self.scan.eat_keyword("TO").is_none() {
            return Err(self.error(
                from..self.scan.at,
                "is not a range; write e.g. `field:[10 TO 20]`, or quote it to search for the text",
            ));
        }
        self.scan.skip_space();
        let high = self.range_end(from, &[']', '}'])?;
        self.scan.skip_space();
        let high_excluded = match self.scan.bump() {
            Some(']') => false,
            Some('}') => true,
            _ => {
                return Err(self.error(
                    from..self.scan.at,
                    "is a range without its end; add `]`, or `}` to exclude the last value",
                ));
            }
        };
        let bound = |end: End, excluded: bool| match (end.text.as_str(), end.quoted, excluded) {
            ("*", false, _) => Bound::Unbounded,
            (_, _, true) => Bound::Excluded(end),
            (_, _, false) => Bound::Included(end),
        };
        self.between(
            field,
            bound(low, low_excluded),
            bound(high, high_excluded),
            from,
        )
    }

    fn range_end(&mut self, from: usize, closers: &[char]) -> Result<End, QueryError> {
        if self.scan.eat('"') {
            return Ok(End {
                text: self.closed_quote(from)?,
                quoted: true,
            });
        }
        let rest = self.scan.rest();
        let length = rest
            .find(|c: char| {
                c.is_whitespace() || matches!(c, ')' | '|' | '"') || closers.contains(&c)
            })
            .unwrap_or(rest.len());
        self.scan.at += length;
        if length == 0 {
            return Err(self.error(
                from..self.scan.at,
                "compares with nothing; write e.g. `status:>=500` or `status:[500 TO 599]`",
            ));
        }
        Ok(End {
            text: rest[..length].to_owned(),
            quoted: false,
        })
    }

    fn between(
        &mut self,
        field: Field,
        low: Bound<End>,
        high: Bound<End>,
        from: usize,
    ) -> Result<Expr, QueryError> {
        let span = from..self.scan.at;
        if matches!((&low, &high), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(existence(field, span));
        }
        let test = match field {
            Field::Span(SpanField::Duration) => self.duration_range(low, high, &span)?,
            Field::Span(ref own) if own.choices().is_some() => {
                let complaint = format!("cannot be compared by order; {}", chosen(own));
                return Err(self.error(span, &complaint));
            }
            Field::Raw
            | Field::Body
            | Field::Id
            | Field::TraceId
            | Field::SpanId
            | Field::Span(SpanField::ParentId | SpanField::LinkTraceId | SpanField::LinkSpanId) => {
                return Err(self.error(span, "cannot be compared by order; ranges work on level, timestamp, service, host, source and attributes"));
            }
            Field::Level => self.level_range(low, high, &span)?,
            Field::Timestamp => self.time_range(low, high, &span)?,
            Field::Service | Field::Host | Field::Path | Field::Span(_) | Field::Attribute(_) => {
                Test::Range(value_range(low, high))
            }
        };
        Ok(Expr::Clause(Clause { field, test, span }))
    }

    fn level(&self, text: &str, span: &Span<usize>) -> Result<Level, QueryError> {
        text.parse().map_err(|_| {
            let complaint = format!("asks for `{text}`, which is no level; levels are trace, debug, info, warn, error, fatal");
            self.error(span.clone(), &complaint)
        })
    }

    fn level_range(
        &self,
        low: Bound<End>,
        high: Bound<End>,
        span: &Span<usize>,
    ) -> Result<Test, QueryError> {
        let position = |level: Level| {
            Level::ALL
                .iter()
                .position(|other| *other == level)
                .unwrap_or_default()
        };
        let first = match low {
            Bound::Included(end) => position(self.level(&end.text, span)?),
            Bound::Excluded(end) => position(self.level(&end.text, span)?) + 1,
            Bound::Unbounded => 0,
        };
        let end = match high {
            Bound::Included(end) => position(self.level(&end.text, span)?) + 1,
            Bound::Excluded(end) => position(self.level(&end.text, span)?),
            Bound::Unbounded => Level::ALL.len(),
        };
        match Level::ALL.get(first..end) {
            Some([level]) => Ok(Test::Level {
                low: *level,
                high: *level,
            }),
            Some([low, .., high]) => Ok(Test::Level {
                low: *low,
                high: *high,
            }),
            _ => Err(self.error(
                span.clone(),
                "contains no level; in order they are trace, debug, info, warn, error, fatal",
            )),
        }
    }

    fn time(&self, text: &str, span: &Span<usize>) -> Result<time::Span, QueryError> {
        time::parse(text).ok_or_else(|| {
            let complaint = "needs a time such as `2026-01-31`, `\"2026-01-31 10:00\"` or `2026-01-31T10:00:00Z`; relative times go into from and to";
            self.error(span.clone(), complaint)
        })
    }

    fn time_range(
        &self,
        low: Bound<End>,
        high: Bound<End>,
        span: &Span<usize>,
    ) -> Result<Test, QueryError> {
        let from = match low {
            Bound::Included(end) => Some(self.time(&end.text, span)?.from),
            Bound::Excluded(end) => Some(self.time(&end.text, span)?.until),
            Bound::Unbounded => None,
        };
        let until = match high {
            Bound::Included(end) => Some(self.time(&end.text, span)?.until),
            Bound::Excluded(end) => Some(self.time(&end.text, span)?.from),
            Bound::Unbounded => None,
        };
        Ok(Test::Time { from, until })
    }
}

/// By number when every end is one, by text otherwise.
fn value_range(low: Bound<End>, high: Bound<End>) -> Range {
    let number = |bound: &Bound<End>| match bound {
        Bound::Included(end) if !end.quoted => Number::parse(&end.text).map(Bound::Included),
        Bound::Excluded(end) if !end.quoted => Number::parse(&end.text).map(Bound::Excluded),
        Bound::Unbounded => Some(Bound::Unbounded),
        _ => None,
    };
    if let (Some(low), Some(high)) = (number(&low), number(&high)) {
        return Range::Number { low, high };
    }
    let text = |bound: Bound<End>| bound.map(|end| fold(&end.text).into_owned());
    Range::Text {
        low: text(low),
        high: text(high),
    }
}

/// In a phrase a star beside a letter or digit is a wildcard (`"conn* refused"`); a star on its
/// own and a question mark are text, as in `"SELECT * FROM"`.
fn phrase_pieces(text: &str) -> Vec<Piece> {
    let joins = |c: Option<char>| c.is_some_and(|c| kind(c) != Kind::Separator);
    let mut last = None;
    let mut chars = text.chars().peekable();
    let mut pieces = Vec::new();
    while let Some(c) = chars.next() {
        let star = c == '*' && (joins(last) || joins(chars.peek().copied()));
        pieces.push(if star { Piece::Many } else { Piece::Char(c) });
        last = Some(c);
    }
    pieces
}

fn has_wildcard(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| !matches!(piece, Piece::Char(_)))
}
