//! IncrementalAlterConfigs and AlterConfigs: the settings of topics, changed. All changes of one topic take effect, or
//! none does.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as Replaced;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Changed;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, ApiKey, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::configs::{self, BROKER, TOPIC, broker_value};
use super::{Call, text};
use crate::topics::settings::{Overrides, Setting, SettingError};

type Refusal = (ResponseError, String);

/// What is done to one setting.
enum Edit {
    Set(String),
    Unset,
    AddWords(String),
    RemoveWords(String),
}

/// Changes what is named and leaves the rest.
pub(super) async fn change(
    call: &Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut seen = HashSet::new();
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let outcome = match resource.configs.into_iter().map(edit).collect() {
            Err(refusal) => Err(refusal),
            Ok(_) if !seen.insert((kind, name.clone())) => Err(named_twice()),
            Ok(edits) => {
                alter(
                    call,
                    kind,
                    &name,
                    edits,
                    Keep::Others,
                    request.validate_only,
                )
                .await
            }
        };
        let (code, message) = told(outcome);
        responses.push(
            Changed::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(kind)
                .with_resource_name(name),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

/// Sets what is named and forgets the rest.
pub(super) async fn replace(call: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut seen = HashSet::new();
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let edits = resource.configs.into_iter().map(|config| {
            // Without a value it is among what is forgotten.
            let edit = config
                .value
                .map_or(Edit::Unset, |value| Edit::Set(value.to_string()));
            (config.name.to_string(), edit)
        });
        let edits = edits.collect();
        let outcome = if seen.insert((kind, name.clone())) {
            alter(
                call,
                kind,
                &name,
                edits,
                Keep::Nothing,
                request.validate_only,
            )
            .await
        } else {
            Err(named_twice())
        };
        let (code, message) = told(outcome);
        responses.push(
            Replaced::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(kind)
                .with_resource_name(name),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

fn edit(config: AlterableConfig) -> Result<(String, Edit), Refusal> {
    let name = config.name.to_string();
    let edit = match (config.config_operation, config.value) {
        (1, _) => Edit::Unset,
        (0, Some(value)) => Edit::Set(value.to_string()),
        (2, Some(value)) => Edit::AddWords(value.to_string()),
        (3, Some(value)) => Edit::RemoveWords(value.to_string()),
        (0 | 2 | 3, None) => {
            return Err((
                ResponseError::InvalidRequest,
                format!("setting `{name}` comes without a value"),
            ));
        }
        (other, _) => {
            return Err((
                ResponseError::InvalidRequest,
                format!("setting `{name}`: operation `{other}` is not known"),
            ));
        }
    };
    Ok((name, edit))
}

/// What stays of the settings that a request does not name.
enum Keep {
    Others,
    Nothing,
}

async fn alter(
    call: &Call<'_>,
    kind: i8,
    name: &str,
    edits: Vec<(String, Edit)>,
    keep: Keep,
    check_only: bool,
) -> Result<(), Refusal> {
    // What both APIs need is the same.
    configs::may(call, ApiKey::AlterConfigs, kind, name)
        .map_err(|error| (error, "not allowed to alter these settings".to_owned()))?;
    match kind {
        TOPIC => {}
        BROKER => {
            return Err((
                ResponseError::InvalidRequest,
                "the broker's settings are in its configuration file: change them there and restart it".to_owned(),
            ));
        }
        _ => {
            return Err((
                ResponseError::InvalidRequest,
                "only topics have settings that can be changed".to_owned(),
            ));
        }
    }
    let config = call.node.config.clone();
    let change = move |overrides: &mut Overrides| {
        if matches!(keep, Keep::Nothing) {
            *overrides = Overrides::default();
        }
        edits.into_iter().try_for_each(|(name, edit)| {
            let of_broker =
                |name: &str| Setting::of(name).map(|setting| broker_value(&config, setting));
            match edit {
                Edit::Set(value) => overrides.set(&name, &value),
                Edit::Unset => overrides.unset(&name),
                Edit::AddWords(words) => {
                    overrides.edit_list(&name, &of_broker(&name)?, &words, true)
                }
                Edit::RemoveWords(words) => {
                    overrides.edit_list(&name, &of_broker(&name)?, &words, false)
                }
            }
        })
    };
    let altered = call.node.topics.alter(name, check_only, change).await;
    altered.map_err(|error| (error.code(), error.to_string()))
}

/// The settings that a topic is to be created with.
pub(super) fn initial<'a>(
    configs: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Overrides, Refusal> {
    let mut overrides = Overrides::default();
    for (name, value) in configs {
        let Some(value) = value else {
            return Err((
                ResponseError::InvalidConfig,
                format!("setting `{name}` comes without a value"),
            ));
        };
        overrides
            .set(name, value)
            .map_err(|error: SettingError| (ResponseError::InvalidConfig, error.to_string()))?;
    }
    Ok(overrides)
}

fn named_twice() -> Refusal {
    (
        ResponseError::InvalidRequest,
        "resource is named twice in the request".to_owned(),
    )
}

fn told(outcome: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err((code, message)) => (code.code(), Some(text(message))),
    }
}
