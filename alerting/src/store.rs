//! The database `alerting.db`: state, offsets and outbox, changed together or not at all.
//!
//! One [`Store::commit`] is one transaction. What it holds of a step (windows, marks, next offsets,
//! and the notifications that follow) is all there or none of it, so a crash replays exactly the
//! records whose effect is missing. Notification rows are inserted unless their id is there already.

use std::{collections::HashMap, path::Path, sync::Arc};

use logboom_client::{Checkpoint, Marks};
use logboom_metastore::{Database, Migration, Write};
use sqlx::Row;

use crate::{
    Error, ReceiverConfig,
    episode::Change,
    evaluate::{Dirty, Transition},
    group_key::GroupKey,
    notification::fingerprint,
    rules::Rule,
    sample::samples,
    sources::{SourceClock, SourceRef},
    state::Group,
};

mod groups;
mod receivers;

use groups::decode_group;
pub(crate) use groups::encode_group;
pub(crate) use receivers::finish_all;
use receivers::put_receivers;

const MIGRATIONS: &[Migration] = &[Migration {
    name: "alerting tables",
    sql: include_str!("store/tables.sql"),
}];

/// The writing side.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) database: Database,
}

/// Where reading of a partition stands.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) marks: Vec<u8>,
}

/// What a start needs.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) partitions: HashMap<(String, i32), (Checkpoint, Marks)>,
    pub(crate) sources: Vec<(SourceRef, SourceClock)>,
    pub(crate) rules: HashMap<String, Arc<Rule>>,
    pub(crate) groups: Vec<(String, GroupKey, Group)>,
}

/// One transaction's worth of changes.
pub(crate) struct Commit<'a> {
    pub(crate) dirty: &'a Dirty,
    pub(crate) progress: &'a [Progress],
    /// Given when rules or receivers changed.
    pub(crate) rules: Option<&'a [Arc<Rule>]>,
    pub(crate) receivers: &'a [ReceiverConfig],
    pub(crate) external_url: &'a str,
    pub(crate) now_ms: i64,
}

impl Store {
    pub(crate) async fn open(path: &Path) -> Result<Store, Error> {
        Ok(Store {
            database: Database::open(path, MIGRATIONS).await?,
        })
    }

    pub(crate) async fn load(&self) -> Result<Stored, Error> {
        let pool = self.database.read_pool();
        let mut stored = Stored::default();
        for row in sqlx::query(
            "SELECT topic, partition, incarnation, next_offset, last_crc, marks FROM checkpoints",
        )
        .fetch_all(pool)
        .await?
        {
            let marks: Vec<u8> = row.try_get("marks")?;
            let checkpoint = Checkpoint {
                incarnation: number("checkpoints", row.try_get::<i64, _>("incarnation")?)?,
                next_offset: row.try_get("next_offset")?,
                last_crc: row
                    .try_get::<Option<i64>, _>("last_crc")?
                    .map(|crc| number("checkpoints", crc))
                    .transpose()?,
            };
            let marks = Marks::from_bytes(&marks).map_err(damaged("checkpoints"))?;
            stored.partitions.insert(
                (row.try_get("topic")?, row.try_get("partition")?),
                (checkpoint, marks),
            );
        }
        for row in sqlx::query("SELECT source, clock FROM sources")
            .fetch_all(pool)
            .await?
        {
            let clock: Vec<u8> = row.try_get("clock")?;
            let clock = postcard::from_bytes(&clock).map_err(damaged("sources"))?;
            stored
                .sources
                .push((SourceRef(row.try_get::<i64, _>("source")? as u64), clock));
        }
        for row in sqlx::query("SELECT name, definition FROM rules")
            .fetch_all(pool)
            .await?
        {
            let text: String = row.try_get("definition")?;
            let rule: Rule = serde_json::from_str(&text).map_err(damaged("rules"))?;
            stored.rules.insert(row.try_get("name")?, Arc::new(rule));
        }
        for row in sqlx::query("SELECT rule, key, state FROM rule_groups")
            .fetch_all(pool)
            .await?
        {
            let key: String = row.try_get("key")?;
            let state: Vec<u8> = row.try_get("state")?;
            let key = GroupKey::from_text(&key).map_err(damaged("rule_groups"))?;
            let group = decode_group(&state)?;
            stored.groups.push((row.try_get("rule")?, key, group));
        }
        Ok(stored)
    }

