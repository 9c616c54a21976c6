//! How fast lines pass 1,000 rules: `cargo run --release -p logboom-alerting --example matcher_speed`.
//!
//! The input of facts/alerting.md §3: lines of some 200 bytes, 1 % of them with a hit, patterns of five
//! shapes that hold a literal, 2 % without one. Prints lines per second of one thread, beside a loop.

use std::time::Instant;

use logboom_alerting::matcher::Matcher;

const LINES: usize = 100_000;
const RULES: usize = 1_000;

/// xorshift64: the same numbers at every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

const WORDS: [&str; 24] = [
    "connection",
    "from",
    "user",
    "session",
    "opened",
    "closed",
    "request",
    "error",
    "timeout",
    "service",
    "worker",
    "queue",
    "block",
    "replica",
    "served",
    "cache",
    "packet",
    "accepted",
    "password",
    "kernel",
    "device",
    "mount",
    "retry",
    "thread",
];

fn pattern(index: usize) -> String {
    let name = format!("code{index:04}");
    match index {
        0..20 => format!(r"\d{{3}}[a-f]{{{}}}\d{{2}}[g-z]", index % 5 + 2),
        _ => match index % 5 {
            0 => format!("error {name}"),
            1 => format!(r"timeout.*{name} (retry|abort)"),
            2 => format!(r"\bworker\[\d+\] {name}"),
            3 => format!(r"{name}=\d+ms"),
            _ => format!("(?:open|close) {name}"),
        },
    }
}

fn hit(index: usize) -> String {
    let name = format!("code{index:04}");
    match index % 5 {
        0 => format!("error {name}"),
        1 => format!("timeout at {name} retry"),
        2 => format!("worker[17] {name}"),
        3 => format!("{name}=35ms"),
        _ => format!("open {name}"),
    }
}

fn main() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let patterns: Vec<String> = (0..RULES).map(pattern).collect();
    let lines: Vec<Vec<u8>> = (0..LINES)
        .map(|index| {
            let mut line = format!(
                "2026-01-01T00:00:00.{index:06}Z host{} app[{}]:",
                numbers.next(50),
                numbers.next(9999)
            );
            if index % 100 == 0 {
                line.push(' ');
                line.push_str(&hit(20 + numbers.next(RULES - 20)));
            }
            while line.len() < 190 {
                line.push(' ');
                line.push_str(WORDS[numbers.next(WORDS.len())]);
                if numbers.next(8) == 0 {
                    line.push_str(&format!(" {:08x}", numbers.next(u32::MAX as usize)));
                }
            }
            line.into_bytes()
        })
        .collect();
    let bytes: usize = lines.iter().map(Vec::len).sum();

    let sample: Vec<Vec<u8>> = lines.iter().step_by(LINES / 2_000).cloned().collect();
    let started = Instant::now();
    let matcher = Matcher::new(&patterns, &sample).expect("the patterns are right");
    println!(
        "compiled {RULES} patterns ({} without a literal) in {:?}",
        matcher.residue(),
        started.elapsed()
    );

    let mut scratch = matcher.scratch();
    let started = Instant::now();
    let hits: usize = lines
        .iter()
        .map(|line| matcher.search(line, &mut scratch).len())
        .sum();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "matcher: {:.0} lines/s, {:.0} MB/s, {hits} hits, {:.3} candidates a line",
        LINES as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        scratch.verified as f64 / LINES as f64
    );

    let loop_lines = LINES / 50;
    let regexes: Vec<regex::bytes::Regex> = patterns
        .iter()
        .map(|pattern| regex::bytes::Regex::new(pattern).expect("the patterns are right"))
        .collect();
    let started = Instant::now();
    let found: usize = lines[..loop_lines]
        .iter()
        .map(|line| regexes.iter().filter(|regex| regex.is_match(line)).count())
        .sum();
    let expected: usize = {
        let mut scratch = matcher.scratch();
        lines[..loop_lines]
            .iter()
            .map(|line| matcher.search(line, &mut scratch).len())
            .sum()
    };
    println!(
        "loop:    {:.0} lines/s over {loop_lines} lines",
        loop_lines as f64 / started.elapsed().as_secs_f64()
    );
    assert_eq!(found, expected, "the matcher must answer like the loop");
}
