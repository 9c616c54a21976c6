//! Text → `stats`: functions, and what they are applied to.

use std::ops::Range as Span;

use crate::ast::Signal;
use crate::error::QueryError;
use crate::field::{Field, is_name_char, is_name_start};
use crate::limits;
use crate::near::meant;
use crate::parse::Parser;
use crate::pipe::{Aggregate, Function, Quantile, Stats};
use crate::span_field::SpanField;

const FUNCTIONS: [(&str, Function); 6] = [
    ("count", Function::Count),
    ("count_distinct", Function::CountDistinct),
    ("sum", Function::Sum),
    ("avg", Function::Avg),
    ("min", Function::Min),
    ("max", Function::Max),
];
const QUANTILE: &str = "quantile";

/// What other languages call them.
const FOREIGN: [(&str, &str); 10] = [
    ("mean", "avg"),
    ("average", "avg"),
    ("median", "p50"),
    ("percentile", "p99"),
    ("perc", "p99"),
    ("dc", "count_distinct"),
    ("distinct", "count_distinct"),
    ("distinct_count", "count_distinct"),
    ("cardinality", "count_distinct"),
    ("total", "sum"),
];

impl Parser<'_> {
    pub(crate) fn stats(&mut self) -> Result<Stats, QueryError> {
        let mut stats = Stats {
            aggregates: Vec::new(),
            by: Vec::new(),
        };
        loop {
            self.scan.skip_space();
            let from = self.scan.at;
            let (function, field) = self.call()?;
            let default = call_text(function, field.as_ref(), self.signal);
            let name = self.alias(default)?;
            self.unused(&stats, &name, from)?;
            let aggregate = Aggregate {
                function,
                field,
                name,
            };
            stats.aggregates.push(aggregate);
            if stats.aggregates.len() > limits::AGGREGATES_MAX {
                let complaint = format!(
                    "is one function too many; {} are allowed",
                    limits::AGGREGATES_MAX
                );
                return Err(self.error(from..self.scan.at, &complaint));
            }
            if !self.scan.eat(',') {
                break;
            }
        }
        if self.word_is("by") {
            self.scan.at += "by".len();
            self.groups(&mut stats)?;
        } else if !self.at_pipe() {
            return Err(self.stray("`,` and a function, `by`, `as`, a `|` or the end"));
        }
        Ok(stats)
    }

    /// `p99(duration)`
    pub(crate) fn call(&mut self) -> Result<(Function, Option<Field>), QueryError> {
        let from = self.scan.at;
        if self.at_pipe() {
            let complaint = "`stats` needs a function such as `count()` or `p99(duration)`";
            return Err(QueryError::missing(self.scan.text, from, complaint));
        }
        let Some(name) = self.scan.name() else {
            let token = self.token();
            return Err(self.error(token, "is no function; write e.g. `count()`"));
        };
        let quantile = name == QUANTILE;
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let function = known.map(|(_, function)| *function);
        let function = function.or_else(|| Quantile::parse(&name).map(Function::Quantile));
        if function.is_none() && !quantile {
            return Err(self.unknown_function(&name, from..self.scan.at));
        }
        if !self.scan.eat('(') {
            let example = if name == "count" { "" } else { "field" };
            let complaint = format!("is a function; write `{name}({example})`");
            return Err(self.error(from..self.scan.at, &complaint));
        }
        self.scan.skip_space();
        let function = match function {
            Some(function) => function,
            None => Function::Quantile(self.fraction(from)?),
        };
        let field = if self.scan.peek() == Some(')') {
            None
        } else {
            Some(self.pipe_field()?)
        };
        self.close_call(from)?;
        let span = from..self.scan.at;
        match &field {
            None if function != Function::Count => {
                let complaint = format!("needs a field; write e.g. `{}`", example(function));
                Err(self.error(span, &complaint))
            }
            Some(field) if !takes(function, field) => Err(self.untakable(field, span)),
            _ => Ok((function, field)),
        }
    }

    fn fraction(&mut self, from: usize) -> Result<Quantile, QueryError> {
        let token = self.token();
        let Some(quantile) = Quantile::of_fraction(&self.scan.text[token.clone()]) else {
            let complaint = "needs a number from 0 to 1 first, with at most six decimals; write e.g. `quantile(0.99, duration)`";
            return Err(self.error(from..token.end, complaint));
        };
        self.scan.at = token.end;
        self.scan.skip_space();
        // Without a comma there is no field; that is said by who asks for it.
        if self.scan.eat(',') {
            self.scan.skip_space();
        } else if self.scan.peek() != Some(')') {
            let complaint = "needs a comma after the number; write e.g. `quantile(0.99, duration)`";
            return Err(self.error(from..self.scan.at, complaint));
        }
        Ok(quantile)
    }

    pub(crate) fn close_call(&mut self, from: usize) -> Result<(), QueryError> {
        self.scan.skip_space();
        if self.scan.eat(')') {
            return Ok(());
        }
        let complaint = match self.scan.peek() {
            Some(',') => "has more than one field; write one function for each",
            Some(c) if c != '|' => {
                "takes a field's name and no expression; `\\` takes the meaning from a special character"
            }
            _ => "is never closed; add `)`",
        };
        let end = self.token().end.max(self.scan.at);
        let end = if self.at_pipe() { self.scan.at } else { end };
        Err(self.error(from..end, complaint))
    }

    fn unknown_function(&self, name: &str, span: Span<usize>) -> QueryError {
        let number = name.strip_prefix('p').unwrap_or_default();
        if number.starts_with(|c: char| c.is_ascii_digit()) {
            let complaint =
                "is no quantile; they go from `p0` to `p100`, with at most four decimals";
            return self.error(span, complaint);
        }
        let names = FUNCTIONS.iter().map(|(known, _)| *known).chain([QUANTILE]);
        let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == name);
        let hint = match foreign {
            Some((_, ours)) => format!(", perhaps `{ours}` is meant"),
            None => meant(name, names.clone()),
        };
        let known = names.collect::<Vec<_>>().join(", ");
        let complaint =
            format!("is no function{hint}; functions are {known}, and `p50` or any other `pNN`");
        self.error(span, &complaint)
    }

    fn untakable(&self, field: &Field, span: Span<usize>) -> QueryError {
        let name = field.in_pipe(self.signal);
        let complaint = match field {
            Field::Timestamp => format!(
                "needs numbers, and `{name}` is a time; `min`, `max`, `count` and `count_distinct` take it"
            ),
            _ => format!(
                "needs numbers, and `{name}` is text; write `{}` for how many there are",
                call_text(Function::CountDistinct, Some(field), self.signal)
            ),
        };
        self.error(span, &complaint)
    }

    /// A field's name, where no colon follows it.
    pub(crate) fn pipe_field(&mut self) -> Result<Field, QueryError> {
        let from = self.scan.at;
        let name = if self.scan.eat('"') {
            self.closed_quote(from)?
        } else {
            self.scan.name().unwrap_or_default()
        };
        if name.is_empty() {
            let token = self.token();
            let complaint = match &self.scan.text[token.clone()] {
                "" if self.scan.at == from => {
                    let complaint = "a field's name is missing";
                    return Err(QueryError::missing(self.scan.text, from, complaint));
                }
                "*" => "is no field's name; `count()` counts events whatever they have",
                _ => "is no field's name",
            };
            return Err(self.error(from..token.end, complaint));
        }
        match self.field(&name, from)? {
            Field::Id => Err(self.error(
                from..self.scan.at,
                "is different for every event; use `count()` for their number",
            )),
            field => Ok(field),
        }
    }

    /// `as name`; what the column is called without.
    pub(crate) fn alias(&mut self, default: String) -> Result<String, QueryError> {
        self.scan.skip_space();
        if !self.word_is("as") {
            return Ok(default);
        }
        let from = self.scan.at;
        self.scan.at += "as".len();
        self.scan.skip_space();
        let name = if self.scan.eat('"') {
            self.closed_quote(from)?
        } else {
            self.scan.name().unwrap_or_default()
        };
        let span = from..self.scan.at;
        if name.is_empty() {
            return Err(self.error(span, "needs a name; write e.g. `count() as requests`"));
        }
        if name.len() > limits::NAME_BYTES_MAX {
            let complaint = format!("is a name of more than {} bytes", limits::NAME_BYTES_MAX);
            return Err(self.error(span, &complaint));
        }
        self.scan.skip_space();
        Ok(name)
    }

    pub(crate) fn unused(&self, stats: &Stats, name: &str, from: usize) -> Result<(), QueryError> {
        if stats.columns().all(|column| column != name) {
            return Ok(());
        }
        let complaint = format!("is a second column `{name}`; name one of them with `as`");
        Err(self.error(from..self.scan.at, &complaint))
    }

    pub(crate) fn at_pipe(&self) -> bool {
        self.scan.peek().is_none_or(|c| c == '|')
    }

    fn word_is(&self, word: &str) -> bool {
        let after = self.scan.rest().strip_prefix(word);
        after.is_some_and(|after| !after.starts_with(is_name_char))
    }
}

