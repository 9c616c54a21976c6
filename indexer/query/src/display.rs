//! AST → text. The text parses to the same AST: the property that keeps saved queries, logs and
//! the page's builder honest.

use std::fmt::{self, Display, Formatter};
use std::ops::Bound;

use logboom_event::Level;

use crate::ast::{Clause, Expr, Query, Range, Signal, Test};
use crate::field::{EXISTS, Field, INDEX};
use crate::glob::Piece;
use crate::time;

impl Display for Query {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let expr = Shown {
            it: &self.expr,
            signal: self.signal,
        };
        let Some(index) = &self.index else {
            return write!(out, "{expr}");
        };
        write!(out, "{INDEX}:")?;
        quoted(out, index)?;
        match &self.expr {
            Expr::All => Ok(()),
            Expr::And(_) => write!(out, " AND {expr}"),
            _ => {
                out.write_str(" AND ")?;
                expr.operand(out)
            }
        }
    }
}

/// A part of a query with what decides how its fields are spelled.
struct Shown<'a, T> {
    it: &'a T,
    signal: Signal,
}

impl Display for Shown<'_, Expr> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.it {
            Expr::All => out.write_str("*"),
            Expr::And(all) => self.joined(out, all, " AND "),
            Expr::Or(any) => self.joined(out, any, " OR "),
            Expr::Not(inner) => {
                out.write_str("NOT ")?;
                self.of(&**inner).operand(out)
            }
            Expr::Clause(clause) => self.of(clause).fmt(out),
        }
    }
}

impl<T> Shown<'_, T> {
    fn of<'b, U>(&self, it: &'b U) -> Shown<'b, U> {
        Shown {
            it,
            signal: self.signal,
        }
    }
}

impl Shown<'_, Expr> {
    fn joined(&self, out: &mut Formatter<'_>, exprs: &[Expr], operator: &str) -> fmt::Result {
        for (index, expr) in exprs.iter().enumerate() {
            if index > 0 {
                out.write_str(operator)?;
            }
            self.of(expr).operand(out)?;
        }
        Ok(())
    }

    fn operand(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.it {
            Expr::And(_) | Expr::Or(_) => write!(out, "({self})"),
            Expr::All | Expr::Not(_) | Expr::Clause(_) => write!(out, "{self}"),
        }
    }
}

impl Display for Shown<'_, Clause> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Clause { field, test, .. } = self.it;
        let name = field.spelled(self.signal);
        if *test == Test::Exists {
            return write!(out, "{EXISTS}:{name}");
        }
        if *field != Field::Raw {
            write!(out, "{name}:")?;
        }
        match test {
            Test::Words(words) => pieces(out, words.pieces()),
            Test::Exact(exact) => quoted(out, exact.texts().next().unwrap_or_default()),
            Test::Glob(glob) => escaped(out, glob.pieces()),
            Test::Range(Range::Number { low, high }) => {
                range(out, low, high, |out, number| write!(out, "{number}"))
            }
            Test::Range(Range::Text { low, high }) => {
                range(out, low, high, |out, text| quoted(out, text))
            }
            Test::Level { low, high } if low == high => write!(out, "{low}"),
            Test::Level {
                low,
                high: Level::Fatal,
            } => write!(out, ">={low}"),
            Test::Level { low, high } => write!(out, "[{low} TO {high}]"),
            Test::Time { from, until } => {
                let low = from.map_or(Bound::Unbounded, Bound::Included);
                let high = until.map_or(Bound::Unbounded, Bound::Excluded);
                range(out, &low, &high, |out, ns| {
                    write!(out, "\"{}\"", time::display(*ns))
                })
            }
            Test::Regex(pattern) => write!(out, "/{}/", pattern.text()),
            Test::Id(id) => write!(out, "\"{id}\""),
            Test::Exists => Ok(()),
        }
    }
}

fn range<T>(
    out: &mut Formatter<'_>,
    low: &Bound<T>,
    high: &Bound<T>,
    mut bound: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    out.write_str(if matches!(low, Bound::Excluded(_)) {
        "{"
    } else {
        "["
    })?;
    match low {
        Bound::Included(low) | Bound::Excluded(low) => bound(out, low)?,
        Bound::Unbounded => out.write_str("*")?,
    }
    out.write_str(" TO ")?;
    match high {
        Bound::Included(high) | Bound::Excluded(high) => bound(out, high)?,
        Bound::Unbounded => out.write_str("*")?,
    }
    out.write_str(if matches!(high, Bound::Excluded(_)) {
        "}"
    } else {
        "]"
    })
}

/// Plain words stay plain; what needs care is quoted, or escaped where quotes would change a star.
fn pieces(out: &mut Formatter<'_>, pieces: &[Piece]) -> fmt::Result {
    if pieces
        .iter()
        .any(|piece| matches!(piece, Piece::One | Piece::Many | Piece::Char('*')))
    {
        return escaped(out, pieces);
    }
    let text: String = pieces
        .iter()
        .filter_map(|piece| {
            if let Piece::Char(c) = piece {
                Some(*c)
            } else {
                None
            }
        })
        .collect();
    if text.chars().all(char::is_alphanumeric)
        && !matches!(text.as_str(), "AND" | "OR" | "NOT" | "TO")
    {
        return out.write_str(&text);
    }
    quoted(out, &text)
}

fn quoted(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    out.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.write_str("\\")?;
        }
        write!(out, "{c}")?;
    }
    out.write_str("\"")
}

fn escaped(out: &mut Formatter<'_>, pieces: &[Piece]) -> fmt::Result {
    for piece in pieces {
        match piece {
            Piece::One => out.write_str("?")?,
            Piece::Many => out.write_str("*")?,
            Piece::Char(c) if c.is_alphanumeric() => write!(out, "{c}")?,
            Piece::Char(c) => write!(out, "\\{c}")?,
        }
    }
    Ok(())
}
