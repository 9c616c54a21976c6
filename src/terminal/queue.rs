//! `logboom queue topics|groups|offsets`: what a queue holds, over its own protocol, so that Apache Kafka answers as well.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use logboom_client::{Admin, ClientConfig, GroupInfo, Partition, TopicInfo};
use serde_json::{Value, json};

use crate::cli::QueueAt;
use crate::compose;
use crate::config::{Config, Overrides};

/// First offset and the one after the last, of each partition.
type Ends = BTreeMap<Partition, (i64, i64)>;

pub(super) fn client(at: &QueueAt) -> anyhow::Result<ClientConfig> {
    let environment = |name: &str| std::env::var(name).ok();
    let config = Config::load(at.config.as_deref(), environment, Overrides::default())?;
    let mut client = compose::client(&config, "cli");
    if let Some(address) = &at.queue {
        client.bootstrap.clone_from(address);
    }
    Ok(client)
}

/// One row a topic; with names, one a partition of those.
pub(crate) async fn topics(names: &[String], at: &QueueAt) -> anyhow::Result<ExitCode> {
    let admin = Admin::new(&client(at)?)?;
    print(&topics_table(&admin, names).await?, at.json)
}

async fn topics_table(admin: &Admin, names: &[String]) -> anyhow::Result<Value> {
    let topics = chosen(admin.topics().await?, names, |topic| &topic.name, "topic")?;
    let ends = admin.ends(partitions(&topics)).await?;
    if names.is_empty() {
        let all: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        // A queue that does not tell the settings of topics still has topics.
        let settings = admin.topic_settings(&all).await.unwrap_or_default();
        return Ok(by_topic(&topics, &ends, &settings));
    }
    Ok(by_partition(&topics, &ends))
}

fn by_topic(topics: &[TopicInfo], ends: &Ends, settings: &BTreeMap<String, Vec<String>>) -> Value {
    let rows = topics.iter().map(|topic| {
        let records = rows_of(topic).filter_map(|partition| ends.get(&partition));
        let records: i64 = records.map(|(start, end)| end - start).sum();
        let settings = settings.get(&topic.name).map(|own| own.join(" "));
        json!([
            topic.name,
            topic.partitions.len(),
            records,
            settings.unwrap_or_default()
        ])
    });
    json!({"columns": ["topic", "partitions", "records", "settings"], "rows": rows.collect::<Vec<_>>()})
}

fn by_partition(topics: &[TopicInfo], ends: &Ends) -> Value {
    let rows = topics.iter().flat_map(rows_of).map(|partition| {
        let found = ends.get(&partition);
        let (topic, number) = &partition;
        json!([
            topic,
            number,
            found.map(|ends| ends.0),
            found.map(|ends| ends.1),
            found.map(|ends| ends.1 - ends.0)
        ])
    });
    json!({"columns": ["topic", "partition", "start", "end", "records"], "rows": rows.collect::<Vec<_>>()})
}

/// One row a group; with names, one a member of those.
pub(crate) async fn groups(names: &[String], at: &QueueAt) -> anyhow::Result<ExitCode> {
    let admin = Admin::new(&client(at)?)?;
    print(&groups_table(&admin, names).await?, at.json)
}

async fn groups_table(admin: &Admin, names: &[String]) -> anyhow::Result<Value> {
    let groups = chosen(admin.groups().await?, names, |group| &group.name, "group")?;
    if !names.is_empty() {
        return Ok(by_member(&groups));
    }
    let all = partitions(&admin.topics().await?);
    let ends = admin.ends(all.clone()).await?;
    let mut rows = Vec::with_capacity(groups.len());
    for group in &groups {
        let committed = admin.committed(&group.name, all.clone()).await?;
        let behind: Vec<Behind> = committed
            .iter()
            .filter_map(|(partition, offset)| Some(Behind::new(*offset, *ends.get(partition)?)))
            .collect();
        let sum = |of: fn(&Behind) -> i64| behind.iter().map(of).sum::<i64>();
        rows.push(json!([
            group.name,
            group.state,
            group.members.len(),
            behind.len(),
            sum(|row| row.lag),
            sum(|row| row.lost),
        ]));
    }
    let columns = ["group", "state", "members", "partitions", "lag", "lost"];
    Ok(json!({"columns": columns, "rows": rows}))
}

fn by_member(groups: &[GroupInfo]) -> Value {
    let rows = groups.iter().flat_map(|group| {
        group
            .members
            .iter()
            .map(|member| json!([group.name, member.id, member.client_id, member.host]))
    });
    json!({"columns": ["group", "member", "client", "host"], "rows": rows.collect::<Vec<_>>()})
}

/// One row a partition for which a group has committed an offset.
pub(crate) async fn offsets(names: &[String], at: &QueueAt) -> anyhow::Result<ExitCode> {
    let admin = Admin::new(&client(at)?)?;
    print(&offsets_table(&admin, names).await?, at.json)
}

async fn offsets_table(admin: &Admin, names: &[String]) -> anyhow::Result<Value> {
    let groups = chosen(admin.groups().await?, names, |group| &group.name, "group")?;
    let all = partitions(&admin.topics().await?);
    let ends = admin.ends(all.clone()).await?;
    let mut rows = Vec::new();
    for group in &groups {
        for (partition, offset) in admin.committed(&group.name, all.clone()).await? {
            let found = ends.get(&partition).copied();
            let behind = found.map(|ends| Behind::new(offset, ends));
            rows.push(json!([
                group.name,
                partition.0,
                partition.1,
                offset,
                found.map(|ends| ends.1),
                behind.as_ref().map(|row| row.lag),
                behind.as_ref().map(|row| row.lost),
            ]));
        }
    }
    let columns = [
        "group",
        "topic",
        "partition",
        "offset",
        "end",
        "lag",
        "lost",
    ];
    Ok(json!({"columns": columns, "rows": rows}))
}

