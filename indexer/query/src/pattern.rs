//! Regexes, in linear time only, and what a match cannot do without.
//!
//! Before a regex runs on a line the index may rule the line out. A [`Pattern`] therefore knows a
//! *skeleton* of itself: a sequence of elements that every match contains in that order. From it
//! follow word tests for the text fields ([`Pattern::hint`]) and a wildcard for whole values
//! ([`Pattern::value_glob`]). Both only ever accept more than the regex does.

use logboom_event::token::{Kind, kind};
use regex::{Regex, RegexBuilder};
use regex_syntax::ast::ErrorKind;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::glob::{Glob, Piece};
use crate::hint::{self, Hint};
use crate::limits;
use crate::words::fold_char;

/// A regex as it stands between slashes.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    skeleton: Vec<Element>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text() == other.text()
    }
}

/// What stands at one place of every match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    /// This character, folded; all its spellings take part in tokens alike.
    Char(char, Kind),
    /// One character that joins a run of letters and digits.
    Letter,
    /// Any number of those.
    Letters,
    /// One separator.
    Separator,
    /// Any number of separators beside one that stands next to it.
    Separators,
    /// The text begins or ends here.
    Start,
    End,
    /// Anything.
    Gap,
    /// One of these, with anything around it.
    Either(Vec<Vec<Element>>),
}

/// Why a pattern is refused, and at which byte of it where one is to blame.
#[derive(Debug)]
pub(crate) struct PatternError {
    pub(crate) complaint: String,
    pub(crate) offset: Option<usize>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Pattern, PatternError> {
        let whole = |complaint: String| PatternError {
            complaint,
            offset: None,
        };
        if text.len() > limits::REGEX_BYTES_MAX {
            let complaint = format!(
                "is a regex of {} bytes; {} are allowed",
                text.len(),
                limits::REGEX_BYTES_MAX
            );
            return Err(whole(complaint));
        }
        let hir = regex_syntax::ParserBuilder::new()
            .nest_limit(limits::REGEX_DEPTH_MAX)
            .build()
            .parse(text)
            .map_err(|error| explain(&error))?;
        let regex = RegexBuilder::new(text)
            .size_limit(limits::REGEX_PROGRAM_BYTES_MAX)
            .dfa_size_limit(limits::REGEX_CACHE_BYTES_MAX)
            .nest_limit(limits::REGEX_DEPTH_MAX)
            .build()
            .map_err(|_| whole("is too large a regex once its repetitions are written out; repeat less, or use `*`".to_owned()))?;
        let mut skeleton = Vec::new();
        append(&hir, &mut skeleton);
        Ok(Pattern { regex, skeleton })
    }

    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Tokens that a text must have for the regex to match in it. Does not hold for a text with
    /// a run longer than [`logboom_event::token::TOKEN_BYTES_MAX`], which is cut anywhere.
    pub fn hint(&self) -> Hint {
        hint::from_skeleton(&self.skeleton)
    }

    /// A wildcard that accepts the folded text of every value in which the regex matches.
    pub fn value_glob(&self) -> Glob {
        let mut pieces = vec![Piece::Many];
        for (index, element) in self.skeleton.iter().enumerate() {
            pieces.push(match element {
                Element::Char(c, _) => Piece::Char(*c),
                Element::Letter | Element::Separator => Piece::One,
                Element::Start if index == 0 => {
                    pieces.clear();
                    continue;
                }
                Element::End if index + 1 == self.skeleton.len() => return Glob::new(pieces),
                _ => Piece::Many,
            });
        }
        pieces.push(Piece::Many);
        Glob::new(pieces)
    }
}

fn explain(error: &regex_syntax::Error) -> PatternError {
    let regex_syntax::Error::Parse(error) = error else {
        let offset = if let regex_syntax::Error::Translate(error) = error {
            Some(error.span().start.offset)
        } else {
            None
        };
        return PatternError {
            complaint: format!("is not a valid regex: {}", one_line(error)),
            offset,
        };
    };
    let complaint = match error.kind() {
        ErrorKind::UnsupportedLookAround => {
            "uses look-around, which cannot run in linear time; write two clauses instead, e.g. `/a/ NOT /b/`".to_owned()
        }
        ErrorKind::UnsupportedBackreference => {
            "uses a back-reference, which cannot run in linear time; write the text out".to_owned()
        }
        kind => format!("is not a valid regex: {kind}"),
    };
    PatternError {
        complaint,
        offset: Some(error.span().start.offset),
    }
}

