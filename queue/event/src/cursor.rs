//! A position in a line that only moves forward: the tool of the hand-written scanners.
//!
//! Every method is total. One that does not find what it looks for leaves the position unchanged and says so,
//! so a scanner copies the cursor (two words), tries a shape, and keeps the copy only on success.

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Moves on, at most to the end.
    pub(crate) fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.bytes.len());
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn eat_all(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Blanks and tabs; how many.
    pub(crate) fn blanks(&mut self) -> usize {
        self.take_while(usize::MAX, |byte| byte == b' ' || byte == b'\t')
            .len()
    }

    /// The bytes up to the first that does not fit, at most `max`.
    pub(crate) fn take_while(&mut self, max: usize, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .take(max)
            .take_while(|&&byte| fits(byte))
            .count();
        self.at += len;
        &rest[..len]
    }

    /// The next word: what stands before the next blank, or nothing when that is further than `max`.
    pub(crate) fn word(&mut self, max: usize) -> Option<&'a [u8]> {
        let mut after = *self;
        let word = after.take_while(max, |byte| !byte.is_ascii_whitespace());
        let ends = after.peek().is_none_or(|byte| byte.is_ascii_whitespace());
        if word.is_empty() || !ends {
            return None;
        }
        *self = after;
        Some(word)
    }

    /// Exactly `count` digits (at most 9).
    pub(crate) fn fixed(&mut self, count: usize) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + count)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
        }
        self.at += count;
        Some(number)
    }

    /// A number of 1 to `max` digits that no further digit follows (`max` at most 19).
    pub(crate) fn number(&mut self, max: usize) -> Option<u64> {
        let mut after = *self;
        let digits = after.take_while(max, |byte| byte.is_ascii_digit());
        if digits.is_empty() || after.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *self = after;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')),
        )
    }

    /// How many digits stand here, counted up to 20.
    pub(crate) fn digits_ahead(&self) -> usize {
        self.rest()
            .iter()
            .take(20)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    /// What a bracket that opens here encloses, inner pairs included, when it closes within `max` bytes.
    pub(crate) fn bracket(&mut self, max: usize) -> Option<&'a [u8]> {
        let rest = self.rest();
        if rest.first() != Some(&b'[') {
            return None;
        }
        let mut depth = 0usize;
        for (at, byte) in rest.iter().enumerate().take(max) {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += at + 1;
                return rest.get(1..at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_leaves_the_position() {
        let mut cursor = Cursor::new(b"12a [b[c]] [d");
        assert_eq!(cursor.fixed(3), None);
        assert_eq!(cursor.number(1), None);
        assert_eq!(cursor.bracket(9), None);
        assert_eq!(cursor.word(2), None);
        assert_eq!(cursor.at(), 0);
        assert_eq!(cursor.number(2), Some(12));
        assert_eq!(cursor.word(9), Some(&b"a"[..]));
        assert_eq!(cursor.blanks(), 1);
        assert_eq!(cursor.bracket(9), Some(&b"b[c]"[..]));
        assert_eq!(cursor.blanks(), 1);
        assert_eq!(cursor.bracket(9), None);
        cursor.skip(99);
        assert!(cursor.is_end() && cursor.rest().is_empty() && cursor.fixed(1).is_none());
    }
}
