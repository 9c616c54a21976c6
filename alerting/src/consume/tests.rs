//! The whole of alerting on a real queue: what changes while it runs.

use std::path::{Path, PathBuf};

use logboom_client::{ClientConfig, Context, Origin, Producer, SourceId};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::{
    Timing, View,
    testing::{TestSpan, spans},
};

/// A queue and alerting on it. Nobody listens where notifications go: the history shows them.
struct Site {
    dir: tempfile::TempDir,
    config: Config,
    queue: JoinHandle<Result<(), logboom_broker::Error>>,
    stop_queue: CancellationToken,
    alerting: Option<(JoinHandle<Result<(), Error>>, CancellationToken)>,
}

const HEAD: &str = "version: 1\nreceivers: [{name: ops, webhook: {url: 'http://127.0.0.1:9/'}}]\n";

impl Site {
    /// A queue whose topic has one partition, and alerting with these rules.
    async fn start(rules: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let broker = logboom_broker::Config {
            disk_free_min_bytes: 0,
            ..logboom_broker::Config::new(dir.path().join("queue"))
        };
        let broker = logboom_broker::Broker::open(broker).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop_queue = CancellationToken::new();
        let (ready, mut is_ready) = watch::channel(false);
        let queue = tokio::spawn(broker.run(listener, ready, stop_queue.clone()));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        let timing = Timing {
            reload_interval: Duration::from_millis(20),
            partitions_interval: Duration::from_millis(50),
            checkpoint_interval: Duration::from_millis(20),
            ..Timing::default()
        };
        let mut site = Site {
            config: config(dir.path(), &address.to_string(), timing),
            dir,
            queue,
            stop_queue,
            alerting: None,
        };
        site.rules(rules);
        site.run().await;
        site
    }

    /// Starts alerting.
    async fn run(&mut self) {
        let stop = CancellationToken::new();
        let (ready, mut is_ready) = watch::channel(false);
        let task = tokio::spawn(crate::run(self.config.clone(), ready, stop.clone()));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        self.alerting = Some((task, stop));
    }

    /// Stops alerting, which has to end well.
    async fn halt(&mut self) {
        let (task, stop) = self.alerting.take().unwrap();
        stop.cancel();
        task.await.unwrap().unwrap();
    }

    async fn stop(mut self) {
        self.halt().await;
        self.stop_queue.cancel();
        self.queue.await.unwrap().unwrap();
    }

    fn rule_file(&self) -> PathBuf {
        self.dir.path().join("rules.yaml")
    }

    fn rules(&self, rules: &str) {
        // As editors do it: nobody sees half a file.
        let new = self.dir.path().join("rules.new");
        std::fs::write(&new, format!("{HEAD}{rules}")).unwrap();
        std::fs::rename(new, self.rule_file()).unwrap();
    }

    fn view(&self) -> View {
        View::open(self.config.data_dir.join("alerting.db"))
    }

    /// Sends line `index` of `source`, once more if it is called again.
    async fn send(&self, partition: i32, source: u8, index: u64, line: &str) {
        let producer = Producer::new(&self.config.queue).unwrap();
        let context = Context::new("h", "/p");
        let origin = Origin {
            source: SourceId([source; 16]),
            prev: index * 100,
            offset: index * 100,
            end: index * 100 + 100,
            continues: false,
            true_len: None,
            context: Arc::new(context),
        };
        let headers = origin.to_headers();
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let now = now_ns() / 1_000_000;
        let delivery = producer
            .send(
                "logs",
                Some(partition),
                None,
                line.as_bytes(),
                now,
                &headers,
            )
            .await
            .unwrap();
        delivery.await.unwrap();
    }

