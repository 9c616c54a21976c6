//! logboom-indexer: from the queue's records to searchable splits, exactly once.
//!
//! Records flow one way: `consume` takes them from the queue, `build` drops duplicates and makes hot
//! segments that are searchable at once, `publish` turns these into a split on the disk and
//! moves the checkpoints in the same transaction. `catalog` is what searches see; `janitor` merges and deletes
//! splits; `server` answers over HTTP and [`Remote`] asks. All but the last two exist once for every index (logs, spans,
//! rejected records). What is in memory only is still in the queue: a
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
mod indexes;
mod janitor;
mod kind;
mod limits;
mod merge;
mod metrics;
mod observe;
mod partitions;
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
pub mod traces;
mod verify;
mod way;

use std::sync::Arc;

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use catalog::{OpenSplit, Snapshot};
pub use config::{AGENT_STATUS_TOPIC, Config, ConfigError, GROUP, IndexConfig, Topic};
pub use error::{Error, Inconsistency};
pub use kind::Kind;
pub use publish::Step;
pub use remote::{Remote, RemoteError, TailItem};
pub use search::{SearchRequest, SearchResponse};
pub use verify::{Verified, verify};

use crate::{
    build::Builder,
    catalog::Catalog,
    consume::Indexing,
    hot::Mould,
    indexes::{Indexes, Served},
    janitor::Kept,
    observe::Offsets,
    pipeline::Pipeline,
    publish::Publisher,
    recover::Moulds,
    server::Server,
    start::Taken,
    tail::Tail,
};

/// Runs the indexer until `stop`: what was published before is searchable at once, `ready` tells
/// when; a full disk delays it. Whoever calls holds the lock of the data directory.
pub async fn run(
    config: Config,
    listener: TcpListener,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.check()?;
    // Ending early must end our own tasks, not the caller's other parts.
    let stop = stop.child_token();
    let named = |index: &IndexConfig| (Arc::from(index.name.as_str()), Mould::new(index.kind));
    let moulds: Moulds = config.indexes.iter().map(named).collect();
    let Some(taken) = start::take_over(&config, &moulds, &stop).await? else {
        return Ok(());
    };
    let Taken {
        database,
        epoch,
        mut splits,
    } = taken;
    let config = Arc::new(config);
    let pipeline = Arc::new(Pipeline::default());
    let (published, published_seen) = watch::channel(Offsets::new());
    let mut tasks = JoinSet::new();
    let (mut served, mut kept) = (Vec::new(), Vec::new());
    for index in &config.indexes {
        let name: Arc<str> = Arc::from(index.name.as_str());
        let mould = moulds[&name].clone();
        let (catalog, tail) = (Arc::new(Catalog::new(index.kind)), Arc::new(Tail::new()));
        catalog.load(splits.remove(&name).unwrap_or_default());
        let publisher = Publisher {
            index: Arc::clone(&name),
            database: database.clone(),
            epoch,
            splits_dir: config.splits_dir(),
            mould: mould.clone(),
            catalog: Arc::clone(&catalog),
            abort: CancellationToken::new(),
            passes: Arc::new(|_| true),
        };
        let indexing = Indexing {
            config: Arc::clone(&config),
            index: index.clone(),
            name: Arc::clone(&name),
            database: database.clone(),
            epoch,
            publisher: publisher.clone(),
            catalog: Arc::clone(&catalog),
            tail: Arc::clone(&tail),
            pipeline: Arc::clone(&pipeline),
            published: published.clone(),
        };
        let builder = Builder::new(mould, index.hot_bytes_max);
        tasks.spawn(indexing.run(builder, stop.clone()));
        kept.push(Kept {
            publisher,
            retention: index.retention,
        });
        served.push(Served {
            name,
            kind: index.kind,
            catalog,
            tail,
        });
    }
    // The loops have theirs: with the last of them, nothing is told any more.
    drop(published);
    let server = Server::new(Indexes::new(served), Arc::clone(&pipeline), stop.clone());
    tasks.spawn(server.run(listener));
    tasks.spawn(janitor::run(kept, Arc::clone(&pipeline), stop.clone()));
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
