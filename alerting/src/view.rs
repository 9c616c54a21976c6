//! What others may see: read-only, from any process, while alerting runs or not.

use std::{collections::BTreeMap, path::PathBuf};

use logboom_metastore::Database;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, sqlite::SqliteRow};
use tokio::sync::OnceCell;

use crate::{Error, rules::Rule, stamp};

/// Reads alerting's database. Opens it at the first question, so it may be made before alerting
/// has started for the first time.
#[derive(Debug)]
pub struct View {
    path: PathBuf,
    database: OnceCell<Database>,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertView {
    pub id: String,
    pub rule: String,
    /// `pending`, `firing`, `resolved` or `cancelled`.
    pub state: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub fingerprint: String,
    /// Event time, RFC 3339.
    pub starts_at: String,
    /// Set once it is over.
    pub ends_at: Option<String>,
    pub last_line_at: String,
    pub lines: i64,
    /// The quoted lines, as in notifications.
    pub samples: Value,
    /// Wall clock.
    pub updated_at: String,
}

/// One step in the life of an alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryEntry {
    pub at: String,
    pub alert: String,
    pub rule: String,
    /// `pending`, `firing`, `resolved`, `cancelled` or `lengthened`.
    pub change: String,
    pub starts_at: String,
    pub labels: BTreeMap<String, String>,
    pub lines: i64,
    /// The lines or spans that the alert quotes by now.
    pub samples: Value,
    /// How its notifications went, by receiver; empty where nobody is told.
    pub notifications: Vec<NotificationView>,
}

/// One notification to one receiver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotificationView {
    pub id: String,
    pub receiver: String,
    /// `pending`, `delivered`, `dead` or `disabled`.
    pub state: String,
    pub attempts: i64,
    pub last_error: Option<String>,
}

/// A loaded rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleView {
    pub name: String,
    pub description: String,
    pub index: String,
    pub query: Option<String>,
    pub regex: Option<String>,
    /// With a `quantile`, the least number of values.
    pub count: u32,
    pub within: String,
    /// Absent: the threshold is on the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile: Option<QuantileView>,
    pub group_by: Vec<String>,
    #[serde(rename = "for")]
    pub for_: String,
    pub keep_firing_for: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Absent: all.
    pub receivers: Option<Vec<String>>,
    pub file: String,
    pub line: u64,
    /// The condition in one line.
    pub summary: String,
    /// `inactive`, `pending` or `firing`.
    pub state: String,
    pub pending: i64,
    pub firing: i64,
}

/// The threshold on a quantile, as its rule's file says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuantileView {
    pub quantile: String,
    pub field: String,
    pub above: String,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiverView {
    pub name: String,
    pub url: String,
    /// Why it is not told any more.
    pub disabled: Option<String>,
    pub pending: i64,
    pub delivered: i64,
    pub dead: i64,
}

impl View {
    /// A view on `alerting.db`.
    pub fn open(path: impl Into<PathBuf>) -> View {
        View {
            path: path.into(),
            database: OnceCell::new(),
        }
    }

    async fn database(&self) -> Result<&Database, Error> {
        let open = || async { Ok(Database::open_read_only(&self.path).await?) };
        self.database.get_or_try_init(open).await
    }

    /// Pending and firing alerts, the latest first.
    pub async fn firing(&self) -> Result<Vec<AlertView>, Error> {
        let rows = sqlx::query(
            "SELECT id, rule, state, labels, annotations, fingerprint, starts_at, ends_at, last_line, lines, samples, updated_at
             FROM alerts WHERE state IN ('pending', 'firing') ORDER BY starts_at DESC, id",
        )
        .fetch_all(self.database().await?.read_pool())
        .await?;
        rows.iter().map(alert).collect()
    }

    /// The rules in force, by name.
    pub async fn rules(&self) -> Result<Vec<RuleView>, Error> {
        let rows = sqlx::query(
            "SELECT definition,
                    (SELECT count(*) FROM alerts a WHERE a.rule = rules.name AND a.state = 'pending') AS pending,
                    (SELECT count(*) FROM alerts a WHERE a.rule = rules.name AND a.state = 'firing') AS firing
             FROM rules ORDER BY name",
        )
        .fetch_all(self.database().await?.read_pool())
        .await?;
        rows.iter().map(rule).collect()
    }

