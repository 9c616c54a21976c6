//! The indexes as the indexer fills them and as rules look at them: from one place, so that both read the same topics.

use logboom_event::Encoding;

use crate::config::{IndexConfig, IndexesConfig, Lines};

/// What is searched.
pub(super) fn searched(indexes: &IndexesConfig) -> Vec<logboom_indexer::IndexConfig> {
    use logboom_indexer::{IndexConfig as Searched, Topic};
    let told = |index: Searched, told: &IndexConfig, otlp| Searched {
        topics: topics(&told.lines, &told.otlp_topics, otlp)
            .map(|(name, encoding, from_agents)| Topic {
                name,
                encoding,
                from_agents,
            })
            .collect(),
        hot_bytes_max: told.hot_bytes_max,
        hot_age_max: told.hot_age_max,
        retention: told.retention,
        ..index
    };
    vec![
        told(Searched::logs(), &indexes.logs, Encoding::OtlpLogs),
        told(Searched::spans(), &indexes.spans, Encoding::OtlpSpans),
        told(Searched::rejected(), &indexes.rejected, Encoding::OtlpLogs),
    ]
}

/// What rules look at: the same.
pub(super) fn alerted(indexes: &IndexesConfig) -> Vec<logboom_alerting::IndexConfig> {
    use logboom_alerting::{IndexConfig as Alerted, Topic};
    let told = |index: Alerted, told: &IndexConfig, otlp| Alerted {
        topics: topics(&told.lines, &told.otlp_topics, otlp)
            .map(|(name, encoding, from_agents)| Topic {
                name,
                encoding,
                from_agents,
            })
            .collect(),
        ..index
    };
    vec![
        told(Alerted::logs(), &indexes.logs, Encoding::OtlpLogs),
        told(Alerted::spans(), &indexes.spans, Encoding::OtlpSpans),
    ]
}

/// Each topic, how its records are read, and whether `lb.*` headers are believed there.
fn topics(
    lines: &Lines,
    otlp_topics: &[String],
    otlp: Encoding,
) -> impl Iterator<Item = (String, Encoding, bool)> {
    let of_lines = lines.topics.iter().map(|name| {
        let from_agents = lines.agent_topics.contains(name);
        (name.clone(), Encoding::Line, from_agents)
    });
    let of_otlp = otlp_topics
        .iter()
        .map(move |name| (name.clone(), otlp, false));
    of_lines.chain(of_otlp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    fn config(text: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("version: 1\n{text}")).unwrap();
        Config::load(Some(file.path()), |_| None, Overrides::default()).unwrap()
    }

    fn queue() -> logboom_client::ClientConfig {
        logboom_client::ClientConfig::new(String::new(), String::new())
    }

    #[test]
    fn by_default_indexes_and_topics_are_those_of_the_parts_themselves() {
        let config = config("");
        let own = logboom_indexer::Config::new("".into(), queue()).indexes;
        let searched = searched(&config.indexes);
        assert_eq!(format!("{searched:?}"), format!("{own:?}"));
        let alerted = alerted(&config.indexes);
        let own = [
            logboom_alerting::IndexConfig::logs(),
            logboom_alerting::IndexConfig::spans(),
        ];
        assert_eq!(alerted, own);
    }

    #[test]
    fn what_receivers_write_is_searched_whatever_else_is_configured() {
        let config = config(
            "indexes: {logs: {topics: [], agent_topics: [], otlp_topics: []}, spans: {otlp_topics: []}}",
        );
        let receivers = logboom_agent::receive::Config::new(queue());
        let searched = searched(&config.indexes);
        for (index, topic) in [
            ("logs", &receivers.logs_topic),
            ("spans", &receivers.spans_topic),
            ("_rejected", &receivers.rejected_topic),
        ] {
            let index = searched.iter().find(|searched| searched.name == index);
            let topics = &index.unwrap().topics;
            assert!(topics.iter().any(|own| own.name == *topic), "{topic}");
        }
    }

    #[test]
    fn a_topic_that_is_searched_is_alerted_on() {
        let config = config(
            "indexes: {logs: {topics: [lines], agent_topics: [], otlp_topics: [l]}, spans: {otlp_topics: [s]}}",
        );
        let searched = searched(&config.indexes);
        for alerted in alerted(&config.indexes) {
            let searched = searched.iter().find(|index| index.name == alerted.name);
            let searched: Vec<_> = searched.unwrap().topics.iter().map(of_searched).collect();
            let alerted: Vec<_> = alerted.topics.iter().map(of_alerted).collect();
            assert_eq!(alerted, searched);
        }
    }

    fn of_searched(topic: &logboom_indexer::Topic) -> (&str, Encoding, bool) {
        (&topic.name, topic.encoding, topic.from_agents)
    }

    fn of_alerted(topic: &logboom_alerting::Topic) -> (&str, Encoding, bool) {
        (&topic.name, topic.encoding, topic.from_agents)
    }
}
