//! What a split holds of each event. Kept lean, because indexing is what the indexer's CPU goes to:
//!
//! | field | holds | answers |
//! |---|---|---|
//! | `raw` | tokens of the line, with positions | bare words, phrases, `raw:` |
//! | `body` | tokens of the message, only where they are not a slice of the line's | `body:` |
//! | `fields` | one term `key 00 value` per value of each named field, folded | `field:…` of every kind |
//! | `time`, `level`, `home`, `offset`, `index` | columns | order, range, histogram, ids |
//! | `record` | the record itself, compressed | hits, and what terms cannot decide |
//!
//! An index of spans has the columns of [`crate::span_columns`] beside these; what nearly always differs (duration,
//! span and parent id) is only there, and makes no terms. There `level` is that of an error
//! where the span failed, so that a histogram tells.
//!
//! A message that stands in the line, with its words not cut by its ends, costs nothing: `body:x`
//! is a candidate where the line has `x`, verified on the rebuilt event. The same holds where an
//! index term knows less than the value: a long value's term is a prefix and ends in [`CUT`], and
//! documents about which terms say less are marked ([`Mark`]). `search/plan.rs` is the reader.
//!
//! A field's numbers are texts here. A range reads the field's slice of the term dictionary and
//! compares each term by value, which is the price for terms of all types living in one field.

use std::borrow::Cow;

use logboom_event::{Body, Event, EventId, Level, Record, SpanStatus, token};
use logboom_query::value;
use tantivy::schema::{
    BytesOptions, FAST, Field, IndexRecordOption, STORED, SchemaBuilder, TextFieldIndexing,
    TextOptions,
};
use tantivy::{Index, TantivyDocument, Term};

use crate::kind::Kind;
use crate::search::stored;
use crate::search::tokenizer::{TOKENIZER, Words};
use crate::span_columns::SpanColumns;

/// Folded bytes of a value that its term keeps. Longer values are rarely asked for as a whole, and
/// a stack trace must not become a term.
pub(crate) const VALUE_BYTES_MAX: usize = 256;

/// Between key and value.
const SEPARATOR: u8 = 0;
/// Ends the term of a value that was cut. No UTF-8 text has this byte.
pub(crate) const CUT: u8 = 0xFF;

/// Says of a document that its terms know less than its text. No field's key begins like these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A run of letters was cut into several tokens, at places that a regex does not see.
    LongRun,
    /// A value's term was cut.
    LongValue,
    /// A column's text was cut.
    CutColumn,
}

/// The schema of an index of one kind.
#[derive(Debug, Clone)]
pub struct Schema {
    schema: tantivy::schema::Schema,
    pub(crate) raw: Field,
    pub(crate) body: Field,
    pub(crate) fields: Field,
    pub(crate) time: Field,
    pub(crate) home: Field,
    pub(crate) offset: Field,
    pub(crate) index: Field,
    level: Field,
    record: Field,
    pub(crate) spans: Option<SpanColumns>,
}

/// Names of the columns.
pub(crate) const TIME: &str = "time";
pub(crate) const LEVEL: &str = "level";
pub(crate) const HOME: &str = "home";
pub(crate) const OFFSET: &str = "offset";
pub(crate) const INDEX: &str = "index";

impl Schema {
    pub fn of(kind: Kind) -> Schema {
        let mut builder = SchemaBuilder::new();
        let words = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        let text = TextOptions::default().set_indexing_options(words);
        Schema {
            raw: builder.add_text_field("raw", text.clone()),
            body: builder.add_text_field("body", text),
            fields: builder.add_bytes_field("fields", BytesOptions::default().set_indexed()),
            time: builder.add_i64_field(TIME, FAST),
            level: builder.add_u64_field(LEVEL, FAST),
            home: builder.add_u64_field(HOME, FAST),
            offset: builder.add_u64_field(OFFSET, FAST),
            index: builder.add_u64_field(INDEX, FAST),
            record: builder.add_bytes_field("record", STORED),
            spans: match kind {
                Kind::Logs => None,
                Kind::Spans => Some(SpanColumns::add_to(&mut builder)),
            },
            schema: builder.build(),
        }
    }

    pub fn tantivy(&self) -> tantivy::schema::Schema {
        self.schema.clone()
    }

    /// What of `event`, which is `record` parsed, goes into the index.
    pub fn document(&self, record: &Record, event: &Event, id: EventId) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        let raw = event.raw_text();
        let is_utf8 = matches!(raw, Cow::Borrowed(_));
        let own_body = match &event.body {
            // Ranges count bytes of the line; one that is not UTF-8 has another text.
            Body::Raw(range) if is_utf8 && is_made_of_whole_words(&raw, range) => None,
            Body::Raw(_) | Body::Owned(_) => Some(event.body()),
        };
        let mut terms = Terms {
            schema: self,
            document: &mut document,
            term: Vec::with_capacity(128),
            cut: false,
        };
        let in_columns: &[&str] = match self.spans {
            Some(_) => &["duration", "span_id", "parent_id"],
            None => &[],
        };
        value::visit(event, &mut |key, value| {
            if !in_columns.contains(&key) {
                terms.add(key, value);
            }
        });
        let cut = terms.cut;
        if cut {
            document.add_bytes(self.fields, &Mark::LongValue.term());
        }
        if has_long_run(&raw) || own_body.as_deref().is_some_and(has_long_run) {
            document.add_bytes(self.fields, &Mark::LongRun.term());
        }
        document.add_text(self.raw, &raw);
        if let Some(body) = own_body {
            document.add_text(self.body, body);
        }
        document.add_i64(self.time, time_ns(event));
        let level = level(event).map_or(0, |level| level.number().into());
        document.add_u64(self.level, level);
        document.add_u64(self.home, home(id));
        document.add_u64(self.offset, id.offset.cast_unsigned());
        document.add_u64(self.index, id.index.into());
        document.add_bytes(self.record, &stored::encode(record));
        if let Some(spans) = &self.spans
            && spans.fill(&mut document, event)
        {
            document.add_bytes(self.fields, &Mark::CutColumn.term());
        }
        document
    }

    pub(crate) fn mark(&self, mark: Mark) -> Term {
        Term::from_field_bytes(self.fields, &mark.term())
    }
}

