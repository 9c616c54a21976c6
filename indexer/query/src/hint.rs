//! What tokens a text must have for a regex to match in it.

use logboom_event::token::{Kind, TOKEN_BYTES_MAX};

use crate::glob::{Glob, Piece};
use crate::pattern::Element;
use crate::words::WordTest;

/// A condition that every text with a match satisfies.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// Nothing is known.
    Anything,
    /// Some token passes.
    Word(WordTest),
    All(Vec<Hint>),
    Any(Vec<Hint>),
}

/// Tests with wildcards each read a slice of the term dictionary; the longest rule out the most.
const GLOBS_MAX: usize = 3;
/// Fewer known characters than this rule out next to nothing.
const GLOB_CHARS_MIN: usize = 3;

pub(crate) fn from_skeleton(skeleton: &[Element]) -> Hint {
    let mut walk = Walk {
        token: vec![Piece::Many],
        hints: Vec::new(),
        globs: Vec::new(),
    };
    for element in skeleton {
        walk.step(element);
    }
    walk.cut(Side::Open);
    walk.finish()
}

struct Walk {
    /// The token that is being read; begins with `*` when letters may stand before it.
    token: Vec<Piece>,
    hints: Vec<Hint>,
    globs: Vec<Vec<Piece>>,
}

/// May letters stand next to the place?
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Open,
    Closed,
}

impl Walk {
    fn step(&mut self, element: &Element) {
        match element {
            Element::Char(c, Kind::Joins) => self.token.push(Piece::Char(*c)),
            Element::Letter => self.token.push(Piece::One),
            Element::Letters => self.token.push(Piece::Many),
            Element::Char(c, Kind::Alone) => {
                self.cut(Side::Closed);
                self.hints.push(Hint::Word(WordTest::Word(c.to_string())));
            }
            Element::Char(_, Kind::Separator)
            | Element::Separator
            | Element::Separators
            | Element::Start
            | Element::End => self.cut(Side::Closed),
            Element::Gap => self.cut(Side::Open),
            Element::Either(branches) => {
                self.cut(Side::Open);
                let hints: Vec<Hint> = branches
                    .iter()
                    .map(|branch| from_skeleton(branch))
                    .collect();
                if !hints.contains(&Hint::Anything) {
                    self.hints.push(Hint::Any(hints));
                }
            }
        }
    }

    /// Ends the current token; what follows begins beside the same place.
    fn cut(&mut self, side: Side) {
        let mut token = std::mem::take(&mut self.token);
        if side == Side::Open {
            token.push(Piece::Many);
            self.token.push(Piece::Many);
        }
        let known: String = token
            .iter()
            .filter_map(|piece| {
                if let Piece::Char(c) = piece {
                    Some(*c)
                } else {
                    None
                }
            })
            .collect();
        if token.len() > TOKEN_BYTES_MAX || known.len() > TOKEN_BYTES_MAX {
            return;
        }
        if !known.is_empty() && known.chars().count() == token.len() {
            self.hints.push(Hint::Word(WordTest::Word(known)));
        } else if known.chars().count() >= GLOB_CHARS_MIN {
            self.globs.push(token);
        }
    }

    fn finish(mut self) -> Hint {
        let known = |token: &Vec<Piece>| {
            token
                .iter()
                .filter(|piece| matches!(piece, Piece::Char(_)))
                .count()
        };
        self.globs
            .sort_by_key(|token| std::cmp::Reverse(known(token)));
        // Where whole words are known already, a scan of the dictionary is not worth its time.
        let globs = if self.hints.is_empty() { GLOBS_MAX } else { 1 };
        let globs = self
            .globs
            .into_iter()
            .take(globs)
            .map(|token| Hint::Word(WordTest::Glob(Glob::new(token))));
        self.hints.extend(globs);
        match self.hints.len() {
            0 => Hint::Anything,
            1 => self.hints.remove(0),
            _ => Hint::All(self.hints),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;
    use logboom_event::token;
    use proptest::prelude::*;

    fn holds(hint: &Hint, text: &str) -> bool {
        match hint {
            Hint::Anything => true,
            Hint::All(all) => all.iter().all(|hint| holds(hint, text)),
            Hint::Any(any) => any.iter().any(|hint| holds(hint, text)),
            Hint::Word(test) => token::tokens(text).any(|token| match test {
                WordTest::Word(word) => *word == token.text,
                WordTest::Glob(glob) => glob.matches(&token.text),
            }),
        }
    }

    fn word(text: &str) -> Hint {
        if !text.contains(['*', '?']) {
            return Hint::Word(WordTest::Word(text.to_owned()));
        }
        let pieces = text.chars().map(|c| match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            c => Piece::Char(c),
        });
        Hint::Word(WordTest::Glob(Glob::new(pieces)))
    }

    fn hint(pattern: &str) -> Hint {
        Pattern::new(pattern).unwrap().hint()
    }

    #[test]
    fn literals_between_separators_are_whole_tokens() {
        assert_eq!(
            hint("failed password for"),
            Hint::All(vec![word("password"), word("*failed")])
        );
        assert_eq!(
            hint(r"dur=49\d\dms"),
            Hint::All(vec![word("49??ms*"), word("*dur")])
        );
        assert_eq!(hint(r"^ERROR\s"), word("error"));
        assert_eq!(hint("(?i)timeout"), word("*timeout*").clone());
        assert_eq!(
            hint("(foo1|bar2)baz"),
            Hint::All(vec![
                Hint::Any(vec![word("*foo1*"), word("*bar2*")]),
                word("*baz*")
            ])
        );
        assert_eq!(hint("错误"), Hint::All(vec![word("错"), word("误")]));
        assert_eq!(hint("a.*b"), Hint::Anything);
        assert_eq!(hint("foo1|.*"), Hint::Anything);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_text_with_a_match_satisfies_the_hint(
            pattern in r"(\^)?(foo|Ba1|[aZ_=\-错 ]|\\d|\\d\+|\[a-c\]\{2\}|\[a_\]|o\+|f\?|\(foo\|bar9\)|\(\?i:sKx\)|\.\*|\\s\+|\\b|\\w){1,7}(\$)?",
            text in "([aZbcfo019_=\\-错误 \u{212a}ſ]|foo|Ba1|bar9|SKX){0,14}",
        ) {
            let pattern = Pattern::new(&pattern).map_err(|_| TestCaseError::reject("not a regex"))?;
            if pattern.is_match(&text) {
                prop_assert!(holds(&pattern.hint(), &text), "{:?}", pattern.hint());
            }
        }
    }
}
