//! Literal text that a pattern cannot match without.
//!
//! A [`Candidate`] of a pattern is a set of literals such that every match of the pattern contains at
//! least one of them. A concatenation offers the candidates of each of its parts (one is enough), an
//! alternation needs one of every branch.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Literals in one candidate. Past it the verification is cheaper than the search.
const MEMBERS_MAX: usize = 16;
/// Shorter ones are everywhere.
const LITERAL_BYTES_MIN: usize = 3;
/// Longer ones are cut: rarity does not grow any more, the automaton does.
const LITERAL_BYTES_MAX: usize = 32;
/// Candidates looked at per pattern.
const CANDIDATES_MAX: usize = 32;

/// One way to search for a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// ASCII letters of the members match in either case; members are in lower case then.
    pub(super) folded: bool,
    pub(super) members: Vec<Vec<u8>>,
}

impl Candidate {
    fn is_useful(&self) -> bool {
        self.members.len() <= MEMBERS_MAX
            && self
                .members
                .iter()
                .all(|member| member.len() >= LITERAL_BYTES_MIN)
    }

    fn shortest(&self) -> usize {
        self.members.iter().map(Vec::len).min().unwrap_or(0)
    }
}

/// All candidates of a pattern.
pub(super) fn candidates(hir: &Hir) -> Vec<Candidate> {
    let mut found = match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => concatenated(std::slice::from_ref(hir)),
        HirKind::Concat(parts) => concatenated(parts),
        HirKind::Alternation(branches) => alternated(branches),
        HirKind::Capture(capture) => candidates(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => candidates(&repetition.sub),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Look(_) => Vec::new(),
    };
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.shortest()));
    found.truncate(CANDIDATES_MAX);
    found
}

fn concatenated(parts: &[Hir]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut run = Run::default();
    for part in parts {
        match part.kind() {
            HirKind::Literal(literal) => {
                for byte in literal.0.iter() {
                    run.push(&[vec![*byte]], false, &mut found);
                }
            }
            HirKind::Class(class) => match small(class) {
                Some((variants, folded)) => run.push(&variants, folded, &mut found),
                None => run.end(&mut found),
            },
            // Takes no bytes: what is on both sides is adjacent.
            HirKind::Look(_) => {}
            _ => {
                run.end(&mut found);
                found.extend(candidates(part));
            }
        }
    }
    run.end(&mut found);
    found
}

fn alternated(branches: &[Hir]) -> Vec<Candidate> {
    let mut all = Candidate {
        folded: false,
        members: Vec::new(),
    };
    for branch in branches {
        // The one with the longest members is the best guess; the sample then judges the whole.
        let Some(best) = candidates(branch).into_iter().next() else {
            return Vec::new();
        };
        all.folded |= best.folded;
        all.members.extend(best.members);
    }
    if all.folded {
        // Folding the exact ones too finds a superset, which is verified.
        all.members
            .iter_mut()
            .for_each(|member| member.make_ascii_lowercase());
    }
    all.members.sort();
    all.members.dedup();
    if all.is_useful() {
        vec![all]
    } else {
        Vec::new()
    }
}

/// What stands next to each other: every way to spell it so far.
struct Run {
    spellings: Vec<Vec<u8>>,
    folded: bool,
    empty: bool,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            spellings: vec![Vec::new()],
            folded: false,
            empty: true,
        }
    }
}

impl Run {
    fn push(&mut self, variants: &[Vec<u8>], folded: bool, found: &mut Vec<Candidate>) {
        if self.spellings.len() * variants.len() > MEMBERS_MAX
            || self.spellings[0].len() >= LITERAL_BYTES_MAX
        {
            self.end(found);
        }
        self.spellings = self
            .spellings
            .iter()
            .flat_map(|spelling| {
                variants
                    .iter()
                    .map(move |variant| [spelling.as_slice(), variant].concat())
            })
            .collect();
        self.folded |= folded;
        self.empty = false;
    }

