//! Patterns without a literal: lazy DFAs that run up to 32 of them over a line at once.
//!
//! A lazy DFA may give up: on a byte that it was told not to handle (Unicode word boundaries work on
//! ASCII text only) or when its cache is cleared too often. Then every pattern of the shard is asked
//! by itself, so the answer never depends on it.

use regex_automata::{
    Anchored, Input, MatchKind, PatternSet,
    hybrid::dfa::{Cache as DfaCache, DFA},
    nfa::thompson,
    util::syntax,
};

/// Patterns in one shard: more make the DFA's states multiply.
pub(super) const PATTERNS_MAX: usize = 32;
/// Memory of one shard's states per thread: 200 residue patterns are 7 shards, 112 MiB at most.
const CACHE_BYTES: usize = 16 << 20;
/// A cache that is cleared more often than this on too little text is of no use.
const CACHE_CLEARS_MIN: usize = 3;
const BYTES_PER_STATE_MIN: usize = 10;

/// Some patterns, by their index, and the DFA of all, if one could be built.
pub(super) struct Shard {
    indexes: Vec<usize>,
    dfa: Option<DFA>,
}

/// The lazily built states of one thread.
pub(super) struct Cache {
    states: Option<DfaCache>,
    found: PatternSet,
}

impl Shard {
    pub(super) fn new(patterns: Vec<(usize, &str)>) -> Shard {
        let (indexes, texts): (Vec<usize>, Vec<&str>) = patterns.into_iter().unzip();
        let dfa = DFA::builder()
            .syntax(syntax::Config::new().utf8(false))
            .thompson(thompson::Config::new().utf8(false).shrink(false))
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .unicode_word_boundary(true)
                    .cache_capacity(CACHE_BYTES)
                    .skip_cache_capacity_check(true)
                    .minimum_cache_clear_count(Some(CACHE_CLEARS_MIN))
                    .minimum_bytes_per_state(Some(BYTES_PER_STATE_MIN)),
            )
            .build_many(&texts)
            .ok();
        Shard { indexes, dfa }
    }

    pub(super) fn len(&self) -> usize {
        self.indexes.len()
    }

    pub(super) fn cache(&self) -> Cache {
        Cache {
            states: self.dfa.as_ref().map(DFA::create_cache),
            found: PatternSet::new(self.indexes.len()),
        }
    }

    /// Appends the matching patterns; `ask` asks one by itself.
    pub(super) fn search(
        &self,
        line: &[u8],
        cache: &mut Cache,
        hits: &mut Vec<usize>,
        ask: impl Fn(usize) -> bool,
    ) {
        if let (Some(dfa), Some(states)) = (&self.dfa, &mut cache.states) {
            cache.found.clear();
            let input = Input::new(line).anchored(Anchored::No);
            if dfa
                .try_which_overlapping_matches(states, &input, &mut cache.found)
                .is_ok()
            {
                hits.extend(
                    cache
                        .found
                        .iter()
                        .map(|found| self.indexes[found.as_usize()]),
                );
                return;
            }
        }
        hits.extend(self.indexes.iter().copied().filter(|index| ask(*index)));
    }
}
