//! Receivers that are gone, move, stall or send us elsewhere.

use super::*;

#[tokio::test]
async fn gone_disables_a_receiver_until_its_address_changes_and_harms_no_other() {
    let gone = Receiver::start(|_, _| StatusCode::GONE.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![gone.config("gone"), fine.config("fine")], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench
        .tell(vec![
            transition(&rule, Change::Firing, 0),
            transition(&rule, Change::Resolved, 0),
        ])
        .await;
    let rows = bench.settled().await;
    assert_eq!(rows[0], row("fine", "firing", "delivered", 1));
    assert_eq!(rows[1], row("fine", "resolved", "delivered", 1));
    assert_eq!(
        (rows[2].2.as_str(), rows[3].2.as_str()),
        ("disabled", "disabled")
    );
    let dir = bench.stop().await;

    let bench = Bench::start_in(dir, vec![gone.config("gone")], &[0, 1]).await;
    bench
        .tell(vec![transition(&rule, Change::Firing, 5 * S)])
        .await;
    assert!(
        bench
            .settled()
            .await
            .iter()
            .filter(|row| row.0 == "gone")
            .all(|row| row.2 == "disabled")
    );
    assert_eq!(gone.seen().len(), 1, "still disabled");
    let dir = bench.stop().await;
    let mut moved = fine.config("gone");
    moved.webhook.send_resolved = false;
    let bench = Bench::start_in(dir, vec![moved], &[0, 1]).await;
    bench
        .tell(vec![
            transition(&rule, Change::Firing, 9 * S),
            transition(&rule, Change::Resolved, 9 * S),
        ])
        .await;
    fine.wait_for(3).await;
    bench.settled().await;
    assert_eq!(
        fine.seen()
            .iter()
            .filter(|(_, status)| status == "resolved")
            .count(),
        1,
        "send_resolved is off now"
    );
    bench.stop().await;
}

/// Answers one request, but only when it is told to.
async fn held(
    answer: &'static str,
) -> (
    String,
    tokio::sync::oneshot::Receiver<()>,
    tokio::sync::oneshot::Sender<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 64];
        tokio::io::AsyncReadExt::read(&mut stream, &mut request)
            .await
            .unwrap();
        asked.send(()).unwrap();
        released.await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
            .await
            .unwrap();
    });
    (url, was_asked, release)
}

#[tokio::test]
async fn a_late_410_of_an_old_address_does_not_disable_the_new_one() {
    let (old, was_asked, release) =
        held("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let fine = Receiver::start(|_, _| ok()).await;
    let mut config = fine.config("ops");
    config.webhook.timeout = Duration::from_secs(20);
    let moved = config.clone();
    config.webhook.url = old;
    let bench = Bench::start(vec![config], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    was_asked.await.unwrap();
    bench.config.send_replace(Arc::new(vec![moved]));
    release.send(()).unwrap();
    assert_eq!(
        bench.settled().await,
        [row("ops", "firing", "delivered", 1)]
    );
    let view = crate::View::open(bench.dir.path().join("alerting.db"));
    assert_eq!(view.receivers().await.unwrap()[0].disabled, None);
    bench
        .tell(vec![transition(&rule, Change::Resolved, 0)])
        .await;
    fine.wait_for(2).await;
    bench.settled().await;
    bench.stop().await;
}

#[tokio::test]
async fn what_a_change_tells_reaches_the_receiver_that_it_enables() {
    let gone = Receiver::start(|_, _| StatusCode::GONE.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let mut bench = Bench::start(vec![gone.config("ops")], &[0, 1]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    assert_eq!(bench.settled().await, [row("ops", "firing", "disabled", 0)]);
    // The rule went in the same change that gave the receiver another address.
    bench.receivers = vec![fine.config("ops")];
    let dirty = Dirty {
        transitions: vec![transition(&rule, Change::Resolved, 0)],
        ..Dirty::default()
    };
    let commit = Commit {
        dirty: &dirty,
        progress: &[],
        rules: Some(&[]),
        receivers: &bench.receivers,
        external_url: "",
        now_ms: now_ms(),
    };
    bench.store.commit(&commit).await.unwrap();
    bench.config.send_replace(Arc::new(bench.receivers.clone()));
    assert_eq!(
        bench.settled().await,
        [
            row("ops", "firing", "disabled", 0),
            row("ops", "resolved", "delivered", 1)
        ]
    );
    bench.stop().await;
}

#[tokio::test]
async fn what_waits_for_its_next_try_is_tried_at_once_at_a_new_address() {
    let down = Receiver::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let fine = Receiver::start(|_, _| ok()).await;
    let bench = Bench::start(vec![down.config("ops")], &[0, 3_600_000]).await;
    let rule = one_rule("{name: a, regex: x}");
    bench.tell(vec![transition(&rule, Change::Firing, 0)]).await;
    down.wait_for(1).await;
    while bench.outbox().await[0].3 == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench
        .config
        .send_replace(Arc::new(vec![fine.config("ops")]));
    assert_eq!(
        bench.settled().await,
        [row("ops", "firing", "delivered", 1)]
    );
    assert_eq!(down.seen(), fine.seen());
    bench.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_times_out_and_ends_as_a_dead_letter_while_others_are_served() {
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fine = Receiver::start(|_, _| ok()).await;
    let mut config = fine.config("slow");
    config.webhook.url = format!("http://{}/hook", slow.local_addr().unwrap());
    config.webhook.timeout = Duration::from_millis(150);
    let bench = Bench::start(vec![config, fine.config("fine")], &[0, 1]).await;
    let started = Instant::now();
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    fine.wait_for(1).await;
    assert!(
        started.elapsed() < Duration::from_millis(140),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        bench.settled().await,
        [
            row("fine", "firing", "delivered", 1),
            row("slow", "firing", "dead", 2)
        ]
    );
    bench.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::start(|_, _| ok()).await;
    let to = target.url.clone();
    let receiver = Receiver::start(move |_, _| {
        (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, to.clone())],
        )
            .into_response()
    })
    .await;
    let bench = Bench::start(vec![receiver.config("ops")], &[0]).await;
    bench
        .tell(vec![transition(
            &one_rule("{name: a, regex: x}"),
            Change::Firing,
            0,
        )])
        .await;
    assert_eq!(bench.settled().await, [row("ops", "firing", "dead", 1)]);
    assert!(target.seen().is_empty());
    bench.stop().await;
}