fn one_line(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn append(hir: &Hir, out: &mut Vec<Element>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => out.extend(text.chars().map(|c| class_element(std::iter::once(c)))),
            Err(_) => out.push(Element::Gap),
        },
        HirKind::Class(Class::Unicode(class)) => {
            let size: u32 = class
                .ranges()
                .iter()
                .map(|range| u32::from(range.end()) - u32::from(range.start()) + 1)
                .sum();
            // The largest that pays are the decimal digits of all scripts, about 800.
            const CLASS_CHARS_MAX: u32 = 2_000;
            out.push(if size <= CLASS_CHARS_MAX {
                class_element(
                    class
                        .ranges()
                        .iter()
                        .flat_map(|range| range.start()..=range.end()),
                )
            } else {
                Element::Gap
            });
        }
        HirKind::Class(Class::Bytes(_)) => out.push(Element::Gap),
        HirKind::Look(Look::Start) => out.push(Element::Start),
        HirKind::Look(Look::End) => out.push(Element::End),
        // Consumes nothing and promises nothing about tokens: `_` is a word character to `\b`.
        HirKind::Look(_) => {}
        HirKind::Capture(capture) => append(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| append(part, out)),
        HirKind::Alternation(branches) => {
            let skeletons = branches.iter().map(|branch| {
                let mut skeleton = Vec::new();
                append(branch, &mut skeleton);
                skeleton
            });
            out.push(Element::Either(skeletons.collect()));
        }
        HirKind::Repetition(repetition) => {
            let mut once = Vec::new();
            append(&repetition.sub, &mut once);
            append_repeated(once, repetition.min, repetition.max, out);
        }
    }
}

fn append_repeated(once: Vec<Element>, min: u32, max: Option<u32>, out: &mut Vec<Element>) {
    const COPIES_MAX: u32 = 64;
    let exact = max == Some(min) && min <= COPIES_MAX;
    match once.as_slice() {
        [Element::Letter] => {
            out.extend((0..min.min(COPIES_MAX)).map(|_| Element::Letter));
            if !exact {
                out.push(Element::Letters);
            }
        }
        [Element::Separator] if min > 0 => out.extend([Element::Separator, Element::Separators]),
        _ if min == 0 => out.push(Element::Gap),
        _ => {
            let single = max == Some(1);
            out.extend(once);
            if !single {
                out.push(Element::Gap);
            }
        }
    }
}

/// The element for one character out of a set.
fn class_element(chars: impl Iterator<Item = char>) -> Element {
    let mut folded: Option<char> = None;
    let mut shared_kind: Option<Kind> = None;
    let mut one_spelling = true;
    for c in chars {
        let mut lower = fold_char(c);
        let (Some(first), None) = (lower.next(), lower.next()) else {
            return Element::Gap;
        };
        one_spelling &= *folded.get_or_insert(first) == first;
        if *shared_kind.get_or_insert_with(|| kind(c)) != kind(c) {
            return Element::Gap;
        }
    }
    match (folded, shared_kind) {
        (Some(c), Some(kind)) if one_spelling => Element::Char(c, kind),
        (_, Some(Kind::Joins)) => Element::Letter,
        (_, Some(Kind::Separator)) => Element::Separator,
        _ => Element::Gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_event::token::fold;
    use proptest::prelude::*;

    #[test]
    fn what_needs_backtracking_is_refused_by_name() {
        let complaint = |text| Pattern::new(text).err().unwrap().complaint;
        assert!(complaint("foo(?!bar)").starts_with("uses look-around"));
        assert!(complaint(r"(a)\1").starts_with("uses a back-reference"));
        assert!(complaint("a{1000}{1000}").contains("too large"));
        assert_eq!(Pattern::new("ab(").err().unwrap().offset, Some(2));
    }

    #[test]
    fn value_globs_keep_anchors_and_literals() {
        let glob = |text: &str| {
            let pieces = Pattern::new(text).unwrap().value_glob().pieces().to_vec();
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Char(c) => *c,
                    Piece::One => '?',
                    Piece::Many => '*',
                })
                .collect::<String>()
        };
        assert_eq!(glob(r"^5\d\d$"), "5??");
        assert_eq!(glob("(?i)Conn.*fail"), "*conn*fail*");
        assert_eq!(glob("ab|cd"), "*");
    }

    proptest! {
        #[test]
        fn a_matching_value_passes_the_glob(pattern in r"(\^)?([aAbK1.\-]|\\d|\[a-c\]|\[aB-\]|x\+|y\?|\(a\|bc\)|\(\?i:aK\)|\.\*|\\s){1,6}(\$)?", text in "[aAbBkKcxy1 .\\-\u{212a}é]{0,12}") {
            let pattern = Pattern::new(&pattern).map_err(|_| TestCaseError::reject("not a regex"))?;
            if pattern.is_match(&text) {
                prop_assert!(pattern.value_glob().matches(&fold(&text)), "{:?}", pattern.value_glob());
            }
        }
    }
}
