//! The life of a mirror: session after session, until it is stopped, drained, or cannot go on.

use std::collections::BTreeMap;

use logboom_client::{Admin, Assignment, Bounds, Isolation, Partition};
use metrics::{counter, gauge};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::config::{Config, Until};
use crate::ends::assignment;
use crate::error::Error;
use crate::limits::{CONNECT_PATIENCE, REFUSED_REST, RETRY_FIRST, RETRY_MAX, SETTLE};
use crate::metrics::{BLOCKED, LAG, LOST_TO_RETENTION, RETRIES};
use crate::origin::{Clusters, cluster_id};
use crate::progress::{self, Ledger};
use crate::resume::{self, Finding, Sides};
use crate::session::{End, Session};
use crate::topics::{self, Topics};

/// Runs all mirrors until `stop`, or until all are drained; `ready` turns true when each has reached both its clusters.
///
/// # Errors
/// The first mirror that cannot go on stops the others: whoever supervises the process has to know.
pub async fn run(
    mirrors: Vec<Config>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (begun, mut beginnings) = mpsc::channel(mirrors.len().max(1));
    let mut waited_for = mirrors.len();
    let stop = stop.child_token();
    let mut running = JoinSet::new();
    for config in mirrors {
        running.spawn(live(config, begun.clone(), stop.clone()));
    }
    drop(begun);
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            Some(()) = beginnings.recv() => {
                waited_for -= 1;
                if waited_for == 0 {
                    ready.send_replace(true);
                }
            }
            ended = running.join_next() => match ended {
                None => return outcome,
                Some(result) => {
                    let result = result.expect("a mirror neither panics nor is aborted");
                    if result.is_err() {
                        stop.cancel();
                    }
                    outcome = outcome.and(result);
                }
            },
        }
    }
}

/// What stays the same over all sessions.
pub(crate) struct Ends {
    pub(crate) config: Config,
    pub(crate) from: Admin,
    pub(crate) to: Admin,
}

/// What sessions hand on to each other.
struct Life {
    ends: Ends,
    /// Names this life in commits.
    owner: String,
    begun: Option<mpsc::Sender<()>>,
    topics: Topics,
    /// Where each partition ended when a drain began.
    goals: Option<Vec<(Partition, i64)>>,
    /// Partitions that hold a record which the target refuses, and until when they rest.
    refused: BTreeMap<Partition, Instant>,
}

