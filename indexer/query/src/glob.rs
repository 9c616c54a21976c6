//! Wildcard patterns: `*` is any run of characters, `?` any one. Patterns and texts are folded
//! (compared without case) before they meet here.

/// One element of a pattern, or of a word as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A pattern that matches a whole text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    pieces: Vec<Piece>,
}

impl Glob {
    /// Runs of `*` mean the same as one.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Glob {
        let mut pieces: Vec<Piece> = pieces.into_iter().collect();
        pieces.dedup_by(|next, last| *next == Piece::Many && *last == Piece::Many);
        Glob { pieces }
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Does the pattern match every text?
    pub fn is_everything(&self) -> bool {
        self.pieces == [Piece::Many]
    }

    /// The text that every match begins with: narrows a sorted dictionary to a slice.
    pub fn literal_prefix(&self) -> String {
        let chars = self.pieces.iter().map_while(|piece| match piece {
            Piece::Char(c) => Some(*c),
            Piece::One | Piece::Many => None,
        });
        chars.collect()
    }

    /// Greedy matching that returns only to the latest `*`: at worst pieces × characters.
    pub fn matches(&self, text: &str) -> bool {
        let (mut piece, mut rest) = (0, text.chars());
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            let next = rest.next();
            match (self.pieces.get(piece), next) {
                (None, None) => return true,
                (Some(Piece::Many), _) => {
                    piece += 1;
                    if piece == self.pieces.len() {
                        return true;
                    }
                    rest = before;
                    retry = Some((piece, rest.clone()));
                    continue;
                }
                (Some(Piece::One), Some(_)) => piece += 1,
                (Some(Piece::Char(want)), Some(c)) if *want == c => piece += 1,
                (_, None) => return false,
                _ => {
                    let Some((after_star, from)) = &mut retry else {
                        return false;
                    };
                    from.next();
                    piece = *after_star;
                    rest = from.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        Glob::new(text.chars().map(|c| match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            c => Piece::Char(c),
        }))
    }

    proptest! {
        #[test]
        fn globs_agree_with_the_same_pattern_as_a_regex(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let regex = pattern.replace('*', ".*").replace('?', ".");
            let regex = regex::Regex::new(&format!("(?s)^(?:{regex})$")).unwrap();
            prop_assert_eq!(glob(&pattern).matches(&text), regex.is_match(&text));
        }
    }

    #[test]
    fn the_literal_prefix_ends_at_the_first_wildcard() {
        assert_eq!(glob("conn*fail").literal_prefix(), "conn");
        assert_eq!(glob("*x").literal_prefix(), "");
        assert!(glob("***").is_everything());
    }
}
