//! Many patterns on one line at once.
//!
//! Most patterns need some literal text to match (`authentication failure`, `code=5\d\d`). One
//! Aho-Corasick automaton looks for one such literal set per pattern, the rarest by a sample of
//! recent lines, and only the patterns whose literal is there are verified by their own regex. What
//! has no literal (`\d{4}`) goes in shards of 32 through lazy DFAs that run all of a shard at once.
//!
//! Invariant: the answer equals that of each pattern's own regex, one by one. The automata only
//! choose whom to ask; where a DFA gives up, all of its shard are asked.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use regex::bytes::Regex;

use crate::rules::pattern;

mod literal;
mod residue;

use literal::{Candidate, candidates};
use residue::Shard;

/// Patterns compiled together.
pub struct Matcher {
    patterns: Vec<Pattern>,
    exact: Automaton,
    /// For literals of which ASCII letters match in either case.
    folded: Automaton,
    shards: Vec<Shard>,
}

struct Pattern {
    regex: Regex,
    /// It is a plain literal, so that finding it is all.
    literal: bool,
}

/// An automaton over literals, and the patterns that each one speaks for.
struct Automaton {
    search: Option<AhoCorasick>,
    patterns: Vec<Vec<u32>>,
}

/// Buffers of one thread that searches.
pub struct Scratch {
    /// Per pattern, the last line it was a candidate in: dedupes without clearing.
    epochs: Vec<u64>,
    epoch: u64,
    candidates: Vec<u32>,
    hits: Vec<usize>,
    caches: Vec<residue::Cache>,
    /// Candidates verified so far; lines seen.
    pub verified: u64,
    pub lines: u64,
}

/// Patterns that could not be compiled; cannot happen with checked rules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("pattern `{pattern}`: {source}")]
    Pattern {
        pattern: String,
        source: Box<regex::Error>,
    },
    #[error("literals of {patterns} patterns: {source}")]
    Literals {
        patterns: usize,
        source: aho_corasick::BuildError,
    },
}

impl Matcher {
    /// Compiles `patterns`; `sample` holds recent lines, by which rare literals are told from common
    /// ones. Without it, long ones are taken for rare.
    pub fn new<P: AsRef<str>>(patterns: &[P], sample: &[Vec<u8>]) -> Result<Matcher, Error> {
        let mut compiled = Vec::with_capacity(patterns.len());
        let mut options = Vec::with_capacity(patterns.len());
        let mut literals = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let text = pattern.as_ref();
            let wrong = |source| Error::Pattern {
                pattern: text.to_owned(),
                source: Box::new(source),
            };
            let regex = pattern::compile(text).map_err(wrong)?;
            let hir = pattern::parse(text).ok();
            let literal = hir.as_ref().and_then(|hir| match hir.kind() {
                regex_syntax::hir::HirKind::Literal(literal) => Some(literal.0.to_vec()),
                _ => None,
            });
            options.push(hir.as_ref().map(candidates).unwrap_or_default());
            literals.push(literal);
            compiled.push(Pattern {
                regex,
                literal: false,
            });
        }
        let chosen = literal::choose(&options, sample);
        let mut exact = Choice::default();
        let mut folded = Choice::default();
        let mut residue = Vec::new();
        for (index, choice) in chosen.iter().enumerate() {
            match choice {
                Some(Candidate {
                    folded: true,
                    members,
                }) => folded.add(index, members),
                Some(Candidate {
                    folded: false,
                    members,
                }) => {
                    // All of it, and not the part that a long one was cut to.
                    compiled[index].literal = literals[index]
                        .as_ref()
                        .is_some_and(|literal| *members == [literal.clone()]);
                    exact.add(index, members);
                }
                None => residue.push(index),
            }
        }
        let shards = residue
            .chunks(residue::PATTERNS_MAX)
            .map(|chunk| {
                Shard::new(
                    chunk
                        .iter()
                        .map(|index| (*index, patterns[*index].as_ref()))
                        .collect(),
                )
            })
            .collect();
        Ok(Matcher {
            patterns: compiled,
            exact: exact.build(false)?,
            folded: folded.build(true)?,
            shards,
        })
    }

    /// Buffers for [`Matcher::search`]; belong to this matcher only.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            epochs: vec![0; self.patterns.len()],
            epoch: 0,
            candidates: Vec::new(),
            hits: Vec::new(),
            caches: self.shards.iter().map(Shard::cache).collect(),
            verified: 0,
            lines: 0,
        }
    }

    /// The indexes of the patterns that match `line`, ascending.
    pub fn search<'s>(&self, line: &[u8], scratch: &'s mut Scratch) -> &'s [usize] {
        scratch.epoch += 1;
        scratch.lines += 1;
        scratch.hits.clear();
        scratch.candidates.clear();
        for automaton in [&self.exact, &self.folded] {
            automaton.find(line, scratch);
        }
        for candidate in &scratch.candidates {
            let pattern = &self.patterns[*candidate as usize];
            scratch.verified += 1;
            if pattern.literal || pattern.regex.is_match(line) {
                scratch.hits.push(*candidate as usize);
            }
        }
        for (shard, cache) in self.shards.iter().zip(&mut scratch.caches) {
            shard.search(line, cache, &mut scratch.hits, |index| {
                self.patterns[index].regex.is_match(line)
            });
        }
        scratch.hits.sort_unstable();
        &scratch.hits
    }

    /// How many patterns have no literal.
    pub fn residue(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }
}

impl Automaton {
    fn find(&self, line: &[u8], scratch: &mut Scratch) {
        let Some(search) = &self.search else { return };
        for found in search.find_overlapping_iter(line) {
            for pattern in &self.patterns[found.pattern().as_usize()] {
                let seen = &mut scratch.epochs[*pattern as usize];
                if *seen != scratch.epoch {
                    *seen = scratch.epoch;
                    scratch.candidates.push(*pattern);
                }
            }
        }
    }
}

/// Literals on their way into an automaton; equal ones share a place.
#[derive(Default)]
struct Choice {
    places: std::collections::HashMap<Vec<u8>, usize>,
    literals: Vec<Vec<u8>>,
    patterns: Vec<Vec<u32>>,
}

/// Above this many literals a DFA's table is too big for what it gains (facts/alerting.md §3).
const DFA_LITERALS_MAX: usize = 10_000;

impl Choice {
    fn add(&mut self, pattern: usize, literals: &[Vec<u8>]) {
        let pattern = u32::try_from(pattern).expect("the number of rules is limited");
        for literal in literals {
            let next = self.literals.len();
            let place = *self.places.entry(literal.clone()).or_insert(next);
            if place == next {
                self.literals.push(literal.clone());
                self.patterns.push(Vec::new());
            }
            if self.patterns[place].last() != Some(&pattern) {
                self.patterns[place].push(pattern);
            }
        }
    }

    fn build(self, folded: bool) -> Result<Automaton, Error> {
        if self.literals.is_empty() {
            return Ok(Automaton {
                search: None,
                patterns: Vec::new(),
            });
        }
        let kind = if self.literals.len() <= DFA_LITERALS_MAX {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let search = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .ascii_case_insensitive(folded)
            .build(&self.literals)
            .map_err(|source| Error::Literals {
                patterns: self.patterns.len(),
                source,
            })?;
        Ok(Automaton {
            search: Some(search),
            patterns: self.patterns,
        })
    }
}

#[cfg(test)]
mod tests;