    fn end(&mut self, found: &mut Vec<Candidate>) {
        let run = std::mem::take(self);
        if run.empty {
            return;
        }
        let mut candidate = Candidate {
            folded: run.folded,
            members: run.spellings,
        };
        if candidate.folded {
            candidate
                .members
                .iter_mut()
                .for_each(|member| member.make_ascii_lowercase());
        }
        candidate.members.sort();
        candidate.members.dedup();
        if candidate.is_useful() {
            found.push(candidate);
        }
    }
}

/// The spellings of a class with few members, `[Ss]` as one folded `s`.
fn small(class: &Class) -> Option<(Vec<Vec<u8>>, bool)> {
    const CHARS_MAX: u32 = 8;
    let mut spellings: Vec<Vec<u8>> = Vec::new();
    match class {
        Class::Unicode(class) => {
            let mut size = 0;
            for range in class.iter() {
                size += u32::from(range.end()) - u32::from(range.start()) + 1;
                if size > CHARS_MAX {
                    return None;
                }
                spellings.extend(
                    (range.start()..=range.end()).map(|char| char.to_string().into_bytes()),
                );
            }
        }
        Class::Bytes(class) => {
            let mut size = 0;
            for range in class.iter() {
                size += u32::from(range.end() - range.start()) + 1;
                if size > CHARS_MAX {
                    return None;
                }
                spellings.extend((range.start()..=range.end()).map(|byte| vec![byte]));
            }
        }
    }
    if spellings.is_empty() {
        return None;
    }
    let mut folded = false;
    let upper: Vec<Vec<u8>> = spellings
        .iter()
        .filter(|text| text.len() == 1 && text[0].is_ascii_uppercase())
        .cloned()
        .collect();
    for letter in upper {
        if spellings.contains(&letter.to_ascii_lowercase()) {
            spellings.retain(|other| *other != letter);
            folded = true;
        }
    }
    Some((spellings, folded))
}

/// Picks for every pattern the candidate that is met least in `sample`, the longest among equals.
pub(super) fn choose(options: &[Vec<Candidate>], sample: &[Vec<u8>]) -> Vec<Option<Candidate>> {
    let counts = Counts::of(options, sample);
    let choice = |candidates: &Vec<Candidate>| {
        candidates
            .iter()
            .min_by_key(|candidate| {
                let met: u64 = candidate
                    .members
                    .iter()
                    .map(|member| counts.get(member, candidate.folded))
                    .sum();
                (
                    met,
                    std::cmp::Reverse(candidate.shortest()),
                    candidate.members.len(),
                )
            })
            .cloned()
    };
    options.iter().map(choice).collect()
}

/// In how many places of the sample each literal is.
struct Counts {
    exact: HashMap<Vec<u8>, u64>,
    folded: HashMap<Vec<u8>, u64>,
}

impl Counts {
    fn of(options: &[Vec<Candidate>], sample: &[Vec<u8>]) -> Counts {
        let count = |folded: bool| {
            let mut literals: Vec<&Vec<u8>> = options
                .iter()
                .flatten()
                .filter(|candidate| candidate.folded == folded)
                .flat_map(|candidate| &candidate.members)
                .collect();
            literals.sort();
            literals.dedup();
            let mut counts = vec![0u64; literals.len()];
            let search = AhoCorasick::builder()
                .ascii_case_insensitive(folded)
                .build(&literals);
            if let (false, Ok(search)) = (sample.is_empty(), search) {
                for line in sample {
                    for found in search.find_overlapping_iter(line) {
                        counts[found.pattern().as_usize()] += 1;
                    }
                }
            }
            literals
                .into_iter()
                .cloned()
                .zip(counts)
                .collect::<HashMap<_, _>>()
        };
        Counts {
            exact: count(false),
            folded: count(true),
        }
    }

    fn get(&self, literal: &[u8], folded: bool) -> u64 {
        let counts = if folded { &self.folded } else { &self.exact };
        counts.get(literal).copied().unwrap_or(0)
    }
}
