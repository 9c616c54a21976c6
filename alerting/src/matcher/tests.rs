//! The matcher against the loop that it replaces.

use proptest::prelude::*;

use super::*;

fn naive(patterns: &[&str], line: &[u8]) -> Vec<usize> {
    (0..patterns.len())
        .filter(|index| pattern::compile(patterns[*index]).unwrap().is_match(line))
        .collect()
}

/// Shapes that take every way through the extraction: literals, folds, alternations, captures,
/// repetitions, classes, anchors, Unicode, and nothing to hold on to.
const SHAPES: &[&str] = &[
    "abc",
    "ab",
    "a",
    "(?i)abc",
    "(?i)disks",
    "(?i)é日x",
    "abc.*bca",
    "(abc|bcd|cab)",
    "(abc|b)",
    "(?i)(abc|CAB)x?",
    "(abc)+",
    "(abc)*x",
    "(abc){2,3}",
    r"\babc\b",
    r"^abc",
    "abc$",
    r"\d{2}",
    r"\d\d:\d\d",
    "[abc][abc]x[12]",
    "[aA]bc",
    "日本",
    "(?-u)\\xff",
    "(?s)a.*c",
    "x|",
    r"code=5\d\d",
    r"\Bbc",
    "a{3}",
    "(?i)k",
    ".",
    "ab(?i)cd",
];

fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("abc"),
        Just("ABC"),
        Just("a"),
        Just("b"),
        Just("c"),
        Just("x"),
        Just("K"),
        Just("\u{212a}"),
        Just("ſ"),
        Just("disk"),
        Just("DISKS"),
        Just("É日X"),
        Just("日本"),
        Just("12"),
        Just("34:56"),
        Just(" "),
        Just("code=503"),
        Just("bcd"),
        Just("CD"),
    ];
    (
        prop::collection::vec(piece, 0..8),
        prop::option::of(0usize..40),
    )
        .prop_map(|(pieces, broken)| {
            let mut line = pieces.concat().into_bytes();
            if let Some(at) = broken.filter(|at| *at < line.len()) {
                line[at] = 0xff;
            }
            line
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_matcher_answers_like_a_loop_over_all_patterns(
        lines in prop::collection::vec(line(), 1..6), sample in prop::collection::vec(line(), 0..4),
    ) {
        let matcher = Matcher::new(SHAPES, &sample).unwrap();
        let mut scratch = matcher.scratch();
        for line in &lines {
            prop_assert_eq!(matcher.search(line, &mut scratch), naive(SHAPES, line), "{}", String::from_utf8_lossy(line));
        }
    }
}

fn members(text: &str) -> Vec<(bool, Vec<String>)> {
    let hir = pattern::parse(text).unwrap();
    let text = |candidate: Candidate| {
        (
            candidate.folded,
            candidate
                .members
                .into_iter()
                .map(|member| String::from_utf8(member).unwrap())
                .collect(),
        )
    };
    candidates(&hir).into_iter().map(text).collect()
}

#[test]
fn literals_that_a_match_needs_are_found() {
    assert_eq!(
        members("user (root|admin) failed"),
        [
            (false, vec![" failed".to_owned()]),
            (false, vec!["user ".to_owned()]),
            (false, vec!["admin".to_owned(), "root".to_owned()]),
        ]
    );
    assert_eq!(members("(?i)time"), [(true, vec!["time".to_owned()])]);
    // Case folding of Unicode knows a second `s` and `k`.
    assert_eq!(
        members("(?i)ask"),
        [(
            true,
            vec![
                "as\u{212a}".to_owned(),
                "ask".to_owned(),
                "a\u{17f}\u{212a}".to_owned(),
                "a\u{17f}k".to_owned()
            ]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
        )]
    );
    assert_eq!(members(r"\d+ (a|b)"), []);
    assert_eq!(members("(error)?"), []);
}

#[test]
fn the_rarest_literal_is_chosen() {
    let sample: Vec<Vec<u8>> = (0..50)
        .map(|index| format!("connection from host{index}").into_bytes())
        .collect();
    let options = vec![candidates(&pattern::parse("connection .* oom").unwrap())];
    assert_eq!(
        literal::choose(&options, &sample)[0]
            .as_ref()
            .unwrap()
            .members,
        [b" oom".to_vec()]
    );
    assert_eq!(
        literal::choose(&options, &[])[0].as_ref().unwrap().members,
        [b"connection ".to_vec()]
    );
}

#[test]
fn a_pattern_without_a_literal_costs_no_other_one_its_place() {
    let mut patterns: Vec<String> = (0..100).map(|index| format!("needle{index:03}")).collect();
    patterns.extend((0..40).map(|index| format!(r"^\d{{{}}}$", index + 1)));
    let matcher = Matcher::new(&patterns, &[]).unwrap();
    assert_eq!(matcher.residue(), 40);
    let mut scratch = matcher.scratch();
    assert_eq!(matcher.search(b"a needle007 in hay", &mut scratch), [7]);
    assert_eq!(matcher.search(b"1234", &mut scratch), [103]);
    assert_eq!(scratch.verified, 1);
}
