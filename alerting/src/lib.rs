//! Alerting: rules evaluated on the queue's stream as lines and spans arrive, state that survives, webhooks.
//!
//! The way of an event: [`consume`] reads records and drops duplicates by their marks → [`matcher`]
//! says which patterns are in it → [`evaluate`] moves windows and episodes in event time (a pure
//! state machine: time is an argument) → [`store`] writes state, offsets and notifications in one
//! transaction → [`notify`] delivers from the outbox until a receiver took it.
//!
//! Invariants:
//! - Nothing is told to anybody that is not committed together with the offsets it came from.
//! - A notification's id is a function of (rule, group, episode start, transition): whatever is
//!   evaluated or sent twice carries the same id.
//! - An episode fires on arrival; watermarks only resolve and forget.
//!
//! It does not know the index, and it does not know the web page: that reads through [`View`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod consume;
mod ends;
mod episode;
mod error;
mod evaluate;
mod group_key;
pub mod limits;
mod lookout;
pub mod matcher;
pub mod metrics;
mod notification;
mod notify;
mod readings;
mod rule_files;
pub mod rules;
mod run;
mod sample;
mod signature;
mod sources;
mod stamp;
mod state;
mod step;
mod store;
#[cfg(test)]
mod testing;
mod values;
mod view;
mod way;
mod window;

pub use config::{Config, IndexConfig, ReceiverConfig, Timing, Topic, WebhookConfig};
pub use error::{Error, RuleError, RuleErrors};
pub use lookout::GROUP;
pub use run::run;
pub use view::{
    AlertView, HistoryEntry, NotificationView, QuantileView, ReceiverView, RuleView, View,
};