fn level(event: &Event) -> Option<Level> {
    let status = event.span.as_ref().map(|span| &span.status);
    match status {
        Some(SpanStatus::Error { .. }) => Some(Level::Error),
        _ => event.level,
    }
}

/// Makes the tokenizer of `raw` and `body` known to an index that was opened or created.
pub fn register_tokenizers(index: &Index) {
    index.tokenizers().register(TOKENIZER, Words::default());
}

impl Mark {
    fn term(self) -> [u8; 2] {
        match self {
            Mark::LongRun => [1, 1],
            Mark::LongValue => [1, 2],
            Mark::CutColumn => [1, 3],
        }
    }
}

/// Where an event is put in time. Ranges end before their end, so the last instant that there is is nobody's: who says
/// `never` by it is a nanosecond early.
pub(crate) fn time_ns(event: &Event) -> i64 {
    event.timestamp_ns.min(i64::MAX - 1)
}

/// Incarnation and partition in one column: their order is that of ids.
pub(crate) fn home(id: EventId) -> u64 {
    u64::from(id.incarnation) << 32 | u64::from(id.partition.cast_unsigned())
}

/// `key 00`: all terms of a field begin with it, and no other terms do.
pub(crate) fn key_prefix(key: &str) -> Vec<u8> {
    let mut prefix = key.as_bytes().to_vec();
    prefix.push(SEPARATOR);
    prefix
}

/// What a term keeps of a folded value, and whether that is less than all.
pub(crate) fn cut(value: &str) -> (&str, bool) {
    if value.len() <= VALUE_BYTES_MAX {
        return (value, false);
    }
    (&value[..value.floor_char_boundary(VALUE_BYTES_MAX)], true)
}

struct Terms<'a> {
    schema: &'a Schema,
    document: &'a mut TantivyDocument,
    /// Reused: one event has a dozen.
    term: Vec<u8>,
    cut: bool,
}

impl Terms<'_> {
    fn add(&mut self, key: &str, value: &str) {
        // A query cannot name a key with a zero byte.
        if key.as_bytes().contains(&SEPARATOR) {
            return;
        }
        let (kept, is_cut) = cut(value);
        self.term.clear();
        self.term.extend_from_slice(key.as_bytes());
        self.term.push(SEPARATOR);
        self.term.extend_from_slice(kept.as_bytes());
        if is_cut {
            self.term.push(CUT);
            self.cut = true;
        }
        self.document.add_bytes(self.schema.fields, &self.term);
    }
}

/// Are the tokens of this slice tokens of the whole text, side by side there too?
fn is_made_of_whole_words(text: &str, range: &std::ops::Range<usize>) -> bool {
    text.get(range.clone()).is_some()
        && parts_words(text, range.start)
        && parts_words(text, range.end)
}

/// Does no token reach over this place? May say no where it could say yes.
fn parts_words(text: &str, at: usize) -> bool {
    let joins = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    let bytes = text.as_bytes();
    !(at > 0 && joins(bytes.get(at - 1)) && joins(bytes.get(at)))
}

fn has_long_run(text: &str) -> bool {
    if text.len() <= token::TOKEN_BYTES_MAX {
        return false;
    }
    // Exact only after a cheap look, which most long lines do not pass.
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let suspect = text
        .as_bytes()
        .split(|byte| !joins(byte))
        .any(|run| run.len() > token::TOKEN_BYTES_MAX);
    suspect && {
        let mut end = None;
        token::tokens(text).any(|token| {
            let width = token.offset_to - token.offset_from;
            let continues = end == Some(token.offset_from);
            // A full chunk is at most three bytes short of the limit, for want of a whole character.
            end = (width + 3 >= token::TOKEN_BYTES_MAX).then_some(token.offset_to);
            continues
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_noticed_and_long_lines_are_not() {
        assert!(!has_long_run(&"word ".repeat(200)));
        assert!(!has_long_run(&"x".repeat(255)));
        assert!(has_long_run(&"x".repeat(256)));
        assert!(!has_long_run(&"错".repeat(300)));
        assert!(has_long_run(&format!("a {} b", "é".repeat(200))));
    }

    #[test]
    fn a_body_that_cuts_a_word_is_not_a_slice_of_the_line_s_words() {
        let raw = "app[12]: diskfull";
        assert!(is_made_of_whole_words(raw, &(9..17)));
        assert!(!is_made_of_whole_words(raw, &(13..17)));
        assert!(is_made_of_whole_words(raw, &(0..17)));
    }

    #[test]
    fn values_are_cut_on_a_character_border() {
        assert_eq!(cut("short"), ("short", false));
        let long = "错".repeat(100);
        let (kept, is_cut) = cut(&long);
        assert!(is_cut && kept.len() == 255);
    }
}
