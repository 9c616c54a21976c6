//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and what admin tools ask about groups.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tracing::warn;
use uuid::Uuid;

use super::{Call, text};
use crate::groups::{JoinRefused, JoinRequest, Protocol};
use crate::limits::{
    GROUP_BYTES_MAX, GROUP_ID_BYTES_MAX, MEMBER_METADATA_BYTES_MAX, MEMBER_PROTOCOLS_MAX,
    SESSION_TIMEOUT_MAX, SESSION_TIMEOUT_MIN,
};
use crate::security::{Operation, Resource};

/// The state of a group of which nothing but offsets is left, and of one that does not exist.
const EMPTY: &str = "Empty";
const DEAD: &str = "Dead";
const CLASSIC: &str = "classic";
/// The protocol type of consumers; what a group that only committed offsets is shown as.
const CONSUMER: &str = "consumer";

pub(super) async fn join(call: &Call<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.to_string();
    let checked = may(call, ApiKey::JoinGroup, &request.group_id);
    let answer = match checked.and_then(|()| check_join(call, &request)) {
        Err(error) => Err(JoinRefused { error, member_id }),
        Ok(()) => {
            let answer = call
                .node
                .groups
                .join(Instant::now(), join_request(call, request));
            tokio::select! {
                answer = answer => answer.unwrap_or_else(|_| Err(JoinRefused {
                    error: ResponseError::RebalanceInProgress,
                    member_id,
                })),
                // Dropping the receiver is what tells the group that nobody waits any more.
                () = call.peer.closing.cancelled() => {
                    Err(JoinRefused { error: ResponseError::CoordinatorNotAvailable, member_id })
                }
            }
        }
    };
    match answer {
        Err(refused) => JoinGroupResponse::default()
            .with_error_code(refused.error.code())
            .with_generation_id(-1)
            // Nullable since version 7.
            .with_protocol_name((call.version < 7).then(StrBytes::default))
            .with_member_id(text(refused.member_id)),
        Ok(joined) => JoinGroupResponse::default()
            .with_generation_id(joined.generation)
            .with_protocol_type(Some(text(joined.protocol_type)))
            .with_protocol_name(Some(text(joined.protocol)))
            .with_leader(text(joined.leader))
            // The codec refuses to write what a version does not know.
            .with_skip_assignment(joined.skip_assignment && call.version >= 9)
            .with_member_id(text(joined.member_id))
            .with_members(
                joined
                    .members
                    .into_iter()
                    .map(|member| {
                        JoinGroupResponseMember::default()
                            .with_member_id(text(member.member_id))
                            .with_group_instance_id(
                                member.instance_id.map(text).filter(|_| call.version >= 5),
                            )
                            .with_metadata(member.metadata)
                    })
                    .collect(),
            ),
    }
}

