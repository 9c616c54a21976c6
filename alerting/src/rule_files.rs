//! The rule files of a running process: read at start, noticed when they change.
//!
//! A change that has a mistake is refused as a whole; what was read before stays in force.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    Config, Error, ReceiverConfig, RuleErrors,
    rules::{self, RuleSet},
};

/// Rule files, with what tells that they changed: names, sizes and times.
#[derive(Clone, Debug)]
pub(crate) struct RuleFiles {
    paths: Vec<PathBuf>,
    /// Receivers of the configuration: rules may name them too, and they win over those of files.
    configured: Vec<ReceiverConfig>,
    /// The indexes of the configuration.
    indexes: Vec<String>,
    seen: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl RuleFiles {
    /// Reads the files for the first time.
    pub(crate) async fn load(config: &Config) -> Result<(RuleFiles, RuleSet), Error> {
        let mut files = RuleFiles {
            paths: config.rules.clone(),
            configured: config.receivers.clone(),
            indexes: config
                .indexes
                .iter()
                .map(|index| index.name.clone())
                .collect(),
            seen: Vec::new(),
        };
        files.look().await?;
        let set = files.read().await??;
        Ok((files, set))
    }

    /// What the files say now, or what is wrong with it; nothing when they are as they were.
    pub(crate) async fn changed(&mut self) -> Result<Option<Result<RuleSet, RuleErrors>>, Error> {
        if !self.look().await? {
            return Ok(None);
        }
        self.read().await.map(Some)
    }

    /// Receivers of the configuration, then those of rule files that it does not have.
    pub(crate) fn receivers(&self, set: &RuleSet) -> Arc<Vec<ReceiverConfig>> {
        let mut receivers = self.configured.clone();
        for receiver in &set.receivers {
            if !receivers.iter().any(|known| known.name == receiver.name) {
                receivers.push(receiver.clone());
            }
        }
        Arc::new(receivers)
    }

    /// Before the files are read, so that what changes meanwhile is noticed the next time.
    async fn look(&mut self) -> Result<bool, Error> {
        let paths = self.paths.clone();
        let seen = tokio::task::spawn_blocking(move || rules::fingerprints(&paths)).await?;
        let changed = seen != self.seen;
        self.seen = seen;
        Ok(changed)
    }

    async fn read(&self) -> Result<Result<RuleSet, RuleErrors>, Error> {
        let files = self.clone();
        let read = move || {
            let set = rules::load(&files.paths)?;
            set.check_receivers(&files.configured)?;
            set.check_indexes(&files.indexes)?;
            Ok(set)
        };
        Ok(tokio::task::spawn_blocking(read).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_and_a_mistake_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rules.yaml");
        let write = |rules: &str| {
            std::fs::write(&file, format!("version: 1\nrules:\n{rules}")).unwrap();
        };
        write("- {name: a, regex: x}\n");
        let ops = ReceiverConfig {
            name: "ops".to_owned(),
            webhook: serde_json::from_str(r#"{"url": "http://h/"}"#).unwrap(),
        };
        let mut files = RuleFiles {
            paths: vec![file.clone()],
            configured: vec![ops],
            indexes: vec!["logs".to_owned()],
            seen: Vec::new(),
        };
        assert!(files.changed().await.unwrap().unwrap().is_ok());
        assert!(files.changed().await.unwrap().is_none(), "as it was");

        write("- {name: a, regex: x}\n- {name: b, regex: '(unclosed', receivers: [opps]}\n");
        let refused = files.changed().await.unwrap().unwrap().unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("rules.yaml:4:20: rules[1].regex: `(unclosed`"),
            "{refused}"
        );
        assert!(files.changed().await.unwrap().is_none(), "said once");
        write("- {name: a, regex: x, receivers: [opps]}\n");
        let refused = files.changed().await.unwrap().unwrap().unwrap_err();
        assert!(
            refused.to_string().contains("did you mean `ops`?"),
            "{refused}"
        );
        std::fs::remove_file(&file).unwrap();
        let refused = files.changed().await.unwrap().unwrap().unwrap_err();
        assert!(refused.to_string().contains("cannot be read"), "{refused}");

        write("- {name: a, regex: x, receivers: [ops]}\n");
        let set = files.changed().await.unwrap().unwrap().unwrap();
        assert_eq!(files.receivers(&set).len(), 1);
    }
}
