//! Consumer groups: the coordinator side of JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
//!
//! `group` is the state machine (with `joining` and `rebalance`), `member` what it knows of one member; here is the set of all groups, and the
//! clock. Membership is kept in memory only: after a restart members are told that they are unknown and join again.
//! Committed offsets are another matter, see `offsets`.

mod group;
mod joining;
mod member;
mod rebalance;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) use group::{Group, Phase};
pub(crate) use member::{JoinAnswer, JoinRefused, JoinRequest, Protocol, SyncAnswer};

use crate::limits::{GROUPS_BYTES_MAX, GROUPS_MAX};

/// Nothing is due later than this unless `expire` says sooner: a bound on how wrong a missed wake-up can be.
const TICK_MAX: Duration = Duration::from_secs(1);

/// All groups that have members, or had since the start.
#[derive(Default)]
pub(crate) struct Groups {
    groups: Mutex<HashMap<String, Group>>,
    /// Rung when a deadline may have come nearer.
    changed: Notify,
}

/// A group as admin tools see it.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberDescription>,
}

/// A member as admin tools see it.
#[derive(Debug, Clone)]
pub(crate) struct MemberDescription {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        self.groups.lock().expect("no group transition panics")
    }

    /// See [`Group::join`]; a group comes into being by its first join.
    pub(crate) fn join(&self, now: Instant, request: JoinRequest) -> oneshot::Receiver<JoinAnswer> {
        let mut groups = self.lock();
        let held: usize = groups.values().map(Group::held).sum();
        let refusal = match groups.get(&request.group) {
            Some(known) => {
                let after = held - known.held() + known.held_after(&request);
                (after > held.max(GROUPS_BYTES_MAX)).then_some(ResponseError::GroupMaxSizeReached)
            }
            None if groups.len() >= GROUPS_MAX || held + request.bytes() > GROUPS_BYTES_MAX => {
                Some(ResponseError::GroupMaxSizeReached)
            }
            None if !request.member_id.is_empty() => Some(ResponseError::UnknownMemberId),
            None => None,
        };
        if let Some(error) = refusal {
            let (waiter, answer) = oneshot::channel();
            let _gone = waiter.send(Err(JoinRefused {
                error,
                member_id: request.member_id,
            }));
            return answer;
        }
        let answer = groups
            .entry(request.group.clone())
            .or_insert_with(Group::new)
            .join(now, request);
        self.changed.notify_one();
        answer
    }

    /// See [`Group::sync`].
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of a SyncGroup request, each used once"
    )]
    pub(crate) fn sync(
        &self,
        now: Instant,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        protocol: (Option<&str>, Option<&str>),
        assignments: Vec<(String, Bytes)>,
    ) -> oneshot::Receiver<SyncAnswer> {
        let refuse = |error| {
            let (waiter, answer) = oneshot::channel();
            let _gone = waiter.send(Err(error));
            answer
        };
        let mut groups = self.lock();
        let held: usize = groups.values().map(Group::held).sum();
        let assigned: usize = assignments.iter().map(|(_, bytes)| bytes.len()).sum();
        let Some(group) = groups.get_mut(group) else {
            return refuse(ResponseError::UnknownMemberId);
        };
        if held + assigned > held.max(GROUPS_BYTES_MAX) {
            return refuse(ResponseError::GroupMaxSizeReached);
        }
        let answer = group.sync(
            now,
            member_id,
            instance_id,
            generation,
            protocol,
            assignments,
        );
        self.changed.notify_one();
        answer
    }

    /// See [`Group::heartbeat`].
    pub(crate) fn heartbeat(
        &self,
        now: Instant,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = groups
            .get_mut(group)
            .ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(now, member_id, instance_id, generation)
    }

    /// See [`Group::leave`].
    pub(crate) fn leave(
        &self,
        now: Instant,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.lock();
        let group = groups
            .get_mut(group)
            .ok_or(ResponseError::UnknownMemberId)?;
        group.leave(now, member_id, instance_id)?;
        self.changed.notify_one();
        Ok(())
    }

    /// See [`Group::may_commit`]; a group that is unknown has no members.
    pub(crate) fn may_commit(
        &self,
        now: Instant,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        match self.lock().get_mut(group) {
            Some(group) => group.may_commit(now, member_id, instance_id, generation),
            None if generation < 0 => Ok(()),
            None => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Forgets a group without members. `Ok(false)`: there was none of this name.
    pub(crate) fn delete(&self, group: &str) -> Result<bool, ResponseError> {
        let mut groups = self.lock();
        match groups.get(group) {
            Some(found) if !found.is_idle() => Err(ResponseError::NonEmptyGroup),
            Some(_) => Ok(groups.remove(group).is_some()),
            None => Ok(false),
        }
    }

    /// A group by name.
    pub(crate) fn describe(&self, group: &str) -> Option<Description> {
        self.lock().get(group).map(|group| Description {
            state: group.phase.name(),
            protocol_type: group.protocol_type.clone(),
            protocol: if group.phase == Phase::Stable {
                group.protocol.clone()
            } else {
                String::new()
            },
            members: group
                .members
                .iter()
                .map(|(id, member)| MemberDescription {
                    member_id: id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    metadata: member.metadata(&group.protocol),
                    assignment: member.assignment.clone(),
                })
                .collect(),
        })
    }

    /// Name, protocol type and state of every group.
    pub(crate) fn list(&self) -> Vec<(String, String, &'static str)> {
        self.lock()
            .iter()
            .map(|(name, group)| {
                (
                    name.clone(),
                    group.protocol_type.clone(),
                    group.phase.name(),
                )
            })
            .collect()
    }

    /// Keeps the deadlines until `stop`.
    pub(crate) async fn keep_time(&self, stop: CancellationToken) {
        loop {
            let now = Instant::now();
            let next = self.expire(now);
            let wait = next.map_or(TICK_MAX, |at| {
                at.saturating_duration_since(now).min(TICK_MAX)
            });
            // A millisecond at least, so that a deadline that cannot be met does not spin.
            let wait = wait.max(Duration::from_millis(1));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut groups = self.lock();
        for group in groups.values_mut() {
            group.expire(now);
        }
        // What is left of a group without members are its offsets, and those are kept elsewhere.
        groups.retain(|_, group| !group.is_idle() || group.phase != Phase::Empty);
        groups.values().filter_map(Group::next_deadline).min()
    }
}
