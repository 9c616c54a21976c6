//! DescribeAcls, and what is answered to those who would change access rules: they stand in the configuration file.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    ApiKey, CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, text};
use crate::security::{Acl, Operation, Pattern, Resource, ResourceKind};

/// Matches everything, in every field of a filter.
const ANY: i8 = 1;

/// Types of patterns; `MATCH` asks for all that apply to a name.
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;

const ALLOW: i8 = 3;

/// What Kafka calls the one cluster, and every host.
const CLUSTER: &str = "kafka-cluster";
const EVERYWHERE: &str = "*";

const IN_FILE: &str = "access rules stand in the configuration file (`queue.acls`): change them there and restart the queue";
const NOT_SET: &str = "there are no access rules: set `queue.acls` or `queue.super_users`";

pub(super) fn describe(call: &Call<'_>, request: &DescribeAclsRequest) -> DescribeAclsResponse {
    let refuse = |code: ResponseError, message: &'static str| {
        DescribeAclsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(message)))
    };
    let rules = &call.node.config.access;
    if !rules.are_set() {
        return refuse(ResponseError::SecurityDisabled, NOT_SET);
    }
    if !call.may(ApiKey::DescribeAcls, Resource::Cluster) {
        return refuse(
            ResponseError::ClusterAuthorizationFailed,
            "not allowed to describe the cluster",
        );
    }
    let resources = rules.acls.iter().flat_map(|acl| {
        let bindings = bindings(acl, request);
        let names = names(acl).filter(|name| name.passes(request));
        names.filter_map(move |name| {
            let resource = DescribeAclsResource::default()
                .with_resource_type(name.kind as i8)
                .with_resource_name(text(name.name))
                .with_pattern_type(name.pattern);
            (!bindings.is_empty()).then(|| resource.with_acls(bindings.clone()))
        })
    });
    DescribeAclsResponse::default().with_resources(resources.collect())
}

/// A resource of a rule, as Kafka writes it.
struct Name<'a> {
    kind: ResourceKind,
    name: &'a str,
    pattern: i8,
}

impl<'a> Name<'a> {
    fn new(kind: ResourceKind, pattern: &'a Pattern) -> Name<'a> {
        match (pattern.text(), pattern.is_prefix()) {
            ("", true) => Name {
                kind,
                name: EVERYWHERE,
                pattern: LITERAL,
            },
            (name, is_prefix) => Name {
                kind,
                name,
                pattern: if is_prefix { PREFIXED } else { LITERAL },
            },
        }
    }

    fn passes(&self, filter: &DescribeAclsRequest) -> bool {
        let is_kind = matches!(filter.resource_type_filter, ANY)
            || filter.resource_type_filter == self.kind as i8;
        let applies = |asked: &str| match self.pattern {
            PREFIXED => asked.starts_with(self.name),
            _ => asked == self.name || self.name == EVERYWHERE,
        };
        let is_name = match (&filter.resource_name_filter, filter.pattern_type_filter) {
            (None, _) => true,
            (Some(asked), MATCH) => applies(asked),
            (Some(asked), _) => &**asked == self.name,
        };
        let is_pattern = matches!(filter.pattern_type_filter, ANY | MATCH)
            || filter.pattern_type_filter == self.pattern;
        is_kind && is_name && is_pattern
    }
}

fn names(acl: &Acl) -> impl Iterator<Item = Name<'_>> {
    let kinds = [
        (ResourceKind::Topic, &acl.topics),
        (ResourceKind::Group, &acl.groups),
        (ResourceKind::TransactionalId, &acl.transactional_ids),
    ];
    let named = kinds
        .into_iter()
        .flat_map(|(kind, patterns)| patterns.iter().map(move |pattern| Name::new(kind, pattern)));
    let cluster = acl.cluster.then_some(Name {
        kind: ResourceKind::Cluster,
        name: CLUSTER,
        pattern: LITERAL,
    });
    named.chain(cluster)
}

/// What the rule allows, one line an operation, as far as the filter asks for it.
fn bindings(acl: &Acl, filter: &DescribeAclsRequest) -> Vec<AclDescription> {
    let principal = acl.principal.to_string();
    let is_asked =
        |asked: &Option<StrBytes>, value: &str| asked.as_deref().is_none_or(|asked| asked == value);
    let is_theirs = is_asked(&filter.principal_filter, &principal)
        && is_asked(&filter.host_filter, EVERYWHERE)
        && matches!(filter.permission_type, ANY | ALLOW);
    let is_operation =
        |operation: &&Operation| filter.operation == ANY || filter.operation == **operation as i8;
    let allowed = acl.allow.iter().filter(|_| is_theirs).filter(is_operation);
    let described = allowed.map(|operation| {
        AclDescription::default()
            .with_principal(text(&*principal))
            .with_host(text(EVERYWHERE))
            .with_operation(*operation as i8)
            .with_permission_type(ALLOW)
    });
    described.collect()
}

/// Why nobody changes rules over the wire.
fn refusal(call: &Call<'_>, key: ApiKey) -> (ResponseError, &'static str) {
    match call.may(key, Resource::Cluster) {
        true => (ResponseError::SecurityDisabled, IN_FILE),
        false => (
            ResponseError::ClusterAuthorizationFailed,
            "not allowed to alter the cluster",
        ),
    }
}

pub(super) fn create(call: &Call<'_>, request: &CreateAclsRequest) -> CreateAclsResponse {
    let (code, message) = refusal(call, ApiKey::CreateAcls);
    let result = AclCreationResult::default()
        .with_error_code(code.code())
        .with_error_message(Some(text(message)));
    CreateAclsResponse::default().with_results(vec![result; request.creations.len()])
}

pub(super) fn delete(call: &Call<'_>, request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let (code, message) = refusal(call, ApiKey::DeleteAcls);
    let result = DeleteAclsFilterResult::default()
        .with_error_code(code.code())
        .with_error_message(Some(text(message)));
    DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()])
}
