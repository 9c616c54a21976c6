//! From the call to join again to the next generation: who is in, who leads, and which protocol is followed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::group::{Group, Phase};
use super::member::{JoinOk, Joined, Member};

impl Group {
    /// Asks everybody to join again, unless that is under way already.
    pub(super) fn rebalance(&mut self, now: Instant) {
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

    pub(super) fn begin_if_all_joined(&mut self, now: Instant) {
        let preparing = matches!(self.phase, Phase::Preparing { .. });
        if preparing && self.pending.is_empty() && self.members.values().all(Member::is_joining) {
            self.begin_generation(now);
        }
    }

    /// Ends Preparing: whoever has not joined is out, except static members, who keep their place until their
    /// session ends.
    pub(super) fn begin_generation(&mut self, now: Instant) {
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

    pub(super) fn joined(&self, id: &str, skip_assignment: bool) -> JoinOk {
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
}