    /// All or nothing. Says whether there are new notifications.
    pub(crate) async fn commit(&self, commit: &Commit<'_>) -> Result<bool, Error> {
        let mut write = self.database.begin().await?;
        for rule in &commit.dirty.dropped {
            sqlx::query("DELETE FROM rule_groups WHERE rule = $1")
                .bind(rule)
                .execute(&mut *write)
                .await?;
        }
        if let Some(rules) = commit.rules {
            put_rules(&mut write, rules).await?;
            // In the same step: a receiver that this very change enables is told what follows here.
            put_receivers(&mut write, commit.receivers, commit.now_ms).await?;
        }
        put_groups(&mut write, commit.dirty).await?;
        put_sources(&mut write, commit.dirty).await?;
        for progress in commit.progress {
            put_progress(&mut write, progress).await?;
        }
        let mut told = false;
        for transition in &commit.dirty.transitions {
            told |= put_transition(&mut write, transition, commit).await?;
        }
        write.commit().await?;
        Ok(told)
    }

    /// Forgets history and finished notifications from before `before_ms`.
    pub(crate) async fn prune(&self, before_ms: i64) -> Result<(), Error> {
        let mut write = self.database.begin().await?;
        for statement in [
            "DELETE FROM history WHERE at < $1",
            "DELETE FROM outbox WHERE state <> 'pending' AND done_at < $1",
            "DELETE FROM alerts WHERE state NOT IN ('pending', 'firing') AND updated_at < $1",
        ] {
            sqlx::query(statement)
                .bind(before_ms)
                .execute(&mut *write)
                .await?;
        }
        Ok(write.commit().await?)
    }

    /// Takes note of who is told: those that are gone, came, or moved.
    pub(crate) async fn put_receivers(
        &self,
        receivers: &[ReceiverConfig],
        now_ms: i64,
    ) -> Result<(), Error> {
        let mut write = self.database.begin().await?;
        put_receivers(&mut write, receivers, now_ms).await?;
        Ok(write.commit().await?)
    }
}

fn damaged<E: ToString>(table: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Damaged {
        table,
        reason: error.to_string(),
    }
}

fn number<T: TryFrom<i64>>(table: &'static str, value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Damaged {
        table,
        reason: format!("`{value}` is out of range"),
    })
}

async fn put_rules(write: &mut Write, rules: &[Arc<Rule>]) -> Result<(), Error> {
    sqlx::query("DELETE FROM rules")
        .execute(&mut **write)
        .await?;
    for rule in rules {
        let definition = serde_json::to_string(rule.as_ref()).expect("a rule is plain data");
        sqlx::query("INSERT INTO rules (name, definition) VALUES ($1, $2)")
            .bind(&rule.name)
            .bind(definition)
            .execute(&mut **write)
            .await?;
    }
    Ok(())
}

async fn put_groups(write: &mut Write, dirty: &Dirty) -> Result<(), Error> {
    for (rule, key, state) in &dirty.groups {
        let statement = match state {
            Some(_) => {
                "INSERT INTO rule_groups (rule, key, state) VALUES ($1, $2, $3)
                 ON CONFLICT (rule, key) DO UPDATE SET state = excluded.state"
            }
            None => "DELETE FROM rule_groups WHERE rule = $1 AND key = $2",
        };
        let query = sqlx::query(statement).bind(rule).bind(key.to_text());
        let query = if let Some(state) = state {
            query.bind(state)
        } else {
            query
        };
        query.execute(&mut **write).await?;
    }
    Ok(())
}

async fn put_sources(write: &mut Write, dirty: &Dirty) -> Result<(), Error> {
    for (source, clock) in &dirty.sources {
        // SQL integers have a sign; the bits are what counts.
        let source = source.0 as i64;
        let query = match clock {
            Some(clock) => sqlx::query(
                "INSERT INTO sources (source, clock) VALUES ($1, $2) ON CONFLICT (source) DO UPDATE SET clock = excluded.clock",
            )
            .bind(source)
            .bind(postcard::to_stdvec(clock).expect("a clock is plain data")),
            None => sqlx::query("DELETE FROM sources WHERE source = $1").bind(source),
        };
        query.execute(&mut **write).await?;
    }
    Ok(())
}

