//! What is asked of the queue, and told to it, beside reading: where partitions end, which ones are
//! new, and how far alerting has read. Reading never waits for any of it.
//!
//! The ends ("heads") are what the clock of silent sources rests on: it reaches the instant of a
//! question once all that was in the queue then has been fed, so a backlog is never taken for silence.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use logboom_client::{Admin, Assignment};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    Config, limits, metrics as names,
    readings::{self, Left, Partition, Reading, assignments},
    stamp::now_ns,
};

/// Under which alerting's progress is shown by the queue, and keeps log from being deleted.
pub const GROUP: &str = "logboom-alerting";

/// What comes back.
pub(crate) enum Answer {
    /// The ends of all partitions, as they were after the instant.
    Heads(Asked, Result<Vec<i64>, logboom_client::Error>),
    /// Partitions that were not known when it was asked.
    Born(Vec<Reading>),
    /// Offsets were committed to the queue.
    Shown(Result<(), logboom_client::Error>),
}

/// A question for the ends.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// When, by the wall clock, in nanoseconds.
    clock: i64,
    /// Of which life of the readings: the ends of other partitions, or of another log, are no answer.
    life: u64,
}

pub(crate) struct Lookout {
    config: Arc<Config>,
    admin: Admin,
    running: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// An instant and the ends that have to be passed for the clock to reach it.
    heads: Option<(i64, Vec<i64>)>,
    asking: bool,
    heads_due: Instant,
    life: u64,
    /// Stored and not found at start.
    left: Arc<Left>,
    looking: bool,
    born_due: Instant,
    /// Next offsets that are committed and not shown to the queue yet.
    unshown: Option<Vec<Assignment>>,
    showing: bool,
    show_due: Instant,
}

impl Lookout {
    pub(crate) fn new(config: &Arc<Config>, left: Left) -> Result<Lookout, logboom_client::Error> {
        let now = Instant::now();
        Ok(Lookout {
            config: Arc::clone(config),
            admin: Admin::new(&config.queue)?,
            running: FuturesUnordered::new(),
            heads: None,
            asking: false,
            heads_due: now,
            life: 0,
            left: Arc::new(left),
            looking: false,
            born_due: now + config.timing.partitions_interval,
            unshown: None,
            showing: false,
            show_due: now,
        })
    }

