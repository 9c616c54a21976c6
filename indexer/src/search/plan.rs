//! From the AST to what the index can say.
//!
//! The index often knows less than the query asks: a regex shows in it only by some tokens, a long
//! value by its beginning. So every expression becomes two sets, `surely ⊆ matches ⊆ maybe`. They
//! combine soundly under AND, OR and also NOT, which swaps their roles:
//! `surely(¬x) = ¬maybe(x)`. Only documents of `maybe ∖ surely` are verified with the oracle, on
//! the event rebuilt from its record; where both sets are one, the index answers alone.

use std::ops::Bound;
use std::sync::Arc;

use logboom_query::{Clause, Expr, Field, Glob, Hint, Pattern, Test, WordTest, Words, value};
use tantivy::query::{PhraseQuery, RangeQuery, TermQuery};
use tantivy::schema::{Field as IndexField, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::docs::Docs;
use super::terms::{TermTest, TermsQuery};
use crate::schema::{self, CUT, Mark, Schema};

/// What one searcher says about an expression.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) maybe: Docs,
    /// `None`: the same set, the index knows exactly.
    pub(crate) surely: Option<Docs>,
}

impl Bounds {
    pub(crate) fn exact(docs: Docs) -> Bounds {
        Bounds {
            maybe: docs,
            surely: None,
        }
    }

    pub(crate) fn within(surely: Docs, maybe: Docs) -> Bounds {
        Bounds {
            maybe,
            surely: Some(surely),
        }
    }

    fn complement(self) -> Bounds {
        match self.surely {
            None => Bounds::exact(self.maybe.complement()),
            Some(surely) => Bounds::within(self.maybe.complement(), surely.complement()),
        }
    }

    fn combine(parts: Vec<Bounds>, sets: fn(Vec<Docs>) -> Docs) -> Bounds {
        let exact = parts.iter().all(|part| part.surely.is_none());
        let surely = |part: &Bounds| part.surely.as_ref().unwrap_or(&part.maybe).clone();
        let surely = (!exact).then(|| sets(parts.iter().map(surely).collect()));
        Bounds {
            maybe: sets(parts.into_iter().map(|part| part.maybe).collect()),
            surely,
        }
    }
}

/// Plans for one searcher: what its documents' terms leave out is known only there.
pub(crate) struct Planner<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) searcher: &'a Searcher,
}

