//! The built-in queue: a Kafka-wire broker on one data directory.
//!
//! `security` admits connections, `session` reads frames, `wire` bounds and decodes them, `api` answers them out of
//! `topics`, `groups`, `offsets`, `transactions` and `log`. An acknowledged record is on disk; a consumer sees synced records only. The crate knows nothing of
//! what the records mean.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod broker;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod groups;
mod lag;
pub mod limits;
pub mod log;
mod metrics;
mod node;
mod offsets;
mod producer_ids;
mod retention;
mod security;
mod session;
mod status;
mod stored;
mod topics;
mod transactions;
mod verify;
mod wire;

pub use broker::Broker;
pub use config::Config;
pub use error::Error;
pub use security::{
    AccessRules, Acl, BadPattern, ClientCertificates, Credential, Listener, ListenerConfig,
    Listeners, Mechanism, Operation, Pattern, SaslConfig, TlsFiles, UnknownMechanism,
    UnknownOperation, UsersError, UsersFile,
};
pub use status::{GroupStatus, PartitionStatus, Status, StatusHandle};
pub use verify::{Verified, verify};
