//! Text → pipes: what stands between the bars after a filter.

use std::ops::Range as Span;

use crate::error::QueryError;
use crate::limits;
use crate::near::meant;
use crate::parse::Parser;
use crate::pipe::{Pipe, SortKey, Stats};

/// All kinds of pipes.
const STAGES: [&str; 3] = ["stats", "sort", "limit"];

/// What other languages call them.
const FOREIGN: [(&str, &str); 14] = [
    ("aggregate", "write `stats`"),
    ("summarize", "write `stats`"),
    ("count", "write `stats count()`"),
    ("by", "write `stats count() by field`"),
    ("timechart", "write `stats count() by bin(timestamp, 5m)`"),
    (
        "top",
        "write `stats count() as n by field | sort -n | limit 10`",
    ),
    ("order", "write `sort`"),
    ("orderby", "write `sort`"),
    ("head", "write `limit`"),
    ("take", "write `limit`"),
    (
        "tail",
        "write `limit`, after a `sort` that puts the last first",
    ),
    ("where", "write the condition before the first `|`"),
    ("filter", "write the condition before the first `|`"),
    ("search", "write the condition before the first `|`"),
];

impl Parser<'_> {
    /// Everything from the first bar on; nothing when there is none.
    pub(crate) fn pipes(&mut self) -> Result<Vec<Pipe>, QueryError> {
        let mut pipes = Vec::new();
        loop {
            self.scan.skip_space();
            let bar = self.scan.at;
            match self.scan.peek() {
                None => return Ok(pipes),
                Some('|') if self.scan.rest().starts_with("||") => {
                    return Err(self.error(bar..bar + 2, "is not an operator; write `OR`"));
                }
                Some('|') => self.scan.at += 1,
                Some(_) => {
                    return Err(self.stray("a `|` or the end"));
                }
            }
            if pipes.len() == limits::PIPES_MAX {
                let complaint = format!(
                    "begins one pipe too many; {} are allowed",
                    limits::PIPES_MAX
                );
                return Err(self.error(bar..bar + 1, &complaint));
            }
            let stage = self.stage(bar, &pipes)?;
            pipes.push(stage);
        }
    }

    fn stage(&mut self, bar: usize, before: &[Pipe]) -> Result<Pipe, QueryError> {
        self.scan.skip_space();
        let from = self.scan.at;
        let Some(name) = self.scan.name() else {
            let complaint = "begins no pipe; write e.g. `| stats count() by service`, or quote a `|` that is part of a text";
            return Err(self.error(bar..bar + 1, complaint));
        };
        let span = from..self.scan.at;
        match (name.as_str(), before.first()) {
            ("stats", None) => self.stats().map(Pipe::Stats),
            ("stats", Some(_)) => Err(self.error(
                span,
                "makes a second table; one `stats` can have several functions, separated by commas",
            )),
            ("sort", Some(Pipe::Stats(stats))) => self.sort(&span, stats).map(Pipe::Sort),
            ("limit", Some(_)) => self.limit(&span).map(Pipe::Limit),
            ("sort" | "limit", _) => Err(self.error(
                span,
                "works on a table; write `| stats …` before it. The order and number of events belong in the request",
            )),
            _ => Err(self.unknown_stage(&name, span)),
        }
    }

    fn unknown_stage(&self, name: &str, span: Span<usize>) -> QueryError {
        let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == name);
        let hint = foreign.map_or_else(|| meant(name, STAGES), |(_, hint)| format!("; {hint}"));
        let complaint = format!(
            "is no pipe{hint}; pipes are {}. Quote a `|` that is part of a text",
            STAGES.join(", ")
        );
        self.error(span, &complaint)
    }

    /// `-column, other`: each by its name, or by what it is.
    fn sort(&mut self, stage: &Span<usize>, stats: &Stats) -> Result<Vec<SortKey>, QueryError> {
        let mut keys = Vec::new();
        loop {
            self.scan.skip_space();
            let from = self.scan.at;
            let descending = self.scan.eat('-');
            if !descending {
                self.scan.eat('+');
            }
            if self.scan.peek().is_none_or(|c| c == '|' || c == ',') {
                return Err(self.error(
                    stage.start..self.scan.at,
                    "names no column; write e.g. `sort -count()`",
                ));
            }
            if keys.len() == limits::AGGREGATES_MAX {
                let complaint = format!(
                    "sorts by one column too many; {} are allowed",
                    limits::AGGREGATES_MAX
                );
                return Err(self.error(from..self.scan.at + 1, &complaint));
            }
            let column = self.column(from, stats)?;
            keys.push(SortKey { column, descending });
            let after = from..self.scan.at;
            self.scan.skip_space();
            self.no_direction(after)?;
            if !self.scan.eat(',') {
                return Ok(keys);
            }
        }
    }

    /// The number of the column that is named at `from` (a sign may stand there).
    fn column(&mut self, from: usize, stats: &Stats) -> Result<usize, QueryError> {
        let at = self.scan.at;
        let quoted = self.scan.eat('"');
        let name = if quoted {
            self.closed_quote(at)?
        } else {
            let _ = self.scan.name();
            self.scan.text[at..self.scan.at].to_owned()
        };
        let by_name = |name: &str| stats.columns().position(|column| column == name);
        if !quoted && self.scan.peek() == Some('(') {
            self.scan.at = at;
            let (name, column) = self.called_column(stats)?;
            if let Some(column) = by_name(&name).or(column) {
                return Ok(column);
            }
        } else if let Some(column) = by_name(&name) {
            return Ok(column);
        } else if let Some(column) = self.field_column(&name, stats) {
            return Ok(column);
        }
        if !quoted && name == "by" {
            let complaint = "is no column; write `sort -column`, without `by`";
            return Err(self.error(at..self.scan.at, complaint));
        }
        if self.scan.at == at {
            let token = self.token();
            return Err(self.error(token, "is no column; quote a name that is not a plain word"));
        }
        let known: Vec<String> = stats
            .columns()
            .map(|column| format!("`{column}`"))
            .collect();
        let complaint = format!(
            "names no column of the table{}; its columns are {}",
            meant(&name, stats.columns()),
            known.join(", ")
        );
        Err(self.error(from..self.scan.at, &complaint))
    }

    fn no_direction(&mut self, column: Span<usize>) -> Result<(), QueryError> {
        let at = self.scan.at;
        let direction = self.scan.name().map(|name| name.to_lowercase());
        let span = at..self.scan.at;
        self.scan.at = at;
        let column = self.scan.text[column].trim_start_matches(['-', '+']);
        match direction.as_deref() {
            Some("desc" | "descending") => {
                let complaint = format!("is no direction; write `-{column}`");
                Err(self.error(span, &complaint))
            }
            Some("asc" | "ascending") => {
                let complaint = format!("is no direction; `{column}` alone sorts upwards");
                Err(self.error(span, &complaint))
            }
            _ => Ok(()),
        }
    }

    fn limit(&mut self, stage: &Span<usize>) -> Result<usize, QueryError> {
        self.scan.skip_space();
        let number = self.token();
        self.scan.at = number.end;
        let rows = self.scan.text[number.clone()].parse::<usize>().ok();
        rows.filter(|rows| (1..=limits::GROUPS_MAX).contains(rows))
            .ok_or_else(|| {
                let complaint = format!(
                    "needs a number of rows from 1 to {}, e.g. `limit 10`",
                    limits::GROUPS_MAX
                );
                self.error(stage.start..number.end, &complaint)
            })
    }

    /// Refuses what stands here, where only `expected` may.
    pub(crate) fn stray(&self, expected: &str) -> QueryError {
        let token = self.token();
        let text = &self.scan.text[token.clone()];
        let complaint = if STAGES.contains(&text) {
            "needs a `|` before it".to_owned()
        } else {
            format!("stands where {expected} should")
        };
        self.error(token, &complaint)
    }

    /// What stands here, up to white space or punctuation; at least one character unless at the end.
    pub(crate) fn token(&self) -> Span<usize> {
        let rest = self.scan.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '|' | '"');
        let length = match rest.find(ends) {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(length) => length,
            None => rest.len(),
        };
        self.scan.at..self.scan.at + length
    }
}
