//! Rules: loaded from YAML files, checked to the last key, and then only read.
//!
//! [`load`] reports all mistakes of all files at once, each with file, line and what would be right.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use logboom_query::{Field, Query};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ReceiverConfig, RuleError, RuleErrors, config::LOGS, limits};

mod check;
pub(crate) mod pattern;
mod quantile;
mod raw;
mod threshold;

pub(crate) use quantile::Demand;
pub use quantile::QuantileThreshold;

/// The indexes that rules can look at.
pub const INDEXES: [&str; 2] = [LOGS, logboom_query::SPANS];

/// A checked rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Its identity: a rule of the same name goes on with the state of the former one.
    pub name: String,
    pub description: String,
    /// The index whose topics it looks at.
    pub index: String,
    pub query_text: Option<String>,
    #[serde(skip)]
    pub query: Option<Arc<Query>>,
    /// Pattern on the raw line, or on the text of a span.
    pub regex: Option<String>,
    /// Fires at this many matching lines …
    pub count: u32,
    /// … within a half-open window of this length, in nanoseconds.
    pub within_ns: i64,
    /// Fires where this stands and `count` values are in the window. Rules that were stored before there
    /// was such a thing have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<QuantileThreshold>,
    pub group_by: Vec<String>,
    /// What `group_by` means where it can mean a span's own fields; as many, or none on logs.
    #[serde(skip)]
    pub(crate) group_fields: Vec<Field>,
    /// How long the condition has to hold before the alert fires.
    pub for_ns: i64,
    /// How long the count has to stay below before the alert resolves.
    pub hold_ns: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `None`: every receiver there is.
    pub receivers: Option<Vec<String>>,
    pub file: PathBuf,
    pub line: u64,
    /// Names what is counted. When it changes, old counts mean nothing and are dropped.
    pub condition: String,
}

