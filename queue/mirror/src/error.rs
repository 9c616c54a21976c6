//! What ends a mirror, and what makes it begin anew.

use std::time::Duration;

/// An error of a mirror.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "`{pattern}` is no regular expression for topics: {}",
        in_one_line(source)
    )]
    Pattern {
        pattern: String,
        source: Box<regex::Error>,
    },

    /// Without ids, neither loops can be stopped nor the two ends be told apart.
    #[error(
        "the cluster at `{address}` tells no id that can be used ({found}); Kafka does since 0.10.1: is it a Kafka cluster?"
    )]
    ClusterId { address: String, found: String },

    #[error(
        "`{from}` and `{to}` are the same cluster (its id is `{id}`): a topic would be copied onto itself; correct one of the addresses"
    )]
    SameCluster {
        from: String,
        to: String,
        id: String,
    },

    #[error(
        "topic `{topic}` has {wanted} partitions at `{from}` and {found} at `{to}`, where it was not made by a mirror: \
         give it {wanted} there if its consumers allow it, or leave it out of the pattern"
    )]
    FewerPartitions {
        topic: String,
        from: String,
        to: String,
        wanted: u32,
        found: u32,
    },

    #[error("cannot copy `{topic}`/{partition}: {source}; correct that at the target")]
    Refused {
        topic: String,
        partition: i32,
        source: logboom_client::Error,
    },

    #[error(
        "another mirror from `{from}` to `{to}` has begun to copy `{topic}`: this one ends, for two would double records"
    )]
    TakenOver {
        topic: String,
        from: String,
        to: String,
    },

    #[error("cannot begin after {waited:?}: {source}")]
    NotReached {
        waited: Duration,
        source: Box<Error>,
    },

    #[error("stopped before all was copied; the same command goes on from there")]
    NotDrained,

    /// The ends move, yet nothing comes.
    #[error("read nothing of `{topic}` at `{address}` for {waited:?}, although there is more")]
    Stalled {
        topic: String,
        address: String,
        waited: Duration,
    },

    /// A topic came or went between two requests.
    #[error("the topics changed while a session began")]
    Changed,

    #[error(transparent)]
    Client(#[from] logboom_client::Error),
}

impl Error {
    /// Whether to begin anew: everything else needs somebody to act.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Error::Stalled { .. } | Error::Changed => true,
            Error::Client(error) => !matches!(error, logboom_client::Error::Create { .. }),
            _ => false,
        }
    }
}

/// A drawing of the place precedes the reason, which errors of one line have no room for.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    reason.trim_start_matches("error: ").to_owned()
}