impl Planner<'_> {
    pub(crate) fn plan(&self, expr: &Expr) -> tantivy::Result<Bounds> {
        Ok(match expr {
            Expr::All => Bounds::exact(Docs::Everything),
            Expr::Not(inner) => self.plan(inner)?.complement(),
            Expr::And(all) => Bounds::combine(self.plan_each(all)?, Docs::intersection),
            Expr::Or(any) => Bounds::combine(self.plan_each(any)?, Docs::union),
            Expr::Clause(clause) => self.clause(clause)?,
        })
    }

    fn plan_each(&self, exprs: &[Expr]) -> tantivy::Result<Vec<Bounds>> {
        exprs.iter().map(|expr| self.plan(expr)).collect()
    }

    fn clause(&self, clause: &Clause) -> tantivy::Result<Bounds> {
        match (&clause.field, &clause.test) {
            (Field::Raw, Test::Words(words)) => Ok(self.words(self.schema.raw, words)),
            (Field::Body, Test::Words(words)) => {
                let Bounds { maybe, surely } = self.words(self.schema.body, words);
                let surely = surely.unwrap_or_else(|| maybe.clone());
                Ok(Bounds::within(
                    surely,
                    Docs::union([maybe, self.words(self.schema.raw, words).maybe]),
                ))
            }
            (Field::Raw, Test::Regex(pattern)) => self.regex(&[self.schema.raw], pattern),
            (Field::Body, Test::Regex(pattern)) => {
                self.regex(&[self.schema.raw, self.schema.body], pattern)
            }
            (Field::Timestamp, Test::Time { from, until }) => {
                let term = |ns| Term::from_field_i64(self.schema.time, ns);
                let low = from.map_or(Bound::Unbounded, |ns| Bound::Included(term(ns)));
                let high = until.map_or(Bound::Unbounded, |ns| Bound::Excluded(term(ns)));
                Ok(Bounds::exact(Docs::of(RangeQuery::new(low, high))))
            }
            (Field::Id, Test::Id(id)) => {
                let equals = |field, value| {
                    let term = Term::from_field_u64(field, value);
                    Docs::of(RangeQuery::new(
                        Bound::Included(term.clone()),
                        Bound::Included(term),
                    ))
                };
                Ok(Bounds::exact(Docs::intersection([
                    equals(self.schema.offset, id.offset.cast_unsigned()),
                    equals(self.schema.home, schema::home(*id)),
                    equals(self.schema.index, id.index.into()),
                ])))
            }
            (field, test) => match value::key(field) {
                Some(key) => match self.span_column(field, test) {
                    Some(bounds) => Ok(bounds),
                    None => self.value(&key, test, value::nests(field)),
                },
                // The parser makes no such clause; the oracle says no to it, too.
                None => Ok(Bounds::exact(Docs::Nothing)),
            },
        }
    }

    /// Tokens side by side in a text field.
    fn words(&self, field: IndexField, words: &Words) -> Bounds {
        let tests = words.tests();
        if let [WordTest::Glob(glob)] = tests {
            return Bounds::exact(word_glob(field, glob));
        }
        let literals: Vec<(usize, Term)> = tests
            .iter()
            .enumerate()
            .filter_map(|(position, test)| match test {
                WordTest::Word(word) => Some((position, Term::from_field_text(field, word))),
                WordTest::Glob(_) => None,
            })
            .collect();
        let globs = tests.iter().filter_map(|test| match test {
            WordTest::Glob(glob) if !glob.is_everything() => Some(word_glob(field, glob)),
            _ => None,
        });
        // A lone `*` between two words is a gap in their positions, which a phrase expresses.
        let spaced =
            |test: &WordTest| matches!(test, WordTest::Glob(glob) if !glob.is_everything());
        let ends_in_words = matches!(
            (tests.first(), tests.last()),
            (Some(WordTest::Word(_)), Some(WordTest::Word(_)))
        );
        let exact = ends_in_words && !tests.iter().any(spaced);
        let maybe = Docs::intersection(globs.chain([phrase(literals)]));
        if exact {
            Bounds::exact(maybe)
        } else {
            Bounds::within(Docs::Nothing, maybe)
        }
    }

    /// A regex on a text whose tokens are in one of these fields.
    fn regex(&self, fields: &[IndexField], pattern: &Pattern) -> tantivy::Result<Bounds> {
        let hint = pattern.hint();
        let mut maybe: Vec<Docs> = fields.iter().map(|field| hinted(*field, &hint)).collect();
        if self.has(Mark::LongRun)? {
            maybe.push(Docs::of(TermQuery::new(
                self.schema.mark(Mark::LongRun),
                IndexRecordOption::Basic,
            )));
        }
        Ok(Bounds::within(Docs::Nothing, Docs::union(maybe)))
    }

    /// A test of a named field's values.
    fn value(&self, key: &str, test: &Test, nests: bool) -> tantivy::Result<Bounds> {
        let prefix = schema::key_prefix(key);
        match test {
            Test::Exact(exact) => {
                let mut bounds = exact
                    .texts()
                    .map(|text| self.exact(&prefix, text))
                    .collect::<Vec<_>>();
                Ok(if bounds.len() == 1 {
                    bounds.remove(0)
                } else {
                    Bounds::combine(bounds, Docs::union)
                })
            }
            Test::Level { low, high } => {
                let levels = logboom_event::Level::ALL
                    .into_iter()
                    .filter(|level| (*low..=*high).contains(level));
                let each = levels
                    .map(|level| self.exact(&prefix, level.as_str()))
                    .collect();
                Ok(Bounds::combine(each, Docs::union))
            }
            Test::Glob(glob) => {
                let slice = narrowed(&prefix, glob);
                self.uncertain(&prefix, slice, |cut| TermTest::Glob {
                    glob: glob.clone(),
                    cut,
                })
            }
            Test::Range(_) => self.uncertain(&prefix, prefix.clone(), |cut| TermTest::Value {
                test: test.clone(),
                cut,
            }),
            Test::Regex(pattern) => {
                let glob = pattern.value_glob();
                let slice = narrowed(&prefix, &glob);
                let maybe = self.terms(&prefix, slice, TermTest::Glob { glob, cut: true });
                Ok(Bounds::within(Docs::Nothing, maybe))
            }
            Test::Exists => {
                let own = self.terms(&prefix, prefix.clone(), TermTest::Any);
                if !nests {
                    return Ok(Bounds::exact(own));
                }
                let mut below = key.as_bytes().to_vec();
                below.push(b'.');
                let below = self.terms(&below, below.clone(), TermTest::Any);
                Ok(Bounds::exact(Docs::union([own, below])))
            }
            Test::Words(_) | Test::Time { .. } | Test::Id(_) => Ok(Bounds::exact(Docs::Nothing)),
        }
    }

    fn exact(&self, prefix: &[u8], text: &str) -> Bounds {
        let (kept, is_cut) = schema::cut(text);
        let mut term = prefix.to_vec();
        term.extend_from_slice(kept.as_bytes());
        if is_cut {
            term.push(CUT);
        }
        let term = Term::from_field_bytes(self.schema.fields, &term);
        let docs = Docs::of(TermQuery::new(term, IndexRecordOption::Basic));
        if is_cut {
            Bounds::within(Docs::Nothing, docs)
        } else {
            Bounds::exact(docs)
        }
    }

    /// The test decides whole values; cut ones may pass.
    fn uncertain(
        &self,
        prefix: &[u8],
        slice: Vec<u8>,
        test: impl Fn(bool) -> TermTest,
    ) -> tantivy::Result<Bounds> {
        let surely = self.terms(prefix, slice.clone(), test(false));
        if !self.has(Mark::LongValue)? {
            return Ok(Bounds::exact(surely));
        }
        Ok(Bounds::within(
            surely,
            self.terms(prefix, slice, test(true)),
        ))
    }

    fn terms(&self, key: &[u8], prefix: Vec<u8>, test: TermTest) -> Docs {
        Docs::of(TermsQuery {
            field: self.schema.fields,
            key: key.to_vec(),
            prefix,
            test: Arc::new(test),
        })
    }

    fn has(&self, mark: Mark) -> tantivy::Result<bool> {
        Ok(self.searcher.doc_freq(&self.schema.mark(mark))? > 0)
    }
}

