//! The table of clients in `queue/README.md`: a row a scenario, a column a client.

use std::collections::BTreeMap;

const TITLE: &str = "### Clients";

/// What a cell says for what a program reports.
const WORDS: [(&str, &str); 3] = [("works", "yes"), ("fails", "no"), ("lacks", "–")];

struct Table {
    clients: Vec<String>,
    /// Scenario and its cells, one a client.
    rows: Vec<(String, Vec<String>)>,
    /// The lines below the table: `client, scenario: why`.
    reasons: Vec<String>,
}

fn read() -> Table {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, section) = text
        .split_once(TITLE)
        .unwrap_or_else(|| panic!("queue/README.md has no `{TITLE}`"));
    let section = section
        .split("\n#")
        .next()
        .expect("a split has a first part");
    let cells = |line: &str| -> Vec<String> {
        line.trim()
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(cells);
    let clients = lines.next().expect("the table has a head").split_off(1);
    let rows = lines
        .skip(1)
        .map(|mut cells| {
            let results = cells.split_off(1);
            assert_eq!(
                results.len(),
                clients.len(),
                "{cells:?} has a cell for each client"
            );
            (cells.remove(0), results)
        })
        .collect();
    let reasons = section
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .map(str::to_owned)
        .collect();
    Table {
        clients,
        rows,
        reasons,
    }
}

/// The client's column says what its program reports, of every scenario.
pub(crate) fn check(client: &str, results: &BTreeMap<String, String>) {
    let table = read();
    let column = table.clients.iter().position(|name| name == client);
    let column =
        column.unwrap_or_else(|| panic!("the table in queue/README.md has no column `{client}`"));
    let mut told: BTreeMap<&str, &str> = BTreeMap::new();
    for (scenario, cells) in &table.rows {
        if !cells[column].is_empty() {
            told.insert(scenario, &cells[column]);
        }
    }
    let found: BTreeMap<&str, &str> = results
        .iter()
        .map(|(scenario, result)| {
            let word = WORDS.iter().find(|(of_program, _)| of_program == result);
            (
                scenario.as_str(),
                word.unwrap_or_else(|| panic!("`{result}` is no result")).1,
            )
        })
        .collect();
    assert_eq!(
        found, told,
        "left is what {client} does, right what queue/README.md says of it"
    );
}

/// Each `no` and `–` has a line below the table, and each line a cell.
pub(crate) fn explained() {
    let table = read();
    let mut left = table.reasons.clone();
    for (scenario, cells) in &table.rows {
        for (client, cell) in table.clients.iter().zip(cells) {
            if !["no", "–"].contains(&cell.as_str()) {
                continue;
            }
            let covers = |reason: &String| {
                let (who, why) = reason
                    .split_once(": ")
                    .expect("a reason reads `who, what: why`");
                why.len() > 10
                    && who.contains(scenario.as_str())
                    && (who.contains(client.as_str()) || who.contains("all"))
            };
            assert!(
                table.reasons.iter().any(covers),
                "{client}, {scenario}: `{cell}` without a reason"
            );
            left.retain(|reason| !covers(reason));
        }
    }
    assert!(left.is_empty(), "reasons for what works: {left:?}");
}