    /// The last steps of all alerts, the latest first.
    pub async fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>, Error> {
        let database = self.database().await?;
        let rows = sqlx::query(
            "SELECT h.at, h.alert, h.rule, h.change, h.starts_at, h.labels, h.lines, coalesce(a.samples, '[]') AS samples
             FROM history h LEFT JOIN alerts a ON a.id = h.alert ORDER BY h.seq DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(database.read_pool())
        .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let alert: String = row.try_get("alert")?;
            let change: String = row.try_get("change")?;
            entries.push(HistoryEntry {
                at: stamp::millis(row.try_get("at")?),
                rule: row.try_get("rule")?,
                starts_at: stamp::nanos(row.try_get("starts_at")?),
                labels: json(row, "labels")?,
                lines: row.try_get("lines")?,
                samples: json(row, "samples")?,
                notifications: notifications(database, &alert, &change).await?,
                alert,
                change,
            });
        }
        Ok(entries)
    }

    /// The receivers and how delivery to them stands.
    pub async fn receivers(&self) -> Result<Vec<ReceiverView>, Error> {
        let rows = sqlx::query(
            "SELECT name, url, disabled,
                    (SELECT count(*) FROM outbox o WHERE o.receiver = name AND o.state = 'pending') AS pending,
                    (SELECT count(*) FROM outbox o WHERE o.receiver = name AND o.state = 'delivered') AS delivered,
                    (SELECT count(*) FROM outbox o WHERE o.receiver = name AND o.state = 'dead') AS dead
             FROM receivers ORDER BY name",
        )
        .fetch_all(self.database().await?.read_pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ReceiverView {
                    name: row.try_get("name")?,
                    url: row.try_get("url")?,
                    disabled: row.try_get("disabled")?,
                    pending: row.try_get("pending")?,
                    delivered: row.try_get("delivered")?,
                    dead: row.try_get("dead")?,
                })
            })
            .collect()
    }
}

async fn notifications(
    database: &Database,
    alert: &str,
    change: &str,
) -> Result<Vec<NotificationView>, Error> {
    let rows = sqlx::query(
        "SELECT id, receiver, state, attempts, last_error FROM outbox WHERE alert = $1 AND change = $2 ORDER BY receiver",
    )
    .bind(alert)
    .bind(change)
    .fetch_all(database.read_pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(NotificationView {
                id: row.try_get("id")?,
                receiver: row.try_get("receiver")?,
                state: row.try_get("state")?,
                attempts: row.try_get("attempts")?,
                last_error: row.try_get("last_error")?,
            })
        })
        .collect()
}

fn alert(row: &SqliteRow) -> Result<AlertView, Error> {
    Ok(AlertView {
        id: row.try_get("id")?,
        rule: row.try_get("rule")?,
        state: row.try_get("state")?,
        labels: json(row, "labels")?,
        annotations: json(row, "annotations")?,
        fingerprint: row.try_get("fingerprint")?,
        starts_at: stamp::nanos(row.try_get("starts_at")?),
        ends_at: row.try_get::<Option<i64>, _>("ends_at")?.map(stamp::nanos),
        last_line_at: stamp::nanos(row.try_get("last_line")?),
        lines: row.try_get("lines")?,
        samples: json(row, "samples")?,
        updated_at: stamp::millis(row.try_get("updated_at")?),
    })
}

fn rule(row: &SqliteRow) -> Result<RuleView, Error> {
    let rule: Rule = json(row, "definition")?;
    let (pending, firing): (i64, i64) = (row.try_get("pending")?, row.try_get("firing")?);
    let state = match (pending, firing) {
        (_, 1..) => "firing",
        (1.., _) => "pending",
        _ => "inactive",
    };
    Ok(RuleView {
        summary: rule.summary(),
        within: crate::rules::show(rule.within_ns),
        for_: crate::rules::show(rule.for_ns),
        keep_firing_for: crate::rules::show(rule.hold_ns),
        name: rule.name,
        description: rule.description,
        index: rule.index,
        query: rule.query_text,
        regex: rule.regex,
        count: rule.count,
        quantile: rule.quantile.map(|quantile| QuantileView {
            quantile: quantile.quantile,
            field: quantile.field,
            above: quantile.above,
        }),
        group_by: rule.group_by,
        labels: rule.labels,
        annotations: rule.annotations,
        receivers: rule.receivers,
        file: rule.file.display().to_string(),
        line: rule.line,
        state: state.to_owned(),
        pending,
        firing,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| Error::Damaged {
        table: column,
        reason: error.to_string(),
    })
}
