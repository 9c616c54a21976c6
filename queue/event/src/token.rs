//! Words: the one tokenizer of index, query and oracle.
//!
//! A word is a maximal run of letters and digits, compared in Unicode lower case. Each CJK
//! ideograph, kana and hangul character is a word of its own, because those scripts do not
//! put spaces between words. Runs longer than [`TOKEN_BYTES_MAX`] are cut, on a character
//! border, into words that follow each other in position, so that a phrase query for the whole
//! run still finds it.

use std::borrow::Cow;

/// Longest word in bytes of the text. The index drops words over 65,530 bytes without a word.
pub const TOKEN_BYTES_MAX: usize = 255;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// In lower case; borrowed when the text was already.
    pub text: Cow<'a, str>,
    /// Byte range in the text.
    pub offset_from: usize,
    pub offset_to: usize,
    /// 0 for the first word, then one more for each.
    pub position: usize,
}

/// The words of a text, in order.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens {
        text,
        at: 0,
        position: 0,
    }
}

/// The words of bytes that should be UTF-8. Offsets refer to the lossy text, whose invalid bytes
/// became U+FFFD and separate words.
pub fn tokens_lossy(bytes: &[u8]) -> LossyTokens<'_> {
    LossyTokens {
        text: String::from_utf8_lossy(bytes),
        at: 0,
        position: 0,
    }
}

/// See [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    position: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let (from, to) = next_word(self.text, self.at)?;
        self.at = to;
        let position = self.position;
        self.position += 1;
        Some(Token {
            text: fold(&self.text[from..to]),
            offset_from: from,
            offset_to: to,
            position,
        })
    }
}

/// See [`tokens_lossy`].
#[derive(Debug, Clone)]
pub struct LossyTokens<'a> {
    text: Cow<'a, str>,
    at: usize,
    position: usize,
}

impl Iterator for LossyTokens<'_> {
    type Item = Token<'static>;

    fn next(&mut self) -> Option<Token<'static>> {
        let (from, to) = next_word(&self.text, self.at)?;
        self.at = to;
        let position = self.position;
        self.position += 1;
        Some(Token {
            text: Cow::Owned(fold(&self.text[from..to]).into_owned()),
            offset_from: from,
            offset_to: to,
            position,
        })
    }
}

/// What a character does to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Is in no word.
    Separator,
    /// Is in one word with its neighbours of the same kind.
    Joins,
    /// Is a word by itself, as in scripts written without spaces.
    Alone,
}

/// How [`tokens`] treats a character.
pub fn kind(c: char) -> Kind {
    if c.is_ascii_alphanumeric() {
        Kind::Joins
    } else if c.is_ascii() || !c.is_alphanumeric() {
        Kind::Separator
    } else if is_unspaced(c) {
        Kind::Alone
    } else {
        Kind::Joins
    }
}

/// A text as words are compared: in Unicode lower case, character by character.
pub fn fold(text: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_folded) {
        Cow::Borrowed(text)
    } else if text.is_ascii() {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        // By character, because `str::to_lowercase` gives a sigma another shape at the end of a word;
        // folding that shape lets ΟΔΟΣ and οδος meet whatever they were cut from.
        let lower = text.chars().flat_map(char::to_lowercase);
        Cow::Owned(lower.map(|c| if c == 'ς' { 'σ' } else { c }).collect())
    }
}

/// The character at a byte that is on a border, and its kind. ASCII first: log lines are, and decoding
/// costs more than a look.
fn kind_at(text: &str, at: usize) -> Option<(Kind, usize)> {
    let byte = *text.as_bytes().get(at)?;
    if byte.is_ascii() {
        return Some((kind(char::from(byte)), 1));
    }
    let c = text[at..].chars().next()?;
    Some((kind(c), c.len_utf8()))
}

/// The byte range of the first word at or after `from`, which must be a character border.
fn next_word(text: &str, mut from: usize) -> Option<(usize, usize)> {
    let mut to = loop {
        match kind_at(text, from)? {
            (Kind::Separator, width) => from += width,
            (Kind::Alone, width) => return Some((from, from + width)),
            (Kind::Joins, width) => break from + width,
        }
    };
    while let Some((Kind::Joins, width)) = kind_at(text, to)
        && to + width - from <= TOKEN_BYTES_MAX
    {
        to += width;
    }
    Some((from, to))
}

/// Scripts that put no spaces between words. Their punctuation is among them, and no letter.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11FF}'     // hangul jamo
        | '\u{2E80}'..='\u{2FDF}'   // radicals
        | '\u{3005}'..='\u{3007}'   // 々〆〇
        | '\u{3021}'..='\u{3029}'   // hangzhou numerals
        | '\u{3031}'..='\u{3035}'   // kana repeat marks
        | '\u{3040}'..='\u{30FF}'   // hiragana, katakana
        | '\u{3105}'..='\u{312F}'   // bopomofo
        | '\u{3130}'..='\u{318F}'   // hangul compatibility jamo
        | '\u{31A0}'..='\u{31BF}'   // bopomofo extended
        | '\u{31F0}'..='\u{31FF}'   // katakana extensions
        | '\u{3400}'..='\u{4DBF}'   // ideographs, extension A
        | '\u{4E00}'..='\u{9FFF}'   // ideographs
        | '\u{A960}'..='\u{A97F}'   // hangul jamo extended A
        | '\u{AC00}'..='\u{D7FF}'   // hangul syllables, jamo extended B
        | '\u{F900}'..='\u{FAFF}'   // compatibility ideographs
        | '\u{FF66}'..='\u{FFDC}'   // half-width kana and hangul
        | '\u{1AFF0}'..='\u{1B16F}' // kana supplements
        | '\u{20000}'..='\u{3FFFF}' // ideographs, extensions B and on
    )
}