/// Can the function say something of the field's values?
fn takes(function: Function, field: &Field) -> bool {
    match function {
        Function::Count | Function::CountDistinct => true,
        Function::Min | Function::Max if *field == Field::Timestamp => true,
        Function::Sum | Function::Avg | Function::Min | Function::Max | Function::Quantile(_) => {
            matches!(
                field,
                Field::Attribute(_) | Field::Span(SpanField::Duration | SpanField::Event(_))
            )
        }
    }
}

fn example(function: Function) -> String {
    let field = Field::Attribute("duration".to_owned());
    call_text(function, Some(&field), Signal::Logs)
}

/// How a function is written, and what its column is called by default.
pub(crate) fn call_text(function: Function, field: Option<&Field>, signal: Signal) -> String {
    let field = field.map(|field| field.in_pipe(signal)).unwrap_or_default();
    if let Function::Quantile(quantile) = function {
        return format!("p{}({field})", quantile.percent());
    }
    let known = FUNCTIONS.iter().find(|(_, known)| *known == function);
    format!("{}({field})", known.map_or("", |(name, _)| name))
}

/// Can the name stand as it is, without quotes?
pub(crate) fn is_plain(name: &str) -> bool {
    name.starts_with(is_name_start) && name.chars().all(is_name_char)
}
