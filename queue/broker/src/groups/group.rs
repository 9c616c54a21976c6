//! The state machine of one classic consumer group. Time is an argument and nothing here does I/O. `joining` has the
//! way in, `rebalance` the way from one generation to the next; here is what members do in between.
//!
//! ```text
//! Empty ──join──► Preparing ──all joined, or the rebalance timeout──► Completing ──leader's sync──► Stable
//!                   ▲  └──nobody joined──► Empty                          │                          │
//!                   └──────────────── join, leave, expiry ────────────────┴──────────────────────────┘
//! ```
//! Invariants: the generation only grows; it grows exactly when Preparing ends; a member has answered for the
//! current generation or waits in `joining`; at most one of `joining` and `syncing` is set.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::member::{JoinRefused, Member, SyncAnswer, SyncOk};

/// Where a group stands; the names are those of DescribeGroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    /// Members are to join again until the deadline.
    Preparing {
        deadline: Instant,
    },
    /// The leader works out the assignment; whoever has not synced by the deadline is dropped.
    Completing {
        deadline: Instant,
    },
    Stable,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Preparing { .. } => "PreparingRebalance",
            Phase::Completing { .. } => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: Option<String>,
    /// Ordered, so that a generation's member list does not depend on chance.
    pub(crate) members: BTreeMap<String, Member>,
    /// Static members: instance id → member id.
    pub(super) instances: HashMap<String, String>,
    /// Ids that were given out and have not come back yet, and when they lapse.
    pub(super) pending: HashMap<String, Instant>,
    /// Bytes of what members say and are assigned, kept so that the sum over all groups is quickly made.
    held: usize,
}

impl Group {
    pub(crate) fn new() -> Group {
        Group {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending: HashMap::new(),
            held: 0,
        }
    }

    /// Memory that the members take.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn recount(&mut self) {
        let members = self.members.values();
        self.held = members
            .map(|member| member.bytes() + member.assignment.len())
            .sum();
    }

    /// Whether nothing but committed offsets is left of it.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// Whether this member id, with this instance id, belongs to the group now.
    pub(crate) fn identify(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        if let Some(instance) = instance_id {
            return match self.instances.get(instance) {
                None => Err(ResponseError::UnknownMemberId),
                Some(holder) if holder != member_id => Err(ResponseError::FencedInstanceId),
                Some(_) => Ok(()),
            };
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ResponseError::UnknownMemberId)
        }
    }

    fn identify_in_generation(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.identify(member_id, instance_id)?;
        if generation == self.generation {
            Ok(())
        } else {
            Err(ResponseError::IllegalGeneration)
        }
    }

    /// Hands a member its assignment, or, from the leader, everybody theirs.
    pub(crate) fn sync(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        protocol: (Option<&str>, Option<&str>),
        assignments: Vec<(String, Bytes)>,
    ) -> oneshot::Receiver<SyncAnswer> {
        let (waiter, answer) = oneshot::channel();
        let checked = self
            .identify_in_generation(member_id, instance_id, generation)
            .and_then(|()| {
                let consistent = protocol.0.is_none_or(|kind| kind == self.protocol_type)
                    && protocol.1.is_none_or(|name| name == self.protocol);
                match self.phase {
                    _ if !consistent => Err(ResponseError::InconsistentGroupProtocol),
                    Phase::Empty => Err(ResponseError::UnknownMemberId),
                    Phase::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
                    Phase::Completing { .. } | Phase::Stable => Ok(()),
                }
            });
        if let Err(error) = checked {
            let _gone = waiter.send(Err(error));
            return answer;
        }
        let member = self.members.get_mut(member_id).expect("identify found it");
        member.heard(now);
        member.syncing = Some(waiter);
        if self.phase == Phase::Stable {
            self.hand_out(member_id);
        } else if self.leader.as_deref() == Some(member_id) {
            for (id, assignment) in assignments {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                }
            }
            let ids: Vec<String> = self.members.keys().cloned().collect();
            for id in ids {
                self.hand_out(&id);
            }
            // Those who have not synced yet have until the end of their session.
            self.phase = Phase::Stable;
            self.recount();
        }
        answer
    }

    fn hand_out(&mut self, member_id: &str) {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        if let Some(member) = self.members.get_mut(member_id)
            && member.syncing.is_some()
        {
            member.synced = true;
            let assignment = member.assignment.clone();
            member.answer_sync(Ok(SyncOk {
                protocol_type,
                protocol,
                assignment,
            }));
        }
    }

    /// Notes that a member lives; tells it when it has to join again.
    pub(crate) fn heartbeat(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.identify_in_generation(member_id, instance_id, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now);
        }
        match self.phase {
            Phase::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
            Phase::Completing { .. } | Phase::Stable => Ok(()),
            Phase::Empty => Err(ResponseError::UnknownMemberId),
        }
    }

    /// Lets a member go. A static member may be named by its instance id alone.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let id = match instance_id {
            Some(instance) if member_id.is_empty() => self
                .instances
                .get(instance)
                .cloned()
                .ok_or(ResponseError::UnknownMemberId)?,
            _ => member_id.to_owned(),
        };
        if self.pending.remove(&id).is_some() {
            self.begin_if_all_joined(now);
            return Ok(());
        }
        self.identify(&id, instance_id)?;
        self.remove(now, &id);
        Ok(())
    }

    /// Whether offsets may be committed in the name of this member. Generation −1 is a consumer that is not a
    /// member: allowed as long as the group has none.
    pub(crate) fn may_commit(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.identify_in_generation(member_id, instance_id, generation)?;
        if let Phase::Completing { .. } = self.phase {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard(now);
        }
        Ok(())
    }

    fn remove(&mut self, now: Instant, id: &str) {
        self.drop_member(id);
        self.rebalance(now);
        self.recount();
    }

    pub(super) fn drop_member(&mut self, id: &str) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        member.answer_join(Err(JoinRefused {
            error: ResponseError::UnknownMemberId,
            member_id: id.to_owned(),
        }));
        member.answer_sync(Err(ResponseError::UnknownMemberId));
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Does what is due at `now`: lapsed ids, ended sessions, rebalance deadlines.
    pub(crate) fn expire(&mut self, now: Instant) {
        let pending_before = self.pending.len();
        self.pending.retain(|_, lapses| *lapses > now);
        let pending_lapsed = self.pending.len() < pending_before;

        let silent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| {
                member.expires <= now && !member.is_joining() && !member.is_syncing()
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            self.remove(now, &id);
        }
        match self.phase {
            Phase::Preparing { deadline } if deadline <= now => {
                self.pending.clear();
                self.begin_generation(now);
            }
            Phase::Preparing { .. } if pending_lapsed => self.begin_if_all_joined(now),
            Phase::Completing { deadline } if deadline <= now => {
                let missing: Vec<String> = self
                    .members
                    .iter()
                    .filter(|(_, member)| !member.synced && !member.is_syncing())
                    .map(|(id, _)| id.clone())
                    .collect();
                for id in missing {
                    self.drop_member(&id);
                }
                self.rebalance(now);
            }
            _ => {}
        }
        self.recount();
    }

    /// When `expire` has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Preparing { deadline } | Phase::Completing { deadline } => Some(deadline),
            Phase::Empty | Phase::Stable => None,
        };
        let sessions = self
            .members
            .values()
            .filter(|member| !member.is_joining() && !member.is_syncing())
            .map(|member| member.expires);
        sessions
            .chain(self.pending.values().copied())
            .chain(phase)
            .min()
    }
}
