//! Cutting lines.
//!
//! A line ends with LF; one CR before it belongs to the terminator, any other CR to the line. Bytes
//! are taken as they are. What a record's value is depends on the bytes of its range alone, so that
//! a record sent again is the same record.

use memchr::memchr;

/// The range of the next line in `bytes`, terminator included, if its end is there.
pub(crate) fn end_of_line(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', bytes).map(|at| at + 1)
}

/// The line without its terminator.
pub(crate) fn without_terminator(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        whole => whole,
    }
}

/// At most `bytes_max` of `line`, not ending inside a UTF-8 character.
pub(crate) fn cut(line: &[u8], bytes_max: usize) -> &[u8] {
    if line.len() <= bytes_max {
        return line;
    }
    // A character has at most three bytes after its first: look back for a first byte whose
    // character ends behind the cut. Where there is none, the bytes are no UTF-8: cut right here.
    for back in 1..=3.min(bytes_max) {
        let byte = line[bytes_max - back];
        let length = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => break,
        };
        if length > back {
            return &line[..bytes_max - back];
        }
        break;
    }
    &line[..bytes_max]
}

/// Where a line without terminator may be cut when its writer pauses: a CR at the end may be half
/// of a CRLF and waits for what follows.
pub(crate) fn idle_end(partial: &[u8]) -> usize {
    partial.len() - usize::from(partial.last() == Some(&b'\r'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lf_and_crlf_end_a_line_and_a_lone_cr_stays() {
        assert_eq!(end_of_line(b"a\rb\r\nc"), Some(5));
        assert_eq!(without_terminator(b"a\rb\r\n"), b"a\rb");
        assert_eq!(without_terminator(b"a\r\r\n"), b"a\r");
        assert_eq!(without_terminator(b"\xEF\xBB\xBFa\n"), b"\xEF\xBB\xBFa");
        assert_eq!(without_terminator(b"no end\r"), b"no end\r");
        assert_eq!(end_of_line(b"no end"), None);
    }

    #[test]
    fn invalid_utf8_is_cut_at_the_limit_itself() {
        assert_eq!(cut(&[0x80; 10], 7).len(), 7);
        assert_eq!(cut(b"\xFF\xFFabc", 3), b"\xFF\xFFa");
    }

    proptest! {
        #[test]
        fn a_cut_never_splits_a_character_and_drops_at_most_three_bytes(text in "\\PC{0,40}", max in 1usize..60) {
            let piece = cut(text.as_bytes(), max);
            prop_assert!(std::str::from_utf8(piece).is_ok() || max < 4);
            prop_assert!(piece.len() <= max);
            prop_assert!(piece.len() == text.len() || piece.len() + 3 >= max);
            prop_assert!(text.as_bytes().starts_with(piece));
        }
    }
}
