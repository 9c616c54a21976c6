//! AST → text. The text parses to the same AST: the property that keeps saved queries, logs and
//! the page's builder honest.

use std::fmt::{self, Display, Formatter};
use std::ops::Bound;

use logboom_event::Level;

use crate::ast::{Clause, Expr, Query, Range, Signal, Test};
use crate::field::{EXISTS, Field, INDEX};
use crate::glob::Piece;
use crate::groups::key_text;
use crate::pipe::{GroupKey, Pipe, Stats};
use crate::stats::{call_text, is_plain};
use crate::time;

impl Display for Query {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let expr = Shown {
            it: &self.expr,
            signal: self.signal,
        };
        match &self.index {
            None => write!(out, "{expr}")?,
            Some(index) => {
                write!(out, "{INDEX}:")?;
                quoted(out, index)?;
                match &self.expr {
                    Expr::All => {}
                    Expr::And(_) => write!(out, " AND {expr}")?,
                    _ => {
                        out.write_str(" AND ")?;
                        expr.operand(out)?;
                    }
                }
            }
        }
        for pipe in &self.pipes {
            out.write_str(" | ")?;
            match pipe {
                Pipe::Stats(stats) => expr.of(stats).fmt(out)?,
                Pipe::Sort(keys) => {
                    let Some(stats) = self.stats() else { continue };
                    for (at, key) in keys.iter().enumerate() {
                        out.write_str(if at == 0 { "sort " } else { ", " })?;
                        out.write_str(if key.descending { "-" } else { "" })?;
                        expr.of(stats).column(out, key.column)?;
                    }
                }
                Pipe::Limit(rows) => write!(out, "limit {rows}")?,
            }
        }
        Ok(())
    }
}

impl Display for Shown<'_, Stats> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let groups = self.it.by.len();
        let columns = self.it.columns().count();
        for column in (groups..columns).chain(0..groups) {
            out.write_str(match column {
                0 if groups > 0 => " by ",
                column if column == groups => "stats ",
                _ => ", ",
            })?;
            let (name, text) = self.name_and_text(column);
            out.write_str(&text)?;
            if name != text {
                out.write_str(" as ")?;
                column_name(out, name)?;
            }
        }
        Ok(())
    }
}

impl Shown<'_, Stats> {
    /// A column's name, and how what it holds is written.
    fn name_and_text(&self, column: usize) -> (&str, String) {
        match self.it.by.get(column) {
            Some(group) => (&group.name, key_text(&group.key, self.signal)),
            None => {
                let aggregate = &self.it.aggregates[column - self.it.by.len()];
                let field = aggregate.field.as_ref();
                let text = call_text(aggregate.function, field, self.signal);
                (&aggregate.name, text)
            }
        }
    }

    /// A column as `sort` names it.
    fn column(&self, out: &mut Formatter<'_>, column: usize) -> fmt::Result {
        let (name, text) = self.name_and_text(column);
        let field = self.it.by.get(column).map(|group| &group.key);
        // A call reads back as itself; a field's name may need the quotes.
        if name == text && !matches!(field, Some(GroupKey::Field(_))) {
            return out.write_str(name);
        }
        column_name(out, name)
    }
}

fn column_name(out: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain(name) {
        return out.write_str(name);
    }
    quoted(out, name)
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
        let name = field.in_clause(self.signal);
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