fn phrase(mut terms: Vec<(usize, Term)>) -> Docs {
    match terms.len() {
        0 => Docs::Everything,
        1 => Docs::of(TermQuery::new(terms.remove(0).1, IndexRecordOption::Basic)),
        _ => Docs::of(PhraseQuery::new_with_offset(terms)),
    }
}

fn word_glob(field: IndexField, glob: &Glob) -> Docs {
    let prefix = glob.literal_prefix().into_bytes();
    Docs::of(TermsQuery {
        field,
        key: Vec::new(),
        prefix,
        test: Arc::new(TermTest::Glob {
            glob: glob.clone(),
            cut: false,
        }),
    })
}

fn hinted(field: IndexField, hint: &Hint) -> Docs {
    match hint {
        Hint::Anything => Docs::Everything,
        Hint::Word(WordTest::Word(word)) => phrase(vec![(0, Term::from_field_text(field, word))]),
        Hint::Word(WordTest::Glob(glob)) => word_glob(field, glob),
        Hint::All(all) => Docs::intersection(all.iter().map(|hint| hinted(field, hint))),
        Hint::Any(any) => Docs::union(any.iter().map(|hint| hinted(field, hint))),
    }
}

/// Where the values that a wildcard accepts stand. The cut of a value that begins with a long
/// literal falls where the literal's own cut does, so both begin alike.
fn narrowed(prefix: &[u8], glob: &Glob) -> Vec<u8> {
    [prefix, schema::cut(&glob.literal_prefix()).0.as_bytes()].concat()
}