async fn put_progress(write: &mut Write, progress: &Progress) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO checkpoints (topic, partition, incarnation, next_offset, last_crc, marks) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (topic, partition) DO UPDATE SET incarnation = excluded.incarnation,
         next_offset = excluded.next_offset, last_crc = excluded.last_crc, marks = excluded.marks",
    )
    .bind(progress.topic.as_ref())
    .bind(progress.partition)
    .bind(i64::from(progress.checkpoint.incarnation))
    .bind(progress.checkpoint.next_offset)
    .bind(progress.checkpoint.last_crc.map(i64::from))
    .bind(&progress.marks)
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn put_transition(
    write: &mut Write,
    transition: &Transition,
    commit: &Commit<'_>,
) -> Result<bool, Error> {
    let labels = transition.key.labels(&transition.rule);
    let print = fingerprint(&labels);
    let labels = serde_json::to_string(&labels).expect("strings are JSON");
    let id = transition.episode_id();
    let episode = &transition.episode;
    let state = match transition.change {
        Change::Lengthened => "resolved",
        other => other.as_str(),
    };
    let lines = i64::try_from(episode.lines).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO alerts (id, rule, fingerprint, labels, annotations, state, starts_at, ends_at, last_line, lines, samples, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET labels = excluded.labels, annotations = excluded.annotations, state = excluded.state,
         ends_at = excluded.ends_at, last_line = excluded.last_line, lines = excluded.lines, samples = excluded.samples,
         updated_at = excluded.updated_at",
    )
    .bind(&id)
    .bind(&transition.rule.name)
    .bind(&print)
    .bind(&labels)
    .bind(serde_json::to_string(&transition.annotations()).expect("strings are JSON"))
    .bind(state)
    .bind(episode.start)
    .bind(transition.ends_at())
    .bind(episode.last_line)
    .bind(lines)
    .bind(samples(&episode.samples, commit.external_url).to_string())
    .bind(commit.now_ms)
    .execute(&mut **write)
    .await?;
    if transition.change != Change::Lengthened {
        sqlx::query("INSERT INTO history (at, alert, rule, change, starts_at, labels, lines) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (alert, change) DO NOTHING")
            .bind(transition.at / 1_000_000)
            .bind(&id)
            .bind(&transition.rule.name)
            .bind(transition.change.as_str())
            .bind(episode.start)
            .bind(&labels)
            .bind(lines)
            .execute(&mut **write)
            .await?;
    }
    let mut told = false;
    if transition.change.is_told() {
        let resolved = transition.change == Change::Resolved;
        for receiver in commit.receivers {
            let chosen = transition
                .rule
                .receivers
                .as_ref()
                .is_none_or(|names| names.contains(&receiver.name));
            if chosen && (!resolved || receiver.webhook.send_resolved) {
                told |= put_notification(write, transition, receiver, &id, &print, commit).await?;
            }
        }
    }
    Ok(told)
}

async fn put_notification(
    write: &mut Write,
    transition: &Transition,
    receiver: &ReceiverConfig,
    alert: &str,
    print: &str,
    commit: &Commit<'_>,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO outbox (id, receiver, alert, fingerprint, change, body, attempts, next_try, created_at, state, done_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7,
             CASE WHEN EXISTS (SELECT 1 FROM receivers WHERE name = $2 AND disabled IS NOT NULL) THEN 'disabled' ELSE 'pending' END,
             CASE WHEN EXISTS (SELECT 1 FROM receivers WHERE name = $2 AND disabled IS NOT NULL) THEN $7 END)
         ON CONFLICT (id, receiver) DO NOTHING",
    )
    .bind(transition.notification_id())
    .bind(&receiver.name)
    .bind(alert)
    .bind(print)
    .bind(transition.change.as_str())
    .bind(transition.body(&receiver.name, commit.external_url).to_string())
    .bind(commit.now_ms)
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests;
