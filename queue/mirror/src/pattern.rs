//! Which topics are copied.

use std::str::FromStr;

use regex::Regex;

use crate::error::Error;

/// A regular expression that a topic's whole name must match. Topics that begin with `__` are the brokers' own and are
/// never copied: their offsets mean something in their cluster only.
#[derive(Debug, Clone)]
pub struct TopicPattern {
    text: String,
    whole: Regex,
}

impl FromStr for TopicPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<TopicPattern, Error> {
        // By itself first: a parenthesis that closes ours would be taken for a good one.
        let whole = Regex::new(text).and_then(|_| Regex::new(&format!("^(?:{text})$")));
        match whole {
            Ok(whole) => Ok(TopicPattern {
                text: text.to_owned(),
                whole,
            }),
            Err(source) => Err(Error::Pattern {
                pattern: text.to_owned(),
                source: Box::new(source),
            }),
        }
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &TopicPattern) -> bool {
        self.text == other.text
    }
}

impl TopicPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        !topic.starts_with("__") && self.whole.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_and_never_a_brokers_own_topics() {
        let pattern: TopicPattern = "logs|otlp_.*".parse().unwrap();
        for (topic, is_copied) in [
            ("logs", true),
            ("otlp_spans", true),
            ("weblogs", false),
            ("logs2", false),
            ("otlp", false),
        ] {
            assert_eq!(pattern.matches(topic), is_copied, "{topic}");
        }
        let all: TopicPattern = ".*".parse().unwrap();
        assert!(all.matches("_logboom_agents"));
        assert!(!all.matches("__consumer_offsets"));
    }

    #[test]
    fn a_bad_pattern_is_told_as_it_was_written() {
        for bad in ["a(", "a)|(b"] {
            let error = bad.parse::<TopicPattern>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
