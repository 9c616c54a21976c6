//! DescribeConfigs: the settings that the broker has, under the names that Kafka's tools look for. Read only.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Call, text};
use crate::config::Config;

/// Resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from: the broker's own configuration.
const STATIC_BROKER_CONFIG: i8 = 4;

/// Value types.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;

struct Setting {
    name: &'static str,
    value: String,
    kind: i8,
}

fn setting(name: &'static str, kind: i8, value: impl ToString) -> Setting {
    Setting {
        name,
        value: value.to_string(),
        kind,
    }
}

/// Kafka writes "for ever" and "any size" as −1.
fn or_unlimited<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-1".to_owned(), |value| value.to_string())
}

fn topic_settings(config: &Config) -> Vec<Setting> {
    let retention_ms = config.retention.map(|retention| retention.as_millis());
    vec![
        setting("cleanup.policy", STRING, "delete"),
        setting("compression.type", STRING, "producer"),
        setting("max.message.bytes", INT, config.max_batch_bytes),
        setting("message.timestamp.type", STRING, "CreateTime"),
        setting("min.insync.replicas", INT, 1),
        setting(
            "retention.bytes",
            LONG,
            or_unlimited(config.retention_bytes),
        ),
        setting("retention.ms", LONG, or_unlimited(retention_ms)),
        setting("segment.bytes", INT, config.segment_bytes),
    ]
}

fn broker_settings(config: &Config) -> Vec<Setting> {
    let retention_ms = config.retention.map(|retention| retention.as_millis());
    vec![
        setting(
            "auto.create.topics.enable",
            BOOLEAN,
            config.auto_create_topics,
        ),
        setting(
            "connections.max.idle.ms",
            LONG,
            config.idle_timeout.as_millis(),
        ),
        setting("default.replication.factor", INT, 1),
        setting("group.initial.rebalance.delay.ms", INT, 0),
        setting(
            "log.retention.bytes",
            LONG,
            or_unlimited(config.retention_bytes),
        ),
        setting("log.retention.ms", LONG, or_unlimited(retention_ms)),
        setting("log.segment.bytes", INT, config.segment_bytes),
        setting("max.connections", INT, config.max_connections),
        setting("message.max.bytes", INT, config.max_batch_bytes),
        setting("num.partitions", INT, config.default_partitions),
        setting("socket.request.max.bytes", INT, config.max_frame_bytes),
    ]
}

pub(super) fn describe(
    call: &Call<'_>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    // Each once: the answer to a name is a hundred times as long.
    let mut seen = HashSet::new();
    let results = request
        .resources
        .into_iter()
        .filter(|asked| seen.insert((asked.resource_type, asked.resource_name.clone())))
        .map(|resource| describe_one(call, resource))
        .collect();
    DescribeConfigsResponse::default().with_results(results)
}

fn describe_one(call: &Call<'_>, resource: DescribeConfigsResource) -> DescribeConfigsResult {
    let config = &call.node.config;
    let settings = match resource.resource_type {
        TOPIC if call.node.topics.get(&resource.resource_name).is_some() => {
            Ok(topic_settings(config))
        }
        TOPIC => Err((
            ResponseError::UnknownTopicOrPartition,
            "topic does not exist",
        )),
        BROKER
            if resource.resource_name.is_empty()
                || *resource.resource_name == config.node_id.to_string() =>
        {
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
    };
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
                .map(|setting| {
                    DescribeConfigsResourceResult::default()
                        .with_name(text(setting.name))
                        .with_value(Some(text(setting.value)))
                        .with_read_only(true)
                        .with_config_source(STATIC_BROKER_CONFIG)
                        .with_config_type(setting.kind)
                });
            result.with_configs(rows.collect())
        }
    }
}
