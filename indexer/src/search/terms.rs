//! A query over a slice of a term dictionary: the documents of all terms that begin with a prefix
//! and pass a test. One mechanism serves wildcards in words and in values, ranges of numbers, texts
//! that a regex may match, and existence.

use std::sync::Arc;

use logboom_query::{Glob, Test};
use tantivy::postings::TermInfo;
use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Score, SegmentReader, TantivyError};

use crate::schema::CUT;

/// What the rest of a term, after the query's key, must be.
#[derive(Debug, Clone)]
pub(crate) enum TermTest {
    Any,
    /// A folded text that the wildcard accepts; a cut value passes if `cut` says so.
    Glob {
        glob: Glob,
        cut: bool,
    },
    /// A folded text that the clause accepts; a cut value passes if `cut` says so.
    Value {
        test: Test,
        cut: bool,
    },
}

impl TermTest {
    fn accepts(&self, rest: &[u8]) -> bool {
        if let TermTest::Any = self {
            return true;
        }
        if rest.last() == Some(&CUT) {
            return matches!(
                self,
                TermTest::Glob { cut: true, .. } | TermTest::Value { cut: true, .. }
            );
        }
        let Ok(text) = std::str::from_utf8(rest) else {
            return false;
        };
        match self {
            TermTest::Any => true,
            TermTest::Glob { glob, .. } => glob.matches(text),
            TermTest::Value { test, .. } => test.accepts_folded(text).unwrap_or(false),
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct TermsQuery {
    pub(crate) field: Field,
    /// Bytes before the text that the test sees.
    pub(crate) key: Vec<u8>,
    /// Begins with the key; narrows the slice further.
    pub(crate) prefix: Vec<u8>,
    pub(crate) test: Arc<TermTest>,
}

impl Query for TermsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(TermsWeight(self.clone())))
    }
}

struct TermsWeight(TermsQuery);

impl TermsWeight {
    fn passing_terms(&self, reader: &SegmentReader) -> tantivy::Result<Vec<TermInfo>> {
        let query = &self.0;
        let inverted_index = reader.inverted_index(query.field)?;
        let mut range = inverted_index.terms().range().ge(&query.prefix);
        if let Some(end) = after_prefix(&query.prefix) {
            range = range.lt(end);
        }
        let mut stream = range.into_stream()?;
        let mut passing = Vec::new();
        while stream.advance() {
            let rest = stream.key().get(query.key.len()..).unwrap_or_default();
            if query.test.accepts(rest) {
                passing.push(stream.value().clone());
            }
        }
        Ok(passing)
    }
}

impl Weight for TermsWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let terms = self.passing_terms(reader)?;
        let inverted_index = reader.inverted_index(self.0.field)?;
        match terms.as_slice() {
            [] => return Ok(Box::new(EmptyScorer)),
            // Common for wildcards, and much cheaper than a bit set in a large segment.
            [only] => {
                let postings =
                    inverted_index.read_postings_from_terminfo(only, IndexRecordOption::Basic)?;
                return Ok(Box::new(ConstScorer::new(postings, boost)));
            }
            _ => {}
        }
        let mut docs = tantivy_bitset(reader.max_doc());
        for term in &terms {
            let mut blocks =
                inverted_index.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
            while !blocks.docs().is_empty() {
                for &doc in blocks.docs() {
                    docs.insert(doc);
                }
                blocks.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() <= doc && (scorer.doc() == doc || scorer.seek(doc) == doc) {
            return Ok(Explanation::new("terms", 1.0));
        }
        Err(TantivyError::InvalidArgument(format!(
            "document {doc} does not match"
        )))
    }
}

fn tantivy_bitset(documents: u32) -> tantivy::BitSet {
    tantivy::BitSet::with_max_value(documents)
}

/// The first byte string after all that begin with `prefix`.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_carries_over() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
