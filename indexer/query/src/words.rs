//! Word sequences: what a bare word, a phrase or `body:…` asks of a text.
//!
//! A word of the query is cut into tokens by the same function as the text; they must stand side
//! by side in it, whatever separates them. A wildcard stays inside one token: `blk_-16*` is the
//! token `blk` followed by a token that begins with `16`; a `*` that stands alone between
//! separators is any one token. Beside a CJK character, which is a token of its own, the wildcard
//! belongs to the token on its left.

use logboom_event::token::{self, Kind, fold, kind};

use crate::glob::{Glob, Piece};

/// One character as folded texts have it; now and then that is two.
pub(crate) fn fold_char(c: char) -> impl Iterator<Item = char> {
    let folded: Vec<char> = fold(c.encode_utf8(&mut [0; 4])).chars().collect();
    folded.into_iter()
}

pub(crate) fn fold_pieces(pieces: &[Piece]) -> impl Iterator<Item = Piece> {
    pieces.iter().flat_map(|piece| {
        let (chars, wildcard) = match piece {
            Piece::Char(c) => (Some(fold_char(*c)), None),
            wildcard => (None, Some(*wildcard)),
        };
        chars.into_iter().flatten().map(Piece::Char).chain(wildcard)
    })
}

/// What one token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordTest {
    Word(String),
    Glob(Glob),
}

impl WordTest {
    fn accepts(&self, token: &str) -> bool {
        match self {
            WordTest::Word(word) => word == token,
            WordTest::Glob(glob) => glob.matches(token),
        }
    }
}

/// Tokens that must stand side by side. Never empty.
#[derive(Debug, Clone)]
pub struct Words {
    /// As typed, for `Display`; the tokens follow from it.
    pieces: Vec<Piece>,
    tests: Vec<WordTest>,
}

impl PartialEq for Words {
    fn eq(&self, other: &Words) -> bool {
        self.pieces == other.pieces
    }
}

impl Words {
    /// `None` when there is no letter, digit or wildcard to search for.
    pub(crate) fn new(pieces: Vec<Piece>) -> Option<Words> {
        let mut split = Split::default();
        for piece in &pieces {
            split.push(*piece);
        }
        split.flush();
        let tests = split.tests;
        (!tests.is_empty()).then_some(Words { pieces, tests })
    }

    pub fn tests(&self) -> &[WordTest] {
        &self.tests
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Do the tokens stand side by side anywhere in the text?
    pub(crate) fn found_in(&self, text: &str) -> bool {
        let mut tokens = token::tokens(text);
        let (first, rest) = self.tests.split_first().expect("a sequence is never empty");
        while let Some(token) = tokens.next() {
            if first.accepts(&token.text) {
                let mut following = tokens.clone();
                if rest.iter().all(|test| {
                    following
                        .next()
                        .is_some_and(|next| test.accepts(&next.text))
                }) {
                    return true;
                }
            }
        }
        false
    }
}

/// Cuts pieces into the tests of single tokens.
#[derive(Default)]
struct Split {
    tests: Vec<WordTest>,
    current: Vec<Piece>,
    /// The current token is a character that stands alone, perhaps with wildcards beside it.
    closed_to_letters: bool,
}

impl Split {
    fn push(&mut self, piece: Piece) {
        if let Piece::Char(c) = piece {
            match kind(c) {
                Kind::Separator => return self.flush(),
                Kind::Joins if self.closed_to_letters => self.flush(),
                Kind::Joins => {}
                Kind::Alone => {
                    if self
                        .current
                        .iter()
                        .any(|piece| matches!(piece, Piece::Char(_)))
                    {
                        self.flush();
                    }
                    self.closed_to_letters = true;
                }
            }
        }
        self.current.push(piece);
    }

    fn flush(&mut self) {
        self.closed_to_letters = false;
        let current = std::mem::take(&mut self.current);
        if current.is_empty() {
            return;
        }
        let literal: Option<String> = current
            .iter()
            .map(|piece| {
                if let Piece::Char(c) = piece {
                    Some(*c)
                } else {
                    None
                }
            })
            .collect();
        match literal {
            // The tokenizer may cut a long run into several tokens.
            Some(run) => {
                let words =
                    token::tokens(&run).map(|token| WordTest::Word(token.text.into_owned()));
                self.tests.extend(words);
            }
            None => self
                .tests
                .push(WordTest::Glob(Glob::new(fold_pieces(&current)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        let pieces = text.chars().map(|c| match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            c => Piece::Char(c),
        });
        Words::new(pieces.collect()).unwrap()
    }

    #[test]
    fn separators_part_tokens_that_must_be_adjacent() {
        let line = "Received blk_-160 from /10.0.0.7:50010";
        assert!(words("BLK_-160").found_in(line));
        assert!(words("10.0.0.7").found_in(line));
        assert!(!words("10.0.7").found_in(line));
        assert!(!words("blk from").found_in(line));
    }

    #[test]
    fn a_wildcard_stays_within_one_token() {
        let line = "Received blk_-160 from /10.0.0.7:50010";
        assert!(words("rec*d").found_in(line));
        assert!(words("blk_-1*").found_in(line));
        assert!(words("10.*.0.7").found_in(line));
        assert!(!words("rec*160").found_in(line));
        assert!(!words("10.*.7").found_in(line));
        assert!(!words("50010.*").found_in(line), "no token follows");
    }

    #[test]
    fn cjk_characters_are_tokens() {
        assert!(words("错误").found_in("发生错误了"));
        assert!(!words("误错").found_in("发生错误了"));
        assert!(words("错误*").found_in("发生错误"));
        assert!(words("*误abc").found_in("错误abc"));
        assert!(words("a?错").found_in("ab错"));
    }

    #[test]
    fn long_runs_are_sequences_of_their_chunks() {
        let run = "x".repeat(600);
        assert_eq!(words(&run).tests().len(), 3);
        assert!(words(&run).found_in(&format!("a {run} b")));
    }

    #[test]
    fn punctuation_alone_is_nothing_to_search_for() {
        assert!(Words::new("-->".chars().map(Piece::Char).collect()).is_none());
    }
}
