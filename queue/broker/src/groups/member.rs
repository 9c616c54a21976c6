//! One member of a group, and what is said to it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

/// A protocol (for consumers: an assignment strategy) that a member can follow, and its data for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// What a client asks for when it joins.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    pub(crate) group: String,
    /// Empty when the client has none yet.
    pub(crate) member_id: String,
    /// A static member's name.
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
    /// Whether the client knows to come back with the id that it is given (JoinGroup 4 and up).
    pub(crate) knows_member_id_required: bool,
    /// Whether the client understands that the assignment stays as it is (JoinGroup 9 and up).
    pub(crate) knows_skip_assignment: bool,
    /// The id to use if one has to be made: chance is an argument.
    pub(crate) fresh_member_id: String,
}

impl JoinRequest {
    /// What the member will take in memory.
    pub(crate) fn bytes(&self) -> usize {
        said_bytes(
            [
                self.instance_id.as_deref().unwrap_or_default(),
                &self.client_id,
                &self.client_host,
            ],
            &self.protocols,
        )
    }
}

fn said_bytes(names: [&str; 3], protocols: &[Protocol]) -> usize {
    let protocols = protocols
        .iter()
        .map(|protocol| protocol.name.len() + protocol.metadata.len());
    names.iter().map(|name| name.len()).chain(protocols).sum()
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

/// The answer to a join that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinOk {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    pub(crate) skip_assignment: bool,
    /// For the leader only.
    pub(crate) members: Vec<Joined>,
}

/// Why a join failed, with the member id that goes into the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    pub(crate) error: ResponseError,
    pub(crate) member_id: String,
}

pub(crate) type JoinAnswer = Result<JoinOk, JoinRefused>;

/// The answer to a sync that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncOk {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

pub(crate) type SyncAnswer = Result<SyncOk, ResponseError>;

/// One who is in the group, or was until it falls out at the end of the current rebalance.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// In the order of the member's preference.
    pub(crate) protocols: Vec<Protocol>,
    /// What the leader gave it in this generation.
    pub(crate) assignment: Bytes,
    /// When it is given up, unless it is heard of or waits for an answer.
    pub(crate) expires: Instant,
    /// Set from its join until the generation begins.
    pub(crate) joining: Option<oneshot::Sender<JoinAnswer>>,
    /// Set from its sync until the leader's.
    pub(crate) syncing: Option<oneshot::Sender<SyncAnswer>>,
    /// Whether it has fetched its assignment in this generation.
    pub(crate) synced: bool,
}

impl Member {
    pub(crate) fn new(now: Instant, request: &JoinRequest) -> Member {
        Member {
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            expires: now + request.session_timeout,
            joining: None,
            syncing: None,
            synced: false,
        }
    }

    /// Takes over what a member that joins again says about itself.
    pub(crate) fn update(&mut self, now: Instant, request: &JoinRequest) {
        self.client_id.clone_from(&request.client_id);
        self.client_host.clone_from(&request.client_host);
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.protocols.clone_from(&request.protocols);
        self.heard(now);
    }

    /// Without its assignment.
    pub(crate) fn bytes(&self) -> usize {
        said_bytes(
            [
                self.instance_id.as_deref().unwrap_or_default(),
                &self.client_id,
                &self.client_host,
            ],
            &self.protocols,
        )
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// Whether somebody still waits for the answer: a connection that ended has dropped its receiver.
    pub(crate) fn is_joining(&self) -> bool {
        self.joining
            .as_ref()
            .is_some_and(|waiter| !waiter.is_closed())
    }

    pub(crate) fn is_syncing(&self) -> bool {
        self.syncing
            .as_ref()
            .is_some_and(|waiter| !waiter.is_closed())
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|known| known.name == protocol)
            .map(|known| known.metadata.clone())
            .unwrap_or_default()
    }

    pub(crate) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    pub(crate) fn answer_join(&mut self, answer: JoinAnswer) {
        if let Some(waiter) = self.joining.take() {
            // The client may have gone; the session timeout sees to it.
            let _gone = waiter.send(answer);
        }
    }

    pub(crate) fn answer_sync(&mut self, answer: SyncAnswer) {
        if let Some(waiter) = self.syncing.take() {
            let _gone = waiter.send(answer);
        }
    }
}
