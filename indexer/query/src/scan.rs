//! Characters of the query text: position, look-ahead, words, quotes, regex literals.

use std::ops::Range;

use crate::field::{is_name_char, is_name_start};
use crate::glob::Piece;

pub(crate) struct Scanner<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(crate) fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    pub(crate) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Does the value or clause that was expected here not begin?
    pub(crate) fn at_boundary(&self) -> bool {
        self.peek()
            .is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'))
    }

    /// `AND`, `OR`, `NOT`, `TO`: in capitals and on their own.
    pub(crate) fn at_keyword(&self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword);
        after.is_some_and(|after| {
            after
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"'))
        })
    }

    pub(crate) fn eat_keyword(&mut self, keyword: &str) -> Option<Range<usize>> {
        let from = self.at;
        self.at_keyword(keyword).then(|| {
            self.at += keyword.len();
            from..self.at
        })
    }

    /// A name and its colon; nothing is consumed when there is none. `12:30`, `http://…` and
    /// `C:\…` are words.
    pub(crate) fn field_name(&mut self) -> Option<String> {
        let mut chars = self.rest().char_indices();
        let mut name = String::new();
        loop {
            let (offset, c) = chars.next()?;
            match c {
                ':' if !name.is_empty() => {
                    let after = &self.rest()[offset + 1..];
                    let letter =
                        name.len() == 1 && name.starts_with(|c: char| c.is_ascii_alphabetic());
                    let drive = letter && after.starts_with('\\');
                    if after.starts_with("//") || drive {
                        return None;
                    }
                    self.at += offset + 1;
                    return Some(name);
                }
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    if escaped.is_alphanumeric() || name.is_empty() {
                        return None;
                    }
                    name.push(escaped);
                }
                c if is_name_char(c) && (!name.is_empty() || is_name_start(c)) => name.push(c),
                _ => return None,
            }
        }
    }

    /// A name on its own, as pipes have them; nothing is consumed when there is none.
    pub(crate) fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut end = self.at;
        let mut chars = self.rest().chars();
        while let Some(c) = chars.next() {
            let escaped = (c == '\\').then(|| chars.next()).flatten();
            match escaped {
                Some(escaped) if !name.is_empty() && !escaped.is_alphanumeric() => {
                    name.push(escaped);
                    end += escaped.len_utf8();
                }
                None if is_name_char(c) && (!name.is_empty() || is_name_start(c)) => name.push(c),
                _ => break,
            }
            end += c.len_utf8();
        }
        self.at = end;
        (!name.is_empty()).then_some(name)
    }

    /// Up to white space, a quote, a pipe, or a parenthesis that the word did not open itself.
    /// A backslash takes the meaning from what is neither letter nor digit.
    pub(crate) fn word(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut open = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() || matches!(c, '"' | '|') => break,
                ')' if open == 0 => break,
                _ => {}
            }
            self.at += c.len_utf8();
            pieces.push(match c {
                '*' => Piece::Many,
                '?' => Piece::One,
                '\\' => match self.peek() {
                    Some(escaped) if !escaped.is_alphanumeric() => {
                        self.at += escaped.len_utf8();
                        Piece::Char(escaped)
                    }
                    _ => Piece::Char('\\'),
                },
                c => {
                    open = match c {
                        '(' => open + 1,
                        ')' => open - 1,
                        _ => open,
                    };
                    Piece::Char(c)
                }
            });
        }
        pieces
    }

    /// After the opening quote: the text up to the closing one, which may be missing (`None`).
    /// `\"` and `\\` stand for themselves; any other backslash is a backslash.
    pub(crate) fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.bump()? {
                '"' => return Some(text),
                '\\' => match self.peek() {
                    Some(c @ ('"' | '\\')) => {
                        self.at += 1;
                        text.push(c);
                    }
                    _ => text.push('\\'),
                },
                c => text.push(c),
            }
        }
    }

    /// A regex literal at a slash: the next bare slash must end the clause, so that `/var/log` is
    /// a word. Returns the pattern's range.
    pub(crate) fn regex(&mut self) -> Option<Range<usize>> {
        let body = self.rest().strip_prefix('/')?;
        let mut escaped = false;
        let close = body.char_indices().find_map(|(offset, c)| {
            let closes = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(offset)
        })?;
        let ends = body[close + 1..]
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'));
        if close == 0 || !ends {
            return None;
        }
        let from = self.at + 1;
        self.at = from + close + 1;
        Some(from..from + close)
    }
}
