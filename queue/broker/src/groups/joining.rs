//! How a client gets into a group, or comes back to it.

use std::time::Instant;

use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::group::{Group, Phase};
use super::member::{JoinAnswer, JoinRefused, JoinRequest, Member};
use crate::limits::{GROUP_BYTES_MAX, GROUP_MEMBERS_MAX};

impl Group {
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
}