impl Rule {
    /// The identity of what is counted, and how.
    fn condition_of(&self) -> String {
        let parts = (
            &self.index,
            &self.query_text,
            &self.regex,
            self.count,
            self.within_ns,
            &self.group_by,
        );
        let mut text = serde_json::to_vec(&parts).expect("strings and numbers are JSON");
        // Only where there is one: the conditions of all other rules stay as they were.
        if let Some(quantile) = &self.quantile {
            text.extend(serde_json::to_vec(quantile).expect("strings and numbers are JSON"));
        }
        Sha256::digest(text)[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// How the rule reads in one line, for people.
    pub fn summary(&self) -> String {
        let mut text = Vec::new();
        if let Some(regex) = &self.regex {
            text.push(format!("/{regex}/"));
        }
        if let Some(query) = &self.query_text {
            text.push(query.clone());
        }
        let (what, within) = (text.join(" and "), show(self.within_ns));
        let mut summary = match &self.quantile {
            None => format!("{what} at least {} in {within}", self.count),
            Some(quantile) => {
                let least = match self.count {
                    1 => String::new(),
                    count => format!(" of at least {count} values"),
                };
                format!("{what} {}{least} in {within}", quantile.summary())
            }
        };
        if !self.group_by.is_empty() {
            summary.push_str(" by ");
            summary.push_str(&self.group_by.join(", "));
        }
        summary
    }
}

/// `90s` as `1m 30s`.
pub(crate) fn show(ns: i64) -> String {
    humantime::format_duration(std::time::Duration::from_nanos(ns.max(0) as u64)).to_string()
}

/// All rules of a process, and the receivers that the files brought.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub rules: Vec<Arc<Rule>>,
    pub receivers: Vec<ReceiverConfig>,
}

impl RuleSet {
    /// Checks that every receiver that a rule names exists here or among `configured`.
    pub fn check_receivers(&self, configured: &[ReceiverConfig]) -> Result<(), RuleErrors> {
        let known: Vec<&str> = self
            .receivers
            .iter()
            .chain(configured)
            .map(|receiver| receiver.name.as_str())
            .collect();
        let mut errors = Vec::new();
        for rule in &self.rules {
            for name in rule
                .receivers
                .iter()
                .flatten()
                .filter(|name| !known.contains(&name.as_str()))
            {
                errors.push(RuleError {
                    file: rule.file.clone(),
                    position: Some((rule.line, 1)),
                    key: format!("rule `{}`: receivers", rule.name),
                    message: if known.is_empty() {
                        format!("there is no receiver `{name}`; declare it under `receivers:` here or in the config")
                    } else {
                        format!("there is no receiver `{name}`{}", check::hint(name, &known))
                    },
                });
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(RuleErrors(errors))
        }
    }

    /// Checks that this process reads the index of every rule.
    pub(crate) fn check_indexes(&self, configured: &[String]) -> Result<(), RuleErrors> {
        let elsewhere = |rule: &&Arc<Rule>| !configured.contains(&rule.index);
        let errors: Vec<RuleError> = self
            .rules
            .iter()
            .filter(elsewhere)
            .map(|rule| RuleError {
                file: rule.file.clone(),
                position: Some((rule.line, 1)),
                key: format!("rule `{}`: index", rule.name),
                message: format!(
                    "this process has no topics of the index `{}`; it reads `{}`",
                    rule.index,
                    configured.join("`, `")
                ),
            })
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(RuleErrors(errors))
        }
    }
}

/// Reads rule files, and the `*.yaml` and `*.yml` files of folders (not of folders in them).
pub fn load(paths: &[PathBuf]) -> Result<RuleSet, RuleErrors> {
    let mut set = RuleSet::default();
    let mut errors = Vec::new();
    for path in paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    match read(&file) {
                        Ok(text) => check::file(&file, &text, &mut set, &mut errors),
                        Err(message) => errors.push(whole(&file, message)),
                    }
                }
            }
            Err(message) => errors.push(whole(path, message)),
        }
    }
    duplicates(&set, &mut errors);
    if set.rules.len() > limits::RULES_MAX {
        let message = format!(
            "{} rules are too many; at most {} are allowed",
            set.rules.len(),
            limits::RULES_MAX
        );
        errors.push(whole(
            paths.first().map_or(Path::new("rules"), PathBuf::as_path),
            message,
        ));
    }
    if errors.is_empty() {
        Ok(set)
    } else {
        Err(RuleErrors(errors))
    }
}

/// What tells that rule files were changed. A path that cannot be read is not there.
pub(crate) fn fingerprints(paths: &[PathBuf]) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let files = paths.iter().filter_map(|path| files(path).ok()).flatten();
    files
        .filter_map(|file| {
            let metadata = std::fs::metadata(&file).ok()?;
            Some((file, metadata.len(), metadata.modified().ok()))
        })
        .collect()
}

fn whole(file: &Path, message: String) -> RuleError {
    RuleError {
        file: file.to_owned(),
        position: None,
        key: String::new(),
        message,
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > limits::RULE_FILE_BYTES_MAX {
        return Err(format!(
            "is {size} bytes long; at most {} are allowed",
            limits::RULE_FILE_BYTES_MAX
        ));
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

fn duplicates(set: &RuleSet, errors: &mut Vec<RuleError>) {
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    for rule in &set.rules {
        if let Some(first) = seen.insert(&rule.name, rule) {
            errors.push(RuleError {
                file: rule.file.clone(),
                position: Some((rule.line, 1)),
                key: "name".to_owned(),
                message: format!(
                    "a rule `{}` exists already, at {}:{}; names must differ, they carry the state",
                    rule.name,
                    first.file.display(),
                    first.line
                ),
            });
        }
    }
    let mut names: HashMap<&str, &ReceiverConfig> = HashMap::new();
    for receiver in &set.receivers {
        if names
            .insert(&receiver.name, receiver)
            .is_some_and(|first| first != receiver)
        {
            errors.push(RuleError {
                file: PathBuf::from("receivers"),
                position: None,
                key: receiver.name.clone(),
                message: "is declared twice with different settings".to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
