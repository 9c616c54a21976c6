//! Text → the groups of a `stats`, and the columns of it that a `sort` names.

use crate::ast::Signal;
use crate::duration;
use crate::error::QueryError;
use crate::field::Field;
use crate::limits;
use crate::parse::Parser;
use crate::pipe::{Group, GroupKey, Stats};
use crate::stats::call_text;

/// How a bin of time begins.
const BIN: &str = "bin(";

impl Parser<'_> {
    pub(crate) fn groups(&mut self, stats: &mut Stats) -> Result<(), QueryError> {
        loop {
            self.scan.skip_space();
            let from = self.scan.at;
            if self.at_pipe() {
                let complaint = "`by` names no field; write e.g. `by service`";
                return Err(QueryError::missing(self.scan.text, from, complaint));
            }
            let key = self.group_key()?;
            let name = self.alias(key_text(&key, self.signal))?;
            self.unused(stats, &name, from)?;
            stats.by.push(Group { key, name });
            if stats.by.len() > limits::GROUP_KEYS_MAX {
                let complaint = format!(
                    "is one group too many; {} are allowed",
                    limits::GROUP_KEYS_MAX
                );
                return Err(self.error(from..self.scan.at, &complaint));
            }
            if !self.scan.eat(',') {
                break;
            }
        }
        if !self.at_pipe() {
            return Err(self.stray("`,` and a field, `as`, a `|` or the end"));
        }
        Ok(())
    }

    fn group_key(&mut self) -> Result<GroupKey, QueryError> {
        let from = self.scan.at;
        if self.scan.rest().starts_with(BIN) {
            self.scan.at += BIN.len();
            return self.bin(from);
        }
        let field = self.pipe_field()?;
        if self.scan.peek() == Some('(') {
            let complaint = "is no group; groups are fields, and `bin(timestamp, 5m)` for time";
            return Err(self.error(from..self.scan.at, complaint));
        }
        Ok(GroupKey::Field(field))
    }

    fn bin(&mut self, from: usize) -> Result<GroupKey, QueryError> {
        const EXAMPLE: &str = "write e.g. `bin(timestamp, 5m)`";
        self.scan.skip_space();
        let is_number = self.scan.peek().is_some_and(|c| c.is_ascii_digit());
        if is_number || matches!(self.scan.peek(), Some(')' | '|') | None) {
            let complaint = format!("needs a field and a width; {EXAMPLE}");
            return Err(self.error(from..self.token().end, &complaint));
        }
        let field = self.pipe_field()?;
        if field != Field::Timestamp {
            let complaint = format!(
                "bins `{}`; only time can be binned: {EXAMPLE}",
                field.in_pipe(self.signal)
            );
            return Err(self.error(from..self.scan.at, &complaint));
        }
        self.scan.skip_space();
        if !self.scan.eat(',') {
            let complaint = format!("needs a width; {EXAMPLE}");
            return Err(self.error(from..self.scan.at, &complaint));
        }
        self.scan.skip_space();
        let token = self.token();
        let text = &self.scan.text[token.clone()];
        let width = duration::parse(text).and_then(|ns| i64::try_from(ns).ok());
        let Some(width_ns) = width.filter(|ns| *ns > 0) else {
            let complaint = format!(
                "has `{text}` for a width, which is no duration; write a number with one of the units {}, e.g. `bin(timestamp, 5m)`",
                duration::UNITS_TEXT
            );
            return Err(self.error(from..token.end, &complaint));
        };
        self.scan.at = token.end;
        self.close_call(from)?;
        Ok(GroupKey::Bin { width_ns })
    }

    /// A column of a sort that is written as a call: its text, and the column that is just that.
    pub(crate) fn called_column(
        &mut self,
        stats: &Stats,
    ) -> Result<(String, Option<usize>), QueryError> {
        if self.scan.rest().starts_with(BIN) {
            let key = self.group_key()?;
            let column = stats.by.iter().position(|group| group.key == key);
            return Ok((key_text(&key, self.signal), column));
        }
        let (function, field) = self.call()?;
        let column = stats
            .aggregates
            .iter()
            .position(|aggregate| aggregate.function == function && aggregate.field == field);
        let text = call_text(function, field.as_ref(), self.signal);
        Ok((text, column.map(|column| stats.by.len() + column)))
    }

    /// The group of a field that a sort may spell otherwise.
    pub(crate) fn field_column(&self, name: &str, stats: &Stats) -> Option<usize> {
        let key = GroupKey::Field(Field::from_name(name, self.signal));
        stats.by.iter().position(|group| group.key == key)
    }
}

pub(crate) fn key_text(key: &GroupKey, signal: Signal) -> String {
    match key {
        GroupKey::Field(field) => field.in_pipe(signal),
        GroupKey::Bin { width_ns } => {
            format!(
                "{BIN}{}, {})",
                Field::Timestamp,
                duration::display(*width_ns)
            )
        }
    }
}