    /// The next answer; nothing when nothing was asked.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        self.running.next().await
    }

    /// Asks and tells what is due. Without an open episode (`has_open`), time only forgets.
    pub(crate) fn look(&mut self, readings: &[Reading], has_open: bool) {
        let now = Instant::now();
        if now >= self.heads_due && !self.asking && self.heads.is_none() {
            let interval = if has_open {
                limits::TICK
            } else {
                limits::LAG_INTERVAL
            };
            self.heads_due = now + interval;
            self.ask_heads(readings);
        }
        if now >= self.show_due
            && !self.showing
            && let Some(offsets) = self.unshown.take()
        {
            self.show_due = now + limits::LAG_INTERVAL;
            self.showing = true;
            let admin = self.admin.clone();
            self.running
                .push(async move { Answer::Shown(admin.commit(GROUP, &offsets).await) }.boxed());
        }
        if now >= self.born_due && !self.looking {
            self.born_due = now + self.config.timing.partitions_interval;
            self.looking = true;
            let (config, admin) = (Arc::clone(&self.config), self.admin.clone());
            let (known, left) = (names_of(readings).collect(), Arc::clone(&self.left));
            self.running.push(
                async move { Answer::Born(readings::born(&config, &admin, &known, &left).await) }
                    .boxed(),
            );
        }
    }

    /// Asks for the ends of all partitions. What reached the queue before now is below them.
    fn ask_heads(&mut self, readings: &[Reading]) {
        self.asking = true;
        let asked = Asked {
            clock: now_ns(),
            life: self.life,
        };
        let admin = self.admin.clone();
        let partitions: Vec<Partition> = names_of(readings).collect();
        self.running.push(
            async move {
                let mut ends = Vec::with_capacity(partitions.len());
                for (topic, partition) in partitions {
                    match admin.watermarks(&topic, partition).await {
                        Ok((_, end)) => ends.push(end),
                        Err(error) => return Answer::Heads(asked, Err(error)),
                    }
                }
                Answer::Heads(asked, Ok(ends))
            }
            .boxed(),
        );
    }

    /// Takes note of an answer. Returns the partitions that have to be read from now on.
    pub(crate) fn came_back(&mut self, answer: Answer, readings: &[Reading]) -> Vec<Reading> {
        match answer {
            Answer::Born(born) => {
                self.looking = false;
                return born;
            }
            Answer::Heads(asked, _) if asked.life != self.life => self.asking = false,
            Answer::Heads(Asked { clock, .. }, Ok(ends)) => {
                self.asking = false;
                for (reading, end) in readings.iter().zip(&ends) {
                    let lag = (end - reading.next_offset).max(0) as f64;
                    let topic = reading.topic.to_string();
                    metrics::gauge!(names::LAG, "topic" => topic, "partition" => reading.partition.to_string()).set(lag);
                }
                self.heads = Some((clock, ends));
            }
            Answer::Heads(_, Err(error)) => {
                self.asking = false;
                warn!(%error, "waiting for the queue; silent sources hold their alerts meanwhile");
            }
            Answer::Shown(result) => {
                self.showing = false;
                if let Err(error) = result {
                    warn!(%error, "cannot show alerting's offsets at the queue; trying again");
                    self.unshown.get_or_insert_with(|| assignments(readings));
                }
            }
        }
        Vec::new()
    }

    /// The instant of which it is known by now that all that came before it has been fed. `has_read_to` says whether
    /// there is nothing more for a reader before these offsets, where no record was the last one before them.
    pub(crate) fn passed(
        &mut self,
        readings: &[Reading],
        has_read_to: impl FnOnce(&[Assignment]) -> bool,
    ) -> Option<i64> {
        let (clock, _) = self.heads.take_if(|(_, ends)| {
            let with_end = readings.iter().zip(&*ends);
            let behind = with_end.filter(|(reading, end)| reading.next_offset < **end);
            let behind: Vec<Assignment> = behind
                .map(|(reading, end)| reading.assignment(*end))
                .collect();
            behind.is_empty() || has_read_to(&behind)
        })?;
        Some(clock)
    }

    /// The partitions, or their logs, are others now: ends that were asked for mean nothing any more.
    pub(crate) fn forget_heads(&mut self) {
        self.life += 1;
        self.heads = None;
    }

    /// The queue is to be told that all up to here is done with.
    pub(crate) fn committed(&mut self, readings: &[Reading]) {
        self.unshown = Some(assignments(readings));
    }

    /// At a stop the queue should know all that was read, but need not.
    pub(crate) async fn show_last(mut self) {
        if let Some(offsets) = self.unshown.take() {
            let shown =
                tokio::time::timeout(limits::STOP_PATIENCE, self.admin.commit(GROUP, &offsets))
                    .await;
            if !matches!(shown, Ok(Ok(()))) {
                warn!(
                    "the queue was not told how far alerting has read; it will be at the next start"
                );
            }
        }
    }
}

fn names_of(readings: &[Reading]) -> impl Iterator<Item = Partition> {
    readings
        .iter()
        .map(|reading| (Arc::clone(&reading.topic), reading.partition))
}

#[cfg(test)]
mod tests {
    use logboom_client::{Checkpoint, ClientConfig, Marks};

    use super::*;
    use crate::{IndexConfig, Timing};

    #[tokio::test]
    async fn markers_behind_the_last_record_do_not_hold_the_clock() {
        let reading = |partition, next_offset| {
            let checkpoint = Checkpoint {
                incarnation: 1,
                next_offset,
                last_crc: None,
            };
            let (index, topic) = (Arc::from("logs"), Arc::from("logs"));
            Reading::new(index, topic, partition, checkpoint, Marks::default())
        };
        let readings = [reading(0, 7), reading(1, 4)];
        let config = Config {
            data_dir: "unused".into(),
            // Nobody listens there.
            queue: ClientConfig::new("127.0.0.1:1", "test"),
            indexes: vec![IndexConfig::logs()],
            partitions: 1,
            rules: Vec::new(),
            receivers: Vec::new(),
            external_url: String::new(),
            timing: Timing::default(),
        };
        let mut lookout = Lookout::new(&Arc::new(config), Left::new()).unwrap();
        lookout.heads = Some((99, vec![7, 5]));
        assert_eq!(lookout.passed(&readings, |_| false), None);
        let marker = |behind: &[Assignment]| {
            assert_eq!(behind, [readings[1].assignment(5)]);
            true
        };
        assert_eq!(lookout.passed(&readings, marker), Some(99));
        assert_eq!(lookout.passed(&readings, |_| true), None, "told once");
    }
}