fn check_join(call: &Call<'_>, request: &JoinGroupRequest) -> Result<(), ResponseError> {
    check_group_id(&request.group_id)?;
    let session = Duration::from_millis(request.session_timeout_ms.max(0) as u64);
    if !(SESSION_TIMEOUT_MIN..=SESSION_TIMEOUT_MAX).contains(&session) {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    let protocols = &request.protocols;
    let protocol_bytes = protocols
        .iter()
        .map(|protocol| protocol.name.len() + protocol.metadata.len())
        .sum();
    let instance_bytes = request.group_instance_id.as_ref().map_or(0, |id| id.len());
    let id_bytes_max = GROUP_ID_BYTES_MAX;
    let sizes = [
        ("protocols", protocols.len(), MEMBER_PROTOCOLS_MAX),
        (
            "bytes of protocols",
            protocol_bytes,
            MEMBER_METADATA_BYTES_MAX,
        ),
        (
            "bytes of protocol type",
            request.protocol_type.len(),
            id_bytes_max,
        ),
        ("bytes of member id", request.member_id.len(), id_bytes_max),
        ("bytes of instance id", instance_bytes, id_bytes_max),
        ("bytes of client id", call.client_id.len(), id_bytes_max),
    ];
    for (what, found, max) in sizes {
        if found > max {
            // The answer has no room for words.
            warn!(group = %request.group_id.0, found, max, "a member was refused: too many {what}");
            return Err(ResponseError::InvalidRequest);
        }
    }
    Ok(())
}

fn may(call: &Call<'_>, key: ApiKey, group: &str) -> Result<(), ResponseError> {
    match call.may(key, Resource::Group(group)) {
        true => Ok(()),
        false => Err(ResponseError::GroupAuthorizationFailed),
    }
}

fn check_group_id(group: &GroupId) -> Result<(), ResponseError> {
    if (1..=GROUP_ID_BYTES_MAX).contains(&group.len()) {
        Ok(())
    } else {
        Err(ResponseError::InvalidGroupId)
    }
}

fn join_request(call: &Call<'_>, request: JoinGroupRequest) -> JoinRequest {
    let session_timeout = Duration::from_millis(request.session_timeout_ms.max(0) as u64);
    // Version 0 has one timeout for both.
    let rebalance_timeout = match request.rebalance_timeout_ms {
        millis if millis > 0 => Duration::from_millis(millis as u64).min(SESSION_TIMEOUT_MAX),
        _ => session_timeout,
    };
    let client: String = call.client_id.chars().take(64).collect();
    let prefix = request
        .group_instance_id
        .as_ref()
        .map_or(client, |instance| instance.chars().take(64).collect());
    JoinRequest {
        group: request.group_id.to_string(),
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: call.client_id.to_owned(),
        client_host: format!("/{}", call.peer.remote.ip().to_canonical()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            // A copy: a slice would keep the whole frame alive for as long as the member is.
            .map(|protocol| Protocol {
                name: protocol.name.to_string(),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            })
            .collect(),
        knows_member_id_required: call.version >= 4,
        knows_skip_assignment: call.version >= 9,
        fresh_member_id: format!("{prefix}-{}", Uuid::new_v4()),
    }
}

pub(super) async fn sync(call: &Call<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignment_bytes: usize = request
        .assignments
        .iter()
        .map(|row| row.assignment.len())
        .sum();
    if let Err(error) = may(call, ApiKey::SyncGroup, &request.group_id) {
        return SyncGroupResponse::default().with_error_code(error.code());
    }
    if assignment_bytes > GROUP_BYTES_MAX {
        return SyncGroupResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    let answer = call.node.groups.sync(
        Instant::now(),
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id,
        (
            request.protocol_type.as_deref(),
            request.protocol_name.as_deref(),
        ),
        request
            .assignments
            .into_iter()
            .map(|row| {
                (
                    row.member_id.to_string(),
                    Bytes::copy_from_slice(&row.assignment),
                )
            })
            .collect(),
    );
    let answer = tokio::select! {
        answer = answer => answer.unwrap_or(Err(ResponseError::RebalanceInProgress)),
        () = call.peer.closing.cancelled() => Err(ResponseError::CoordinatorNotAvailable),
    };
    match answer {
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(Some(text(synced.protocol_type)))
            .with_protocol_name(Some(text(synced.protocol)))
            .with_assignment(synced.assignment),
    }
}

pub(super) fn heartbeat(call: &Call<'_>, request: &HeartbeatRequest) -> HeartbeatResponse {
    let outcome = may(call, ApiKey::Heartbeat, &request.group_id).and_then(|()| {
        call.node.groups.heartbeat(
            Instant::now(),
            &request.group_id,
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )
    });
    HeartbeatResponse::default().with_error_code(code_of(outcome))
}

fn code_of(outcome: Result<(), ResponseError>) -> i16 {
    outcome.err().map_or(0, |error| error.code())
}

pub(super) fn leave(call: &Call<'_>, request: LeaveGroupRequest) -> LeaveGroupResponse {
    if let Err(error) = may(call, ApiKey::LeaveGroup, &request.group_id) {
        return LeaveGroupResponse::default().with_error_code(error.code());
    }
    let now = Instant::now();
    let leave = |member: &MemberIdentity| {
        call.node.groups.leave(
            now,
            &request.group_id,
            &member.member_id,
            member.group_instance_id.as_deref(),
        )
    };
    if call.version <= 2 {
        let only = MemberIdentity::default().with_member_id(request.member_id.clone());
        return LeaveGroupResponse::default().with_error_code(code_of(leave(&only)));
    }
    let members = request
        .members
        .iter()
        .map(|member| {
            MemberResponse::default()
                .with_error_code(code_of(leave(member)))
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
        })
        .collect();
    LeaveGroupResponse::default().with_members(members)
}

pub(super) fn describe(call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    // Each once: a few bytes a name must not ask for all members of a group again and again.
    let mut seen = HashSet::new();
    let groups = request
        .groups
        .into_iter()
        .filter(|name| seen.insert(name.clone()))
        .map(|name| {
            let described = DescribedGroup::default().with_authorized_operations(i32::MIN);
            if let Err(error) = may(call, ApiKey::DescribeGroups, &name) {
                return described.with_group_id(name).with_error_code(error.code());
            }
            let described = match call.node.groups.describe(&name) {
                Some(group) => described
                    .with_group_state(text(group.state))
                    .with_protocol_type(text(group.protocol_type))
                    .with_protocol_data(text(group.protocol))
                    .with_members(
                        group
                            .members
                            .into_iter()
                            .map(|member| {
                                DescribedGroupMember::default()
                                    .with_member_id(text(member.member_id))
                                    .with_group_instance_id(
                                        member.instance_id.map(text).filter(|_| call.version >= 4),
                                    )
                                    .with_client_id(text(member.client_id))
                                    .with_client_host(text(member.client_host))
                                    .with_member_metadata(member.metadata)
                                    .with_member_assignment(member.assignment)
                            })
                            .collect(),
                    ),
                None if call.node.offsets.has_group(&name) => described
                    .with_group_state(text(EMPTY))
                    .with_protocol_type(text(CONSUMER)),
                None if call.version >= 6 => described
                    .with_group_state(text(DEAD))
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(text("group does not exist"))),
                None => described.with_group_state(text(DEAD)),
            };
            described.with_group_id(name)
        })
        .collect();
    DescribeGroupsResponse::default().with_groups(groups)
}

pub(super) fn list(call: &Call<'_>, request: &ListGroupsRequest) -> ListGroupsResponse {
    let mut groups = call.node.groups.list();
    let alive: HashSet<String> = groups.iter().map(|(name, ..)| name.clone()).collect();
    let others = call.node.offsets.groups().into_iter();
    groups.extend(
        others
            .filter(|name| !alive.contains(name))
            .map(|name| (name, CONSUMER.to_owned(), EMPTY)),
    );
    // Not by `may`: to be shown less is no refusal.
    let rules = &call.node.config.access;
    let sees =
        |resource: Resource<'_>| rules.allow(&call.peer.principal, Operation::Describe, resource);
    if !sees(Resource::Cluster) {
        groups.retain(|(name, ..)| sees(Resource::Group(name)));
    }
    groups.sort_unstable();
    let passes = |filter: &[StrBytes], value: &str| {
        filter.is_empty()
            || filter
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(value))
    };
    let groups = groups
        .into_iter()
        .filter(|(_, _, state)| {
            passes(&request.states_filter, state) && passes(&request.types_filter, CLASSIC)
        })
        .map(|(name, protocol_type, state)| {
            let listed = ListedGroup::default()
                .with_group_id(GroupId(text(name)))
                .with_protocol_type(text(protocol_type));
            let listed = if call.version >= 4 {
                listed.with_group_state(text(state))
            } else {
                listed
            };
            if call.version >= 5 {
                listed.with_group_type(text(CLASSIC))
            } else {
                listed
            }
        })
        .collect();
    ListGroupsResponse::default().with_groups(groups)
}

pub(super) async fn delete(call: &Call<'_>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for name in request.groups_names {
        let outcome = delete_one(call, &name).await;
        results.push(
            DeletableGroupResult::default()
                .with_group_id(name)
                .with_error_code(code_of(outcome)),
        );
    }
    DeleteGroupsResponse::default().with_results(results)
}

async fn delete_one(call: &Call<'_>, name: &GroupId) -> Result<(), ResponseError> {
    check_group_id(name)?;
    may(call, ApiKey::DeleteGroups, name)?;
    let had_members = call.node.groups.delete(name)?;
    if !call.node.offsets.has_group(name) {
        return if had_members {
            Ok(())
        } else {
            Err(ResponseError::GroupIdNotFound)
        };
    }
    call.node.offsets.delete_group(name).await.map_err(|error| {
        warn!(group = %name.0, %error, "group cannot be deleted");
        ResponseError::CoordinatorNotAvailable
    })
}
