//! What clauses on a span's own fields can ask for: known statuses and kinds, durations with units.

use std::ops::{Bound, Range as Span};

use logboom_event::token::fold;

use crate::ast::{Exact, Range, Test};
use crate::clause::End;
use crate::duration;
use crate::error::QueryError;
use crate::field::Field;
use crate::number::Number;
use crate::parse::Parser;
use crate::span_field::SpanField;

impl Parser<'_> {
    /// A whole value of a span's own field.
    pub(crate) fn own_value(
        &self,
        own: &SpanField,
        text: &str,
        span: &Span<usize>,
    ) -> Result<Test, QueryError> {
        if *own == SpanField::Duration {
            let ns = self.duration(text, span)?;
            return Ok(Test::Exact(Exact::new(&ns.to_string())));
        }
        let field = Field::Span(own.clone());
        self.can_match(&field, span, |choice| choice == fold(text))?;
        Ok(Test::Exact(Exact::new(text)))
    }

    /// Refuses a test that no value passes, where all values are known.
    pub(crate) fn can_match(
        &self,
        field: &Field,
        span: &Span<usize>,
        passes: impl Fn(&str) -> bool,
    ) -> Result<(), QueryError> {
        let Field::Span(own) = field else {
            return Ok(());
        };
        match own.choices() {
            Some(choices) if !choices.iter().any(|choice| passes(choice)) => {
                let complaint = format!("asks for what no span has; {}", chosen(own));
                Err(self.error(span.clone(), &complaint))
            }
            _ => Ok(()),
        }
    }

    fn duration(&self, text: &str, span: &Span<usize>) -> Result<Number, QueryError> {
        let length = duration::parse(text).map(Number::Int);
        length.or_else(|| Number::parse(text)).ok_or_else(|| {
            let complaint = format!(
                "asks for `{text}`, which is no duration; write a number with one of the units {}, e.g. `500ms`; without one it counts ns",
                duration::UNITS_TEXT
            );
            self.error(span.clone(), &complaint)
        })
    }

    pub(crate) fn duration_range(
        &self,
        low: Bound<End>,
        high: Bound<End>,
        span: &Span<usize>,
    ) -> Result<Test, QueryError> {
        let bound = |end: Bound<End>| {
            Ok(match end {
                Bound::Included(end) => Bound::Included(self.duration(&end.text, span)?),
                Bound::Excluded(end) => Bound::Excluded(self.duration(&end.text, span)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let (low, high) = (bound(low)?, bound(high)?);
        Ok(Test::Range(Range::Number { low, high }))
    }
}

/// What a field with few values can be asked for.
pub(crate) fn chosen(own: &SpanField) -> String {
    let choices = own.choices().unwrap_or_default().join(", ");
    match own {
        SpanField::Status => format!(
            "a span's status is one of {choices}. An attribute is `attributes.status`; HTTP's code usually is `http.response.status_code`"
        ),
        own => format!("a span's {own} is one of {choices}; an attribute is `attributes.{own}`"),
    }
}
