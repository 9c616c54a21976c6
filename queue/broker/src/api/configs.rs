//! DescribeConfigs: the settings of topics and of the broker, under the names that Kafka's tools look for, each with
//! where its value comes from. The broker's own are read only: they are in its configuration file.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{ApiKey, DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Call, text};
use crate::config::Config;
use crate::log::LogConfig;
use crate::security::Resource;
use crate::topics::settings::{self, Kind, Overrides, SETTINGS, Setting};

/// Resource types.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
enum Source {
    Topic = 1,
    /// The broker's configuration says something else than the default.
    Broker = 4,
    Default = 5,
}

/// A value, and what would hold in its place, nearest first; the first is the value itself.
struct Described {
    name: &'static str,
    kind: Kind,
    meaning: &'static str,
    read_only: bool,
    values: Vec<(&'static str, String, Source)>,
}

fn kind_code(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Long => 5,
        Kind::List => 7,
    }
}

/// Kafka writes "for ever" and "any size" as −1.
fn or_unlimited<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-1".to_owned(), |value| value.to_string())
}

/// What holds for topics that have nothing set.
pub(super) fn broker_value(config: &Config, setting: &Setting) -> String {
    match setting.name {
        settings::CLEANUP_POLICY => "delete".to_owned(),
        settings::COMPRESSION_TYPE => "producer".to_owned(),
        settings::TIMESTAMP_TYPE => "CreateTime".to_owned(),
        settings::MIN_INSYNC_REPLICAS => "1".to_owned(),
        settings::MAX_MESSAGE_BYTES => config.max_batch_bytes.to_string(),
        settings::RETENTION_BYTES => or_unlimited(config.retention_bytes),
        settings::RETENTION_MS => or_unlimited(config.retention.map(|period| period.as_millis())),
        settings::SEGMENT_BYTES => config.segment_bytes.to_string(),
        settings::SEGMENT_MS => LogConfig::default().segment_age_max.as_millis().to_string(),
        name => unreachable!("setting `{name}` has no value of the broker"),
    }
}

fn topic_settings(config: &Config, overrides: &Overrides) -> Vec<Described> {
    let defaults = Config::new("");
    let describe = |setting: &'static Setting| {
        let mut values = Vec::new();
        if let Some(own) = overrides.get(setting.name) {
            values.push((setting.name, own.to_owned(), Source::Topic));
        }
        let of_broker = broker_value(config, setting);
        let default = broker_value(&defaults, setting);
        values.extend(inherited(setting.broker_name, of_broker, default));
        Described {
            name: setting.name,
            kind: setting.kind,
            meaning: setting.meaning,
            read_only: false,
            values,
        }
    };
    SETTINGS.iter().map(describe).collect()
}

fn inherited(
    name: &'static str,
    of_broker: String,
    default: String,
) -> impl Iterator<Item = (&'static str, String, Source)> {
    let configured = (of_broker != default).then_some((name, of_broker, Source::Broker));
    configured
        .into_iter()
        .chain([(name, default, Source::Default)])
}