    /// Waits until the history holds so many steps; as "rule change", sorted.
    async fn steps(&self, count: usize) -> Vec<String> {
        let view = self.view();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let history = view.history(100).await.unwrap();
            if history.len() >= count {
                let mut steps: Vec<String> = history
                    .iter()
                    .map(|step| format!("{} {}", step.rule, step.change))
                    .collect();
                steps.sort();
                return steps;
            }
            assert!(Instant::now() < deadline, "{history:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the rules in force have these summaries.
    async fn in_force(&self, expected: &[&str]) {
        let view = self.view();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let rules = view.rules().await.unwrap();
            let found: Vec<&str> = rules.iter().map(|rule| rule.summary.as_str()).collect();
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn config(dir: &Path, bootstrap: &str, timing: Timing) -> Config {
    Config {
        data_dir: dir.join("alerting"),
        queue: ClientConfig::new(bootstrap.to_owned(), "alerting-test"),
        indexes: vec![crate::IndexConfig::logs(), crate::IndexConfig::spans()],
        partitions: 1,
        rules: vec![dir.join("rules.yaml")],
        receivers: Vec::new(),
        external_url: "http://logboom.example/".to_owned(),
        timing,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_added_while_running_is_read_from_its_start_and_each_line_once() {
    let mut site =
        Site::start("rules: [{name: a, regex: bad, threshold: {count: 3, within: 1h}}]").await;
    site.send(0, 1, 0, "bad 1").await;
    let admin: AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::config::ClientConfig::new()
            .set("bootstrap.servers", &site.config.queue.bootstrap)
            .create()
            .unwrap();
    let grown = admin
        .create_partitions(&[NewPartitions::new("logs", 2)], &AdminOptions::new())
        .await
        .unwrap();
    assert_eq!(grown, [Ok("logs".to_owned())]);
    // The second is the first again, as an agent sends it that missed the ack.
    site.send(1, 2, 0, "bad 2").await;
    site.send(1, 2, 0, "bad 2").await;
    let database = site.config.data_dir.join("alerting.db");
    let read_until = async |partition: i32, offset: i64| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let database = logboom_metastore::Database::open_read_only(&database)
                .await
                .unwrap();
            let found: Option<i64> = sqlx::query_scalar(
                "SELECT next_offset FROM checkpoints WHERE topic = 'logs' AND partition = $1",
            )
            .bind(partition)
            .fetch_optional(database.read_pool())
            .await
            .unwrap();
            database.close().await;
            if found == Some(offset) {
                return;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    read_until(0, 1).await;
    read_until(1, 2).await;
    assert_eq!(
        site.view().history(10).await.unwrap(),
        [],
        "two lines, not three"
    );
    // Marks and offsets of the new partition outlive the process.
    site.halt().await;
    site.run().await;
    site.send(1, 2, 0, "bad 2").await;
    read_until(1, 3).await;
    assert_eq!(site.view().history(10).await.unwrap(), []);
    site.send(1, 2, 1, "bad 3").await;
    assert_eq!(site.steps(1).await, ["a firing"]);
    assert_eq!(site.view().firing().await.unwrap()[0].lines, 3);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_rule_files_are_taken_and_end_the_alerts_of_rules_that_went() {
    let site = Site::start(
        "rules:\n- {name: changed, regex: bad}\n- {name: gone, regex: bad}\n- {name: kept, regex: bad}\n",
    )
    .await;
    site.send(0, 1, 0, "bad").await;
    assert_eq!(
        site.steps(3).await,
        ["changed firing", "gone firing", "kept firing"]
    );
    site.rules(
        "rules:\n- {name: changed, regex: worse}\n- {name: kept, regex: bad, labels: {team: b}}\n",
    );
    site.in_force(&["/worse/ at least 1 in 1m", "/bad/ at least 1 in 1m"])
        .await;
    assert_eq!(
        site.steps(5).await,
        [
            "changed firing",
            "changed resolved",
            "gone firing",
            "gone resolved",
            "kept firing"
        ]
    );
    let view = site.view();
    for step in view.history(10).await.unwrap() {
        assert_eq!(
            step.notifications.len(),
            1,
            "the receiver is told: {step:?}"
        );
    }
    let firing = view.firing().await.unwrap();
    assert_eq!((firing.len(), firing[0].rule.as_str()), (1, "kept"));
    site.send(0, 1, 1, "worse").await;
    let steps = site.steps(6).await;
    assert_eq!(
        steps
            .iter()
            .filter(|step| *step == "changed firing")
            .count(),
        2
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_rule_file_leaves_the_rules_before_in_force_until_it_is_mended() {
    let site = Site::start("rules: [{name: a, regex: bad}]").await;
    site.send(0, 1, 0, "bad").await;
    site.steps(1).await;
    site.rules("rules:\n- {name: a, regex: 'bad'}\n- {name: b, regex: '(unclosed'}\n");
    // Long enough for many looks; each line is proof of the rules in force.
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.in_force(&["/bad/ at least 1 in 1m"]).await;
    assert_eq!(site.view().firing().await.unwrap().len(), 1);
    std::fs::remove_file(site.rule_file()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    site.in_force(&["/bad/ at least 1 in 1m"]).await;
    site.rules("rules:\n- {name: a, regex: 'bad'}\n- {name: b, regex: '(closed)'}\n");
    site.in_force(&["/bad/ at least 1 in 1m", "/(closed)/ at least 1 in 1m"])
        .await;
    site.send(0, 1, 1, "closed").await;
    assert_eq!(site.steps(2).await, ["a firing", "b firing"]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_on_the_queue_fire_and_show_their_trace() {
    let mut site = Site::start(
        "rules: [{name: a, index: spans, query: 'kind:server', threshold: {quantile: p99, field: duration, above: 500ms, within: 5m, count_min: 3, group_by: [operation]}}]",
    )
    .await;
    let now = now_ns();
    let producer = Producer::new(&site.config.queue).unwrap();
    let send = async |durations: &[i64]| {
        let few: Vec<TestSpan> = durations.iter().map(|ms| TestSpan::new(now, *ms)).collect();
        let value = spans("web", 0, now, &few).value;
        let sent = producer
            .send("otlp_spans", Some(0), None, &value, now / 1_000_000, &[])
            .await
            .unwrap();
        sent.await.unwrap();
    };
    send(&[20, 700]).await;
    // The window is committed with the offset that it came from, and goes on in another life.
    site.halt().await;
    site.run().await;
    send(&[20]).await;
    assert_eq!(site.steps(1).await, ["a firing"]);
    let view = site.view();
    let alert = view.firing().await.unwrap().remove(0);
    assert_eq!(
        (alert.lines, alert.labels["operation"].as_str()),
        (3, "GET /cart")
    );
    let rule = view.rules().await.unwrap().remove(0);
    assert_eq!(rule.quantile.unwrap().above, "500ms");
    let sample = &view.history(1).await.unwrap()[0].samples[0];
    assert_eq!(sample, &alert.samples[0]);
    let shown = [
        "operation",
        "service",
        "duration",
        "status",
        "trace_id",
        "span_id",
        "trace_url",
    ]
    .map(|name| sample[name].as_str().unwrap().to_owned());
    let trace = format!("{:032x}", 1);
    assert_eq!(
        shown,
        [
            "GET /cart",
            "cart",
            "700ms",
            "unset",
            &trace,
            &format!("{:016x}", 1),
            &format!("http://logboom.example/traces/{trace}")
        ]
    );
    assert_eq!(sample["duration_ns"], 700_000_000);
    assert_eq!(
        alert.samples.as_array().unwrap().len(),
        1,
        "the slow one, and not the quick ones"
    );
    site.stop().await;
}

/// A loop that has read nothing, of a queue that is not there.
async fn idle_loop(dir: &Path) -> Loop {
    std::fs::create_dir_all(dir.join("alerting")).unwrap();
    std::fs::write(dir.join("rules.yaml"), "version: 1\n").unwrap();
    let config = config(dir, "127.0.0.1:9", Timing::default());
    let (files, set) = RuleFiles::load(&config).await.unwrap();
    let (receivers, _) = watch::channel(Arc::default());
    let parts = Parts {
        store: Store::open(&dir.join("alerting/alerting.db"))
            .await
            .unwrap(),
        config,
        set,
        stored: Stored::default(),
        files,
        receivers,
        wake: Arc::default(),
    };
    Loop::new(parts, Box::new(Evaluator::empty())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_cannot_be_made_is_tried_again_until_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut reading = idle_loop(dir.path()).await;
    // No client takes this; as if there were no file descriptor left for one.
    let mut refused = Config::clone(&reading.config);
    refused.queue.client_id = "\0".to_owned();
    let fine = std::mem::replace(&mut reading.config, Arc::new(refused));
    assert!(matches!(
        reading.connect(&CancellationToken::new()).await,
        Err(logboom_client::Error::Create { .. })
    ));
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::time::sleep(limits::RECONNECT_PAUSE * 4).await;
        stop.cancel();
    };
    let error = logboom_client::Error::OffsetOutOfRange;
    let (alive, ()) = tokio::join!(reading.reconnect(error.clone(), &stop), stopping);
    assert!(!alive, "ended by the stop and by nothing else");
    reading.config = fine;
    assert!(reading.reconnect(error, &CancellationToken::new()).await);
}
