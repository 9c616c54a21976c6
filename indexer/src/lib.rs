//! logboom-indexer: from the queue's records to searchable splits, exactly once.
//!
//! Records flow one way: `consume` takes them from the queue, `build` drops duplicates and makes hot
//! segments that are searchable at once, `publish` turns these into a split on the disk and
//! moves the checkpoints in the same transaction. `catalog` is what searches see; `janitor` merges and deletes
//! splits; `server` answers over HTTP and [`Remote`] asks. What is in memory only is still in the queue: a
//! crash costs a replay, never a record.
//!
//! It does not know how rules are evaluated, what the page looks like, or which process it runs in.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
mod catalog;
mod config;
mod consume;
mod directory;
mod error;
mod hot;
mod janitor;
mod kind;
mod limits;
mod merge;
mod metrics;
mod observe;
mod pipeline;
mod position;
mod publish;
mod recover;
mod remote;
mod retention;
pub mod schema;
pub mod search;
mod server;
mod span_columns;
mod start;
mod tables;
mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use catalog::{OpenSplit, Snapshot};
pub use config::{AGENT_STATUS_TOPIC, Config, GROUP};
pub use error::{Error, Inconsistency};
pub use kind::Kind;
pub use publish::Step;
pub use remote::{Remote, RemoteError, TailItem};
pub use search::{SearchRequest, SearchResponse};

use crate::{
    build::Builder, catalog::Catalog, consume::Indexing, hot::Mould, pipeline::Pipeline,
    publish::Publisher, schema::Schema, server::Server, start::Taken, tail::Tail,
};

/// Runs the indexer until `stop`: what was published before is searchable at once, `ready` tells
/// when; a full disk delays it. Whoever calls holds the lock of the data directory.
pub async fn run(
    config: Config,
    listener: TcpListener,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    // Ending early must end our own tasks, not the caller's other parts.
    let stop = stop.child_token();
    let mould = Mould::new(Schema::of(Kind::Logs));
    let Some(taken) = start::take_over(&config, &mould, &stop).await? else {
        return Ok(());
    };
    let Taken {
        database,
        epoch,
        splits,
    } = taken;
    let catalog = Arc::new(Catalog::default());
    catalog.load(splits);
    let (tail, pipeline) = (Arc::new(Tail::new()), Arc::new(Pipeline::default()));
    let (published, published_seen) = watch::channel(Vec::new());
    let publisher = Publisher {
        database: database.clone(),
        epoch,
        splits_dir: config.splits_dir(),
        mould: mould.clone(),
        catalog: Arc::clone(&catalog),
        abort: CancellationToken::new(),
        passes: Arc::new(|_| true),
    };
    let indexing = Indexing {
        config: config.clone(),
        database: database.clone(),
        epoch,
        publisher: publisher.clone(),
        catalog: Arc::clone(&catalog),
        tail: Arc::clone(&tail),
        pipeline: Arc::clone(&pipeline),
        published,
    };

    let mut tasks = JoinSet::new();
    let server = Server::new(catalog, tail, Arc::clone(&pipeline), stop.clone());
    tasks.spawn(server.run(listener));
    tasks.spawn(indexing.run(Builder::new(mould), stop.clone()));
    tasks.spawn(janitor::run(
        publisher,
        Arc::clone(&pipeline),
        config.retention,
        stop.clone(),
    ));
    tasks.spawn(observe::run(config, pipeline, published_seen, stop.clone()));
    ready.send_replace(true);

    let outcome = join(tasks, &stop).await;
    database.close().await;
    outcome
}

/// All of them end together: with `stop`, or with the first that fails. The first failure counts.
async fn join(
    mut tasks: JoinSet<Result<(), Error>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut outcome = Ok(());
    while let Some(joined) = tasks.join_next().await {
        let result = joined.map_err(Error::from).flatten();
        stop.cancel();
        outcome = outcome.and(result);
    }
    outcome
}
