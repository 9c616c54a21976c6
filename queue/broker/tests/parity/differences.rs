//! The table of differences in `queue/README.md`: what is not in it must be equal, and what is in it must differ.

use globset::{Glob, GlobMatcher};

const TITLE: &str = "### Differences from Apache Kafka";

pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) kafka: String,
    pub(crate) logboom: String,
}

struct Row {
    line: String,
    path: GlobMatcher,
    kafka: GlobMatcher,
    logboom: GlobMatcher,
}

/// Fails with every difference that no row explains, and every row that explains none.
pub(crate) fn check(differences: &[Difference]) {
    let rows = rows();
    let explains = |row: &Row, difference: &Difference| {
        row.path.is_match(&difference.path)
            && row.kafka.is_match(&difference.kafka)
            && row.logboom.is_match(&difference.logboom)
    };
    let mut problems = Vec::new();
    for difference in differences {
        if !rows.iter().any(|row| explains(row, difference)) {
            let Difference {
                path,
                kafka,
                logboom,
            } = difference;
            problems.push(format!(
                "not in the table: | `{path}` | `{kafka}` | `{logboom}` |"
            ));
        }
    }
    for row in &rows {
        if !differences
            .iter()
            .any(|difference| explains(row, difference))
        {
            problems.push(format!("no longer a difference, take it out: {}", row.line));
        }
    }
    assert!(
        problems.is_empty(),
        "`{TITLE}` in queue/README.md is not true:\n{}",
        problems.join("\n")
    );
}

fn rows() -> Vec<Row> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, section) = text
        .split_once(TITLE)
        .unwrap_or_else(|| panic!("queue/README.md has no `{TITLE}`"));
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(row)
        .collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [path, kafka, logboom, why] = cells[..] else {
        panic!("four cells are needed: {line}")
    };
    assert!(why.len() > 10, "a difference is explained: {line}");
    let glob = |cell: &str| {
        let pattern = cell.trim_matches('`');
        Glob::new(pattern)
            .unwrap_or_else(|error| panic!("{error}: {line}"))
            .compile_matcher()
    };
    Row {
        line: line.to_owned(),
        path: glob(path),
        kafka: glob(kafka),
        logboom: glob(logboom),
    }
}
