//! Lengths of time as people write them: `500ms`, `1.5s`, `1h30m`.

/// Largest first, for `display`.
const UNITS: [(&str, i128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// For error messages.
pub(crate) const UNITS_TEXT: &str = "ns, us, ms, s, m, h, d";

/// Nanoseconds of one or more numbers, each with its unit. `None` for anything else, also for what
/// is finer than a nanosecond or longer than 2^64 of them.
pub(crate) fn parse(text: &str) -> Option<i128> {
    let mut total = 0;
    let mut rest = text;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total += decimal(number, unit_ns(unit)?)?;
        if total > i128::from(u64::MAX) {
            return None;
        }
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

fn unit_ns(unit: &str) -> Option<i128> {
    // The micro sign and the Greek letter look alike, and both are written.
    let unit = if matches!(unit, "µs" | "μs") {
        "us"
    } else {
        unit
    };
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, ns)| *ns)
}

/// Exact: floats would make 0.3 s a nanosecond too short.
fn decimal(number: &str, unit: i128) -> Option<i128> {
    const DIGITS_MAX: usize = 19;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.len() > DIGITS_MAX || fraction.len() > DIGITS_MAX {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let scaled = fraction.parse::<i128>().ok()? * unit;
    (scaled % scale == 0).then_some(())?;
    Some(whole.parse::<i128>().ok()? * unit + scaled / scale)
}

/// In the largest unit that says it in a whole number.
pub(crate) fn display(ns: i64) -> String {
    let ns = i128::from(ns);
    let (name, unit) = UNITS
        .into_iter()
        .find(|(_, unit)| ns % unit == 0)
        .unwrap_or(("ns", 1));
    format!("{}{name}", ns / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact_and_add_up() {
        assert_eq!(parse("500ms"), Some(500_000_000));
        assert_eq!(parse("0.3s"), Some(300_000_000));
        assert_eq!(parse("1h30m"), Some(5_400_000_000_000));
        assert_eq!(parse("7µs"), Some(7_000));
        assert_eq!(parse("1d"), Some(86_400_000_000_000));
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in [
            "",
            "5",
            "ms",
            "5xs",
            "-5ms",
            "5 ms",
            "1.2.3s",
            ".5s",
            "5.s",
            "0.5ns",
            "1e3s",
            "1h30",
            "999999999999999999d",
            "5MS",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_displayed_reads_back() {
        for ns in [
            1,
            1_500_000_000,
            60_000_000_000,
            300_000_000_000,
            86_400_000_000_000,
            i64::MAX,
        ] {
            assert_eq!(parse(&display(ns)), Some(i128::from(ns)), "{}", display(ns));
        }
        assert_eq!(display(300_000_000_000), "5m");
    }
}