async fn live(
    config: Config,
    begun: mpsc::Sender<()>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let is_drain = config.until == Until::Drained;
    let mut life = Life::new(config, begun)?;
    let born = Instant::now();
    let mut pause = RETRY_FIRST;
    loop {
        let began = Instant::now();
        let error = match life.session(&stop).await {
            Ok(End::Drained) => return Ok(()),
            Ok(End::Stopped) if is_drain => return Err(Error::NotDrained),
            Ok(End::Stopped) => return Ok(()),
            Ok(End::Changed) => {
                pause = RETRY_FIRST;
                continue;
            }
            Err(error) => error,
        };
        if let Error::Refused {
            topic, partition, ..
        } = &error
            && !is_drain
        {
            error!(mirror = life.name(), %error, "the partition rests, the others go on");
            let until = Instant::now() + REFUSED_REST;
            life.refused.insert((topic.clone(), *partition), until);
            continue;
        }
        if !error.passes() {
            return Err(error);
        }
        if is_drain && life.begun.is_some() && born.elapsed() > CONNECT_PATIENCE {
            return Err(Error::NotReached {
                waited: CONNECT_PATIENCE,
                source: Box::new(error),
            });
        }
        counter!(RETRIES, "mirror" => life.name()).increment(1);
        warn!(mirror = life.name(), %error, "begins anew");
        if began.elapsed() > RETRY_MAX {
            pause = RETRY_FIRST;
        }
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return if is_drain {
                Err(Error::NotDrained)
            } else {
                Ok(())
            };
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

impl Life {
    fn new(config: Config, begun: mpsc::Sender<()>) -> Result<Life, Error> {
        Ok(Life {
            ends: Ends {
                from: Admin::new(&config.from)?,
                to: Admin::new(&config.to)?,
                config,
            },
            owner: Uuid::new_v4().simple().to_string(),
            begun: Some(begun),
            topics: Topics::new(),
            goals: None,
            refused: BTreeMap::new(),
        })
    }

    fn name(&self) -> String {
        self.ends.config.name.clone()
    }

    async fn session(&mut self, stop: &CancellationToken) -> Result<End, Error> {
        let begun = stop.run_until_cancelled(self.begin()).await;
        let Some((clusters, ledger, retry_at)) = begun.transpose()? else {
            return Ok(End::Stopped);
        };
        // librdkafka has no position in a partition of which it has read nothing, so there must be something to read.
        let is_left = |(name, end): &&(Partition, i64)| {
            let progress = ledger.partitions().get(name);
            progress.is_some_and(|progress| progress.next < *end)
        };
        let goals = self.goals.as_ref().map(|goals| {
            let left = goals.iter();
            left.filter(is_left)
                .map(|(name, end)| assignment(name, *end))
                .collect::<Vec<Assignment>>()
        });
        let topics = self.topics.clone();
        let session = Session::new(&self.ends, clusters, topics, ledger, goals, retry_at)?;
        if let Some(begun) = self.begun.take() {
            // There is nobody to tell when all is being stopped.
            let _told = begun.try_send(()).is_ok();
        }
        session.run(stop).await
    }

    /// Finds what there is to copy and from where, and makes this life its owner.
    async fn begin(&mut self) -> Result<(Clusters, Ledger, Option<Instant>), Error> {
        let clusters = self.clusters().await?;
        let topics = topics::look(&self.ends.from, &self.ends.config.topics).await?;
        self.tell_changes(&topics);
        let group = progress::group(&clusters.to);
        let all = topics::partitions(&topics);
        let stored = progress::read(&self.ends.from, &group, &all).await?;
        let is_known = |topic: &str| stored.keys().any(|(known, _)| known == topic);

        if self.begun.is_some() && !stored.is_empty() {
            sleep(SETTLE).await;
        }
        let mut wanted = all;
        let blocked = self.ensure(&topics, is_known).await?;
        let now = Instant::now();
        self.refused.retain(|_, until| *until > now);
        wanted.retain(|name| !blocked.contains(&name.0) && !self.refused.contains_key(name));
        let count = blocked.len() + self.refused.len();
        gauge!(BLOCKED, "mirror" => self.name()).set(count as f64);
        let rests = self.refused.values().min().copied();
        let again = (!blocked.is_empty()).then(|| now + REFUSED_REST);
        let retry_at = rests.into_iter().chain(again).min();

        let sides = self.sides(&wanted, stored).await?;
        if self.ends.config.until == Until::Drained && self.goals.is_none() {
            let ends = sides.iter();
            self.goals = Some(
                ends.map(|(name, sides)| (name.clone(), sides.source.high))
                    .collect(),
            );
        }
        let configs = (&self.ends.config.from, &self.ends.config.to);
        let starts = resume::starts(configs, &clusters, &sides).await?;
        let mut partitions = BTreeMap::new();
        for (name, start) in starts {
            self.tell(&name, start.progress.next, start.finding);
            partitions.insert(name, start.progress);
        }
        let mut ledger = Ledger::new(group, self.owner.clone(), partitions);
        ledger.take(&self.ends.from).await?;
        self.topics = topics;
        Ok((clusters, ledger, retry_at))
    }

    async fn clusters(&self) -> Result<Clusters, Error> {
        let Ends { config, from, to } = &self.ends;
        let (from_address, to_address) = (&config.from.bootstrap, &config.to.bootstrap);
        let clusters = Clusters {
            from: cluster_id(from_address, from.cluster_id().await?)?,
            to: cluster_id(to_address, to.cluster_id().await?)?,
        };
        if clusters.from == clusters.to {
            return Err(Error::SameCluster {
                from: from_address.clone(),
                to: to_address.clone(),
                id: clusters.from,
            });
        }
        Ok(clusters)
    }

    /// Topics that the target cannot take. At the first start, when somebody is looking, they are an error.
    async fn ensure(
        &self,
        topics: &Topics,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let config = &self.ends.config;
        let addresses = (config.from.bootstrap.as_str(), config.to.bootstrap.as_str());
        let mut blocked = Vec::new();
        for (topic, count) in topics {
            let ensured =
                topics::ensure(&self.ends.to, topic, *count, is_known(topic), addresses).await;
            match ensured {
                Err(error @ Error::FewerPartitions { .. }) if self.begun.is_none() => {
                    error!(mirror = config.name, %error, "the topic is left out, the others go on");
                    blocked.push(topic.clone());
                }
                result => result?,
            }
        }
        Ok(blocked)
    }

    async fn sides(
        &self,
        wanted: &[Partition],
        mut stored: BTreeMap<Partition, progress::Stored>,
    ) -> Result<BTreeMap<Partition, Sides>, Error> {
        let Ends { from, to, .. } = &self.ends;
        let source = from.bounds(wanted, Isolation::Committed).await?;
        let target = to.bounds(wanted, Isolation::None).await?;
        let both = |name: &Partition| -> Option<(Bounds, Bounds)> {
            Some((*source.get(name)?, *target.get(name)?))
        };
        let sides = wanted.iter().map(|name| {
            // Gone since it was listed.
            let (source, target) = both(name).ok_or(Error::Changed)?;
            let sides = Sides {
                stored: stored.remove(name),
                source,
                target,
            };
            Ok((name.clone(), sides))
        });
        sides.collect()
    }

    fn tell_changes(&self, now: &Topics) {
        let name = self.name();
        for (topic, count) in now
            .iter()
            .filter(|(topic, count)| self.topics.get(*topic) != Some(count))
        {
            info!(mirror = name, topic, partitions = count, "copies the topic");
        }
        for topic in self.topics.keys().filter(|topic| !now.contains_key(*topic)) {
            info!(mirror = name, topic, "the source has the topic no more");
            gauge!(LAG, "mirror" => name.clone(), "topic" => topic.clone()).set(0.0);
        }
    }

    fn tell(&self, (topic, partition): &Partition, next: i64, finding: Finding) {
        let mirror = self.name();
        match finding {
            Finding::GoesOn => {}
            Finding::Lost(count) => {
                counter!(LOST_TO_RETENTION, "mirror" => mirror.clone())
                    .increment(count.unsigned_abs());
                warn!(
                    mirror,
                    topic,
                    partition,
                    next,
                    lost = count,
                    "the source deleted records before they were copied: keep them longer there"
                );
            }
            Finding::SourceMadeAnew => warn!(
                mirror,
                topic,
                partition,
                next,
                "the source's log is not the one that was copied before: it is copied from its start"
            ),
            Finding::TargetMadeAnew => warn!(
                mirror,
                topic,
                partition,
                next,
                "the target's log is not the one that was copied to before: what it lacks is copied again"
            ),
            Finding::NotAllSearched => warn!(
                mirror,
                topic,
                partition,
                next,
                "the target is too long to be searched for earlier copies, and none was found in its end: \
                 records of others than agents are doubled if there were any"
            ),
        }
    }
}
