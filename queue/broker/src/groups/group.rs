//! The state machine of one classic consumer group. Time is an argument and nothing here does I/O.
//!
//! ```text
//! Empty ──join──► Preparing ──all joined, or the rebalance timeout──► Completing ──leader's sync──► Stable
//!                   ▲  └──nobody joined──► Empty                          │                          │
//!                   └──────────────── join, leave, expiry ────────────────┴──────────────────────────┘
//! ```
//! Invariants: the generation only grows; it grows exactly when Preparing ends; a member has answered for the
//! current generation or waits in `joining`; at most one of `joining` and `syncing` is set.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::member::{
    JoinAnswer, JoinOk, JoinRefused, JoinRequest, Joined, Member, SyncAnswer, SyncOk,
};
use crate::limits::{GROUP_BYTES_MAX, GROUP_MEMBERS_MAX};

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
    instances: HashMap<String, String>,
    /// Ids that were given out and have not come back yet, and when they lapse.
    pending: HashMap<String, Instant>,
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

    fn recount(&mut self) {
        let members = self.members.values();
        self.held = members
            .map(|member| member.bytes() + member.assignment.len())
            .sum();
    }

    /// Whether nothing but committed offsets is left of it.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// Lets a client in. The answer comes at once or when the generation begins.
    pub(crate) fn join(
        &mut self,
        now: Instant,
        request: JoinRequest,
    ) -> oneshot::Receiver<JoinAnswer> {
        let (waiter, answer) = oneshot::channel();
        if let Err((error, waiter)) = self.try_join(now, &request, waiter) {
            let _gone = waiter.send(Err(error));
        }
        self.recount();
        answer
    }

    fn try_join(
        &mut self,
        now: Instant,
        request: &JoinRequest,
        waiter: oneshot::Sender<JoinAnswer>,
    ) -> Result<(), (JoinRefused, oneshot::Sender<JoinAnswer>)> {
        let refused = |error, member_id: &str| JoinRefused {
            error,
            member_id: member_id.to_owned(),
        };
        if !self.accepts(request) {
            return Err((
                refused(ResponseError::InconsistentGroupProtocol, &request.member_id),
                waiter,
            ));
        }
        if self.bytes_beside(request) + request.bytes() > GROUP_BYTES_MAX {
            return Err((
                refused(ResponseError::GroupMaxSizeReached, &request.member_id),
                waiter,
            ));
        }
        if request.member_id.is_empty() {
            let known = request
                .instance_id
                .as_ref()
                .and_then(|instance| self.instances.get(instance).cloned());
            if let Some(old_id) = known {
                self.replace_static(now, &old_id, request, waiter);
                return Ok(());
            }
            if self.members.len() + self.pending.len() >= GROUP_MEMBERS_MAX {
                return Err((refused(ResponseError::GroupMaxSizeReached, ""), waiter));
            }
            if request.knows_member_id_required && request.instance_id.is_none() {
                self.pending.insert(
                    request.fresh_member_id.clone(),
                    now + request.session_timeout,
                );
                return Err((
                    refused(ResponseError::MemberIdRequired, &request.fresh_member_id),
                    waiter,
                ));
            }
            self.add(now, request.fresh_member_id.clone(), request, waiter);
            return Ok(());
        }
        if let Err(error) = self.identify(&request.member_id, request.instance_id.as_deref()) {
            if error == ResponseError::UnknownMemberId
                && self.pending.remove(&request.member_id).is_some()
            {
                self.add(now, request.member_id.clone(), request, waiter);
                return Ok(());
            }
            return Err((refused(error, &request.member_id), waiter));
        }
        self.rejoin(now, request, waiter);
        Ok(())
    }

    /// A group takes those who share its protocol type and at least one protocol with every member.
    fn accepts(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        let others: Vec<&Member> = self.others(request).collect();
        if others.is_empty() {
            return true;
        }
        request.protocol_type == self.protocol_type
            && request
                .protocols
                .iter()
                .any(|protocol| others.iter().all(|other| other.supports(&protocol.name)))
    }

    /// All members but the one that `request` is from: a client that joins again may change what it said.
    fn others(&self, request: &JoinRequest) -> impl Iterator<Item = &Member> {
        let replaced = match &request.instance_id {
            Some(instance) if request.member_id.is_empty() => self.instances.get(instance),
            _ => Some(&request.member_id),
        }
        .cloned();
        self.members
            .iter()
            .filter(move |(id, _)| Some(*id) != replaced.as_ref())
            .map(|(_, member)| member)
    }

    /// What the others say about themselves.
    fn bytes_beside(&self, request: &JoinRequest) -> usize {
        self.others(request).map(Member::bytes).sum()
    }

    /// What the group would hold after `request`.
    pub(crate) fn held_after(&self, request: &JoinRequest) -> usize {
        let others = self.others(request);
        let held: usize = others
            .map(|member| member.bytes() + member.assignment.len())
            .sum();
        held + request.bytes()
    }

    fn add(
        &mut self,
        now: Instant,
        id: String,
        request: &JoinRequest,
        waiter: oneshot::Sender<JoinAnswer>,
    ) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&request.protocol_type);
        }
        if let Some(instance) = &request.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        let mut member = Member::new(now, request);
        member.joining = Some(waiter);
        self.members.insert(id.clone(), member);
        self.leader.get_or_insert(id);
        self.rebalance(now);
    }

    /// A known member joins again: because it was asked to, because its answer got lost, or with news.
    fn rejoin(&mut self, now: Instant, request: &JoinRequest, waiter: oneshot::Sender<JoinAnswer>) {
        let id = &request.member_id;
        let is_leader = self.leader.as_ref() == Some(id);
        let member = self.members.get_mut(id).expect("identify found it");
        let unchanged = member.protocols == request.protocols;
        member.update(now, request);
        let answer_now = match self.phase {
            Phase::Completing { .. } => unchanged,
            // The leader joins again to have the partitions dealt anew.
            Phase::Stable => unchanged && !is_leader,
            Phase::Preparing { .. } | Phase::Empty => false,
        };
        if answer_now {
            let answer = self.joined(id, false);
            let _gone = waiter.send(Ok(answer));
            return;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.joining = Some(waiter);
        }
        self.rebalance(now);
    }

    /// A static member came back without its id: it takes its old place under a new id, and whoever holds the
    /// old id is fenced.
    fn replace_static(
        &mut self,
        now: Instant,
        old_id: &str,
        request: &JoinRequest,
        waiter: oneshot::Sender<JoinAnswer>,
    ) {
        let new_id = request.fresh_member_id.clone();
        let mut member = self.members.remove(old_id).expect("instances name members");
        member.answer_join(Err(JoinRefused {
            error: ResponseError::FencedInstanceId,
            member_id: old_id.to_owned(),
        }));
        member.answer_sync(Err(ResponseError::FencedInstanceId));
        let unchanged = member.protocols == request.protocols;
        member.update(now, request);
        let was_leader = self.leader.as_deref() == Some(old_id);
        self.members.insert(new_id.clone(), member);
        if let Some(instance) = &request.instance_id {
            self.instances.insert(instance.clone(), new_id.clone());
        }
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        if self.phase == Phase::Stable && unchanged {
            let mut answer = self.joined(&new_id, was_leader && request.knows_skip_assignment);
            if was_leader && !request.knows_skip_assignment {
                // An older client would deal the partitions anew if it knew that it leads; told of its former
                // id it takes what it had.
                answer.leader = old_id.to_owned();
                answer.members.clear();
            }
            let _gone = waiter.send(Ok(answer));
            return;
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.joining = Some(waiter);
        }
        self.rebalance(now);
    }

    /// Asks everybody to join again, unless that is under way already.
    fn rebalance(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Preparing { .. }) {
            for member in self.members.values_mut() {
                member.answer_sync(Err(ResponseError::RebalanceInProgress));
            }
            let patience = self
                .members
                .values()
                .map(|member| member.rebalance_timeout)
                .max();
            self.phase = Phase::Preparing {
                deadline: now + patience.unwrap_or(Duration::ZERO),
            };
        }
        self.begin_if_all_joined(now);
    }

    fn begin_if_all_joined(&mut self, now: Instant) {
        let preparing = matches!(self.phase, Phase::Preparing { .. });
        if preparing && self.pending.is_empty() && self.members.values().all(Member::is_joining) {
            self.begin_generation(now);
        }
    }

    /// Ends Preparing: whoever has not joined is out, except static members, who keep their place until their
    /// session ends.
    fn begin_generation(&mut self, now: Instant) {
        let absent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| !member.is_joining() && member.instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in absent {
            self.drop_member(&id);
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            self.protocol.clear();
            self.leader = None;
            return;
        }
        self.elect();
        self.protocol = self.vote();
        let patience = self
            .members
            .values()
            .map(|member| member.rebalance_timeout)
            .max();
        self.phase = Phase::Completing {
            deadline: now + patience.unwrap_or(Duration::ZERO),
        };
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.joined(&id, false);
            let member = self.members.get_mut(&id).expect("ids were just listed");
            member.synced = false;
            member.assignment = Bytes::new();
            member.heard(now);
            member.answer_join(Ok(answer));
        }
    }

    /// The leader stays if it joined; else the first who did follows.
    fn elect(&mut self) {
        let stays = self
            .leader
            .as_ref()
            .and_then(|id| self.members.get(id))
            .is_some_and(Member::is_joining);
        if !stays {
            let joining = self
                .members
                .iter()
                .find(|(_, member)| member.is_joining())
                .map(|(id, _)| id.clone());
            self.leader = joining.or_else(|| self.members.keys().next().cloned());
        }
    }

    /// Each member votes for its favourite among the protocols that all support.
    fn vote(&self) -> String {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find(|protocol| {
                self.members
                    .values()
                    .all(|other| other.supports(&protocol.name))
            });
            if let Some(protocol) = favourite {
                *votes.entry(&protocol.name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(name, _)| name.to_owned())
            .unwrap_or_default()
    }

    fn joined(&self, id: &str, skip_assignment: bool) -> JoinOk {
        let leads = self.leader.as_deref() == Some(id);
        let members = self
            .members
            .iter()
            .filter(|_| leads)
            .map(|(member_id, member)| Joined {
                member_id: member_id.clone(),
                instance_id: member.instance_id.clone(),
                metadata: member.metadata(&self.protocol),
            })
            .collect();
        JoinOk {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            skip_assignment,
            members,
        }
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

    fn drop_member(&mut self, id: &str) {
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