/// How far an offset is from the end, and how much of that cannot be read any more.
#[derive(Debug, PartialEq, Eq)]
struct Behind {
    lag: i64,
    lost: i64,
}

impl Behind {
    fn new(offset: i64, (start, end): (i64, i64)) -> Behind {
        let lost = (start - offset).max(0);
        Behind {
            lag: (end - offset).max(0) - lost,
            lost,
        }
    }
}

fn rows_of(topic: &TopicInfo) -> impl Iterator<Item = Partition> {
    topic
        .partitions
        .iter()
        .map(|number| (topic.name.clone(), *number))
}

fn partitions(topics: &[TopicInfo]) -> Vec<Partition> {
    topics.iter().flat_map(rows_of).collect()
}

/// Those with the given names, or all if there are none.
fn chosen<T>(
    found: Vec<T>,
    names: &[String],
    name: impl Fn(&T) -> &String,
    what: &str,
) -> anyhow::Result<Vec<T>> {
    for wanted in names {
        if !found.iter().any(|row| name(row) == wanted) {
            bail!("there is no {what} `{wanted}`; `logboom queue {what}s` lists them");
        }
    }
    let is_wanted = |row: &T| names.is_empty() || names.contains(name(row));
    Ok(found.into_iter().filter(is_wanted).collect())
}

fn print(table: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    super::print_rows(&mut std::io::stdout().lock(), table, as_json)
        .context("cannot write to the standard output")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use logboom_client::Assignment;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    /// A broker in this process, and what it takes to talk to it.
    pub(in crate::terminal) async fn with_queue<F: Future<Output = ()>>(
        test: impl FnOnce(QueueAt, Admin) -> F,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = logboom_broker::Config {
            disk_free_min_bytes: 0,
            ..logboom_broker::Config::new(dir.path())
        };
        let broker = logboom_broker::Broker::open(config).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (ready, _) = tokio::sync::watch::channel(false);
        let stop = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn(broker.run(listener, ready, stop.clone()));
        let at = QueueAt {
            queue: Some(address.clone()),
            config: None,
            json: false,
        };
        let admin = Admin::new(&client(&at).unwrap()).unwrap();
        admin.ensure_topic("logs", 2).await.unwrap();
        let producer: FutureProducer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", &address)
            .create()
            .unwrap();
        for number in 0..5 {
            let value = format!("line {number}");
            let record: FutureRecord<'_, str, String> = FutureRecord::to("logs")
                .partition(1)
                .key("k")
                .payload(&value);
            let patience = std::time::Duration::from_secs(20);
            producer.send(record, patience).await.unwrap();
        }
        drop(producer);
        test(at, admin).await;
        stop.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn topics_groups_and_offsets_are_told_as_the_queue_has_them() {
        with_queue(async |_at, admin| {
            let next = Assignment {
                topic: "logs".into(),
                partition: 1,
                offset: 2,
            };
            admin.commit("readers", &[next]).await.unwrap();
            let rows = |table: anyhow::Result<Value>| table.unwrap()["rows"].clone();
            let logs = ["logs".to_owned()];
            assert_eq!(
                rows(topics_table(&admin, &[]).await),
                json!([["logs", 2, 5, "max.message.bytes=4259840"]])
            );
            assert_eq!(
                rows(topics_table(&admin, &logs).await),
                json!([["logs", 0, 0, 0, 0], ["logs", 1, 0, 5, 5]])
            );
            assert_eq!(
                rows(groups_table(&admin, &[]).await),
                json!([["readers", "Empty", 0, 1, 3, 0]])
            );
            let readers = ["readers".to_owned()];
            assert_eq!(rows(groups_table(&admin, &readers).await), json!([]));
            assert_eq!(
                rows(offsets_table(&admin, &readers).await),
                json!([["readers", "logs", 1, 2, 5, 3, 0]])
            );
            let error = offsets_table(&admin, &logs).await.unwrap_err();
            assert!(error.to_string().contains("no group `logs`"), "{error}");
        })
        .await;
    }

    #[test]
    fn what_retention_took_is_lost_and_no_lag() {
        let behind = |offset, ends| {
            let row = Behind::new(offset, ends);
            (row.lag, row.lost)
        };
        assert_eq!(behind(5, (0, 12)), (7, 0));
        assert_eq!(behind(5, (8, 12)), (4, 3));
        assert_eq!(behind(12, (8, 12)), (0, 0));
        assert_eq!(behind(13, (8, 12)), (0, 0));
    }

    #[test]
    fn tables_have_a_row_a_topic_or_a_partition() {
        let topic = TopicInfo {
            name: "logs".to_owned(),
            partitions: vec![0, 1],
        };
        let ends = Ends::from([
            (("logs".to_owned(), 0), (2, 10)),
            (("logs".to_owned(), 1), (0, 1)),
        ]);
        let settings = BTreeMap::from([("logs".to_owned(), vec!["retention.ms=1".to_owned()])]);
        let topics = [topic];
        let table = by_topic(&topics, &ends, &settings);
        assert_eq!(table["rows"], json!([["logs", 2, 9, "retention.ms=1"]]));
        let table = by_partition(&topics, &ends);
        assert_eq!(
            table["rows"],
            json!([["logs", 0, 2, 10, 8], ["logs", 1, 0, 1, 1]])
        );
        let error = chosen(
            topics.to_vec(),
            &["log".to_owned()],
            |topic| &topic.name,
            "topic",
        );
        assert!(error.unwrap_err().to_string().contains("no topic `log`"));
    }
}