/// Name, type and value of what only the broker has.
fn of_broker_alone(config: &Config) -> [(&'static str, Kind, String); 7] {
    [
        (
            "auto.create.topics.enable",
            Kind::Boolean,
            config.auto_create_topics.to_string(),
        ),
        (
            "connections.max.idle.ms",
            Kind::Long,
            config.idle_timeout.as_millis().to_string(),
        ),
        ("default.replication.factor", Kind::Int, "1".to_owned()),
        (
            "group.initial.rebalance.delay.ms",
            Kind::Int,
            "0".to_owned(),
        ),
        (
            "max.connections",
            Kind::Int,
            config.max_connections.to_string(),
        ),
        (
            "num.partitions",
            Kind::Int,
            config.default_partitions.to_string(),
        ),
        (
            "socket.request.max.bytes",
            Kind::Int,
            config.max_frame_bytes.to_string(),
        ),
    ]
}

fn broker_settings(config: &Config) -> Vec<Described> {
    let defaults = Config::new("");
    let described = |name, kind, meaning, value, default| Described {
        name,
        kind,
        meaning,
        read_only: true,
        values: inherited(name, value, default).collect(),
    };
    let alone = of_broker_alone(config)
        .into_iter()
        .zip(of_broker_alone(&defaults))
        .map(|((name, kind, value), (.., default))| described(name, kind, "", value, default));
    let shared = SETTINGS.iter().map(|setting| {
        described(
            setting.broker_name,
            setting.kind,
            setting.meaning,
            broker_value(config, setting),
            broker_value(&defaults, setting),
        )
    });
    let mut all: Vec<Described> = alone.chain(shared).collect();
    all.sort_unstable_by_key(|described| described.name);
    all
}

/// The settings of a topic that has just been created, for the answer to its creation.
pub(super) fn created(config: &Config, overrides: &Overrides) -> Vec<CreatableTopicConfigs> {
    topic_settings(config, overrides)
        .into_iter()
        .map(|described| {
            let (_, value, source) = &described.values[0];
            CreatableTopicConfigs::default()
                .with_name(text(described.name))
                .with_value(Some(text(value)))
                .with_read_only(described.read_only)
                .with_config_source(*source as i8)
        })
        .collect()
}

pub(super) fn describe(
    call: &Call<'_>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let details = Details {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    // Each once: the answer to a name is a hundred times as long.
    let mut seen = HashSet::new();
    let results = request
        .resources
        .into_iter()
        .filter(|asked| seen.insert((asked.resource_type, asked.resource_name.clone())))
        .map(|resource| describe_one(call, resource, &details))
        .collect();
    DescribeConfigsResponse::default().with_results(results)
}

/// What the client wants to know beside the values.
struct Details {
    synonyms: bool,
    documentation: bool,
}

fn describe_one(
    call: &Call<'_>,
    resource: DescribeConfigsResource,
    details: &Details,
) -> DescribeConfigsResult {
    let settings = settings_of(call, resource.resource_type, &resource.resource_name);
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match settings {
        Err((code, message)) => result
            .with_error_code(code.code())
            .with_error_message(Some(text(message))),
        Ok(settings) => {
            let wanted = |name: &str| {
                resource
                    .configuration_keys
                    .as_ref()
                    .is_none_or(|keys| keys.iter().any(|key| &**key == name))
            };
            let rows = settings
                .into_iter()
                .filter(|setting| wanted(setting.name))
                .map(|setting| row(setting, details));
            result.with_configs(rows.collect())
        }
    }
}

/// Whether the client may do what `key` does with the settings of a topic, or of the broker.
pub(super) fn may(call: &Call<'_>, key: ApiKey, kind: i8, name: &str) -> Result<(), ResponseError> {
    let (resource, refused) = match kind {
        TOPIC => (
            Resource::Topic(name),
            ResponseError::TopicAuthorizationFailed,
        ),
        _ => (Resource::Cluster, ResponseError::ClusterAuthorizationFailed),
    };
    match call.may(key, resource) {
        true => Ok(()),
        false => Err(refused),
    }
}

fn settings_of(
    call: &Call<'_>,
    kind: i8,
    name: &str,
) -> Result<Vec<Described>, (ResponseError, &'static str)> {
    may(call, ApiKey::DescribeConfigs, kind, name)
        .map_err(|error| (error, "not allowed to read these settings"))?;
    let config = &call.node.config;
    match kind {
        TOPIC => match call.node.topics.get(name) {
            Some(topic) => Ok(topic_settings(config, &topic.overrides)),
            None => Err((
                ResponseError::UnknownTopicOrPartition,
                "topic does not exist",
            )),
        },
        BROKER if name.is_empty() || *name == config.node_id.to_string() => {
            Ok(broker_settings(config))
        }
        BROKER => Err((
            ResponseError::InvalidRequest,
            "there is no broker of this id",
        )),
        _ => Err((
            ResponseError::InvalidRequest,
            "only topics and the broker have settings",
        )),
    }
}

fn row(described: Described, details: &Details) -> DescribeConfigsResourceResult {
    let (_, value, source) = &described.values[0];
    let row = DescribeConfigsResourceResult::default()
        .with_name(text(described.name))
        .with_value(Some(text(value)))
        .with_read_only(described.read_only)
        .with_config_source(*source as i8)
        .with_config_type(kind_code(described.kind))
        .with_documentation(
            (details.documentation && !described.meaning.is_empty())
                .then(|| text(described.meaning)),
        );
    if !details.synonyms {
        return row;
    }
    let synonyms = described.values.into_iter().map(|(name, value, source)| {
        DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_source(source as i8)
    });
    row.with_synonyms(synonyms.collect())
}
