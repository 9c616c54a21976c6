//! What a query means: the oracle. Written for being right at a glance; it is also fast enough to
//! verify candidates, because a clause looks only at the part of the event that it names.

use std::borrow::Cow;

use logboom_event::hex::encode as hex;
use logboom_event::token::fold;
use logboom_event::{Event, EventId};

use crate::ast::{Clause, Expr, Query, Test};
use crate::field::Field;
use crate::value::any_at;

/// Does the event satisfy the query? A clause on `id` is false: only an indexed event has one.
pub fn matches(query: &Query, event: &Event) -> bool {
    matches_with_id(query, event, None)
}

/// As [`matches()`], for an event whose id is known.
pub fn matches_with_id(query: &Query, event: &Event, id: Option<EventId>) -> bool {
    decide(&query.expr, &|clause| {
        Some(clause_matches(clause, event, id))
    })
    .unwrap_or(false)
}

/// What the raw line alone says about the query: spares parsing the line when that is enough.
pub fn raw_verdict(query: &Query, raw: &str) -> Option<bool> {
    decide(&query.expr, &|clause| match clause.field {
        Field::Raw => Some(text_matches(&clause.test, raw)),
        _ => None,
    })
}

/// Kleene's three-valued logic, with short cuts.
fn decide(expr: &Expr, clause: &impl Fn(&Clause) -> Option<bool>) -> Option<bool> {
    match expr {
        Expr::All => Some(true),
        Expr::Not(inner) => decide(inner, clause).map(|verdict| !verdict),
        Expr::And(all) => until(all, false, clause),
        Expr::Or(any) => until(any, true, clause),
        Expr::Clause(test) => clause(test),
    }
}

/// `decisive` as soon as one is; its opposite when all are the opposite; else unknown.
fn until(
    exprs: &[Expr],
    decisive: bool,
    clause: &impl Fn(&Clause) -> Option<bool>,
) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for expr in exprs {
        match decide(expr, clause) {
            Some(verdict) if verdict == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn clause_matches(clause: &Clause, event: &Event, id: Option<EventId>) -> bool {
    let test = &clause.test;
    match &clause.field {
        Field::Raw => text_matches(test, &event.raw_text()),
        Field::Body => text_matches(test, &event.body()),
        Field::Level => event.level.is_some_and(|level| match test {
            Test::Level { low, high } => (*low..=*high).contains(&level),
            other => value_matches(other, level.as_str()),
        }),
        Field::Service => event
            .service
            .as_deref()
            .is_some_and(|value| value_matches(test, value)),
        Field::Host => event
            .host
            .as_deref()
            .is_some_and(|value| value_matches(test, value)),
        Field::Path => event
            .path
            .as_deref()
            .is_some_and(|value| value_matches(test, value)),
        Field::TraceId => event
            .trace_id
            .is_some_and(|value| value_matches(test, &hex(&value))),
        Field::SpanId => event
            .span_id
            .is_some_and(|value| value_matches(test, &hex(&value))),
        Field::Timestamp => match test {
            Test::Time { from, until } => {
                let time = event.timestamp_ns;
                from.is_none_or(|from| from <= time) && until.is_none_or(|until| time < until)
            }
            _ => false,
        },
        Field::Id => matches!((test, id), (Test::Id(wanted), Some(id)) if *wanted == id),
        Field::Span(own) => {
            let below = matches!(test, Test::Exists);
            own.any_value(event, below, &mut |value| value_matches(test, value))
        }
        Field::Attribute(path) => {
            let below = matches!(test, Test::Exists);
            any_at(&event.attributes, path, below, &mut |value| {
                value_matches(test, value)
            })
        }
    }
}

fn text_matches(test: &Test, text: &str) -> bool {
    match test {
        Test::Words(words) => words.found_in(text),
        Test::Regex(pattern) => pattern.is_match(text),
        _ => false,
    }
}

fn value_matches(test: &Test, value: &str) -> bool {
    if let Test::Regex(pattern) = test {
        return pattern.is_match(value);
    }
    let folded: Cow<'_, str> = fold(value);
    test.accepts_folded(&folded).unwrap_or(false)
}
