//! Why a step of a transaction is refused, told apart by what the producer has to do.

use crate::limits::{
    TRANSACTION_GROUPS_MAX, TRANSACTION_PARTITIONS_MAX, TRANSACTIONAL_IDS_MAX,
    TRANSACTIONS_BYTES_MAX, TRANSACTIONS_OPEN_MAX,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the transactional id does not have this producer id")]
    UnknownProducer,

    /// For ever: there is a newer instance, or the transaction timed out.
    #[error("the producer is fenced: its epoch is not the current one")]
    Fenced,

    /// Until the end that is under way is done.
    #[error("a transaction of this id is being ended")]
    Concurrent,

    #[error("that can't be done to a transaction that is `{state}`")]
    InvalidState { state: &'static str },

    #[error("{what} was not added to the transaction")]
    NotAdded { what: String },

    #[error("a transaction has at most {TRANSACTION_PARTITIONS_MAX} partitions")]
    TooManyPartitions,

    #[error("a transaction has offsets of at most {TRANSACTION_GROUPS_MAX} groups")]
    TooManyGroups,

    #[error(
        "{TRANSACTIONAL_IDS_MAX} transactional ids are in use, which is the most: use ids again instead of new ones"
    )]
    TooManyIds,

    #[error("{TRANSACTIONS_OPEN_MAX} transactions are open, which is the most")]
    TooManyOpen,

    #[error("the partitions of open transactions take more than {TRANSACTIONS_BYTES_MAX} bytes")]
    TooLarge,

    #[error("the journal of transactions is full")]
    JournalFull,

    #[error("the journal of transactions cannot be written: {0}")]
    Storage(String),

    /// The decision stands, and is tried again.
    #[error("a marker cannot be written: {0}")]
    Marker(String),

    #[error("the broker is stopping")]
    Stopping,
}
